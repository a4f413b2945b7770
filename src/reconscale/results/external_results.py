"""Results of runs that other code trained."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from reconscale.results.result import AnyResult
from reconscale.results.results_folder import AnyFolder
from reconscale.study.external import ExternalRun


class ExternalResult(AnyResult):
    """What one training by other code gave.

    Attributes:
        run: the run.
        p: number of trainable parameters; 0: not said.
        steps: optimisation steps; 0: not said.
        metrics: ``test`` and, where it was said, ``val`` -> metric -> mean over the items.
        images: ``test`` -> item -> metric -> value, where values are item by item.
    """

    has_images: ClassVar[bool] = False

    run: ExternalRun
    p: int = Field(default=0, ge=0)
    steps: int = Field(default=0, ge=0)


class ExternalFolder(AnyFolder[ExternalRun, ExternalResult]):
    """The results folder of such a study."""

    kind = ExternalResult
