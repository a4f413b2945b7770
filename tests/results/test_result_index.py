"""The index beside results says what the files say, or is not used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconscale.errors import UserError
from reconscale.results import Folder, Result, results_folder
from reconscale.results import result_index as index
from reconscale.study import Run, runs_of
from tests.report.synthetic import result_of, study_of, write_results

STUDY = study_of(sweep={"n": [10, 30, 100], "width": [8, 16], "seed": [0, 1]})
RUNS = runs_of(STUDY)
LATER = 60.0


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small folders have an index, too, and files of a moment ago are old enough."""
    monkeypatch.setattr(index, "LEAST", 1)
    monkeypatch.setattr(results_folder, "LEAST", 1)
    monkeypatch.setattr(index, "RACY", 0)
    plain = index._now

    def later(root: Path) -> int | None:
        now = plain(root)
        return None if now is None else now + 1_000_000_000

    monkeypatch.setattr(index, "_now", later)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = write_results(STUDY, tmp_path / "runs")
    made.results(RUNS)
    assert (made.root / index.NAME).is_file()
    return made


def from_files(folder: Folder) -> list[Result]:
    return [result for run in RUNS if (result := folder.read(run)) is not None]


def reads(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Result], int]:
    """The results, and how many of them were read from their files."""
    count, read = [0], Result.read.__func__  # type: ignore[attr-defined]

    def counted(cls: type[Result], *place: Any, **named: Any) -> Any:
        count[0] += 1
        return read(cls, *place, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Result, "read", classmethod(counted))
        return folder.results(RUNS), count[0]


def test_says_what_the_files_say(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    found, read = reads(folder, monkeypatch)
    assert read == 0 and found == from_files(folder) and found == [result_of(run) for run in RUNS]
    assert [r.images for r in found] == [r.images for r in from_files(folder)]
    assert found[0].images["test"]["baby.png"] == result_of(RUNS[0]).images["test"]["baby.png"]


def rewritten(folder: Folder, run: Run, **changes: Any) -> None:
    result_of(run).model_copy(update=changes).write(folder.of(run))


def in_place(path: Path, old: bytes, new: bytes) -> None:
    """Change bytes of a file without a change of its size, its inode, or the time of its content."""
    before = path.stat()
    with path.open("r+b") as stream:
        stream.write(path.read_bytes().replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size and path.stat().st_mtime_ns == before.st_mtime_ns


def test_what_changed_is_read_again(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    rewritten(folder, RUNS[3], p=77)
    (folder.of(RUNS[4]) / "result.json").unlink()
    found, read = reads(folder, monkeypatch)
    assert found == from_files(folder) and len(found) == len(RUNS) - 1 and found[3].p == 77 and read >= 1


@pytest.mark.parametrize("name", ["result.json", "images.csv"])
def test_damage_of_equal_size_and_time_is_noticed(folder: Folder, name: str) -> None:
    path = folder.of(RUNS[2]) / name
    old, new = (b"status", b"sTatus") if name == "result.json" else (b"test", b"tEst")
    in_place(path, old, new)
    with pytest.raises(UserError) as expected:
        folder.read(RUNS[2])
    with pytest.raises(UserError) as found:
        folder.results(RUNS)
    assert str(found.value) == str(expected.value)
    if name == "result.json":
        with pytest.raises(UserError):
            folder.status(RUNS)


def test_a_table_that_is_gone_is_noticed(folder: Folder) -> None:
    (folder.of(RUNS[0]) / "images.csv").unlink()
    with pytest.raises(UserError, match=r"images\.csv"):
        folder.results(RUNS)


def test_copies_are_read_again(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy with all times kept, whose results are exchanged for others of equal size and time."""
    copy = Folder(tmp_path / "copy")
    shutil.copytree(folder.root, copy.root)
    found, read = reads(copy, monkeypatch)
    assert read == len(RUNS) and found == from_files(folder)


def test_young_results_do_not_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written within the last tick of a coarse clock may be written again with the same times."""
    monkeypatch.setattr(index, "RACY", int(LATER * 1e9))
    made = write_results(STUDY, tmp_path / "runs")
    made.results(RUNS)
    assert not (made.root / index.NAME).exists()
    for path in made.root.glob("*/*"):
        os.utime(path, (time.time() - 2 * LATER,) * 2)  # the time of the status stays
    made.results(RUNS)
    assert not (made.root / index.NAME).exists()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "no head": lambda data: data[data.index(b"\n") + 1 :],
    "another version": lambda data: data.replace(b'"version": "', b'"version": "9'),
    "noise": lambda data: bytes(range(256)) * 40,
    "endless head": lambda data: index.MAGIC + b" " + b"0" * 64 + b" 99999999999999999999\n",
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_index_is_built_anew(folder: Folder, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder.root / index.NAME
    path.write_bytes(DAMAGE[how](path.read_bytes()))
    found, read = reads(folder, monkeypatch)
    assert read == len(RUNS) and found == from_files(folder)
    assert reads(folder, monkeypatch) == (found, 0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_one_other_byte(folder: Folder, place: float, byte: int) -> None:
    """Wherever one byte of the index is another one, what is read is what the files say."""
    path = folder.root / index.NAME
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] = byte
    path.write_bytes(bytes(data))
    assert folder.results(RUNS) == from_files(folder)
    assert set(folder.status(RUNS).done) == {run.id for run in RUNS}


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["write", "remove", "fail", "touch", "read", "status"]), st.integers(0, len(RUNS) - 1)),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=ACTIONS)
def test_whatever_happens(folder: Folder, actions: list[tuple[str, int]]) -> None:
    """After any changes of results, in between which the index is read and written, it agrees with the files."""
    for number, (what, which) in enumerate(actions):
        run = RUNS[which]
        path = folder.of(run) / "result.json"
        if what == "write":
            rewritten(folder, run, p=1000 + number)
        elif what == "remove":
            path.unlink(missing_ok=True)
        elif what == "fail":
            Result(status="failed", run=run, p=1, reason=f"reason {number}").write(folder.of(run))
        elif what == "touch" and path.exists():
            path.touch()
        elif what == "read":
            folder.results(RUNS)
        else:
            folder.status(RUNS)
    expected = from_files(folder)
    found, status = folder.results(RUNS), folder.status(RUNS)
    assert found == expected and [r.images for r in found] == [r.images for r in expected]
    assert status.reasons == {r.run.id: r.reason for r in expected if r.status != "done"}
    assert len(status.todo) == len(RUNS) - len(expected)


def test_a_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = write_results(STUDY, tmp_path / "runs")
    made.root.chmod(0o555)
    if os.access(made.root, os.W_OK):  # the superuser may write everywhere

        def refused(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(index.tempfile, "TemporaryFile", refused)
    assert made.results(RUNS) == from_files(made) and not (made.root / index.NAME).exists()
    made.root.chmod(0o755)


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from tests.results.test_result_index import RUNS, index, results_folder
from reconscale.results import Folder
index.LEAST = results_folder.LEAST = 1
index.RACY = -60_000_000_000
index.NEW = -1.0
print("ready", flush=True)
while True:
    Folder(Path({root!r})).results(RUNS)
"""


def test_killed_writers_and_readers_beside_them(folder: Folder) -> None:
    """Two processes write the index again and again, and are killed; who reads meanwhile reads what the files say."""
    here = str(Path(__file__).resolve().parents[2])
    (folder.root / index.NAME).unlink()
    code = WRITER.format(here=here, root=str(folder.root))
    writers = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
    expected = from_files(folder)
    try:
        for writer in writers:
            assert writer.stdout and writer.stdout.readline() == b"ready\n"
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            assert folder.results(RUNS) == expected
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
            assert writer.stdout
            writer.stdout.close()
    assert folder.results(RUNS) == expected and (folder.root / index.NAME).is_file()


def test_what_killed_writers_left_is_removed(folder: Folder) -> None:
    left, young = (folder.root / f".{index.NAME}.{name}" for name in ("old", "new"))
    for path in (left, young):
        path.write_bytes(b"half")
    os.utime(left, (time.time() - 2 * index.LEFT_OVER,) * 2)
    (folder.root / index.NAME).unlink()
    folder.results(RUNS)
    assert not left.exists() and young.exists()


def test_threads_side_by_side(folder: Folder) -> None:
    expected, wrong = from_files(folder), []

    def look() -> None:
        for _ in range(5):
            (folder.root / index.NAME).unlink(missing_ok=True)
            if folder.results(RUNS) != expected:
                wrong.append(1)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_results_in_other_bytes_are_read_as_before(folder: Folder) -> None:
    """A file that says the same in other bytes is accepted; one that says something else is not."""
    path = folder.of(RUNS[1]) / "result.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record))
    assert folder.results(RUNS) == from_files(folder) == [result_of(run) for run in RUNS]
    path.write_text(json.dumps(record | {"p": 5}))
    with pytest.raises(UserError, match="changed since it was written"):
        folder.results(RUNS)
