"""Published curves of the same kind as related curves: do they make a forecast of a new curve better?

    python benchmarks/like.py            # about five minutes on one core

Each published curve in turn is the user's: its first sizes (half of them, three at least) are known, the others are to
be forecast, up to ten times the largest that is known (more are known where the next lies farther). Inferred alone,
and by ``infer([its, *others of its group])``, which lets floor, exponent and noise be alike as far as the measurements
say so: once with others of other papers and studies alone, as a user's would be, and once with all others.
"""

from __future__ import annotations

import numpy as np

from reconscale.laws import METRICS, Curve, Points, infer
from reconscale.laws.published_curves import PublishedCurve, published_curves
from reconscale.laws.related_curves import relate_curves

FAR = 10.0
LEAST = 3


def first(curve: PublishedCurve) -> tuple[Points, np.ndarray, np.ndarray]:
    """What is known of a curve, and sizes and values to be forecast: more is known where all others are too far."""
    n, y = np.array(curve.n), np.array(curve.value)
    for known in range(max(LEAST, len(n) // 2), len(n) + 1):
        held = (np.arange(len(n)) >= known) & (n <= FAR * n[known - 1])
        if held.any():
            break
    return Points(n[:known], y[:known], metric=curve.metric, unit=curve.unit), n[held], y[held]


def scored(curve: Curve, n: np.ndarray, y: np.ndarray) -> list[tuple[float, bool, float]]:
    """Of each size: |ln(error) forecast over measured|, whether the 90 % interval holds it, and the log density."""
    made = curve.forecast(n)
    low, high = made.interval(0.9)
    known = METRICS[curve.points.metric]
    off = np.abs(np.log(known.to_error(made.median)) - np.log(known.to_error(y)))
    inside = (np.minimum(low, high) <= y) & (y <= np.maximum(low, high))
    told = ~np.asarray(made.refused)
    density = made.logpdf(y)
    rows = zip(off.tolist(), inside.tolist(), density.tolist(), strict=True)
    return [row for row, said in zip(rows, told, strict=True) if said]


def source_of(curve: PublishedCurve) -> str:
    """What a curve is from: those of one paper, or of one study, go together."""
    return curve.source.partition(",")[0] if not curve.name.startswith("reconscale") else curve.name.rpartition("-")[0]


def main() -> None:
    """Print the errors alone and with others."""
    every = list(published_curves().values())
    whole = {curve.name: infer(curve.points) for curve in every}
    print("group metric | curve | others | error alone, with | inside alone, with | log density alone, with")
    total: dict[str, list[tuple[float, bool, float]]] = {"alone": [], "with": []}
    for own_source in (False, True):
        total = {"alone": [], "with": []}
        print("others of the same source as well" if own_source else "others of other sources alone")
        for curve in every:
            others = [other for other in every if other.group == curve.group and other.metric == curve.metric
                      and other.unit == curve.unit and other.name != curve.name
                      and (own_source or source_of(other) != source_of(curve))]  # fmt: skip
            points, n, y = first(curve)
            if not others or not len(n):
                continue
            alone = infer(points)
            with_others = relate_curves([alone, *(whole[other.name] for other in others)])[0]
            rows = {"alone": scored(alone, n, y), "with": scored(with_others, n, y)}
            if not rows["alone"] or not rows["with"]:
                continue
            for way, found in rows.items():
                total[way] += found
            means = [f"{np.mean([row[k] for row in rows[way]]):.3f}" for k in range(3) for way in ("alone", "with")]
            print(f"{curve.group} {curve.metric} | {curve.name} | {len(others)} | {', '.join(means)}", flush=True)
        for way, found in total.items():
            error, inside, density = (np.array(column, float) for column in zip(*found, strict=True))
            print(f"  {way}: {len(error)} sizes, error {error.mean():.4f} (median {np.median(error):.4f}), inside "
                  f"{100 * inside.mean():.0f} %, log density {density.mean():.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
