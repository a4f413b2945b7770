"""The CSV files that W&B's web page exports.

They cannot be made without an account: a run in offline mode leaves only a binary file. The texts below imitate exports
found in public repositories to the letter: every cell is quoted; the table begins with Name, State, Notes, User, Tags,
Created, Runtime, Sweep (what the user chose to show), then config, then summary columns; nested config is joined by
dots; nothing is an empty cell, Notes '-'; truth is true or false. The line plot has the axis and, for each run,
``RUN - KEY``, ``RUN - KEY__MIN``, ``RUN - KEY__MAX``; with another axis than Step also the three of ``RUN - _step``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from reconscale import UserError
from reconscale.importers import ColumnMapping, RunLog, import_logs
from reconscale.importers.wandb import read

from .conftest import curve

HEADER = ("Name", "State", "Notes", "User", "Tags", "Created", "Runtime", "Sweep",
          "data.train_size", "epochs", "model.width", "seed", "use_ema", "epochs", "test_psnr", "val_psnr")  # fmt: skip


def quoted(*rows: tuple[object, ...]) -> str:
    return "\n".join(",".join(f'"{cell}"' for cell in row) for row in rows)


def row(name: str, n: object, seed: int, psnr: object, *, state: str = "finished") -> tuple[object, ...]:
    validation = psnr if isinstance(psnr, str) else float(str(psnr)) - 0.5
    return (name, state, "-", "someone", "", "2025-12-13T23:28:41.000Z", 45, "", n, 10, 16, seed, "true", 9, psnr,
            validation)  # fmt: skip


def table(*rows: tuple[object, ...]) -> str:
    return quoted(HEADER, *rows)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A table of four runs."""
    path = tmp_path / "wandb_export_2025-12-14T00_28_41.000+01_00.csv"
    path.write_text(table(*(row(f"unet-{n}-{s}", n, s, curve(n, s)) for n in (100, 30) for s in (0, 1))))
    return path


def test_the_table(export: Path) -> None:
    made = import_logs(export, value="test_psnr")
    assert made.header == ("n", "width", "seed", "psnr", "run")
    assert made.rows[0] == (30, 16, 0, curve(30), "unet-30-0")
    assert made.origins["n"] == "setting 'data.train_size'" and not made.findings


def test_a_name_that_is_config_and_summary(export: Path) -> None:
    run = read(export)[0]
    assert isinstance(run, RunLog) and not run.steps
    assert run.settings["epochs"] == "10" and run.series["epochs"] == {0.0: 9.0}


def test_the_validation_column(export: Path) -> None:
    made = import_logs(export, value="test_psnr", choose_by="val_psnr")
    assert made.header[3:5] == ("psnr", "validation") and made.rows[0][4] == curve(30) - 0.5


@pytest.mark.parametrize("asked", [{"take": "best"}, {"take": 100}, {"choose_by": "test_psnr"}])
def test_a_table_has_no_steps(export: Path, asked: dict[str, object]) -> None:
    with pytest.raises(UserError, match="holds one value a run"):
        import_logs(export, value="test_psnr", **asked)  # type: ignore[arg-type]


def test_runs_that_did_not_finish_or_diverged(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(table(row("a", 10, 0, 28.0), row("b", 20, 0, 29.0, state="crashed"), row("c", 40, 0, "NaN"),
                          row("d", 80, 0, "Infinity"), row("e", 160, 0, "")))  # fmt: skip
    made = import_logs(path, value="test_psnr")
    assert [run[0] for run in made.rows] == [10]
    assert [str(run) for run in made.skipped] == [
        "skipped b: its State is 'crashed'; write 'finished' there to keep it",
        "skipped c: its 'test_psnr' is nan",
        "skipped d: its 'test_psnr' is inf",
        "skipped e: it has no 'test_psnr'",
    ]


def test_names_that_repeat(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(table(row("unet", 10, 0, 28.0), row("unet", 20, 0, 29.0)))
    assert [run.name for run in read(path)] == ["unet", "unet (2)"]


def lines(axis: str = "Step") -> str:
    header: list[object] = [axis]
    names = ("unet - n10 - s0", "unet - n20 - s0", "same", "same")
    for name in names:
        keys = ("test/psnr",) if axis == "Step" else ("_step", "test/psnr")
        header += [f"{name} - {key}{bound}" for key in keys for bound in ("", "__MIN", "__MAX")]
    rows: list[tuple[object, ...]] = [tuple(header)]
    for step in (1, 2, 3):
        cells: list[object] = [step]
        for index in range(len(names)):
            value = "" if index == 1 and step == 3 else 20 + step + index
            cells += [value] * 3 if axis == "Step" else [10 * step] * 3 + [value] * 3
        rows.append(tuple(cells))
    return quoted(*rows)


@pytest.mark.parametrize("axis", ["Step", "epoch"])
def test_the_line_plot(tmp_path: Path, axis: str) -> None:
    path = tmp_path / "export.csv"
    path.write_text(lines(axis))
    found = read(path)
    assert [run.name for run in found] == ["unet - n10 - s0", "unet - n20 - s0", "same", "same (2)"]
    assert [run.series["test/psnr"] for run in found if isinstance(run, RunLog)] == [
        {1: 21, 2: 22, 3: 23}, {1: 22, 2: 23}, {1: 23, 2: 24, 3: 25}, {1: 24, 2: 25, 3: 26}]  # fmt: skip
    made = import_logs(path, take=2, labelling=ColumnMapping(pattern="n{n} - s{seed}"))
    assert [run[:3] for run in made.rows] == [(10, 0, 22.0), (20, 0, 23.0)]
    assert [run.name for run in made.skipped] == ["same", "same (2)"]


def test_a_table_without_names_or_states(tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("train_size,psnr\n10,28.0\n20,29.0\n")
    assert [run[-1] for run in import_logs(path).rows] == ["row 2", "row 3"]


BAD = {
    "empty": (b"", "is empty"),
    "bars": (b"Name|n|psnr\na|10|28\n", "separate the columns by commas"),
    "no rows": (b'"Name","psnr"\n', "no rows"),
    "latin-1": (b'"Name","psnr"\n"a\xff","1"\n', "not UTF-8"),
    "ragged": (b'"Name","psnr"\n"a"\n', "line 2: found 1 cells"),
    "quotes": (b'"Name","psnr"\n"a"x,"1"\n', "not CSV"),
    "without n": (b'"Name","psnr"\n"a","28"\n', "n, the number of training images, is not among the settings; the "
                                              "settings with numbers are: psnr"),
}  # fmt: skip


@pytest.mark.parametrize("content, part", BAD.values(), ids=BAD)
def test_bad_tables(tmp_path: Path, content: bytes, part: str) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=part):
        import_logs(path, metric="psnr")
