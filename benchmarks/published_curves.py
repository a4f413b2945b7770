"""Write the curves of the repository's own studies for `reconscale curves`, and the digests of those of the literature.

    python benchmarks/published_curves.py            # says what has changed
    python benchmarks/published_curves.py --write    # writes src/reconscale/laws/published/*.toml

A study with five sizes or more is a curve: the mean over seeds at the width that was selected for each n, in the metric
of the study.
"""

from __future__ import annotations

import argparse
import re
import tomllib
from dataclasses import asdict
from pathlib import Path

from reconscale.laws import select_width
from reconscale.laws.published_curves import FILES, PublishedCurve, curve_of
from reconscale.report.page_text import problem_words
from reconscale.results import Folder
from reconscale.results.measurements import load_points
from reconscale.study import load_study, runs_of
from reconscale.study.profiles import PROFILES

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "src" / "reconscale" / "laws" / "published"
GROUPS = {"tomography": "ct"}
HEAD = """# Curves of the studies of this repository, for `reconscale curves`; written by
#
#   python benchmarks/published_curves.py --write
"""


def curves_of_studies() -> list[PublishedCurve]:
    """One curve a study that has results at five sizes or more."""
    made = []
    for path in sorted((ROOT / "studies").rglob("study.toml")):
        study, folder = load_study(path), Folder.beside(path)
        results = folder.results(runs_of(study))
        done = [result for result in results if result.status == "done"]
        if len({result.run.n for result in done}) < 5:
            continue
        best = select_width(load_points(study, folder, results=results))
        profile, place = study.analysis.profile, str(path.parent.relative_to(ROOT / "studies"))
        open_ = sum(result.converged is False for result in done)
        made.append(PublishedCurve(
            name=f"reconscale-{place.replace('/', '-')}",
            group=GROUPS.get(study.problem.kind, study.problem.kind),
            task=problem_words(study),
            network=study.network.family,
            metric=best.metric,
            convention=f"{profile}: {PROFILES[profile].description}; test set {study.images.main_test}",
            unit=best.unit,
            n=tuple(best.sizes.tolist()),
            value=tuple(round(float(best.y[best.n == size].mean()), 5) for size in best.sizes),
            source=f"reconscale, studies/{place}",
            licence="Apache-2.0 (the reconscale developers)",
            note=f"{open_} of {len(done)} runs had not converged" if open_ else "",
        ))  # fmt: skip
    return made


def literature(text: str) -> str:
    """The file of the literature with the right digests."""
    curves = [curve_of(record) for record in tomllib.loads(text)["curve"]]
    blocks = re.split(r"(?m)^(?=\[\[curve\]\])", re.sub(r"(?m)^sha256 = .*\n", "", text))
    signed = [f'{block.rstrip()}\nsha256 = "{curve.sha256}"\n' for block, curve in zip(blocks[1:], curves, strict=True)]
    return "\n".join([blocks[0].rstrip() + "\n", *signed])


def block_of(curve: PublishedCurve) -> str:
    """One curve in TOML."""
    lines = ["[[curve]]"]
    for name, value in asdict(curve).items():
        if isinstance(value, str):
            lines.append(f'{name} = "{value}"' if '"' not in value and "\\" not in value else f"{name} = '{value}'")
        else:
            lines.append(f"{name} = [{', '.join(f'{number:g}' if number > 1e3 else repr(number) for number in value)}]")
    return "\n".join([*lines, f'sha256 = "{curve.sha256}"', ""])


def texts() -> dict[str, str]:
    """The content that both files should have."""
    made = literature((PLACE / FILES[0]).read_text(encoding="utf-8"))
    return {FILES[0]: made, FILES[1]: "\n".join([HEAD, *map(block_of, curves_of_studies())])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the files")
    given = parser.parse_args()
    for name, text in texts().items():
        path = PLACE / name
        same = path.is_file() and path.read_text(encoding="utf-8") == text
        print(f"{name}: {'as it should be' if same else 'differs'}")
        if given.write and not same:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
