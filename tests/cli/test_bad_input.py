"""Images, study files and places that cannot work: one sentence, exit code 2, nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import BaseModel

from reconscale.study import DenoisingProblem, Images, Recipe, Study
from reconscale.study.analysis_settings import Analysis
from reconscale.study.run import Architecture
from reconscale.study.sweep import Override, Sweep

from .calling import call, refused

STUDY = """
name = "bad"
[problem]
kind = "denoising"
[images]
source = "folder"
patch = 16
val = 1
test = 1
{images}
[network]
{network}
[sweep]
n = {n}
width = [2]
[recipe]
steps = 2
batch = 1
"""


def write_study(folder: Path, *, images: str = "", network: str = "", n: str = "[1, 2]") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "study.toml"
    path.write_text(STUDY.format(images=images, network=network, n=n))
    return path


def photograph(path: Path, seed: int, *, size: tuple[int, int] = (32, 40), grey: bool = False) -> None:
    """A small image that resembles no other."""
    noise = np.random.default_rng(seed).random((4, 5) if grey else (4, 5, 3))
    image = Image.fromarray((255 * noise).astype(np.uint8)).resize(size[::-1], Image.Resampling.BICUBIC)
    image.save(path)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for index in range(6):
        photograph(folder / f"{index}.png", index)
    return folder


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path / "study")


def nothing_written(study: Path) -> bool:
    return not list(study.parent.rglob("result.json")) and not list(study.parent.rglob(".*.*"))


def test_the_good_case(study: Path, photographs: Path) -> None:
    code, out, err = call("data", study, "--data", photographs, "--json")
    assert code == 0, err
    assert json.loads(out)["available"] == 4


def test_a_typo(tmp_path: Path, photographs: Path) -> None:
    path = write_study(tmp_path / "s", images="pacth = 3")
    assert "images.pacth: there is no such key, did you mean 'patch'?" in refused("run", path, "--data", photographs)


TABLES: dict[str, type[BaseModel]] = {
    "": Study,
    "problem": DenoisingProblem,
    "images": Images,
    "network": Architecture,
    "sweep": Sweep,
    "recipe": Recipe,
    "analysis": Analysis,
    "override": Override,
}
KEYS = [(table, key) for table, model in TABLES.items() for key in model.model_fields]


@pytest.mark.parametrize("table, key", KEYS, ids=[".".join(place) for place in KEYS])
def test_a_typo_in_any_key(study: Path, table: str, key: str) -> None:
    text = study.read_text()
    typo = f"{key}q = 1\n"
    if not table:
        text = typo + text
    elif f"[{table}]" in text:
        text = text.replace(f"[{table}]\n", f"[{table}]\n{typo}")
    else:
        text += f"[[{table}]]\n{typo}" if table == "override" else f"[{table}]\n{typo}"
    study.write_text(text)
    message = refused("status", study)
    place = {"": "", "override": "override.0."}.get(table, f"{table}.")
    assert f": {place}{key}q: there is no such key, did you mean '{key}'?" in message


@pytest.mark.parametrize(
    "more, part",
    [
        ("recipe = { stepss = 1 }", "override.0.recipe.stepss: there is no such key; did you mean 'steps'?"),
        ('recipe = { steps = "many" }', "override.0.recipe.steps: found 'many', input should be a valid integer"),
        ("skip = true", "override: every cell of the grid is skipped; keep at least one"),
        ("n = 3", "override.0.n: found 3, input should be a list"),
    ],
)
def test_a_wrong_override(study: Path, more: str, part: str) -> None:
    study.write_text(f"{study.read_text()}[[override]]\n{more}\n")
    assert part in refused("status", study)


def test_too_wide(study: Path) -> None:
    study.write_text(study.read_text().replace("width = [2]", "width = [2, 5000]"))
    assert "sweep.width: found 5000; values end at 4096" in refused("status", study)


def test_a_byte_order_mark_is_no_mistake(study: Path) -> None:
    study.write_text(study.read_text(), encoding="utf-8-sig")
    assert call("status", study)[0] == 0


def test_more_than_there_is(tmp_path: Path, photographs: Path) -> None:
    path = write_study(tmp_path / "s", n="[1, 9]")
    message = refused("run", path, "--data", photographs)
    assert "sweep.n: found 9; the images allow at most 4 units" in message and nothing_written(path)


def test_nothing_left_to_train_on(tmp_path: Path, photographs: Path) -> None:
    path = write_study(tmp_path / "s")
    path.write_text(path.read_text().replace("val = 1", "val = 5"))
    assert "nothing is left to train on" in refused("run", path, "--data", photographs)


def test_no_place(study: Path, tmp_path: Path) -> None:
    assert "--data" in refused("run", study)
    assert "nowhere" in refused("run", study, "--data", tmp_path / "nowhere")


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def text_as_png(folder: Path) -> None:
    (folder / "7.png").write_text("These are words.\n" * 50)


def zero_bytes(folder: Path) -> None:
    (folder / "7.png").touch()


def truncated_jpeg(folder: Path) -> None:
    photograph(folder / "7.jpg", 7, size=(200, 200))
    whole = (folder / "7.jpg").read_bytes()
    (folder / "7.jpg").write_bytes(whole[: len(whole) // 2])


def one_pixel(folder: Path) -> None:
    photograph(folder / "7.png", 7, size=(1, 1))


def too_small(folder: Path) -> None:
    photograph(folder / "7.png", 7, size=(15, 200))


def bomb(folder: Path) -> None:
    """A PNG of a few bytes that claims 30,000 x 30,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (folder / "7.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def grey_among_colour(folder: Path) -> None:
    photograph(folder / "7.png", 7, grey=True)


def twins(folder: Path) -> None:
    for index in range(6):
        (folder / f"copy-{index}.png").write_bytes((folder / f"{index}.png").read_bytes())


BAD: dict[Callable[[Path], None], tuple[str, str]] = {
    empty: ("photographs", ""),
    text_as_png: ("7.png", ""),
    zero_bytes: ("7.png", ""),
    truncated_jpeg: ("7.jpg", ""),
    one_pixel: ("7.png", "1 x 1"),
    too_small: ("7.png", "200 x 15"),
    bomb: ("7.png", "30000"),
    grey_among_colour: ("grey", "channels"),
    twins: ("the same as", "duplicates"),
}


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_bad_images(study: Path, photographs: Path, spoil: Callable[[Path], None]) -> None:
    spoil(photographs)
    message = refused("run", study, "--data", photographs)
    assert all(part in message.replace(",", "") for part in BAD[spoil]), message
    assert nothing_written(study)


@pytest.mark.parametrize(
    "spoil, rule", [(text_as_png, "unreadable"), (truncated_jpeg, "unreadable"), (too_small, "small")]
)
def test_bad_images_may_be_skipped_and_are_counted(
    tmp_path: Path, photographs: Path, spoil: Callable[[Path], None], rule: str
) -> None:
    spoil(photographs)
    path = write_study(tmp_path / "s", images=f'{rule} = "skip"')
    code, out, err = call("data", path, "--data", photographs, "--json")
    assert code == 0, err
    ((name, _),) = json.loads(out)["skipped"]
    assert name.startswith("7.")


def test_a_file_where_results_should_be(study: Path, photographs: Path) -> None:
    (study.parent / "runs").write_text("in the way")
    message = refused("run", study, "--data", photographs)
    assert "runs" in message and "written" in message
    assert (study.parent / "runs").read_text() == "in the way"


def test_a_read_only_folder(study: Path, photographs: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("permissions do not bind the superuser")
    study.parent.chmod(0o500)
    try:
        assert "cannot be written to" in refused("run", study, "--data", photographs)
    finally:
        study.parent.chmod(0o700)


def test_a_full_disk(study: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call("data", study, "--data", photographs)  # the images are prepared while there is room

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    message = refused("run", study, "--data", photographs)
    assert "No space left on device" in message and "free the disk" in message
    assert nothing_written(study)


@pytest.mark.parametrize(
    "flags, part",
    [
        (["--workers", "0"], "below 1"),
        (["--threads", "0"], "below 1"),
        (["--checkpoint-seconds", "nan"], "--checkpoint-seconds: found nan; give 0 or more"),
        (["--checkpoint-seconds", "-1"], "--checkpoint-seconds: found -1; give 0 or more"),
        (["--device", "tpu"], "known here: auto, cpu, cuda"),
        (["--track", "notebook"], "known here: none, tensorboard"),
    ],
)
def test_flags(study: Path, photographs: Path, flags: list[str], part: str) -> None:
    assert part in refused("run", study, "--data", photographs, *flags)


@pytest.mark.parametrize(
    "network, part",
    [
        ('family = "unett"', "did you mean 'unet'?"),
        ("depth = 6", "images.patch: found 16; unet of depth 6 needs at least 128"),
    ],
)
def test_networks_that_cannot_work(tmp_path: Path, photographs: Path, network: str, part: str) -> None:
    path = write_study(tmp_path / "s", network=network)
    assert part in refused("run", path, "--data", photographs)


@pytest.mark.parametrize("folders", ['["../photographs"]', '["/etc"]'])
def test_places_outside_the_data_folder(tmp_path: Path, photographs: Path, folders: str) -> None:
    path = write_study(tmp_path / "s", images=f"folders = {folders}")
    (photographs / "inside").mkdir()
    refused("run", path, "--data", photographs / "inside")
