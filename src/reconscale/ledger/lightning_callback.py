"""A callback of Lightning that writes the row of a run at the end of its test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reconscale.errors import UserError
from reconscale.ledger.table import Ledger

if TYPE_CHECKING:
    Callback = Any
else:
    try:
        from lightning.pytorch import Callback
    except ModuleNotFoundError:
        try:
            from pytorch_lightning import Callback
        except ModuleNotFoundError as error:
            raise UserError("LedgerCallback", "needs the package lightning, which is not installed",
                            "pip install lightning") from error  # fmt: skip

TEST = ("test_{}", "test/{}", "{}", "{}/test", "{}_test")
VALIDATION = ("val_{}", "val/{}", "validation_{}", "validation/{}", "valid_{}", "valid/{}")
"""How a metric is usually called when it is logged."""


class LedgerCallback(Callback):  # type: ignore[misc, unused-ignore]
    """Writes n, p, width, seed, steps and the metric when ``trainer.test`` ends, and the last one of validation.

    ``lightning.Trainer(callbacks=[rs.LedgerCallback(rs.Ledger("points.csv", n=300, seed=0))])``

    Args:
        ledger: where, and of which run.
        key: what the test step logs the metric as; none: its name, or ``test_psnr``, ``test/psnr``, ...
        validation: what the validation step logs it as; none: ``val_psnr``, ``val/psnr``, ...
    """

    def __init__(self, ledger: Ledger, *, key: str | None = None, validation: str | None = None) -> None:
        super().__init__()
        if not isinstance(ledger, Ledger):
            raise UserError("LedgerCallback", f"found a {type(ledger).__name__}", 'give rs.Ledger("points.csv", n=300)')
        self.ledger, self.key, self.validation = ledger, key, validation
        self._looked: float | None = None

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002 - its name is Lightning's
        """Remember what was logged on the validation set."""
        if trainer.sanity_checking:
            return
        keys = [self.validation] if self.validation else [form.format(self.ledger.metric) for form in VALIDATION]
        logged = trainer.callback_metrics
        self._looked = next((float(logged[key]) for key in keys if key in logged), self._looked)

    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        """Write the row; of several processes the first does.

        Raises:
            UserError: the metric was not logged, or the row cannot be written.
        """
        if trainer.fast_dev_run or not trainer.is_global_zero:
            return
        value = _logged(trainer.callback_metrics, self.key, str(self.ledger.metric))
        p = sum(weights.numel() for weights in pl_module.parameters() if weights.requires_grad)
        self.ledger.write(value, p=p, validation=self._looked, steps=int(trainer.global_step))


def _logged(logged: Mapping[str, Any], key: str | None, metric: str) -> float:
    """The value that the test step logged."""
    keys = [key] if key is not None else [form.format(metric) for form in TEST]
    found = next((name for name in keys if name in logged), None)
    if found is None:
        there = ", ".join(map(repr, list(logged)[:8])) or "nothing"
        raise UserError("LedgerCallback", f"the test logged {there}, and no '{keys[0]}'",
                        "log the metric in test_step, or say its name: LedgerCallback(ledger, key=...)")  # fmt: skip
    return float(logged[found])
