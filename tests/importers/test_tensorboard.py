"""Event files, all written by torch's SummaryWriter or by tensorboard's own writer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tensorboard.summary import Writer
from torch.utils.tensorboard import SummaryWriter

from reconscale import UserError
from reconscale.importers import ColumnMapping, RunLog, SkippedRun, import_logs
from reconscale.importers.tensorboard import read

from .conftest import Write, curve


def test_series_and_hyperparameters(write_run: Write, tmp_path: Path) -> None:
    write_run("a", 30.0, hparams={"train_size": 100, "seed": 3, "name": "unet", "ema": True})
    (run,) = read(tmp_path / "runs")
    assert isinstance(run, RunLog) and run.name == "a"
    assert run.settings == {"train_size": 100.0, "seed": 3.0, "name": "unet", "ema": True}
    assert run.series["test/psnr"] == {100.0: 26.0, 200.0: 29.0, 300.0: 30.0, 400.0: 29.0}
    assert run.series["hparam/psnr"] == {0.0: 30.0}, "what add_hparams writes into a folder of its own"


def test_rows(write_run: Write, tmp_path: Path) -> None:
    for n in (100, 30):
        for seed in (1, 0):
            write_run(f"grid/n{n}_s{seed}", curve(n, seed), hparams={"train_size": n, "seed": seed})
    made = import_logs(tmp_path / "runs", value="test/psnr")
    assert made.header == ("n", "seed", "psnr", "run", "step")
    assert [row[:2] for row in made.rows] == [(30, 0), (30, 1), (100, 0), (100, 1)]
    assert made.rows[0][2] == pytest.approx(curve(30) - 1, abs=1e-5) and made.rows[0][4] == "400"
    assert made.origins == {"n": "setting 'train_size'", "seed": "setting 'seed'"}
    assert not made.skipped and not made.findings


def test_scalars_as_tensors(tmp_path: Path) -> None:
    for n in (10, 20):
        writer = Writer(str(tmp_path / f"n{n}"))
        writer.add_scalar("psnr", curve(n), 7)
        writer.close()
    made = import_logs(tmp_path, labelling=ColumnMapping(pattern="n{n}"))
    assert [row[:2] for row in made.rows] == [(10, pytest.approx(curve(10), abs=1e-5)),
                                             (20, pytest.approx(curve(20), abs=1e-5))]  # fmt: skip


def test_a_training_continued_in_a_second_file(write_run: Write, tmp_path: Path) -> None:
    folder = write_run("n10", 30.0)
    (first,) = folder.iterdir()
    first.rename(folder / "events.out.tfevents.1.first")
    write_run("n10", 31.0, steps=6)
    (run,) = read(tmp_path / "runs")
    assert isinstance(run, RunLog)
    assert list(run.series["test/psnr"]) == [100, 200, 300, 400, 500, 600]
    assert run.series["test/psnr"][300.0] == 27.0, "the later file says what happened last"


def test_folders_of_phases_are_parts_of_a_run(tmp_path: Path) -> None:
    for phase in ("train", "validation"):
        writer = Writer(str(tmp_path / "n10" / phase))
        writer.add_scalar("epoch_psnr", 28.0, 1)
        writer.close()
    (run,) = read(tmp_path)
    assert run.name == "n10" and isinstance(run, RunLog)
    assert set(run.series) == {"train/epoch_psnr", "validation/epoch_psnr"}


def test_a_stray_file_beside_the_runs(write_run: Write, tmp_path: Path) -> None:
    write_run(".", 20.0, steps=1)
    write_run("n10", 30.0)
    write_run("n20", 31.0)
    made = import_logs(tmp_path / "runs", value="test/psnr", labelling=ColumnMapping(pattern="n{n}"))
    assert [row[0] for row in made.rows] == [10, 20]
    assert [str(run) for run in made.skipped] == ["skipped runs: its n is not known"]


def test_hparams_yaml_beside_the_events(write_run: Write, tmp_path: Path) -> None:
    (write_run("version_0", 30.0) / "hparams.yaml").write_text("data:\n  train_size: 50\n")
    made = import_logs(tmp_path / "runs", value="test/psnr")
    assert made.origins == {"n": "setting 'data.train_size'"} and made.rows[0][0] == 50


def test_a_damaged_file_is_named_and_skipped(write_run: Write, tmp_path: Path) -> None:
    write_run("n10", 30.0)
    (path,) = write_run("n20", 31.0).iterdir()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    made = import_logs(tmp_path / "runs", value="test/psnr", labelling=ColumnMapping(pattern="n{n}"))
    (skipped,) = made.skipped
    assert skipped.name == "n20" and "tfevents" in skipped.reason and "damaged after" in skipped.reason
    assert len(made.rows) == 1


def test_pictures_between_the_scalars(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path / "n10")) as writer:
        for step in (1, 2):
            writer.add_image("picture", np.random.default_rng(step).random((3, 256, 256)), step)
            writer.add_histogram("weights", np.arange(10.0), step)
            writer.add_text("note", "psnr", step)
            writer.add_scalar("psnr", 27.0 + step, step)
    (run,) = read(tmp_path)
    assert isinstance(run, RunLog) and run.series == {"psnr": {1.0: 28.0, 2.0: 29.0}}
    (path,) = (tmp_path / "n10").iterdir()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    (cut,) = read(tmp_path)
    assert isinstance(cut, RunLog) and not cut.series and "after 1 events" in cut.cut, "cut off within a picture"


@pytest.mark.parametrize("tail", [-5, -80, "zeros"])
def test_a_file_that_ends_in_the_middle_of_a_record(write_run: Write, tmp_path: Path, tail: int | str) -> None:
    """As a killed writer, or a full disk, leaves it: what is before that is read, and a note says so."""
    write_run("n10", 30.0)
    (path,) = write_run("n20", 31.0).iterdir()
    data = path.read_bytes()
    path.write_bytes(data + bytes(500) if isinstance(tail, str) else data[:tail])
    made = import_logs(tmp_path / "runs", value="test/psnr", labelling=ColumnMapping(pattern="n{n}"))
    steps = {"-5": "400", "-80": "300", "zeros": "400"}
    assert [row[3] for row in made.rows] == ["400", steps[str(tail)]]
    (note,) = (found for found in made.findings if found.code == "logs-cut")
    assert note.severity == "note" and "1 of 2 runs" in note.text and "n20: events" in note.text


def write_events(folder: Path, began: int, values: dict[int, float], purge: int | None = None) -> None:
    """An event file that begins at a stated time, as if several attempts had been made one after the other."""
    with SummaryWriter(str(folder), purge_step=purge) as writer:
        for step, value in values.items():
            writer.add_scalar("psnr", value, step, walltime=began + step / 1000)
    (new,) = (path for path in folder.iterdir() if not path.name.startswith("part"))
    new.rename(folder / f"part-{began}.tfevents.0")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time that event files begin at."""

    def at(time: float) -> None:
        monkeypatch.setattr("time.time", lambda: time)

    return at


def last_of(folder: Path) -> tuple[dict[float, float], str]:
    (run,) = read(folder)
    assert isinstance(run, RunLog)
    return dict(run.series["psnr"]), run.restarted


def test_a_training_that_began_anew_in_the_same_folder(tmp_path: Path, clock: Callable[[float], None]) -> None:
    clock(100)
    write_events(tmp_path / "n10", 100, {1000: 20.0, 2000: 21.0, 3000: 22.0})
    clock(200)
    write_events(tmp_path / "n10", 200, {500: 30.0, 1500: 31.0})
    values, said = last_of(tmp_path)
    assert values == {500: 30.0, 1500: 31.0}
    assert said == "part-200.tfevents.0 begins at step 500 after others had reached 3000"


def test_a_training_that_was_continued(tmp_path: Path, clock: Callable[[float], None]) -> None:
    clock(100)
    write_events(tmp_path / "n10", 100, {1000: 20.0, 2000: 21.0, 3000: 22.0})
    clock(200)
    write_events(tmp_path / "n10", 200, {2500: 30.0, 3500: 31.0})
    assert last_of(tmp_path) == ({1000: 20.0, 2000: 21.0, 2500: 30.0, 3500: 31.0}, "")


def test_a_session_that_says_where_it_starts(tmp_path: Path, clock: Callable[[float], None]) -> None:
    """With purge_step, what was logged from that step on does not count, though the new attempt logs it later."""
    clock(100)
    write_events(tmp_path / "n10", 100, {1000: 20.0, 2000: 21.0, 3000: 22.0})
    clock(200)
    write_events(tmp_path / "n10", 200, {4000: 31.0}, purge=2000)
    assert last_of(tmp_path)[0] == {1000: 20.0, 4000: 31.0}


def test_an_empty_file(write_run: Write, tmp_path: Path) -> None:
    (path,) = write_run("n20", 31.0).iterdir()
    path.write_bytes(b"")
    (run,) = read(tmp_path / "runs")
    assert isinstance(run, RunLog) and not run.series
    with pytest.raises(UserError, match="the runs hold no series at all"):
        import_logs(tmp_path / "runs", metric="psnr")


def test_all_damaged(write_run: Write, tmp_path: Path) -> None:
    (path,) = write_run("n20", 31.0).iterdir()
    path.write_bytes(b"this is not a file of events")
    assert isinstance(read(tmp_path / "runs")[0], SkippedRun)
    with pytest.raises(
        UserError, match="holds no run of TensorBoard event files that can be read; n20: events.*damaged"
    ):
        import_logs(tmp_path / "runs")


def test_tensorboard_missing(write_run: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run("n20", 31.0)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UserError, match=r"pip install 'reconscale\[tensorboard\]'"):
        import_logs(tmp_path / "runs")


def test_neither_torch_nor_tensorflow_is_loaded(write_run: Write, tmp_path: Path) -> None:
    write_run("n20", 31.0, hparams={"seed": 1})
    code = (
        "import sys; from reconscale.importers.tensorboard import read; from pathlib import Path; "
        f"print(len(read(Path({str(tmp_path)!r})))); print([m for m in ('torch', 'tensorflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n[]\n" and done.stderr == ""
