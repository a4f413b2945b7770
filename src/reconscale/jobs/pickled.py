"""Functions on their way to worker processes.

The bytes are made by the process of the user who calls, and go to its own workers: through a pipe, through Ray, or in
the file of tasks of Slurm, which nobody else may write. Nothing else is ever unpickled.
"""

from __future__ import annotations

import importlib.util
import pickle
import sys
from collections.abc import Callable
from typing import Any

import cloudpickle

from reconscale.errors import UserError
from reconscale.laws.metrics import Metric


def pickled_by_value(train: Callable[..., Any], metric: Metric) -> bytes:
    """The function and its metric as bytes; what is in the script itself, or in a notebook, travels along.

    Raises:
        UserError: something that the function uses cannot be pickled.
    """
    home = sys.modules.get(getattr(train, "__module__", "") or "")
    by_value = home is not None and home.__name__ != "__main__" and not _importable(home.__name__)
    if by_value:
        cloudpickle.register_pickle_by_value(home)
    try:
        return bytes(cloudpickle.dumps((train, metric)))
    except (pickle.PicklingError, TypeError, AttributeError, NotImplementedError, RuntimeError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        remedy = "make it inside train, or use on=rs.Local(workers=1), which stays in this process"
        raise UserError(
            "train", f"uses something that cannot be sent to other processes ({lines[0][:200]})", remedy
        ) from error
    finally:
        if by_value:
            cloudpickle.unregister_pickle_by_value(home)


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def unpickled(content: bytes) -> Any:
    """What :func:`pickled_by_value` has pickled.

    Raises:
        Exception: whatever importing what it needs raises.
    """
    return pickle.loads(content)  # noqa: S301 - see the module
