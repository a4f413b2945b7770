"""Published learning curves, cut into what a forecaster may see and what it must foresee.

The files are described in ``learning_curves/README.md`` of the outside data (``$RECONSCALE_SHARED`` or ``../shared``).
"""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PLACE = (
    Path(os.environ.get("RECONSCALE_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data/learning_curves"
)

SEEN = (64, 128, 256, 512, 1024)
AHEAD = (2048, 4096, 8192, 16384)


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve.

    Attributes:
        domain: IC, NMT, LM, BB or LCDB.
        name: of the curve.
        group: what belongs to one data set; halves are split by it.
        n, y, seed: what may be seen; ``seed`` is None without replicates.
        ahead, truth: sizes and errors to be foreseen.
        truth_se: standard error of ``truth``.
    """

    domain: str
    name: str
    group: str
    n: Floats
    y: Floats
    seed: NDArray[np.int64] | None
    ahead: Floats
    truth: Floats
    truth_se: Floats


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV file, packed or not."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    yield from csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))


def revisiting(name: str) -> list[Curve]:
    """Curves of "Revisiting Neural Scaling Laws" (vision or language): fit on Training = 1, foresee the rest.

    Rows of the seen part that share their n are one row; rows to be foreseen are all kept.
    """
    groups: dict[tuple[str, str, str], list[tuple[float, float, bool]]] = defaultdict(list)
    for row in rows_of(PLACE / name):
        key = (row["Domain"], row["Task"], row["Model"])
        groups[key].append((float(row["Seen Examples"]), float(row["Loss"]), row["Training"] == "1"))
    curves = []
    for (domain, task, model), rows in groups.items():
        seen = dict(sorted((n, y) for n, y, training in rows if training))
        ahead = np.array([(n, y) for n, y, training in rows if not training]).T
        arrays = (
            np.array(list(seen)),
            np.array(list(seen.values())),
            None,
            ahead[0],
            ahead[1],
            np.zeros(ahead.shape[1]),
        )
        curves.append(Curve(domain, f"{task} {model}", task, *arrays))
    return curves


def lcdb(replicates: bool) -> list[Curve]:
    """Curves of the Learning Curve Database: five sizes 64 to 1,024 are seen, 2,048 to 16,384 foreseen.

    Curves with an error of 0.002 or less, or with fewer than five repetitions, are left out.

    Args:
        replicates: give each size as ``n_outer`` rows with the published mean and spread over outer splits; else as
            its mean alone.
    """
    cells: dict[tuple[str, str], dict[int, dict[str, str]]] = defaultdict(dict)
    for row in rows_of(PLACE / "lcdb_even_openml_ids.csv.gz"):
        if row["metric"] == "error":
            cells[row["openmlid"], row["learner"]][int(row["size_train"])] = row
    return [curve for key, cell in sorted(cells.items()) if (curve := _of_cell(key, cell, replicates)) is not None]


def _of_cell(key: tuple[str, str], cell: dict[int, dict[str, str]], replicates: bool) -> Curve | None:
    if not all(n in cell for n in (*SEEN, *AHEAD[:2])):
        return None
    ahead = [n for n in AHEAD if n in cell]
    mean = {n: float(cell[n]["mean"]) for n in (*SEEN, *ahead)}
    if min(mean.values()) <= 0.002 or min(float(cell[n]["n"]) for n in SEEN) < 5:
        return None
    n, y, seed = np.array(SEEN, float), np.array([mean[n] for n in SEEN]), None
    if replicates:
        parts = [_spread(mean[k], float(cell[k]["sd_outer"] or 0), int(float(cell[k]["n_outer"]))) for k in SEEN]
        n = np.repeat(n, [len(part) for part in parts])
        seed = np.concatenate([np.arange(len(part)) for part in parts])
        y = np.concatenate(parts)
    se = np.array([float(cell[k]["sd_outer"] or 0) / np.sqrt(float(cell[k]["n_outer"])) for k in ahead])
    truth = np.array([mean[k] for k in ahead])
    return Curve("LCDB", " ".join(key), key[0], n, y, seed, np.array(ahead, float), truth, se)


def _spread(mean: float, sd: float, count: int) -> Floats:
    """``count`` values with that mean and (sample) standard deviation, all above 0."""
    if count < 2:
        return np.array([mean])
    steps = np.arange(count) - 0.5 * (count - 1)
    return np.asarray(np.maximum(mean + sd * steps / steps.std(ddof=1), 0.05 * mean))


def halves(curves: list[Curve]) -> tuple[list[Curve], list[Curve]]:
    """Two halves by data set: one to tune on, one to report."""
    groups = sorted({curve.group for curve in curves}, key=lambda name: (len(name), name))
    tuned = set(groups[::2])
    return [c for c in curves if c.group in tuned], [c for c in curves if c.group not in tuned]
