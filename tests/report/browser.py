"""Chromium, where there is one: what a page looks like, and how many sheets it prints on."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
DARK = "--blink-settings=preferredColorScheme=0"
"""As on a system whose colours are dark."""


def browser() -> str:
    """The program; the test is skipped where there is none."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no {BROWSERS[0]} on this machine")
    return found


def call(page: Path, *flags: str, profile: Path) -> str:
    """What Chromium says of a page, without a window and without a network."""
    command = [browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
               f"--user-data-dir={profile}", *flags, page.resolve().as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def printed(page: Path, out: Path, *flags: str) -> bytes:
    """The page as PDF, on A4."""
    call(page, "--no-pdf-header-footer", f"--print-to-pdf={out}", *flags, profile=out.parent / "profile")
    return out.read_bytes()


def sheets(pdf: bytes) -> int:
    """How many pages a PDF has."""
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))
