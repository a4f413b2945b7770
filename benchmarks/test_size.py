"""Whether a test set of the size that `reconscale test-size` asks for has the power that it promises.

    python benchmarks/test_size.py            # half a minute

First values of a normal distribution, then the differences between runs of the repository's studies, drawn again with
replacement and moved so that their mean is the difference to be told apart. Each line is from 20,000 test sets.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import t

from reconscale.cli.source import open_source
from reconscale.errors import UserError
from reconscale.laws import METRICS, select_width
from reconscale.laws.decisions.power import compute_power, contributions, count_needed
from reconscale.laws.decisions.resolution import Pair, compare_sizes, judge_test_set, pair_runs

STUDIES = Path(__file__).parents[1] / "studies"
REPEATS, CHUNK, POINTS = 20_000, 2_000_000, 0.02


def seen(draw, units: int, difference: float, significance: float, paired: bool, rng: np.random.Generator) -> float:
    """The share of test sets whose t-test sees a difference; ``draw`` gives values of mean 0 of a shape."""
    count, done = 0, 0
    dof = units - 1 if paired else 2 * units - 2
    bound = t.isf(significance / 2, dof)
    while done < REPEATS:
        sets = min(REPEATS - done, max(1, CHUNK // units))
        one = draw((sets, units), rng) + difference
        if paired:
            score = one.mean(1) / one.std(1, ddof=1) * np.sqrt(units)
        else:
            other = draw((sets, units), rng)
            spread = np.sqrt((one.var(1, ddof=1) + other.var(1, ddof=1)) / 2)
            score = (one.mean(1) - other.mean(1)) / spread / np.sqrt(2 / units)
        count += int((np.abs(score) > bound).sum())
        done += sets
    return count / REPEATS


def check_normal(rng: np.random.Generator) -> float:
    """Print the power of normal values, promised and simulated; return the largest distance."""
    worst = 0.0
    print("normal values: difference / sd, power, level, design: units, power promised, simulated")
    for ratio in (0.1, 0.3, 1.0, 3.0):
        for power, level in ((0.8, 0.05), (0.9, 0.05), (0.9, 0.01)):
            for paired in (True, False):
                units = count_needed(ratio, 1.0, power=power, significance=level, paired=paired)
                promised = compute_power(ratio, 1.0, units, significance=level, paired=paired)
                found = seen(lambda shape, rng: rng.standard_normal(shape), units, ratio, level, paired, rng)
                worst = max(worst, abs(found - promised))
                design = "paired" if paired else "unpaired"
                print(f"  {ratio:4} {power:4} {level:4} {design:9} {units:6,} {promised:6.3f} {found:6.3f}")
    return worst


def check_studies(rng: np.random.Generator) -> list[tuple[float, bool]]:
    """Print the power with the differences of the studies; return by how much it misses, and if that was said."""
    print(
        "\ndifferences between runs of studies: units needed, power promised, simulated; false alarms at 5 %; skewness"
    )
    rows = []
    for path in sorted(STUDIES.rglob("study.toml")):
        try:
            source = open_source(path)
            pairs: list[Pair] = [pair for pair in pair_runs(source.points) if pair.last]
        except UserError:
            continue
        for pair in pairs:
            kind = source.points.metric
            try:
                made = pair.size(kind, source.worthwhile)
            except UserError:
                continue
            first, second = contributions(pair.values[0], pair.values[1], METRICS[kind])
            away = (second - first) - (second - first).mean()
            away *= made.sd / away.std()

            def draw(shape, rng, away=away):
                return rng.choice(away, size=shape)

            promised = compute_power(made.difference, made.sd, made.needed)
            found = seen(draw, made.needed, made.difference, 0.05, True, rng)
            false = seen(draw, made.needed, 0.0, 0.05, True, rng)
            said = any(item.code == "skewed-differences" for item in made.findings)
            name = f"{path.parent.relative_to(STUDIES)}: {pair.first}, {pair.second}"
            mark = "  said" if said else ""
            print(f"  {name:60} {made.needed:5} {promised:6.3f} {found:6.3f} {false:6.3f} {made.skewness:6.2f}{mark}")
            rows.append((found - promised, said))
    return rows


def list_findings() -> None:
    """Print which studies are told that their test set is too small, and which would be by the spread as it is."""
    print("\ntest set too small for what is worthwhile, by the two largest n: as measured, at a gain of worthwhile")
    counts, ratios = [0, 0, 0], []
    for path in sorted(STUDIES.rglob("study.toml")):
        try:
            source = open_source(path)
            best = select_width(source.points)
            found = judge_test_set(best, source.worthwhile)
            pair = compare_sizes(best, *best.sizes[-2:].tolist())
        except (UserError, TypeError):
            continue  # no results, or one size
        said = found[0].text if found else "large enough"
        try:
            made = pair.size(source.points.metric, source.worthwhile)
            naive = "large enough" if made.enough else f"{made.needed:,} needed"
            ratios.append(made.sd / abs(made.measured))
            counts[0], counts[1] = counts[0] + 1, counts[1] + (not made.enough)
        except UserError as mistake:
            naive = mistake.found
        counts[2] += bool(found)
        print(f"  {path.parent.relative_to(STUDIES)!s:36} {pair.units.counted:11} {naive:15} {said}")
    print(f"too small as measured: {counts[1]} of {counts[0]}; at a gain of worthwhile: {counts[2]}; "
          f"spread over gain: {min(ratios):.2f} to {max(ratios):.2f}")  # fmt: skip


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    rng = np.random.default_rng(0)
    worst = check_normal(rng)
    print(f"largest distance of normal values: {100 * worst:.1f} points")
    rows = check_studies(rng)
    silent, said = ([off for off, given in rows if given is word] for word in (False, True))
    for name, part in (("without", silent), ("with", said)):
        print(f"studies: {len(part)} pairs {name} the caution on skewness: {100 * min(part):+.1f} to "
              f"{100 * max(part):+.1f} points from the promise")  # fmt: skip
    list_findings()
    if worst > POINTS:
        raise SystemExit("the promised power is not kept")


if __name__ == "__main__":
    main()
