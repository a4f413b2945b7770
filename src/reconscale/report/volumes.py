"""What a study of volumes says beyond its curve: what n means in slices and patients, and every volume's quality."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reconscale.files import read_json
from reconscale.laws import Points
from reconscale.mistakes import Mistake
from reconscale.report.page import Grid
from reconscale.report.tables import Table, table
from reconscale.report.wording import Quantity, amount, number, short
from reconscale.study import Folder, Result

MOST_ROWS = 60
"""Volumes that the page lists; the CSV has all."""


def training_sets_of(folder: Folder) -> Table | None:
    """How many slices, volumes and units each n means (mean over seeds), and the pixels of a slice.

    None where images are no slices.

    Raises:
        Mistake: the record is damaged.
    """
    path = folder.root / "training-sets.json"
    if not path.is_file():
        return None
    record = read_json(path)
    try:
        rows = [
            (int(row["n"]), float(row["slices"]), float(row["volumes"]), float(row["units"]), float(record["pixels"]))
            for row in record["sets"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise Mistake(path, f"is damaged ({error})", "delete it; `reconscale run` writes it again") from error
    return table("training_sets", "n slices volumes units pixels", rows)


def sets_grid(sets: Table | None, noun: str) -> Grid | None:
    """What each n means."""
    if sets is None or not len(sets):
        return None
    rows = tuple(
        tuple(_count(number(row[name])) for name in ("n", "slices", "volumes", "units")) for row in sets.records()
    )
    caption = f"n counts {noun}; what that is in slices, volumes and patients (mean over seeds)"
    return Grid(caption, (f"#n ({noun})", "#slices", "#volumes", "#patients"), rows)


def volumes_table(results: Sequence[Result], best: Points | None, profile: str) -> Table:
    """Every test volume at the smallest and the largest n: the mean over seeds at the width selected on validation.

    Of a profile of slices, the mean over a volume's slices.
    """
    columns = "test_set volume n_smallest y_smallest n_largest y_largest"
    if best is None or best.width is None or not any(result.volumes for result in results):
        return table("volumes", columns, [])
    ends = sorted({float(best.n.min()), float(best.n.max())})
    found: dict[tuple[str, str], dict[float, list[float]]] = {}
    for n in ends:
        width = int(best.width[best.n == n][0])
        for result in results:
            if (result.status, float(result.run.n), result.run.network.width) != ("done", n, width):
                continue
            for name, volumes in result.volumes.items():
                for volume, values in volumes.items():
                    value = values.get(profile, _of_slices(result, name, volume, profile))
                    if name != "val" and value is not None:
                        found.setdefault((name, volume), {}).setdefault(n, []).append(value)
    rows = [
        (name, volume, ends[0], float(np.mean(by_n[ends[0]])), ends[-1], float(np.mean(by_n[ends[-1]])))
        for (name, volume), by_n in sorted(found.items())
        if ends[0] in by_n and ends[-1] in by_n
    ]
    return table("volumes", columns, rows)


def volumes_grid(volumes: Table, quantity: Quantity) -> Grid | None:
    """The table of volumes, those that gain least first."""
    if not len(volumes):
        return None
    sign = 1 if quantity.larger_is_better else -1
    records = sorted(volumes.records(), key=lambda r: sign * (number(r["y_largest"]) - number(r["y_smallest"])))
    rows = tuple(
        (
            str(row["test_set"]), str(row["volume"]), quantity.bare(number(row["y_smallest"])),
            quantity.bare(number(row["y_largest"])),
        )
        for row in records[:MOST_ROWS]
    )  # fmt: skip
    ends = [f"#{quantity.title} at n = {amount(number(records[0][key]))}" for key in ("n_smallest", "n_largest")]
    more = f"; the first {MOST_ROWS} of {len(records)}, all are in volumes.csv" if len(records) > MOST_ROWS else ""
    caption = f"Every test volume, those that gain least first; mean over seeds of the selected width{more}"
    return Grid(caption, ("test set", "volume", *ends), rows)


def _of_slices(result: Result, name: str, volume: str, profile: str) -> float | None:
    values = [
        slice_[profile]
        for image, slice_ in result.images.get(name, {}).items()
        if image.rpartition("/")[0] == volume and profile in slice_
    ]
    return float(np.mean(values)) if values else None


def _count(value: float) -> str:
    return short(value) if value >= 1e4 else amount(value)
