"""Worker processes: started here, and stopped with their parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from types import ModuleType

Context = ForkServerContext | SpawnContext


PRELOAD = ("reconscale.training.executors.preload",)
"""What a study of ours has every worker load: torch, and the code that trains."""


def context(preload: Sequence[str] = PRELOAD) -> Context:
    """A fork server that has modules loaded: a fresh process costs milliseconds. Elsewhere, plain spawning.

    Args:
        preload: the modules. A process has one fork server: those of the first call are loaded.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    # One thread in the server makes forking safe; each worker then sets its own number of threads.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(list(preload))
    return server


def environment(gpu: str | None = None) -> dict[str, str]:
    """What a worker must know of this process's environment: the fork server remembers an older one.

    Args:
        gpu: the only one that the worker shall see; none: those that this process sees.
    """
    seen = os.environ.get("CUDA_VISIBLE_DEVICES") if gpu is None else gpu
    return {} if seen is None else {"CUDA_VISIBLE_DEVICES": seen}


def detach(alive: Connection, more: Mapping[str, str] | None = None) -> None:
    """Give this process a session of its own, which ends when whoever holds the other end of ``alive`` is gone.

    Args:
        alive: nothing is ever sent through it; its other end closes with the process that holds it.
        more: of the environment.
    """
    os.setsid()  # a Ctrl-C at the terminal reaches the driver alone, which asks the workers to stop
    os.environ.update(more or {})
    threading.Thread(target=_die_with, args=(alive,), daemon=True).start()


def _die_with(alive: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        alive.recv()
    os.killpg(os.getpgid(0), signal.SIGKILL)


def run_log(folder: Path) -> Path:
    """Where the output of a run's process goes."""
    return folder / "run.log"


def redirect_output(path: Path) -> None:
    """Send what this process prints to a file: the screen belongs to the sweep's progress."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


def is_guarded() -> bool:
    """Whether the script that this process was started with may be imported by others.

    One that never asks for its name has no ``if __name__ == "__main__"`` and would start all over in each of them.
    Nothing is imported where there is no script, as in a notebook.
    """
    place = getattr(sys.modules["__main__"], "__file__", None)
    try:
        return place is None or "__name__" in Path(place).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True


@contextlib.contextmanager
def script_imported(wanted: bool) -> Iterator[None]:
    """Start processes that do, or do not, import the script that this one was started with.

    Multiprocessing has every child import it, for entries of registries that it may have. A script that is not guarded
    (:func:`is_guarded`) is never imported.
    """
    if wanted and is_guarded():
        yield
        return
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
