"""A cluster of Ray with two nodes on this machine, for tests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class Nodes:
    """The cluster's process, and its address."""

    process: subprocess.Popen[str]
    address: str

    def kill_one(self) -> None:
        """End one of the two nodes at once."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("kill\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "killed\n"


@contextlib.contextmanager
def two_nodes(folder: Path, patch: pytest.MonkeyPatch, python: str = sys.executable) -> Iterator[Nodes]:
    """A cluster that only those with its token may use; Ray reads these settings when it is imported.

    By default its workers get niceness 15: beside other tests they would hardly compute.
    """
    token = folder / "token"
    token.write_text("0123456789abcdef" * 2)
    settings = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_worker_niceness": "0"}  # fmt: skip
    for name, value in settings.items():
        patch.setenv(name, value)
    process = subprocess.Popen(
        [python, Path(__file__).with_name("two_nodes.py")], text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin and process.stdout
    try:
        address = process.stdout.readline().strip()
        assert address, "the cluster did not start"
        yield Nodes(process, address)
        process.stdin.close()
        process.wait(timeout=60)
    finally:
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
        process.stdout.close()
