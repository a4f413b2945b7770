"""The report of a study that is under way: written again in the background when results have landed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from reconscale.cli.watch_state import HowFar, Stamp, StudyWatch
from reconscale.errors import UserError
from reconscale.report.live_page import live_page, waiting_page

EVERY = 1.0
"""Seconds between two looks at the study."""
SHARE = 0.05
"""Looks take up to this part of the time: on a slow disk there are fewer of them."""
NICER = 5
"""The report is written with so much lower a priority than the training beside it."""
AGAIN = 30.0
"""Seconds after which a report that could not be written is tried again, whether or not there is a new result."""
MOST_SAID = 2000
"""Bytes of what a command said that are looked at for its sentence."""


@dataclass(frozen=True)
class Shown:
    """What is served.

    Attributes:
        title: of the study.
        line: how far it is.
        trouble: why the report could not be written; empty: it could.
        files: of the last good report, by name; empty: there is none yet.
    """

    title: str
    line: str = "It is not known how far the study is"
    trouble: str = ""
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def revision(self) -> str:
        """Changes when the page does, but for the line on top."""
        return hashlib.sha256(self.files.get("report.html", self.waiting.encode())).hexdigest()[:16]

    @property
    def waiting(self) -> str:
        """Why there is no report yet."""
        if self.trouble:
            return "There is no report yet."
        return "There is no result yet. This page shows the report as soon as the first run is done."

    @property
    def page(self) -> str:
        """The page, with how far the study is on top."""
        report = self.files.get("report.html")
        page = waiting_page(self.title, self.waiting) if report is None else report.decode()
        return live_page(page, self.line, self.trouble, self.revision)


class LiveReport:
    """Keeps the report of a study: one is written at a time, and for at most half of the time.

    It is written by ``reconscale report`` in a process of its own, into a folder of its own: the page is the one that
    the command writes, this process stays free to answer, and what goes wrong there is a sentence here.

    Args:
        path: the study file, or its folder.
        plugins: what ``--plugin`` was given.
        tell: called with a line whenever the study has got further.
    """

    def __init__(self, path: Path, plugins: Sequence[str] = (), tell: Callable[[str], None] = lambda _: None) -> None:
        self._study, self._plugins, self._tell = StudyWatch(path), list(plugins), tell
        self._shown = Shown(self._study.title)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="report", daemon=True)
        self._child: subprocess.Popen[bytes] | None = None
        self._began, self._next, self._again = 0.0, 0.0, float("inf")
        self._tried: frozenset[tuple[str, Stamp]] | None = None
        self._failure = self._told = ""

    def __enter__(self) -> LiveReport:
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def shown(self) -> Shown:
        """What is served now."""
        return self._shown

    def _watch(self) -> None:
        with TemporaryDirectory(prefix="reconscale-watch-") as place:
            try:
                while not self._stop.is_set():
                    began = time.monotonic()
                    self._step(Path(place))
                    self._stop.wait(max(EVERY, (time.monotonic() - began) / SHARE))
            except BaseException as error:  # a mistake of ours: the page must not look as if it were refreshed
                self._shown = replace(self._shown, trouble=f"This page is no longer refreshed ({error!r}).")
                raise
            finally:
                self._end_child()

    def _step(self, place: Path) -> None:
        """Look at the study, and begin or finish a report."""
        if self._child is not None and self._child.poll() is not None:
            self._finish(place)
        now = self._look()
        if now is None or self._child is not None:
            return
        clock = time.monotonic()
        if now.done and clock >= self._next and (now.results != self._tried or clock >= self._again):
            self._tried = now.results
            self._begin(place)

    def _look(self) -> HowFar | None:
        """How far the study is; None, and a sentence is shown, where it cannot be told."""
        try:
            now = self._study.look()
        except UserError as error:
            self._shown = replace(self._shown, trouble=str(error))
            return None
        self._shown = replace(self._shown, line=now.line, trouble=self._failure)
        over = now.line.split("; ")[0]
        if over != self._told:
            self._told = over
            self._tell(now.line)
        return now

    def _begin(self, place: Path) -> None:
        """Write the report, in a process of its own."""
        out = place / "report"
        shutil.rmtree(out, ignore_errors=True)
        # -P: this process may have been started in a folder with modules of somebody else.
        command = [sys.executable, "-P", "-m", "reconscale", "report", str(self._study.path), "--out", str(out)]
        command += [word for plugin in self._plugins for word in ("--plugin", plugin)]
        with (place / "said").open("wb") as said:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
            )
        if hasattr(os, "setpriority"):
            with suppress(OSError):  # it has ended already, or may not be made nicer
                os.setpriority(os.PRIO_PROCESS, self._child.pid, NICER)
        self._began = time.monotonic()

    def _finish(self, place: Path) -> None:
        """Take the report that is written, or the sentence why it is not."""
        assert self._child is not None
        code, self._child = self._child.returncode, None
        self._next = 2 * time.monotonic() - self._began
        if code:
            said = (place / "said").read_bytes()[-MOST_SAID:].decode(errors="replace").strip()
            last = said.rpartition("\n")[2]
            known = last.startswith("reconscale: ")
            why = last.removeprefix("reconscale: ") if known else f"`reconscale report` ended with {code}: {last}"
            kept = "; what is shown is the last one that could" if self._shown.files else ""
            self._failure = f"The report could not be written{kept}. {why}"
            self._again = time.monotonic() + AGAIN
            return
        self._failure, self._again = "", float("inf")
        files = {path.name: path.read_bytes() for path in (place / "report").iterdir() if path.is_file()}
        self._shown = replace(self._shown, files=files)

    def _end_child(self) -> None:
        if self._child is not None:
            self._child.terminate()
            self._child.wait()
