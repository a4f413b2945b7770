"""Names of columns and settings: of n, p, width and seed, of metrics, and of what tells the rows of a table apart."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from itertools import pairwise

USUAL = {
    "n": (
        "n", "n_train", "train_size", "num_train", "ntrain", "train_samples", "num_train_samples", "num_train_images",
        "n_train_images", "number_of_train_images", "training_size", "n_samples",
    ),
    "p": ("n_params", "num_params", "params", "n_parameters", "num_parameters", "parameters", "total_params"),
    "width": ("width", "base_channels", "num_feat", "num_feats", "n_feats", "chans"),
    "seed": ("seed", "manual_seed", "random_seed", "rng_seed"),
}  # fmt: skip
"""Names that are taken without being asked, the first that is there. ``p`` alone is none of them in a log: it is
mostly a dropout probability."""

METRIC_COLUMNS = {"psnr": "psnr", "ssim": "ssim", "mse": "error", "nmse": "error", "error": "error", "loss": "error"}
"""Column name -> metric. Errors of any kind (to be minimised, above 0) are one metric: ``error``."""
FURTHER_METRICS = {
    "accuracy": "accuracy", "acc": "accuracy", "iou": "iou", "miou": "iou", "jaccard": "iou", "auc": "auc",
    "auroc": "auc", "dice": "dice", "lpips": "lpips", "nrmse": "nrmse", "rmse": "error", "mae": "error",
}  # fmt: skip
"""The same, for names that count only where none of ``METRIC_COLUMNS`` is there."""

METRIC_NAMES = METRIC_COLUMNS | FURTHER_METRICS
"""Every name -> its metric."""

CLOCKS = ("global_step", "step", "_step", "iteration", "iter", "training_iteration", "epoch")
"""Columns that say when during a training a row was measured."""
COUNTERS = ("idx", "index", "no", "nr", "num", "number", "id", "counter", "current", "cur", "curr")
"""Words beside them that say nothing more: ``epoch_idx``, ``Epoch #``."""
TIMES = ("timestamp", "time_stamp", "wall_time", "walltime", "datetime", "date_time", "logged_at")
"""Columns that say at what time of the day a row was written."""
CONDITIONS = (
    "dataset", "data_set", "test_set", "testset", "split", "phase", "method", "model", "network", "arch",
    "architecture", "sigma", "noise", "noise_level", "noise_std", "acceleration", "accel", "scale", "scale_factor",
    "dose", "views", "contrast", "anatomy", "checkpoint", "ckpt", "metric", "metric_name",
)  # fmt: skip
"""Columns that say what was measured: rows that differ in them are no replicates."""
FOLDS = ("split", "phase")
"""Those of them that may as well name the replicates, as the folds of a cross-validation do."""
TEST_SETS = (
    "test_set", "testset", "test_dataset", "test_data", "eval_set", "eval_dataset", "test_images", "test_size",
    "n_test", "num_test", "ntest", "n_test_images", "num_test_images", "number_of_test_images", "test_samples",
    "num_test_samples",
)  # fmt: skip
"""Columns that say what a row was tested on, or on how much."""
ALONG_N = (
    *TEST_SETS, "dataset", "data_set", "sigma", "noise", "noise_level", "noise_std", "acceleration", "accel", "scale",
    "scale_factor", "dose", "views", "contrast", "anatomy", "metric", "metric_name",
)  # fmt: skip
"""Columns that must not change from one n to another: the curve would show them, and not the data."""
MODELS = ("method", "model", "network", "arch", "architecture")
"""The same, where neither p nor the width is known: with them a table may have other networks at another n."""
SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")
"""Values of ``FOLDS`` that are no folds."""
RUNS = ("run", "name", "run_id", "run_name", "trial", "trial_id", "fold")
"""Columns that name the training of a row."""
ROWS = ("", "unnamed:_0", "index", "number", "id", "row")
"""Columns that count the rows; pandas writes its index under no name, and reads it as ``Unnamed: 0``."""
PREFIXES = ("params_", "user_attrs_", "system_attrs_")
"""What Optuna writes before the names of settings."""

EXTREMES = (
    "best", "max", "min", "maximum", "minimum", "maximal", "minimal", "top", "highest", "lowest", "largest", "smallest",
    "greatest", "least", "peak", "optimum", "optimal",
)  # fmt: skip
"""Words of a tag that is the best, or the worst, of all values of a run."""


def simple_name(name: str) -> str:
    """A name in small letters, with ``_`` for spaces and dashes.

    >>> simple_name("Train-Size")
    'train_size'
    """
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def bare_name(name: str) -> str:
    """The name of a setting without what Optuna writes before it.

    >>> bare_name("params_n_train"), bare_name("n_params")
    ('n_train', 'n_params')
    """
    prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), "")
    return name.removeprefix(prefix)


def words_of(tag: str) -> list[str]:
    """The words of a tag, in small letters.

    >>> words_of("test/psnrBest"), words_of("val_psnr.max")
    (['test', 'psnr', 'best'], ['val', 'psnr', 'max'])
    """
    return [word for word in re.split(r"[^A-Za-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", tag).lower()) if word]


def is_extreme(tag: str) -> bool:
    """Whether a tag names the best, or the worst, of all values of a run.

    >>> is_extreme("peak_psnr"), is_extreme("lowest nmse"), is_extreme("peak signal-to-noise ratio (psnr)")
    (True, True, False)
    """
    words = words_of(tag)
    quantity = any(pair in (("peak", "signal"), ("peak", "snr")) for pair in pairwise(words))
    return any(word in EXTREMES and not (quantity and word == "peak") for word in words)


def clock_of(name: str) -> str:
    """Which of ``CLOCKS`` or ``TIMES`` a column is; empty for others.

    >>> clock_of("Epoch #"), clock_of("trainer/global_step"), clock_of("step_size"), clock_of("_timestamp")
    ('epoch', 'global_step', '', 'timestamp')
    """
    simple = simple_name(name)
    if simple in CLOCKS:
        return simple
    last = re.split(r"[./]", name)[-1]
    word = "_".join(word for word in words_of(last) if word not in COUNTERS)
    return word if word in (*CLOCKS, *TIMES) else ""


def moment(cell: str) -> float | None:
    """The number or the time in a cell of a clock (in seconds), or None.

    >>> moment("12"), moment("1970-01-01 00:01:00"), moment("soon"), moment("nan")
    (12.0, 60.0, None, None)
    """
    try:
        found = float(cell)
    except ValueError:
        try:
            time = datetime.fromisoformat(cell.strip())
        except ValueError:
            return None
        found = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    return found if math.isfinite(found) else None


GOOD = (
    "finished",
    "complete",
    "completed",
    "success",
    "succeeded",
    "successful",
    "done",
    "ok",
    "published",
    "inactive",
)
"""How tools spell that a run ended as it should."""
BAD = (
    "fail", "failed", "failure", "crash", "crashed", "error", "errored", "killed", "pruned", "stopped", "stopping",
    "aborted", "abort", "canceled", "cancelled", "interrupted", "preempted", "preempting", "running", "pending",
    "scheduled", "waiting", "queued", "paused", "timeout", "timed_out", "diverged", "died", "dead", "oom",
    "out_of_memory", "node_fail", "in_progress", "active", "incomplete", "unfinished", "nan", "broken",
)  # fmt: skip
"""How they spell that it did not."""
STATES = ("state", "status", "run_state", "run_status", "trial_state", "trial_status", "sys/state", "job_state")
"""Columns that say so."""
FLAGS = ("failed", "crashed", "diverged", "pruned", "killed", "has_crashed", "hascrashed", "sys/failed", "aborted")
"""Columns that say by true or false that it did not."""

EXITS = ("exit_code", "exitcode", "exit_status", "return_code", "returncode", "sys/exit_code")
"""Columns that say so by a number, 0 for good; Slurm writes 1:0, the code and the signal."""


def is_state(column: str) -> bool:
    """Whether a column says how its run ended."""
    return simple_name(column) in (*STATES, *FLAGS, *EXITS)


def unfinished(column: str, cell: str, column_cells: list[str]) -> bool:
    """Whether a cell says that its run did not end as it should, so that its last value is none to count.

    Args:
        column: the column's name.
        cell: what it says of this run.
        column_cells: what it says of all runs: a word that nobody knows counts as bad only among known ones.
    """
    name, word = simple_name(column), _state(cell)
    if name in EXITS and re.fullmatch(r"[+-]?\d+(?:\.0+)?(?::\d+)?", cell.strip()):
        return any(float(part) for part in cell.split(":"))
    if name in FLAGS:
        return word in ("true", "1", "1.0", "yes")
    if name not in (*STATES, *EXITS) or not word or word in GOOD:
        return False
    if word == "terminated":  # how Ray Tune spells finished, and Guild killed
        return any(_state(other) in GOOD for other in column_cells)
    return word in BAD or word.split("_")[0] in BAD or any(_state(other) in GOOD for other in column_cells)


def says_well(column: str, cell: str) -> bool:
    """Whether a cell says that its run ended as it should, in a word that is known.

    >>> says_well("state", "TrialState.COMPLETE"), says_well("exit_code", "0"), says_well("failed", "")
    (True, True, False)
    """
    word = _state(cell)
    if simple_name(column) in FLAGS:
        return word in ("false", "0", "0.0", "no")
    return word in GOOD or (simple_name(column) in EXITS and word != "" and not unfinished(column, cell, []))


def _state(cell: str) -> str:
    """``TrialState.PRUNED`` as ``pruned``."""
    return simple_name(re.sub(r"^[A-Za-z]+\.", "", cell.strip()))
