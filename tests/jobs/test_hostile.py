"""What a careless or a hostile user may do with a function that trains."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import reconscale as rs
from reconscale.results.external_results import ExternalFolder
from reconscale.study.external import load_external

from ..cli.calling import call
from .test_measure import QUIET, quality

SMALL: dict[str, Any] = {"n": [2, 4, 8], "seed": 1, "val": 3, "test": 5, **QUIET}


def test_a_function_that_changes_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def wandering(job: rs.Job) -> float:
        os.chdir(job.folder)
        return quality(job)

    assert len(rs.measure(wandering, 40, **SMALL, folder="mine")) == 3
    assert len(list((tmp_path / "mine").glob("runs/*/result.json"))) == 3


def test_a_function_that_deletes_its_folder_and_empties_its_lists(tmp_path: Path) -> None:
    def deleting(job: rs.Job) -> dict[str, Any]:
        shutil.rmtree(job.folder.parent)
        values = [quality(job)] * len(job.test)
        for items in (job.train, job.val, job.test):
            items.clear()
        return {"psnr": values}

    assert len(rs.measure(deleting, 40, **SMALL, folder=tmp_path)) == 3


def test_a_function_that_writes_results_of_its_own(tmp_path: Path) -> None:
    def writing(job: rs.Job) -> float:
        (job.folder / "result.json").write_text("{")
        return quality(job)

    assert len(rs.measure(writing, 40, **SMALL, folder=tmp_path)) == 3
    assert call("status", tmp_path)[1].startswith("3 done")


@pytest.mark.parametrize("text", ["\x1b[31mred\x07", "half \udcff a pair", "line\nline", "", "x" * 100_000])
def test_messages_that_no_terminal_should_get(tmp_path: Path, text: str) -> None:
    def raising(job: rs.Job) -> float:
        if job.n == 8:
            raise ValueError(text)
        return quality(job)

    assert len(rs.measure(raising, 40, **SMALL, folder=tmp_path)) == 2
    (lost,) = (r for r in ExternalFolder(tmp_path / "runs").results(load_external(tmp_path).runs()) if r.reason)
    assert lost.reason.isprintable() and len(lost.reason) < 500
    assert call("status", tmp_path)[0] == 0


def test_items_with_names_that_are_hard_to_write(tmp_path: Path) -> None:
    names = [f'{i} ,"\r\n\t\x1b.png' for i in range(18)] + ["\udcff.png", "ü.png"]
    points = rs.measure(lambda job: {"psnr": [30.0 + len(name) for name in job.test]}, names, n=2, seed=1, val=2,
                        test=12, folder=tmp_path, **QUIET)  # fmt: skip
    assert points.images is not None and points.images.shape == (1, 12)
    assert call("decide", tmp_path)[0] in (0, 2) and call("status", tmp_path)[0] == 0


def test_partial_functions_and_objects(tmp_path: Path) -> None:
    class Trainer:
        def __init__(self, offset: float) -> None:
            self.offset = offset

        def __call__(self, job: rs.Job) -> float:
            return quality(job) + self.offset

        def method(self, job: rs.Job) -> float:
            return self(job)

    def shifted(offset: float, job: rs.Job) -> float:
        return quality(job) + offset

    for number, train in enumerate((Trainer(1.0), Trainer(1.0).method, functools.partial(shifted, 1.0))):
        for on in (None, rs.Local(workers=2)):
            folder = tmp_path / f"{number}{on is None}"
            assert rs.measure(train, 40, **SMALL, folder=folder, on=on).y[0] > 26


def test_a_call_from_another_thread(tmp_path: Path) -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(rs.measure(quality, 40, **SMALL, folder=tmp_path)))
    thread.start()
    thread.join()
    assert len(found[0]) == 3


def test_a_folder_that_is_a_file_or_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(rs.UserError, match="cannot be written to"):
        rs.measure(quality, 40, **SMALL, folder=tmp_path / "file")
    rs.measure(quality, 40, **SMALL, folder=tmp_path / "mine")
    (tmp_path / "mine" / "study.toml").write_text("name = [")
    with pytest.raises(rs.UserError, match="is not TOML"):
        rs.measure(quality, 40, **SMALL, folder=tmp_path / "mine")


def test_a_result_that_somebody_has_changed(tmp_path: Path) -> None:
    rs.measure(quality, 40, **SMALL, folder=tmp_path)
    path = next(tmp_path.glob("runs/n2-*/result.json"))
    path.write_text(path.read_text().replace('"psnr": 2', '"psnr": 3'))
    with pytest.raises(rs.UserError, match="has been changed since it was written"):
        rs.measure(quality, 40, **SMALL, folder=tmp_path)


def test_a_table_and_a_data_set_are_no_items(tmp_path: Path) -> None:
    class Images:
        def __len__(self) -> int:
            return 40

        def __getitem__(self, index: int) -> list[float]:
            return [0.0]

    class Table(list[str]):
        columns = ("a", "b")

    for items, says in ((Images(), "of a data set give len"), (Table("ab"), "found a table")):
        with pytest.raises(rs.UserError) as refused:
            rs.measure(quality, items, **SMALL, folder=tmp_path)
        assert says in str(refused.value)


def test_a_metric_with_functions_of_its_own_is_refused(tmp_path: Path) -> None:
    own = rs.Metric("own_one", "lower", "%", lambda value: value, lambda error: error)
    with pytest.raises(rs.UserError, match="leave to_error and from_error out"):
        rs.measure(quality, 40, metric=own, **SMALL, folder=tmp_path)


def test_a_notebook_has_no_script(tmp_path: Path) -> None:
    """What is typed in, or comes through a pipe, has no file that a worker could import."""
    text = (
        "import sys, reconscale as rs\n"
        "base = 25.0\n"
        "def train(job):\n    return base + job.n\n"
        "places = {'folder': sys.argv[1], 'on': rs.Local(workers=2)}\n"
        "print(len(rs.measure(train, 40, n=[2, 4, 8], seed=1, val=3, test=5, **places)))\n"
    )
    done = subprocess.run([sys.executable, "-", str(tmp_path)], input=text, capture_output=True, text=True, check=False)
    assert done.stdout == "3\n", done.stderr
