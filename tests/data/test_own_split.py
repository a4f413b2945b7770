"""Splits that the user gives: lists, folders, patterns and names; what leaks is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import reconscale as rs
from reconscale.data import ImageSet, list_split, open_images, write_image
from reconscale.errors import UserError
from reconscale.study import Images, Run
from tests import phantoms

from ..cli.calling import call, refused
from .conftest import picture

Opened = Callable[..., ImageSet]


def names(images: ImageSet) -> dict[str, list[str]]:
    return {name: sorted(pixels.names) for name, pixels in images.sets.items()}


def write(data: Path, name: str, *lines: str) -> str:
    (data / name).write_text("\n".join(lines) + "\n")
    return name


def split_of(opened: Opened, data: Path, split: dict[str, Any], **options: Any) -> ImageSet:
    counts = {name: options.pop(name, 1) for name in ("val", "test")}
    return opened(data, split=split, **counts, **options)


def test_lists_folders_patterns_and_names(opened: Opened, data: Path) -> None:
    write(data, "train.txt", "# ours", "scene0/00.png", "", "./scene0/04.png", "scene1/01.png")
    found = names(
        split_of(opened, data, {"train": "train.txt", "val": ("scene2",), "test": ("*/03.png", "scene3/07.png")})
    )
    assert found == {
        "train": ["scene0/00.png", "scene0/04.png", "scene1/01.png"],
        "val": ["scene2/02.png", "scene2/06.png", "scene2/10.png"],
        "test": ["scene3/03.png", "scene3/07.png"],
    }


def test_what_no_set_names_is_said(opened: Opened, data: Path) -> None:
    images = split_of(opened, data, {"train": "scene0", "val": "scene1", "test": "scene2/02.png"})
    assert images.skipped == (("scene2/06.png", "and 4 more images in none of the sets of images.split"),)
    assert images.available == 3 and len(images.training(2, 0)) == 2


def test_sets_that_are_left_out_are_drawn_from_the_rest(opened: Opened, data: Path) -> None:
    some = split_of(opened, data, {"test": "scene3"}, val=2)
    assert names(some)["test"] == ["scene3/03.png", "scene3/07.png", "scene3/11.png"]
    assert (len(some.val), len(some.train)) == (2, 7)
    both = split_of(opened, data, {"train": ("scene0", "scene1")}, val=2, test=1)
    assert {name: len(held) for name, held in names(both).items()} == {"train": 3, "val": 2, "test": 1}
    assert all(name[:6] in ("scene0", "scene1") for held in names(both).values() for name in held)
    folders = split_of(opened, data, {"val": "scene1/01.png"}, unit="folder")
    assert names(folders)["val"] == ["scene1/01.png"] and not any("scene1" in name for name in folders.train.names)


@pytest.mark.parametrize("kind", [".csv", ".txt"])
def test_what_data_lists_can_be_given_back(opened: Opened, data: Path, tmp_path: Path, kind: str, content: Any) -> None:
    study = rs.parse_study(content(images={"source": "folder", "val": 2, "test": 3, "patch": 16}))
    first = list_split(study, data=data)
    if kind == ".csv":
        (data / "split.csv").write_text(first.to_csv())
        given = dict.fromkeys(("train", "val", "test"), "split.csv")
    else:
        given = {name: write(data, f"{name}.txt", *(image.name for image in held)) for name, held in first.sets.items()}
    again = rs.parse_study(content(images={"source": "folder", "patch": 16, "split": given}))
    second = list_split(again, data=data)
    assert second.sets == first.sets and second.to_csv() == first.to_csv()
    (tmp_path / "s.toml").write_text(
        'name = "s"\n[problem]\nkind = "denoising"\n[images]\nsource = "folder"\npatch = 16\n[images.split]\n'
        + "".join(f'{name} = "{place}"\n' for name, place in given.items())
        + "[sweep]\nn = [1]\nwidth = [4]\n"
    )
    code, out, _ = call("data", tmp_path / "s.toml", "--split", "--data", data)
    assert code == 0 and out == first.to_csv()


def test_tables_have_a_column_of_names(opened: Opened, data: Path) -> None:
    write(data, "a.csv", "fold;File", "1;scene0/00.png", "1;scene0")
    write(data, "b.tsv", "unit\tset", "scene1\tVAL", "scene2\ttrain")
    found = names(split_of(opened, data, {"train": "a.csv", "val": "b.tsv", "test": "scene3"}, unit="folder"))
    assert len(found["train"]) == len(found["val"]) == 3


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ({"val": "scene9"}, "images.split.val: 'scene9' is none of the 12 images; names are such as 'scene0/00.png'"),
        ({"val": "*.jpg"}, "'*.jpg' fits none of the 12 images"),
        ({"val": "lost.csv"}, "found 'lost.csv', which does not exist below"),
        ({"val": "../a.txt"}, "found '../a.txt', which is not below the data folder"),
        ({"val": "wrong.txt"}, "wrong.txt, line 2: 'scene1/99.png' is none of the 12 images"),
        ({"val": "empty.txt"}, "lists none of the images for val"),
        ({"val": "other.csv"}, "has no column of names among fold, index; call it image"),
        ({"val": "cells.csv"}, "line 3: found 1 cells; the header has 2"),
        ({"val": "quotes.csv"}, "is not CSV"),
        ({"val": "bytes.txt"}, "is not UTF-8 (byte 0)"),
        ({"val": "zeros.txt"}, "holds zero bytes"),
        (
            {"val": "scene0", "test": "*/00.png"},
            "images.split.val and test: both hold 'scene0/00.png'; keep each image",
        ),
        ({"train": ".", "val": "scene0"}, "images.split.train and val: both hold 'scene0/00.png'"),
        ({"val": ("scene0", "scene1"), "test": ("scene2", "scene3")}, "images.split: leaves no image for training"),
        ({"train": "scene0/00.png"}, "hold out 1 + 1 of 1 units"),
    ],
)
def test_what_cannot_be_is_refused(opened: Opened, data: Path, split: dict[str, Any], words: str) -> None:
    write(data, "wrong.txt", "scene1/01.png", "scene1/99.png")
    write(data, "empty.txt", "# nothing yet")
    write(data, "other.csv", "fold,index", "1,2")
    write(data, "cells.csv", "image,fold", "scene1/01.png,1", "scene1/05.png")
    write(data, "quotes.csv", "image,fold", '"scene1/01.png"x,1')
    (data / "bytes.txt").write_bytes(b"\xff\xfe\xfa")
    (data / "zeros.txt").write_bytes(b"scene\0")
    with pytest.raises(UserError) as error:
        split_of(opened, data, split)
    assert words in str(error.value)


def test_a_patient_in_two_sets_and_twins_are_refused(opened: Opened, data: Path) -> None:
    with pytest.raises(UserError, match="both hold the folder 'scene0', with 'scene0/00.png' and 'scene0/04.png'"):
        split_of(opened, data, {"train": "scene0/00.png", "val": "scene0/04.png"}, unit="folder")
    shutil.copy(data / "scene0" / "00.png", data / "scene1" / "twin.png")
    with pytest.raises(UserError, match=r"training image 'scene0/00.png': is the same as 'scene1/twin.png' of val"):
        split_of(opened, data, {"train": "scene0", "val": "scene1/twin.png", "test": "scene2"})
    left = split_of(opened, data, {"train": "scene0", "val": "scene1/twin.png", "test": "scene2"}, duplicates="skip")
    assert left.duplicates == 1 and "scene0/00.png" not in left.train.names


def test_images_that_were_left_out_may_be_listed(opened: Opened, data: Path) -> None:
    write_image(data / "scene0" / "small.png", picture(99, 8, 8))
    write(data, "train.txt", "scene0/small.png", "scene0/00.png")
    options = {"train": "train.txt", "val": "scene1", "test": "scene2"}
    assert split_of(opened, data, options, small="skip").train.names == ("scene0/00.png",)


def test_pairs_are_named_by_input_or_truth(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for k in range(4):
        truth = np.kron(rng.integers(40, 200, (5, 5)), np.ones((8, 8)))
        for copy in range(2):
            noisy = np.clip(truth + rng.normal(0, 12, truth.shape), 0, 255)
            for folder, name, values in (("noisy", f"{k}/{copy}.png", noisy), ("clean", f"{k}/truth.png", truth)):
                (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(values.astype(np.uint8)).save(tmp_path / folder / name)
    given = {"source": "pairs", "inputs": "noisy", "truths": "clean", "patch": 16}
    split = {"val": "clean/1/truth.png", "test": "noisy/2"}
    images = open_images(Images(**given, split=split), data=tmp_path, cache=tmp_path / "cache")
    assert images.val.names == ("noisy/1/0.png", "noisy/1/1.png") and len(images.tests["test"]) == 2
    with pytest.raises(UserError, match="both hold the scene"):
        open_images(Images(**given, split={"val": "noisy/1/0.png", "test": "noisy/1/1.png"}), data=tmp_path,
                    cache=tmp_path / "cache")  # fmt: skip


def test_volumes_and_patients(tmp_path: Path) -> None:
    for index in range(4):
        values = phantoms.kspace(2, seed=10 * index)
        phantoms.write_fastmri(tmp_path / "data" / f"v{index}.h5", values, patient_id=f"p{index // 2}")
    phantoms.write_fastmri(tmp_path / "data" / "v9.h5", phantoms.kspace(2, seed=99), patient_id="p9")
    given = {"source": "fastmri", "patch": 16, "test": 0, "test_sets": {"x": "v9.h5"}}
    images = open_images(
        Images(**given, split={"train": "p0", "val": "v2.h5"}), data=tmp_path / "data", cache=tmp_path / "c"
    )
    assert set(images.train.volume_names) == {"v0.h5", "v1.h5"} and set(images.val.volume_names) == {"v2.h5"}
    assert images.skipped[-1] == ("v3.h5/000", "and 1 more images in none of the sets of images.split")
    with pytest.raises(UserError, match="both hold the patient 'p1', with 'v3.h5/000' and 'v2.h5/000'"):
        open_images(Images(**given, split={"train": "v3.h5", "val": "v2.h5"}), data=tmp_path / "data",
                    cache=tmp_path / "c")  # fmt: skip


def test_bundled_photographs_by_name() -> None:
    images = open_images(Images(source="bundled", split={"val": "coffee", "test": ("china", "flower")}))
    assert set(images.val.units) == {"coffee"} and set(images.tests["test"].units) == {"china", "flower"}
    with pytest.raises(UserError, match="needs a data folder"):
        open_images(Images(source="bundled", split={"val": "val.txt"}, test=1))


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ({"split": {}}, "images.split.train: is missing; name at least one of train, val and test"),
        ({"split": {"val": []}, "test": 1}, "images.split.val: the list is empty"),
        ({"split": {"val": ""}, "test": 1}, "images.split.val: found ''; give 1 to 240 characters"),
        ({"split": {"val": 3}, "test": 1}, "images.split.val: found 3, input should be a list"),
        ({"split": {"vla": "a"}, "val": 1, "test": 1}, "images.split.vla: there is no such key, did you mean 'val'?"),
        ({"split": {"val": "a"}, "val": 24, "test": 1}, "images.val: found 24, and split.val says which images these"),
        ({"split": {"train": "a"}, "test": 1}, "images.val: is missing"),
        ({"split": "split.csv", "val": 1, "test": 1}, "images.split: found 'split.csv', input should be a valid dict"),
    ],
)
def test_bad_keys(content: Any, images: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as error:
        rs.parse_study(content(images={"source": "folder"} | images))
    assert words in str(error.value)


def test_a_split_is_part_of_a_run_and_no_other_run_is_renamed(content: Any) -> None:
    def first(**images: Any) -> Run:
        return rs.runs_of(rs.parse_study(content(images={"source": "folder"} | images)))[0]

    one, same = (first(split={"val": v, "test": "t.csv"}) for v in ("v.csv", ["v.csv"]))
    assert one.id == same.id != first(val=1, test=1).id != first(split={"val": "w.csv", "test": "t.csv"}).id
    assert Run.model_validate_json(one.model_dump_json()).id == one.id
    assert '"split":{"test":["t.csv"],"val":["v.csv"]}' in one.canonical()


def test_a_changed_list_is_never_mixed_with_earlier_results(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for index in range(8):
        write_image(data / f"{index}.png", picture(index))
    write(data, "val.txt", "0.png")
    study = tmp_path / "s" / "study.toml"
    study.parent.mkdir()
    study.write_text("""
name = "s"
[problem]
kind = "denoising"
[images]
source = "folder"
patch = 16
test = 2
[images.split]
val = "val.txt"
[sweep]
n = [2]
width = [2]
[recipe]
steps = 4
batch = 2
""")
    flags = ("--data", data, "--workers", 1, "--keep-going", "--no-probe")
    assert call("run", study, *flags)[0] == 0
    assert call("run", study, *flags)[0] == 0
    write(data, "val.txt", "1.png")
    assert "the images are not those that this study began with" in refused("run", study, *flags)
    code, _, _ = call("report", study)
    page = (study.parent / "report" / "report.html").read_text()
    assert code == 0 and "the images that the study lists for validation" in page
