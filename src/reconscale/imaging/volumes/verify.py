"""Prepared volumes read again from end to end."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from reconscale.imaging.volumes.open import list_volumes
from reconscale.imaging.volumes.prepare import Progress, kept
from reconscale.imaging.volumes.scan import wanted
from reconscale.mistakes import Mistake
from reconscale.study import Images


@dataclass(frozen=True)
class Reread:
    """What was found.

    Attributes:
        volumes: how many were read again.
        slices: how many they hold.
        damaged: what is damaged, and how; it was deleted and is prepared anew on the next start.
        changed: how the user's files differ from those that were prepared.
    """

    volumes: int
    slices: int
    damaged: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def counted(self) -> str:
        """How much that was, in words."""
        return f"{self.slices} slices in {self.volumes} volumes"


def verify_volumes(images: Images, data: Path | None, root: Path, progress: Progress) -> Reread:
    """Read the prepared volumes of a study again and compare them with their checksums.

    Measured k-space is read where it lies. Where it has changed, the volume is prepared anew as well, and no longer
    fits the results that were measured with it.

    Args:
        images: the options.
        data: the folder that all places are below.
        root: the folder of prepared volumes.
        progress: called with (label, volumes done, volumes).

    Raises:
        Mistake: files are missing or damaged, or nothing has been prepared.
    """
    scans = [
        (scan, options) for found, options in list_volumes(images, data).values() for scan in found
        if wanted(scan, options)
    ]  # fmt: skip
    damaged: list[str] = []
    missing: list[str] = []
    slices = 0
    for done, (scan, options) in enumerate(scans, 1):
        volume = kept(scan, root, options.matrix)
        if not volume.path.is_dir():
            missing.append(scan.name)
        else:
            slices += scan.count
            if found := [f"{scan.name}: {damage}" for damage in volume.damages()]:
                damaged += found
                with FileLock(root / ".lock"):
                    shutil.rmtree(volume.path)
        progress("verifying volumes", done, len(scans))
    if len(missing) == len(scans):
        raise Mistake("--verify", "found no prepared volumes of this study", "leave it out: then they are prepared")
    named = f"{', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}"
    changed = (f"{len(missing)} volumes are new, or have changed: {named}",) if missing else ()
    return Reread(len(scans) - len(missing), slices, tuple(damaged), changed)
