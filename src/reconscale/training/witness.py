"""What a run has read must stay as it was: nothing is kept that was computed from files that have changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reconscale.mistakes import Damaged


class Witness:
    """Remembers the files of the images as a run found them.

    Nothing that was computed after one of them has changed may be kept: the images are read through memory maps, so
    whoever overwrites them changes what training sees.

    Args:
        paths: the files.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._seen = {path: _stamp(path) for path in paths}

    def check(self) -> None:
        """Compare them with what was found.

        Raises:
            Damaged: one has changed, or is gone.
        """
        for path, stamp in self._seen.items():
            now = _stamp(path)
            if now != stamp or now is None:
                what = "is gone" if now is None else "has changed while runs were reading it"
                remedy = "restore the images (`reconscale data STUDY --verify` finds damaged ones), and run again: "
                raise Damaged(path, what, remedy + "what was kept before is good")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
