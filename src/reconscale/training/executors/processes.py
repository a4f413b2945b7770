"""Worker processes: started here, and stopped with their parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext

Context = ForkServerContext | SpawnContext


def context() -> Context:
    """A fork server that has torch loaded: a fresh process costs milliseconds. Elsewhere, plain spawning."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    # One thread in the server makes forking safe; each worker then sets its own number of threads.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["reconscale.training.executors.preload"])
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
