"""One table of all studies of the repository that have results: what was measured, for how long, and what it says.

    python benchmarks/studies.py            # prints the table
    python benchmarks/studies.py --write    # and writes it into studies/README.md, between its markers

Everything comes from the results on disk, or from a report where that alone is kept; nothing is trained.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

from reconscale.format import duration
from reconscale.laws import METRICS, Points
from reconscale.report.study_analysis import StudyAnalysis, analyse_study
from reconscale.results import Folder, Result
from reconscale.study import load_study, runs_of

STUDIES = Path(__file__).resolve().parent.parent / "studies"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
COLUMNS = (
    "study", "task", "n", "p", "runs", "core-hours", "at the smallest and the largest n", "input", "best classical",
    "converged", "last doubling of steps", "gain a doubling of n: first, last", "break n; exponents (paper's law)",
    "back-test", "verdict",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=Path, default=STUDIES, help="folder that holds the studies")
    parser.add_argument("--write", action="store_true", help="write the table into studies/README.md")
    given = parser.parse_args()
    rows = [row for path in sorted(given.studies.rglob("study.toml")) if (row := row_of(path, given.studies))]
    table = "\n".join(("| " + " | ".join(row) + " |") for row in (COLUMNS, ["---"] * len(COLUMNS), *rows))
    table += f"\n\nAll results together took {total_hours(given.studies)} of one core."
    print(table)
    if given.write:
        path = given.studies / "README.md"
        before, _, rest = path.read_text().partition(BEGIN)
        path.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}")


def row_of(path: Path, root: Path) -> list[str]:
    """The cells of a study; nothing where it has no results."""
    study, folder = load_study(path), Folder.beside(path)
    results = folder.results(runs_of(study))
    if not any(result.status == "done" for result in results):
        return row_of_report(path, root)
    known = analyse_study(study, folder, results=results)
    assert known.answer is not None
    best, done = known.answer.best, known.done
    sizes = best.sizes
    p = sorted({result.p for result in done})
    hours = sum(result.seconds for result in done) / 3600
    return [
        str(path.parent.relative_to(root)),
        study.problem.kind,
        f"{sizes[0]:,.0f} to {sizes[-1]:,.0f} {study.images.noun}",
        f"{p[0]:,}" + (f" to {p[-1]:,}" if len(p) > 1 else ""),
        f"{len(done)} of {len(known.runs)}",
        f"{hours:.1f}",
        " to ".join(spelt(best, n) for n in (sizes[0], sizes[-1])),
        *baselines(known),
        *convergence(done),
        gains(best),
        knee(known),
        backtest(known),
        known.verdict,
    ]


def row_of_report(path: Path, root: Path) -> list[str]:
    """The cells of a study whose report is kept and whose runs are not; nothing where there is no report either."""
    kept = path.parent / "figures" / "numbers.json"
    if not kept.is_file():
        return []
    study, numbers = load_study(path), json.loads(kept.read_text(encoding="utf-8"))
    tables, metric = numbers["tables"], METRICS[numbers["metric"]]
    used, runs = [row for row in tables["points"] if row["selected"]], tables["runs"]
    best = Points([row["n"] for row in used], [row[metric.name] for row in used], metric=metric.name)
    p, done = sorted({row["p"] for row in runs}), [row for row in runs if row["status"] == "done"]
    lines = [(row["kind"], row["label"], row["value"]) for row in tables["anchors"]]
    law = [row for row in tables["laws"] if row["law"] == "paper" and row["value"] is not None]
    held = tables["backtest"]
    return [
        str(path.parent.relative_to(root)),
        study.problem.kind,
        f"{best.sizes[0]:,.0f} to {best.sizes[-1]:,.0f} {study.images.noun}",
        f"{p[0]:,}" + (f" to {p[-1]:,}" if len(p) > 1 else ""),
        f"{len(done)} of {len(runs)}",
        f"{sum(row['seconds'] for row in done) / 3600:.1f}",
        " to ".join(spelt(best, n) for n in (best.sizes[0], best.sizes[-1])),
        *best_lines(lines, best.metric),
        "not measured",
        "",
        gains(best),
        "; ".join(f"{row['parameter']} {row['value']:.3g} ({row['low90']:.3g} to {row['high90']:.3g})" for row in law)
        or "too few sizes",
        f"{sum(row['inside'] for row in held)} of {len(held)} inside 90 %" if held else "",
        numbers["verdict"],
    ]


def spelt(best: Points, n: float) -> str:
    """The mean over seeds at one n."""
    mean = float(best.y[best.n == n].mean())
    return f"{mean:.4f}" if best.metric == "ssim" else f"{mean:.2f}"


def baselines(known: StudyAnalysis) -> tuple[str, str]:
    """What the input and the best classical method measure."""
    return best_lines(known.lines, known.quantity.metric)


def best_lines(lines: Sequence[tuple[str, str, float]], metric: str) -> tuple[str, str]:
    """The same of kind, label and value of what needs no training."""
    digits = 4 if metric == "ssim" else 2
    inputs = [value for kind, _, value in lines if kind == "input"]
    rest = {label: value for kind, label, value in lines if kind != "input"}
    best = min if METRICS[metric].is_error else max
    top = best(rest, key=lambda label: rest[label]) if rest else ""
    return (f"{inputs[0]:.{digits}f}" if inputs else "", f"{rest[top]:.{digits}f} ({top})" if top else "")


def convergence(done: Sequence[Result]) -> tuple[str, str]:
    """How many runs have converged, and the largest gain of the last doubling among those that have not."""
    states = [result.converged for result in done if result.converged is not None]
    if not states:
        return ("not measured", "")
    open_gains = [result.branches[-1].gain or 0.0 for result in done if result.converged is False]
    median = sorted(result.branches[-1].gain or 0.0 for result in done)[len(done) // 2]
    most = f", at most {max(open_gains):.2f}" if open_gains else ""
    return f"{sum(states)} of {len(states)}", f"median {median:.3f} dB{most}"


def gains(best: Points) -> str:
    """Gain for a doubling of n between the first two and between the last two sizes."""
    metric, sizes = METRICS[best.metric], best.sizes
    means = [best.error[best.n == n].mean() for n in sizes]
    each = [
        float(metric.gain(means[i], means[i + 1])) / math.log2(sizes[i + 1] / sizes[i]) for i in range(len(sizes) - 1)
    ]
    digits = 4 if best.metric == "ssim" else 2
    return f"{each[0]:.{digits}f}, {each[-1]:.{digits}f} {metric.unit}" if each else ""


def knee(known: StudyAnalysis) -> str:
    """Break and exponents of the paper's law, with 90 % intervals, where it could be fitted."""
    assert known.answer is not None
    fits = [fit for fit in known.answer.fits if fit.law == "paper"]
    if not fits:
        return "too few sizes"
    return "; ".join(f"{name} {v:.3g} ({low:.3g} to {high:.3g})" for name, (v, low, high) in fits[0].parameters.items())


def backtest(known: StudyAnalysis) -> str:
    """How many held-out means lay in their 90 % interval."""
    assert known.answer is not None
    rows = known.answer.backtest
    inside = sum(row.low <= row.measured <= row.high for row in rows)
    return f"{inside} of {len(rows)} inside 90 %" if rows else ""


def total_hours(root: Path) -> str:
    """All hours of all results below a folder."""
    studies = [(load_study(path), Folder.beside(path)) for path in root.rglob("study.toml")]
    return duration(sum(r.seconds for study, folder in studies for r in folder.results(runs_of(study), images=False)))


if __name__ == "__main__":
    main()
