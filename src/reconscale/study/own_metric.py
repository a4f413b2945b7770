"""A metric of the user's own as a file holds it."""

from __future__ import annotations

from typing import Literal

from reconscale.errors import UserError
from reconscale.laws.metrics import Metric
from reconscale.study.base import FrozenModel


class OwnMetric(FrozenModel):
    """A metric that is not known here; see ``reconscale.laws.metrics.Metric``."""

    name: str
    better: Literal["lower", "higher"]
    unit: str = ""
    worthwhile: float = -1.0
    label: str = ""
    most: float = 1.0

    @classmethod
    def of(cls, metric: Metric) -> OwnMetric:
        """The table of a metric.

        Raises:
            UserError: its transforms are functions of its own, which no file can hold.
        """
        names = ("name", "better", "unit", "worthwhile", "label", "most")
        made = cls(**{name: getattr(metric, name) for name in names})
        if made.metric() != metric:
            remedy = f"leave to_error and from_error out: Metric('{metric.name}', '{metric.better}')"
            found = "has transforms of its own, which a study file cannot hold"
            raise UserError(f"metric '{metric.name}'", found, remedy)
        return made

    def metric(self) -> Metric:
        """The metric of the table."""
        return Metric(self.name, self.better, self.unit, worthwhile=self.worthwhile, label=self.label, most=self.most)
