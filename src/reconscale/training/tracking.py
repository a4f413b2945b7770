"""Optional logging to other tools. The results folder stays authoritative."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from reconscale.errors import UserError
from reconscale.study import Run

Log = Callable[[int, dict[str, float]], None]
"""Takes (step, values) at each look at the validation set."""


@contextmanager
def _none(run: Run, folder: Path) -> Iterator[Log]:
    yield lambda step, values: None


@contextmanager
def _tensorboard(run: Run, folder: Path) -> Iterator[Log]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise _missing("tensorboard") from error
    writer = SummaryWriter(str(folder / "tensorboard"))
    try:
        yield partial(_add_scalars, writer)
    finally:
        writer.close()


def _add_scalars(writer: Any, step: int, values: dict[str, float]) -> None:
    for name, value in values.items():
        writer.add_scalar(name, value, step)


@contextmanager
def _wandb(run: Run, folder: Path) -> Iterator[Log]:
    try:
        import wandb
    except ImportError as error:
        raise _missing("wandb") from error
    session = wandb.init(
        project="reconscale", id=run.id, resume="allow", dir=str(folder), config=run.model_dump(mode="json")
    )
    try:
        yield lambda step, values: session.log(values, step=step)
    finally:
        session.finish()


@contextmanager
def _mlflow(run: Run, folder: Path) -> Iterator[Log]:
    try:
        import mlflow
    except ImportError as error:
        raise _missing("mlflow") from error
    mlflow.set_experiment("reconscale")
    with mlflow.start_run(run_name=run.id):
        mlflow.log_params({"n": run.n, "width": run.network.width, "seed": run.seed, "id": run.id})
        yield lambda step, values: mlflow.log_metrics(values, step=step)


def _missing(package: str) -> UserError:
    return UserError(f"--track {package}", f"{package} is not installed", f"pip install 'reconscale[{package}]'")


TRACKERS: dict[str, Callable[[Run, Path], AbstractContextManager[Log]]] = {
    "none": _none,
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
}
