"""Train one run by other code than ours, and write its result."""

from __future__ import annotations

import contextlib
import platform
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from threadpoolctl import threadpool_limits

from reconscale.errors import UserError
from reconscale.jobs.job import Job, NotFinite, Outcome, check_outcome, unknown_words
from reconscale.jobs.pickled import unpickled
from reconscale.laws.metrics import Metric
from reconscale.results.external_results import ExternalFolder, ExternalResult
from reconscale.study.external import ExternalRun
from reconscale.training.executors.base import Placement, Report

Train = Callable[[Job], Any]
"""Trains a network, and gives back what it measured."""
FILES = "files"
"""The directory, within that of a run, that the code that trains may write to."""
VERSIONED = ("torch", "jax", "tensorflow", "lightning", "sklearn", "numpy")
"""Packages whose versions are noted where they are loaded."""


@dataclass(frozen=True)
class Trainer:
    """What trains, as it travels to workers.

    Attributes:
        content: (train, metric), or that pickled.
        path: where modules are looked for, as in the process of the driver.
        code: hash of the code, which is noted.
        who: what messages call it.
    """

    content: bytes | tuple[Train, Metric]
    path: tuple[str, ...] = ()
    code: str = ""
    who: str = "train"

    def load(self) -> tuple[Train, Metric]:
        """The function and the metric.

        Raises:
            UserError: a module that the function needs is not found here.
        """
        if not isinstance(self.content, bytes):
            return self.content
        sys.path += [place for place in self.path if place not in sys.path]
        try:
            loaded: tuple[Train, Metric] = unpickled(self.content)
        except Exception as error:
            remedy = "put what it needs into a module beside the script, or use on=rs.Local(workers=1)"
            raise UserError(self.who, f"cannot be loaded in a worker ({_first_line(error)})", remedy) from error
        return loaded


@dataclass(frozen=True)
class JobTask:
    """What a worker process gets.

    Attributes:
        run: the run.
        folder: the results folder.
        placement: where and how.
        trainer: what trains.
        items: for training, validation and test.
        test: names of the test items.
        digest: of the items of the study.
    """

    run: ExternalRun
    folder: ExternalFolder
    placement: Placement
    trainer: Trainer
    items: tuple[list[Any], list[Any], list[Any]]
    test: tuple[str, ...]
    digest: str = ""
    images: None = None
    memory: float = 0.0
    share: float = 1.0
    needs_script: ClassVar[bool] = False
    initial: ClassVar[None] = None

    @property
    def home(self) -> Path:
        """The directory of the run."""
        return self.folder.of(self.run)

    @property
    def checkpoint(self) -> Path:
        """The last file that the code has written: it changes whenever the run gets further."""
        files = [path for path in (self.home / FILES).rglob("*") if path.is_file()]
        return max(files, key=lambda path: path.stat().st_mtime_ns, default=self.home / FILES / "none")

    def carry_out(self, report: Report) -> str:
        """Train the run in this process and write its result.

        Returns:
            ``done``, ``diverged``, ``failed``, or ``interrupted``: the run stays open.

        Raises:
            UserError: the result cannot be written.
        """
        began = time.perf_counter()
        with asked_to_end() as asked:
            try:
                found = self._train(report)
            except KeyboardInterrupt:
                return "interrupted"
            if asked():  # a trainer that takes an interrupt for the end of its training has not measured this run
                return "interrupted"
        result = ExternalResult(
            **found, run=self.run, provenance=self._provenance(), times={"process": time.perf_counter() - began}
        )
        result.write(self.home)
        return result.status

    def fail(self, reason: str) -> None:
        """Write the result of a run that cannot be trained."""
        ExternalResult(status="failed", run=self.run, reason=reason, provenance=self._provenance()).write(self.home)

    def job(self) -> Job:
        """What the code that trains is given."""
        run, (train, val, test) = self.run, self.items
        files = (self.home / FILES).resolve()
        try:
            files.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            remedy = "free the disk or choose a folder you may write to"
            raise UserError(files, f"cannot be written ({error.strerror})", remedy) from error
        device, threads = self.placement.device, self.placement.threads
        return Job(run.n, run.seed, run.width, train, val, test, files, device, threads, dict(run.mix))

    def _train(self, report: Report) -> dict[str, Any]:
        """The fields of the result."""
        job = self.job()
        try:
            train, metric = self.trainer.load()
            with threadpool_limits(job.threads):
                given = train(job)
            outcome = check_outcome(given, metric, self.test, self.trainer.who)
        except NotFinite as error:
            return {"status": "diverged", "reason": f"{error}: training diverged; lower the learning rate"}
        except UserError as mistake:
            return {"status": "failed", "reason": printable(str(mistake))}
        except SystemExit as error:
            return {"status": "failed", "reason": f"{self.trainer.who} ended its process (sys.exit({error.code!r}))"}
        except Exception as error:  # a run that breaks is a result: it is kept, counted and named
            traceback.print_exc()
            return {"status": "failed", "reason": f"{_first_line(error)}{_place(error)}"}
        return self._fields(outcome, metric, report)

    def _fields(self, outcome: Outcome, metric: Metric, report: Report) -> dict[str, Any]:
        if outcome.unknown:
            report({"note": unknown_words(outcome.unknown, metric.name)})
        images = {"test": outcome.images} if outcome.images else {}
        report({"value": outcome.metrics["test"][metric.name]})
        return {"status": "done", "metrics": outcome.metrics, "images": images, "p": outcome.p, "steps": outcome.steps}

    def _provenance(self) -> dict[str, Any]:
        loaded = {name: sys.modules[name] for name in VERSIONED if name in sys.modules}
        versions = {name: str(getattr(module, "__version__", "")) for name, module in loaded.items()}
        return {
            "versions": {"reconscale": version("reconscale"), **versions},
            "python": platform.python_version(),
            "device": self.placement.device,
            "hardware": platform.machine(),
            "threads": self.placement.threads,
            "images": self.digest,
            "code": self.trainer.code,
        }


@contextlib.contextmanager
def asked_to_end() -> Iterator[Callable[[], bool]]:
    """Whether the run was asked to end (SIGTERM, or Ctrl-C where no other process takes it), which interrupts it."""
    asked = False

    def interrupt(*_: object) -> None:
        nonlocal asked
        asked = True
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield lambda: asked
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield lambda: asked
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return printable(f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__)


def printable(text: str) -> str:
    """A text that JSON can hold and a terminal can show: without control characters and halves of surrogate pairs."""
    whole = text.encode(errors="backslashreplace").decode()
    return "".join(char if char.isprintable() else " " for char in whole)


def _place(error: BaseException) -> str:
    """Where an error came from, the last line that is no package's."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    own = [frame for frame in frames if not frame.filename.startswith(str(Path(__file__).parents[1]))]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
