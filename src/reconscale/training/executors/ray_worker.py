"""The worker on a Ray node, and its messages to the driver.

A slot is a process of Ray; each run is a process of its own below it, as on one machine (``local``). Where the folder
of results is not shared, checkpoints, trunks and results travel to the driver as they are written, and from it the
weights that runs begin with and the trunks that they may continue from; where the packed images are not there, they
are fetched from the driver's node once.
"""

from __future__ import annotations

import glob
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from filelock import FileLock

from reconscale.errors import UserError
from reconscale.files import write_atomic
from reconscale.results.probes import PROBES
from reconscale.results.results_folder import AnyFolder
from reconscale.results.trunks import TRUNK, trunk_pattern
from reconscale.study.initial_weights import find_kept, kept_at
from reconscale.training.executors.base import AnyTask, Event
from reconscale.training.executors.local import LocalExecutor

CHUNK = 32_000_000
"""Bytes that are fetched at once."""
SPOKEN = 2.0
"""Seconds between two messages of progress of a run."""
CARRIED = ("checkpoint.pt", TRUNK, "result.json", "images.csv", "volumes.csv", "weights.safetensors", "run.log")
"""Files of a run that travel, besides its pictures; ``result.json``, which says that all is there, goes last."""


class DriverActor:
    """The driver's end of the line to all slots: an actor on the driver's node.

    Args:
        readable: the files that slots may fetch.
    """

    def __init__(self, readable: tuple[Path, ...]) -> None:
        self._readable = [str(path) for path in readable]
        self._root: Path | None = None
        self._events: SimpleQueue[Event] = SimpleQueue()  # slots speak at the same time
        self._stopping = False

    def write_below(self, root: Path) -> None:
        """Say where the driver's results folder is; before that, nothing is written."""
        self._root = root

    def tell(self, events: list[Event]) -> bool:
        """Take events of a run; says whether to stop."""
        for event in events:
            self._events.put(event)
        return self._stopping

    def heard(self) -> list[Event]:
        """What has been told since the last time."""
        return [self._events.get() for _ in range(self._events.qsize())]

    def stop(self) -> None:
        """Ask all slots to end, with the state of their runs kept."""
        self._stopping = True

    def files(self) -> list[str]:
        """The files of the images."""
        return self._readable

    def read(self, path: str, start: int) -> bytes:
        """A piece of a file of the images, at most ``CHUNK`` bytes."""
        if path not in self._readable:
            raise PermissionError(f"{path} is not one of the images")
        with Path(path).open("rb") as stream:
            stream.seek(start)
            return stream.read(CHUNK)

    def size(self, path: str) -> int:
        """Bytes of a file of the images."""
        return Path(path).stat().st_size if path in self._readable else 0

    def checkpoint(self, run: str) -> bytes | None:
        """The checkpoint of a run, for a node that does not share the results folder."""
        path = self._file(run, "checkpoint.pt")
        return path.read_bytes() if path.is_file() else None

    def trunks(self, run: str) -> list[str]:
        """The names of the runs whose trunks a run may continue from, for a node that does not share the folder."""
        return sorted({path.parent.name for path in self._trunks(run)})

    def trunk(self, run: str, name: str) -> bytes:
        """The trunk of one of :meth:`trunks`; empty where it is gone."""
        path = next((path for path in self._trunks(run) if path.parent.name == name), None)
        return b"" if path is None else path.read_bytes()

    def _trunks(self, run: str) -> list[Path]:
        """Probes find those of the study, too."""
        root = self._file(run, TRUNK).parent.parent
        places = (root, root.parent) if root.name == PROBES else (root,)
        return [path for place in places for path in place.glob(trunk_pattern(glob.escape(run))) if path.is_file()]

    def initial(self, digest: str) -> bytes:
        """The weights of a digest that runs begin with, for a node that does not share the results folder."""
        if self._root is None or not (len(digest) == 64 and digest.isalnum()):
            raise PermissionError(f"{digest[:80]} is no digest of weights")
        return find_kept(self._root, digest).read_bytes()

    def keep(self, run: str, name: str, content: bytes) -> None:
        """Write a file of a run into the results folder."""
        write_atomic(self._file(run, name), content)

    def _file(self, run: str, name: str) -> Path:
        if self._root is None or Path(run).name != run or Path(name).name != name:
            raise PermissionError(f"{run}/{name} is not a file of a run")
        return self._root / run / name


@dataclass(frozen=True)
class RemoteCall:
    """Calls a method of the line and waits for its answer."""

    line: Any

    def __call__(self, method: str, *arguments: Any) -> Any:
        """The answer of the method."""
        import ray

        return ray.get(getattr(self.line, method).remote(*arguments))


def carry_out_here(task: AnyTask, line: Any, token: str) -> dict[str, Any]:
    """Train one run on this node.

    Args:
        task: the run, with the driver's results folder.
        line: the handle of the actor ``DriverActor``.
        token: what the file ``.cluster`` of the results folder holds; where it does not, the folder is not shared.

    Returns:
        ``{"mistake": (where, found, remedy)}``, ``{"interrupted": True}``, or nothing where the run is over.
    """
    ask = RemoteCall(line)
    try:
        fetch(ask)
        if _is_shared(task.folder, token):
            return _carry_out(task, ask, lambda event: None)
        with tempfile.TemporaryDirectory(prefix="reconscale-") as home:
            here = replace(task, folder=replace(task.folder, root=Path(home) / "runs"))  # type: ignore[type-var]
            if task.initial is not None:
                write_atomic(kept_at(here.folder.root, task.initial), ask("initial", task.initial))
            if (content := ask("checkpoint", task.run.id)) is not None:
                write_atomic(here.folder.of(task.run) / "checkpoint.pt", content)
            else:  # it may continue from an earlier run, which is chosen here: that needs torch
                for name in ask("trunks", task.run.id):
                    write_atomic(here.folder.root / name / TRUNK, ask("trunk", task.run.id, name))
            ended = _carry_out(here, ask, lambda event: _send_checkpoint(event, here, ask))
            send(here, ask)
            return ended
    except UserError as mistake:
        return {"mistake": (mistake.where, mistake.found, mistake.remedy)}


def _carry_out(task: AnyTask, ask: RemoteCall, more: Callable[[Event], None]) -> dict[str, Any]:
    stopping, asked, waiting = False, time.monotonic(), list[Event]()

    def speak() -> None:
        nonlocal stopping, asked
        asked = time.monotonic()
        stopping = stopping or ask("tell", list(waiting))
        waiting.clear()

    def tell(event: Event) -> None:
        if event["event"] == "progress" and waiting and waiting[-1]["event"] == "progress" and "kept" not in event:
            waiting.pop()  # only the last word on progress counts
        waiting.append(event)
        more(event)
        if event["event"] != "progress":
            speak()

    def stop() -> bool:
        if time.monotonic() - asked > SPOKEN:
            speak()
        return stopping

    try:
        LocalExecutor(1, tell, device=task.placement.device, stop=stop).carry_out([task])
    except KeyboardInterrupt:
        return {"interrupted": True}
    return {}


def _is_shared(folder: AnyFolder[Any, Any], token: str) -> bool:
    with suppress(OSError):
        return (folder.root / ".cluster").read_text() == token
    return False


def _send_checkpoint(event: Event, task: AnyTask, ask: RemoteCall) -> None:
    if "kept" in event:
        path = task.folder.of(task.run) / "checkpoint.pt"
        with suppress(FileNotFoundError):  # the run may just have ended
            ask("keep", task.run.id, path.name, path.read_bytes())


def send(task: AnyTask, ask: RemoteCall) -> None:
    """Send what a run has written to the driver's results folder; what says that it is over goes last."""
    home = task.folder.of(task.run)
    names = [name for name in CARRIED if name != "result.json"] + sorted(p.name for p in home.glob("picture-*.png"))
    for name in (*names, "result.json"):
        if (home / name).is_file():
            ask("keep", task.run.id, name, (home / name).read_bytes())


def fetch(ask: Callable[..., Any]) -> None:
    """Fetch the files of the images that are not on this node, to the same places.

    Raises:
        UserError: they cannot be written.
    """
    for path in map(Path, ask("files")):
        if path.is_file():
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{path}.lock"):
                if not path.is_file():
                    _fetch(path, ask)
        except OSError as error:
            raise UserError(
                path, f"cannot be written on this node ({error.strerror})",
                "give all nodes a cache they may write to, or share one, with RECONSCALE_CACHE",
            ) from error  # fmt: skip


def _fetch(path: Path, ask: Callable[..., Any]) -> None:
    size, part = ask("size", str(path)), path.with_name(f"{path.name}.part")
    with part.open("wb") as stream:
        while stream.tell() < size:
            stream.write(ask("read", str(path), stream.tell()))
    part.replace(path)
