"""Columns of a table that say how networks were trained, and change where only the data should."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from reconscale.laws.column_names import ROWS, RUNS, clock_of, is_state, simple_name, words_of
from reconscale.laws.findings import Finding, finding

RECIPE = (
    "ema", "swa", "batch", "batchsize", "lr", "rate", "optimizer", "optimiser", "momentum", "beta1", "beta2", "decay",
    "wd", "dropout", "augment", "augmentation", "aug", "flip", "flips", "mixup", "patch", "crop", "loss", "criterion",
    "objective", "scheduler", "schedule", "warmup", "amp", "precision", "bf16", "fp16", "pretrained", "pretraining",
    "init", "clip", "normalization", "normalisation", "norm", "tta", "ensemble", "recipe", "policy", "regularization",
    "regularisation", "depth", "tuned", "finetuned",
)  # fmt: skip
"""Words of names of settings of a training. Epochs are none: at the same steps they fall as n grows."""
MEASURED = (
    "train", "training", "val", "valid", "validation", "test", "final", "best", "last", "min", "max", "mean", "std",
    "avg", "average", "grad", "gradient",
)  # fmt: skip
"""Words of names that are measurements (``train_loss``, ``grad_norm``), or of what need not be the same."""
FLAGS = (
    {"0", "1"}, {"0.0", "1.0"}, {"true", "false"}, {"yes", "no"}, {"on", "off"}, {"y", "n"}, {"t", "f"},
)  # fmt: skip
"""Values of a column that says whether something was done."""
MOST = 3
"""Values that a sentence lists."""


def recipe_findings(
    header: Sequence[str], rows: Sequence[tuple[int, list[str]]], places: Mapping[str, int]
) -> tuple[Finding, ...]:
    """That a setting of the training changes along n, or is mixed at one n.

    A column is one by a word of its name, or where it says yes or no. It changes along n where every n has one value
    and not all have the same; it is mixed where runs of one n, network and seed have several.

    Args:
        header: names of the columns, in small letters.
        rows: (line, cells) of each row.
        places: label or known column -> where it is in ``header``.
    """
    known = set(places.values())
    labels = [places[name] for name in ("n", "p", "width", "seed") if name in places]
    settings = [place for place, name in enumerate(header) if place not in known and _is_setting(name, place, rows)]
    found = (_changes(header[place], place, rows, labels, places["n"]) for place in settings)
    return tuple(item for item in found if item is not None)


def _is_setting(name: str, place: int, rows: Sequence[tuple[int, list[str]]]) -> bool:
    if clock_of(name) or is_state(name) or simple_name(name) in (*RUNS, *ROWS):
        return False
    words = words_of(re.split("[./]", name)[-1])
    if any(word in RECIPE for word in words):
        # The loss may be a name (of what was trained with) or a number (that was measured).
        numbers = "loss" in words and any(row[place][:1].isdigit() for _, row in rows)
        return not numbers and not any(word in MEASURED for word in words)
    return {row[place].lower() for _, row in rows} in FLAGS


def _changes(
    name: str, place: int, rows: Sequence[tuple[int, list[str]]], labels: Sequence[int], n: int
) -> Finding | None:
    by_n: defaultdict[float, dict[str, None]] = defaultdict(dict)
    by_run: defaultdict[tuple[str, ...], dict[str, None]] = defaultdict(dict)
    for _, row in rows:
        try:
            by_n[float(row[n])][row[place]] = None
        except ValueError:
            return None  # refused where n is read
        by_run[tuple(row[label] for label in labels)][row[place]] = None
    mixed = next((values for values in by_run.values() if len(values) > 1), None)
    if mixed is not None:
        return finding("mixed-recipes", column=name, values=", ".join([*mixed][:MOST]))
    sizes = sorted(by_n)
    if any(len(values) > 1 for values in by_n.values()) or len({next(iter(by_n[size])) for size in sizes}) == 1:
        return None
    first = next(iter(by_n[sizes[0]]))
    other = next(size for size in reversed(sizes) if next(iter(by_n[size])) != first)
    return finding("recipe-follows-n", column=name, first=first or "none", last=next(iter(by_n[other])) or "none",
                   low=sizes[0], high=other)  # fmt: skip
