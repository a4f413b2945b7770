"""A table of points that other trainers write themselves: one row a run, at the end of its test."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from reconscale.ledger.table import Ledger

if TYPE_CHECKING:
    from reconscale.ledger.deepinv_trainer import LedgerMixin
    from reconscale.ledger.lightning_callback import LedgerCallback

__all__ = ["Ledger", "LedgerCallback", "LedgerMixin"]

_HOME = {"LedgerCallback": "lightning_callback", "LedgerMixin": "deepinv_trainer"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'reconscale.ledger' has no attribute '{name}'")
    return getattr(import_module(f"reconscale.ledger.{_HOME[name]}"), name)
