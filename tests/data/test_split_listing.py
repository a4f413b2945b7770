"""Lists of the images of a split: those that training, validation and test really read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import reconscale as rs
from reconscale.data import SplitListing, list_split, open_images
from reconscale.errors import UserError
from reconscale.study.study_file import parse_study
from tests import phantoms

from ..cli.calling import call, refused

Content = Callable[..., dict[str, Any]]


def study_of(content: Content, images: dict[str, Any], kind: str = "denoising") -> rs.Study:
    return parse_study(
        content(images=images, problem={"kind": kind}, sweep={"n": [1, 2], "width": [4], "seed": [3, 0]})
    )


def check(found: SplitListing, study: rs.Study, data: Path | None, n: int | None, seed: int) -> None:
    """The same images as those that are read, no unit on two sides of the line, and nested orders."""
    images = open_images(study.images, data=data)
    subset = seed if study.images.subset == "seed" else 0
    assert tuple(i.name for i in found.sets["train"]) == images.training(n or images.available, subset).names
    assert {name: tuple(i.name for i in listed) for name, listed in found.sets.items() if name != "train"} == {
        name: pixels.names for name, pixels in images.sets.items() if name != "train"
    }
    units = [{image.unit for image in listed} for listed in found.sets.values()]
    assert sum(map(len, units)) == len(set().union(*units))
    whole = list_split(study, seed=seed, data=data)
    assert whole.sets["train"][: len(found.sets["train"])] == found.sets["train"]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Six patients of two images each."""
    rng = np.random.default_rng(0)
    for patient in range(6):
        for index in range(2):
            path = tmp_path / "data" / f"patient {patient}" / f"{index}, a.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (40, 40), np.uint8)).save(path)
    return tmp_path / "data"


@pytest.mark.parametrize(("n", "seed"), [(None, 3), (1, 3), (2, 0), (2, 7)])
@pytest.mark.parametrize(
    "more", [{}, {"counts": "images"}, {"counts": "images", "order": "mixed"}, {"subset": "shared"}]
)
def test_folders(content: Content, folders: Path, n: int | None, seed: int, more: dict[str, Any]) -> None:
    images = {"source": "folder", "unit": "folder", "patch": 16, "val": 1, "test": 2, **more}
    study = study_of(content, images)
    found = list_split(study, n=n, seed=seed, data=folders)
    check(found, study, folders, n, seed)
    if "counts" not in more:
        assert len(found.sets["train"]) == 2 * (n or 3) and len(found.sets["test"]) == 4
    assert list_split(study, n=n, data=folders).seed == 3  # the first of the sweep


def test_volumes(content: Content, tmp_path: Path) -> None:
    for index in range(6):
        values = phantoms.kspace(3, 2, seed=20 * index)
        phantoms.write_fastmri(tmp_path / f"file{index}.h5", values, patient_id=f"patient{index // 2}")
    study = study_of(content, {"source": "fastmri", "val": 1, "test": 1}, "mri")
    found = list_split(study, n=1, data=tmp_path)
    check(found, study, tmp_path, 1, 3)
    assert len(found.sets["train"]) == 6 and len({image.unit for image in found.sets["train"]}) == 1
    assert found.sets["train"][0].name.count("/") == 1  # the volume and the slice


def test_on_the_command_line(tmp_path: Path, folders: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(
        'name = "a"\nproblem = { kind = "denoising" }\nsweep = { n = [1, 2], width = [4] }\n'
        'images = { source = "folder", unit = "folder", patch = 16, val = 1, test = 2 }\n'
    )
    code, out, err = call("data", path, "--data", folders, "--split", "--n", 2, "--seed", 5)
    assert code == 0, err
    rows = list(csv.DictReader(io.StringIO(out)))
    found = rs.list_split(rs.load_study(path), n=2, seed=5, data=folders)
    assert [(row["set"], row["unit"], row["image"]) for row in rows] == [
        (name, image.unit, image.name) for name, listed in found.sets.items() for image in listed
    ]
    assert [row["place"] for row in rows if row["set"] == "train"] == ["1", "2", "3", "4"]
    known = json.loads(call("data", path, "--data", folders, "--split", "--n", 2, "--seed", 5, "--json")[1])
    assert known["n"] == 2 and known["seed"] == 5 and set(known["sets"]) == {"train", "val", "test"}
    assert [image["name"] for image in known["sets"]["train"]] == [image.name for image in found.sets["train"]]
    assert "at most 3 units" in refused("data", path, "--data", folders, "--split", "--n", 4)
    assert "n: found 0" in refused("data", path, "--data", folders, "--split", "--n", 0)
    assert "seed: found -1" in refused("data", path, "--data", folders, "--split", "--seed", -1)
    assert "are for --split" in refused("data", path, "--data", folders, "--n", 2)
    assert "found both" in refused("data", path, "--data", folders, "--split", "--verify")


def test_too_many(content: Content) -> None:
    study = study_of(content, {"source": "deadleaves", "size": 32, "total": 6, "patch": 16, "val": 1, "test": 1})
    with pytest.raises(UserError, match="n: found 5; the images allow at most 4 units"):
        list_split(study, n=5)
