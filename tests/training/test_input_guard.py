"""Files that change under a run are noticed, and nothing computed from them is kept."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from reconscale.data import open_images
from reconscale.errors import DamagedFileError
from reconscale.results import Folder
from reconscale.training.checkpoint import InputGuard
from reconscale.training.worker import Placement, Task, run_task

from .test_loop import make_run


@pytest.mark.parametrize("harm", ["overwrite", "cut", "remove", "replace"])
def test_a_file_that_changes(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "pixels"
    path.write_bytes(b"abcdef")
    os.utime(path, (1, 1))
    witness = InputGuard([path])
    witness.check()
    if harm == "overwrite":
        with path.open("r+b") as stream:
            stream.write(b"x")
    elif harm == "cut":
        os.truncate(path, 3)
    elif harm == "remove":
        path.unlink()
    else:
        (tmp_path / "other").write_bytes(b"abcdef")
        os.utime(tmp_path / "other", (1, 1))
        (tmp_path / "other").replace(path)
    with pytest.raises(DamagedFileError, match="what was kept before is good"):
        witness.check()


def test_a_run_whose_images_are_touched_stays_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No result, no checkpoint: the run is repeated once the images are restored."""
    monkeypatch.setenv("RECONSCALE_CACHE", str(tmp_path / "cache"))
    run = make_run()
    images = open_images(run.images)
    told: list[dict[str, object]] = []

    def touch(message: dict[str, object]) -> None:
        told.append(message)
        os.utime(images.files()[0])

    task = Task(run, images, Folder(tmp_path / "runs"), Placement(keep_seconds=0.0))
    with pytest.raises(DamagedFileError, match="has changed while runs were reading it"):
        run_task(replace(task, placement=Placement(keep_seconds=1e9)), touch)
    assert not list((tmp_path / "runs").rglob("result.json"))
    assert {"kind": "images damaged"}.items() <= dict(told[-1]["fault"]).items()  # type: ignore[call-overload]
