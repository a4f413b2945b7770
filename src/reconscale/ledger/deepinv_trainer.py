"""A mixin for deepinv's ``Trainer`` that writes the row of a run at the end of its test.

deepinv has no callbacks. It calls ``log_metrics_mlops`` with the means of its metrics after every evaluation, whether
wandb and MLflow are in use or not, in training and in ``test``; this overrides both.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from reconscale.errors import UserError
from reconscale.ledger.table import Ledger

if find_spec("deepinv") is None:
    raise UserError(
        "LedgerMixin", "needs the package deepinv, which is not installed", "pip install 'reconscale[train]'"
    )

if TYPE_CHECKING:
    Base = Any
else:
    Base = object


class LedgerMixin(Base):  # type: ignore[misc, unused-ignore]
    """Before ``deepinv.Trainer`` in the bases of a class; set ``ledger`` on the trainer before ``test``.

    ``class Trainer(rs.LedgerMixin, deepinv.Trainer): ...``, then
    ``trainer.ledger = rs.Ledger("points.csv", n=300, seed=0)`` and ``trainer.test(loader)``.

    Attributes:
        ledger: where, and of which run; none: nothing is written.
        ledger_key: what deepinv calls the metric, the name of its class; none: the one that is equal but for capitals.
    """

    ledger: Ledger | None = None
    ledger_key: str | None = None
    _in_test = False
    _looked: Mapping[str, Any] | None = None
    _tested: Mapping[str, Any] | None = None

    def log_metrics_mlops(self, logs: dict[str, Any], step: int, train: bool = True) -> None:
        """Remember the metrics of an evaluation, and go on."""
        if not train and self._in_test:
            self._tested = dict(logs)
        elif not train:
            self._looked = dict(logs)
        super().log_metrics_mlops(logs, step, train)

    def test(self, *args: Any, **options: Any) -> Any:
        """Test, and write the row.

        Raises:
            UserError: the metric was not measured, or the row cannot be written.
        """
        self._in_test, self._tested = True, None
        try:
            out = super().test(*args, **options)
        finally:
            self._in_test = False
        if self.ledger is not None:
            if not isinstance(self.ledger, Ledger):
                raise UserError("trainer.ledger", f"found a {type(self.ledger).__name__}",
                                'give rs.Ledger("points.csv", n=300)')  # fmt: skip
            self._write(self.ledger)
        return out

    def _write(self, ledger: Ledger) -> None:
        tested, metric = self._tested or {}, str(ledger.metric)
        key = self.ledger_key or next((name for name in tested if name.lower() == metric.lower()), metric)
        if key not in tested:
            there = ", ".join(map(repr, list(tested)[:8])) or "nothing"
            raise UserError("trainer.test", f"measured {there}, and no '{key}'",
                            "give the trainer that metric, or set trainer.ledger_key to its name")  # fmt: skip
        p = sum(weights.numel() for weights in self.model.parameters() if weights.requires_grad)
        ledger.write(tested[key], p=p, validation=(self._looked or {}).get(key))
