"""Starting `reconscale watch` in a process of its own, and asking it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 240.0


class Watch:
    """A watch that runs, at its address."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url

    def get(self, name: str = "", **headers: str) -> tuple[int, str, Any]:
        """Status, text and headers of an answer."""
        request = urllib.request.Request(self.url + name, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode(errors="replace"), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers

    @property
    def status(self) -> dict[str, str]:
        return dict(json.loads(self.get("status.json")[1]))

    def until(self, met: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """The status as soon as it is as wanted."""
        return wait_for(lambda: status if met(status := self.status) else None, lambda: self.status)

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Exit code and what it said on standard error."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=30)
        return self.process.returncode, err


def wait_for(look: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """What ``look`` gives as soon as it gives something."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if (found := look()) is not None:
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited {PATIENCE:.0f} s in vain: {otherwise()}")


@contextmanager
def watching(study: Path, *words: object) -> Iterator[Watch]:
    command = [sys.executable, "-m", "reconscale", "watch", str(study), "--port", "0", *map(str, words)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "200"}
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert "http://" in said, process.communicate(timeout=10)
        yield Watch(process, said.split(" at ")[-1].split(" ")[0])
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
