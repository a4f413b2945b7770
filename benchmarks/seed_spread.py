"""How the spread of ln(error) between seeds changes with n: the prior of ``laws/seed_noise.py``.

    python benchmarks/seed_spread.py

From the raw values of five seeds of the Learning Curve Database at n = 64 to 1,024 (even OpenML ids), and, to compare,
from the repository's own studies.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from curves import PLACE, STUDIES, rows_of

LEAST_SEEDS, LEAST_SIZES = 5, 5


def database_slopes() -> np.ndarray:
    """Slope of ln(variance) over ln n of every curve with five sizes or more."""
    values: dict[tuple[str, str, str, int], list[float]] = defaultdict(list)
    for row in rows_of(PLACE / "lcdb_perseed_even_openml_ids.csv.gz"):
        n = int(row["size_train"])
        if 64 <= n <= 1024:
            values[row["openmlid"], row["learner"], row["outer_seed"], n].append(float(row["error"]))
    return _slopes({key: v for key, v in values.items() if len(v) >= LEAST_SEEDS and min(v) > 0.002})


def study_slopes() -> np.ndarray:
    """The same of each network of the repository's studies that was measured with three seeds."""
    values: dict[tuple[str, str, str, int], list[float]] = defaultdict(list)
    for path in sorted(STUDIES.rglob("figures/runs.csv")):
        for row in rows_of(path):
            for column in [c for c in row if c.startswith("psnr")][:1]:
                if row["status"] == "done" and row[column]:
                    key = (path.parent.parent.name, row["width"], column, int(row["n"]))
                    values[key].append(-float(row[column]) * np.log(10.0) / 10.0)
    return _slopes({key: list(np.exp(v)) for key, v in values.items() if len(v) >= 3})


def _slopes(values: dict[tuple[str, str, str, int], list[float]]) -> np.ndarray:
    curves: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
    for key, runs in values.items():
        variance = float(np.var(np.log(runs), ddof=1))
        if variance > 0:
            curves[key[:3]].append((np.log(key[3]), np.log(variance)))
    return np.array([np.polyfit(*np.array(rows).T, 1)[0] for rows in curves.values() if len(rows) >= LEAST_SIZES])


def main() -> None:
    for name, slopes in (("Learning Curve Database", database_slopes()), ("own studies", study_slopes())):
        print(f"{name}: {len(slopes)} curves, slope {slopes.mean():.2f}, spread {slopes.std():.2f}")


if __name__ == "__main__":
    main()
