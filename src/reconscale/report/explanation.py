"""Why the curve flattens: a linear estimator's computed curve beside the measured one. Not a forecast."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reconscale.errors import UserError
from reconscale.files import read_json
from reconscale.format import amount, plain, signed
from reconscale.laws import Points
from reconscale.report.tables import Table, table
from reconscale.results import Folder, Result

NEAR = 0.1
"""Within this many dB of its floor a curve counts as flat."""
CAPTION = (
    "Explanation, not forecast. Dots are the trained networks (mean over seeds of the selected width, bars from the "
    "lowest to the highest seed). The dashed line is the error on the test set of the best linear estimator of "
    "patches, computed from the covariance of the training images; how far below it n images stay is computed for "
    "images like these. All are dB of the mean MSE, not the mean over images of the PSNR that other figures show."
)
SAYS = (
    "What this says: a curve flattens once the images that were seen determine what the estimator uses of them, here "
    "the mean and the covariance of small patches. What it does not say: where the curve of a network ends. One that "
    "is wider or trained for longer can use more than covariances, and no forecast on this page rests on this one."
)


@dataclass(frozen=True)
class Explanation:
    """The linear estimator that was computed for a study.

    Attributes:
        n: sizes at which its error was computed, rising.
        mse: its error there, mean over pixels, range 1, on images like the training images.
        floor: the least error of any linear estimator of such patches.
        floor_on_test: the error of that best estimator on the main test set.
        test_set: the name of that set.
        within: dB -> the n at which the curve is so close to its floor; none where it was not found.
        patch: side of the patches, in pixels.
        images: training images that the covariance is from.
        record: all of the file.
    """

    n: tuple[float, ...]
    mse: tuple[float, ...]
    floor: float
    floor_on_test: float
    test_set: str
    within: dict[float, float | None]
    patch: int
    images: int
    record: dict[str, Any]

    def above(self, n: float) -> float:
        """How far the curve is from its floor at n, in dB, interpolated in log n."""
        error = np.interp(math.log(n), np.log(self.n), np.log(self.mse))
        return float(10 / math.log(10) * (error - math.log(self.floor)))

    def db_on_test(self, n: float) -> float:
        """The curve on the test set, in dB: as far from its floor there as on the training images."""
        return decibels(self.floor_on_test) - self.above(n)


def decibels(mse: float) -> float:
    """10 log10(1 / mse).

    >>> decibels(0.01)
    20.0
    """
    return -10 * math.log10(mse)


def explanation_of(folder: Folder) -> Explanation | None:
    """What ``theory/explanation.json`` in the results folder says; none where there is no explanation.

    Raises:
        UserError: the file is damaged.
    """
    path = folder.root / "theory" / "explanation.json"
    if not path.is_file():
        return None
    record = read_json(path)
    try:
        if record.get("lacking"):
            return None
        n, mse = (tuple(float(value) for value in record["curve"][name]) for name in ("n", "mse"))
        within = {float(db): None if size is None else float(size) for db, size in record["within"].items()}
        floors = float(record["floor"]), float(record["floor_on_test"])
        if not (n and len(n) == len(mse) and min(*n, *mse, *floors) > 0 and list(n) == sorted(set(n))):
            raise ValueError("sizes must rise and errors be above 0")
        return Explanation(
            n, mse, *floors, str(record["test_set"]), within, int(record["patch"]), int(record["images"]), record
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(path, f"is damaged ({error})", "delete it; `reconscale run` writes it again") from error


def explanation_table(made: Explanation | None, done: Sequence[Result], best: Points | None, test_set: str) -> Table:
    """The measured curve, the computed one and its floor; nothing where one of the two is missing.

    ``db`` is on the test set; ``mse`` of the linear curve and its floor are on images like the training images.
    """
    columns = "series n mse db runs width lowest highest"
    measured = [] if best is None else _measured(done, best, test_set)
    if made is None or not measured or made.test_set != test_set:
        return table("explanation", columns, [])
    sizes = [row[1] for row in measured]
    shown = [n for n in made.n if sizes[0] * 0.999 <= n <= 4 * sizes[-1] * 1.001]
    at = sorted({*shown, *(n for n in sizes if made.n[0] <= n <= made.n[-1])})
    mse = [made.floor * 10 ** (made.above(n) / 10) for n in at]
    empty = (None,) * 4
    linear = [("linear", n, error, made.db_on_test(n), *empty) for n, error in zip(at, mse, strict=True)]
    floor = [("floor", n, made.floor, decibels(made.floor_on_test), *empty) for n in (at[0], at[-1])] if at else []
    return table("explanation", columns, [*measured, *linear, *floor])


def _measured(done: Sequence[Result], best: Points, test_set: str) -> list[Any]:
    """One row a size: the mean MSE over images and seeds of the selected width."""
    rows = []
    for n in best.sizes:
        width = None if best.width is None else int(best.width[best.n == n][0])
        seeds = [
            float(r.metrics[test_set]["mse"])
            for r in done
            if r.run.n == n and r.run.network.width == width and r.metrics.get(test_set, {}).get("mse", 0.0) > 0
        ]
        if seeds:
            mean = float(np.mean(seeds))
            ends = decibels(max(seeds)), decibels(min(seeds))
            rows.append(("network", float(n), mean, decibels(mean), len(seeds), width, *ends))
    return rows


def explanation_sentences(made: Explanation, drawn: Table) -> list[str]:
    """How far the linear estimator is from its floor, how the networks compare, and what that says."""
    network = drawn.where(series="network")
    n, db = network.numbers("n"), network.numbers("db")
    return [_linear(made, n[-1]), _compared(made, n, db), SAYS]


def _linear(made: Explanation, largest: float) -> str:
    sees = made.record.get("operator") if made.record.get("problem", "denoising") != "denoising" else None
    given = f", given {sees}," if sees else ""
    what = f"A linear estimator of {made.patch} × {made.patch} patches{given} that learns from the same training images"
    apart, near = made.above(largest), made.within.get(NEAR)
    here = f"at n = {amount(largest)} it is {plain(apart)} dB from its floor, the Wiener filter"
    if near is None:
        return (
            f"{what} was computed: {here}, and it does not come within {NEAR:g} dB of it at any n that was looked at."
        )
    if near > largest:
        return f"{what} was computed: {here}, and comes within {NEAR:g} dB of it at n = {_about(near)}."
    close = f"it comes within {NEAR:g} dB of its floor, the Wiener filter, at n = {_about(near)}"
    return f"{what} was computed: {close}; at n = {amount(largest)} it is {plain(apart, 3)} dB away."


def _compared(made: Explanation, n: Sequence[float], db: Sequence[float]) -> str:
    floor = decibels(made.floor_on_test)
    over = db[-1] - floor
    said = (
        f"On the test set that floor is {plain(floor)} dB, and the networks measure {plain(db[-1])} dB at "
        f"n = {amount(n[-1])}, {plain(abs(over))} dB {'above' if over > 0 else 'below'} it: "
    )
    if over > 0:
        said += (
            "they use more than the covariance of such patches (a larger surrounding, or more than second-order "
            "statistics), and that part of their curve is not explained here."
        )
    elif db[-1] > made.db_on_test(n[-1]):
        said += "more than the linear estimator at that n, less than it reaches with more images."
    else:
        said += (
            "less than the covariance of the same images gives, so at this n it is their size or their training "
            "that limits them, not the number of images."
        )
    known = [(size, value) for size, value in zip(n, db, strict=True) if size >= made.n[0]]
    if len(known) > 1:
        (first, low), (last, high) = known[0], known[-1]
        said += (
            f" From n = {amount(first)} to {amount(last)} the linear estimator gains "
            f"{signed(made.above(first) - made.above(last))} dB, the networks {signed(high - low)} dB."
        )
    return said


def _about(n: float) -> str:
    return amount(float(f"{n:.2g}")) if n > 1 else "1"


def explanation_alt(made: Explanation, drawn: Table) -> str:
    """The figure in words."""
    network = drawn.where(series="network")
    n, db = network.numbers("n"), network.numbers("db")
    return (
        f"Plot of dB of the mean MSE against the training set size on a logarithmic axis: the networks, from "
        f"{plain(db[0])} dB at n = {amount(n[0])} to {plain(db[-1])} dB at n = {amount(n[-1])}, beside the computed "
        f"linear estimator and its floor at {plain(decibels(made.floor_on_test))} dB."
    )
