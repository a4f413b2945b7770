"""No name leads out of the folder that it belongs into."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reconscale.data.folders import place_below
from reconscale.data.volumes.kspace_files import list_fastmri
from reconscale.errors import UserError
from reconscale.report.pictures import embedded
from reconscale.results import Folder, Result
from reconscale.study import Images, load_study, runs_of
from reconscale.study.study_file import parse_study
from tests.cli.calling import refused
from tests.report.synthetic import result_of, study_of

OUT = ["../x", "/etc", "a/../../x", "..", "~", "~root/x", "a\\..\\..\\x"]
Content = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("place", OUT)
@pytest.mark.parametrize("key", ["folders", "test_sets"])
def test_places_stay_below_the_data_folder(tmp_path: Path, place: str, key: str) -> None:
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "x").mkdir()
    value = f'folders = ["{place}"]' if key == "folders" else f'[images.test_sets]\nother = "{place}"'
    text = f"""
name = "a"
[problem]
kind = "denoising"
[sweep]
n = [1]
width = [4]
[images]
source = "folder"
val = 1
test = 1
{value}
"""
    (tmp_path / "study.toml").write_text(text.replace("\\", "\\\\"))
    assert "not below the data folder" in refused("data", tmp_path, "--data", tmp_path / "data")


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (tmp_path / "secret").mkdir()
    (root / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match="a link that leads out of the data folder"):
        place_below(root, "link", "images.folders")


@pytest.mark.parametrize("word", ["a\0b", "x" * 300, "a\nb", "\x1b[31m", "\ud800"])
@pytest.mark.parametrize("key", ["folders", "place", "name"])
def test_places_are_printable_and_not_endless(content: Content, word: str, key: str) -> None:
    options = (
        {"folders": (word,)} if key == "folders" else {"test_sets": {"a": word} if key == "place" else {word: "a"}}
    )
    with pytest.raises(UserError, match="printable"):
        parse_study(content(images={"source": "folder", "val": 1, "test": 1, **options}))


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "", ".", "..", "-x", "a\0", "a\n", "x" * 81, "a b", "ä"])
def test_the_name_of_a_study_is_a_word(content: Content, name: str) -> None:
    with pytest.raises(UserError, match=r"study: name: found"):
        parse_study(content(name=name))


@pytest.mark.parametrize("family", ["../../x", "/x", "a/b", "", "a\0", "..", "x" * 41, "a\\b", "a b"])
def test_the_family_is_part_of_the_name_of_a_folder(content: Content, family: str) -> None:
    with pytest.raises(UserError, match=r"network.family: found"):
        parse_study(content(network={"family": family}))


@pytest.mark.parametrize("number", [10**13, 10**30])
@pytest.mark.parametrize("key", ["n", "seed"])
def test_numbers_in_the_name_of_a_folder_are_bounded(content: Content, number: int, key: str) -> None:
    with pytest.raises(UserError, match=rf"sweep.{key}: found a number of \d+ digits"):
        parse_study(content(sweep={"n": (1,), "width": (4,), "seed": (0,), key: (number,)}))


def test_a_result_belongs_into_its_folder(tmp_path: Path) -> None:
    """An id is compared with what its run gives, never followed."""
    study = study_of()
    run = runs_of(study)[0]
    folder = Folder(tmp_path / "runs")
    result_of(run).write(folder.of(run))
    path = folder.of(run) / "result.json"
    record = json.loads(path.read_text())
    for name in ("../../x", "/etc/passwd", None, ["x"], runs_of(study)[1].id):
        path.write_text(json.dumps(record | {"id": name}))
        with pytest.raises(UserError, match="under the name"):
            Result.read(folder.of(run))
    path.write_text(json.dumps(record | {"run": record["run"] | {"network": {"family": "../../x", "width": 8}}}))
    with pytest.raises(UserError, match="damaged at 'run.network.family'"):
        Result.read(folder.of(run))


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/b.png", "..", "", "x\0.png", 3, None])
def test_a_picture_of_the_report_lies_where_it_belongs(tmp_path: Path, name: object) -> None:
    (tmp_path / "anchors").mkdir()
    (tmp_path / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert embedded(tmp_path / "anchors", name) is None


@pytest.mark.parametrize("kind", ["external link", "soft link", "external storage", "virtual"])
def test_hdf5_files_hold_their_own_data(tmp_path: Path, kind: str) -> None:
    h5py = pytest.importorskip("h5py")
    values = np.ones((2, 1, 16, 16), np.complex64)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["kspace"] = values
    (tmp_path / "raw.bin").write_bytes(values.tobytes())
    (tmp_path / "data").mkdir()
    with h5py.File(tmp_path / "data" / "a.h5", "w") as file:
        if kind == "external link":
            file["kspace"] = h5py.ExternalLink("../other.h5", "kspace")
        elif kind == "soft link":
            file["inner"] = h5py.ExternalLink("../other.h5", "/")
            file["kspace"] = h5py.SoftLink("/inner/kspace")
        elif kind == "external storage":
            file.create_dataset(
                "kspace", values.shape, values.dtype, external=[(str(tmp_path / "raw.bin"), 0, values.nbytes)]
            )
        else:
            layout = h5py.VirtualLayout(values.shape, values.dtype)
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "kspace", values.shape)
            file.create_virtual_dataset("kspace", layout)
    images = Images.model_validate({"source": "fastmri", "val": 1, "test": 1})
    with pytest.raises(UserError, match="lie in another file"):
        list_fastmri(images, tmp_path / "data")


@pytest.mark.parametrize("verb", ["plan", "status", "report", "forecast"])
def test_names_that_no_file_can_have(tmp_path: Path, verb: str) -> None:
    for place in (tmp_path / ("x" * 300), tmp_path / "no" / "such" / "place"):
        assert "cannot be read" in refused(verb, place)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    """Reading one would wait for ever."""
    for name in ("study.toml", "points.csv"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match="is not a regular file"):
        load_study(tmp_path / "study.toml")
    assert "is not a regular file" in refused("forecast", tmp_path / "points.csv")


def test_out_never_replaces_what_is_given(tmp_path: Path) -> None:
    source = tmp_path / "wandb.csv"
    source.write_text("Name,n_train,psnr\na,10,20\n")
    assert "is the source itself" in refused("import", source, "--out", source, "--force")
