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

from reconscale.laws import METRICS, Points

Floats = NDArray[np.float64]

PLACE = (
    Path(os.environ.get("RECONSCALE_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data/learning_curves"
)

STUDIES = Path(__file__).resolve().parents[1] / "studies"
SEEN = (64, 128, 256, 512, 1024)
AHEAD = (2048, 4096, 8192, 16384)
FIT = {4: 3, 5: 4, 6: 4, 10: 6}
"""How many of the sizes of a reconstruction curve are seen; of another number two thirds."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve.

    Attributes:
        domain: IC, NMT, LM, BB, LCDB, CT or the name of a study.
        name: of the curve.
        group: what belongs to one data set; halves are split by it.
        n, y, seed: what may be seen; ``seed`` is None without replicates.
        ahead, truth: sizes and values to be foreseen.
        truth_se: standard error of ``truth``.
        metric: what y and truth are.
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
    metric: str = "error"

    @property
    def points(self) -> Points:
        """What may be seen."""
        return Points(self.n, self.y, self.seed, metric=self.metric)

    def logs(self, values: Floats) -> Floats:
        """Ln(error) of values of the metric."""
        return np.asarray(np.log(METRICS[self.metric].to_error(values)))


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


def lcdb_seeds() -> list[Curve]:
    """Curves of the Learning Curve Database with the raw values of three inner seeds; the fourth is to be foreseen."""
    cells: dict[tuple[str, str], dict[tuple[int, int], float]] = defaultdict(dict)
    for row in rows_of(PLACE / "lcdb_perseed_even_openml_ids.csv.gz"):
        if row["outer_seed"] == "0":
            place = (int(row["size_train"]), int(row["inner_seed"]))
            cells[row["openmlid"], row["learner"]][place] = float(row["error"])
    curves = []
    for key, cell in sorted(cells.items()):
        seeds = sorted({seed for _, seed in cell})[:4]
        ahead = [n for n in AHEAD if all((n, seed) in cell for seed in seeds)]
        if len(seeds) < 4 or len(ahead) < 2 or not all((n, seed) in cell for n in SEEN for seed in seeds):
            continue
        n, y = np.repeat(SEEN, 3).astype(float), np.array([cell[k, seed] for k in SEEN for seed in seeds[:3]])
        truth = np.array([cell[k, seeds[3]] for k in ahead])
        if min(y.min(), truth.min()) > 0.002:
            labels = np.tile(np.arange(3), len(SEEN))
            made = (n, y, labels, np.array(ahead, float), truth, np.zeros(len(ahead)))
            curves.append(Curve("LCDB seeds", " ".join(key), key[0], *made))
    return curves


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


def tomography() -> list[Curve]:
    """Published curves of CT reconstruction (LoDoPaB, 200 angles): one run at each of five sizes, ten times apart."""
    groups: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for row in rows_of(PLACE / "reconstruction_curves_dev.csv"):
        if row["task"].startswith("CT"):
            groups[row["model"], row["metric"]].append((float(row["n"]), float(row["value"])))
    made = [cut("CT", model, model, metric, *np.array(sorted(rows)).T) for (model, metric), rows in groups.items()]
    return [curve for curve in made if len(curve.n) >= 3 and len(curve.ahead) >= 1 and "DIP" not in curve.name]


def study_curves() -> list[Curve]:
    """The repository's own studies: each seed of each width that was measured at four sizes or more is a curve."""
    curves = []
    for path in sorted(STUDIES.rglob("figures/runs.csv")):
        study, rows = path.parent.parent.relative_to(STUDIES).as_posix(), list(rows_of(path))
        if not rows:
            continue
        for column in rows[0]:
            metric = column.split("-")[0]
            if metric not in ("psnr", "ssim") or column == "psnr-y":
                continue
            groups: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
            for row in rows:
                if row["status"] == "done" and row[column]:
                    groups[row["width"], row["seed"]].append((float(row["n"]), float(row[column])))
            for (width, seed), values in sorted(groups.items()):
                if len(values) >= 4:
                    name = f"{study} {column} width {width} seed {seed}"
                    curves.append(cut("studies", name, study, metric, *np.array(sorted(values)).T))
    return curves


def is_trained_out(study: str) -> bool:
    """Whether all runs of a study of the repository had ended by themselves; else a curve is one of its steps, too."""
    path = STUDIES / study / "figures/findings.csv"
    return not path.is_file() or all(row["code"] != "not-converged" for row in rows_of(path))


def study_replicates() -> list[Curve]:
    """The same studies, each width with all of its seeds: what is seen and what is to be foreseen has replicates."""
    groups: dict[tuple[str, str, str, str], list[tuple[float, float, int]]] = defaultdict(list)
    for path in sorted(STUDIES.rglob("figures/runs.csv")):
        study, rows = path.parent.parent.relative_to(STUDIES).as_posix(), list(rows_of(path))
        for row in rows:
            for column in row:
                metric = column.split("-")[0]
                if metric in ("psnr", "ssim") and column != "psnr-y" and row["status"] == "done" and row[column]:
                    run = (float(row["n"]), float(row[column]), int(row["seed"]))
                    groups[study, column, metric, row["width"]].append(run)
    curves = []
    for (study, column, metric, width), runs in sorted(groups.items()):
        n, y, seed = (np.array(values) for values in zip(*sorted(runs), strict=True))
        sizes = np.unique(n)
        if len(sizes) >= 4 and len(np.unique(seed)) >= 2:
            last = sizes[FIT.get(len(sizes), round(2 * len(sizes) / 3)) - 1]
            seen, ahead = n <= last, n > last
            known = (n[seen], y[seen], seed[seen], n[ahead], y[ahead], np.zeros(int(ahead.sum())), metric)
            curves.append(Curve("studies", f"{study} {column} width {width}", study, *known))
    return curves


def cut(domain: str, name: str, group: str, metric: str, n: Floats, y: Floats) -> Curve:
    """A curve of single runs, of whose sizes :data:`FIT` says how many are seen."""
    seen = FIT.get(len(n), max(2, round(2 * len(n) / 3)))
    return Curve(domain, name, group, n[:seen], y[:seen], None, n[seen:], y[seen:], np.zeros(len(n) - seen), metric)


def halves(curves: list[Curve]) -> tuple[list[Curve], list[Curve]]:
    """Two halves by data set: one to tune on, one to report."""
    groups = sorted({curve.group for curve in curves}, key=lambda name: (len(name), name))
    tuned = set(groups[::2])
    return [c for c in curves if c.group in tuned], [c for c in curves if c.group not in tuned]
