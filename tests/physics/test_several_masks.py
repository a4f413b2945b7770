"""Several accelerations and kinds of masks in one study, and masks that files hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import reconscale as rs
from reconscale.data.volumes.volume_set import Slice
from reconscale.errors import UserError
from reconscale.physics.base import KSpace
from reconscale.physics.mri import MRI, Masks
from reconscale.study import MRIProblem, Run
from reconscale.study.mask_files import mask_of, middle_of, text_of
from tests import phantoms

from ..cli.calling import call

CPU = torch.device("cpu")


def problem(**options: Any) -> MRIProblem:
    return MRIProblem(kind="mri", **options)


def slices(count: int = 16, side: int = 96) -> list[Slice]:
    truth = np.ones((28, 28), np.float32)
    return [Slice(k, None, truth, 1.0, f"v{i}.h5") for i, k in enumerate(phantoms.kspace(count, 2, (side, side)))]


class Volumes:
    """Slices as ``fixed`` reads them."""

    def __init__(self, count: int = 16) -> None:
        self.held = slices(count)
        self.names = [f"{one.volume}/000" for one in self.held]

    def slice(self, index: int) -> Slice:
        return self.held[index]

    def peak(self, index: int) -> float:  # noqa: ARG002
        return 1.0


def fold(y: Any) -> float:
    assert isinstance(y, KSpace)
    return 1 / float(y.mask[0].float().mean())


def test_one_value_is_the_number_that_it_was() -> None:
    assert problem(acceleration=(4,), mask=("equispaced",)) == problem(acceleration=4) == problem()
    assert problem(acceleration=[8]).model_dump(mode="json", exclude_defaults=True) == {
        "kind": "mri",
        "acceleration": 8,
    }
    both = problem(acceleration=(4, 8), center_fraction=(0.08, 0.04))
    kept = json.loads(both.model_dump_json(exclude_defaults=True))
    assert kept == {"kind": "mri", "acceleration": [4, 8], "center_fraction": [0.08, 0.04]}
    assert MRIProblem.model_validate_json(json.dumps(kept)) == both
    assert both.words == "MRI accelerated 4 or 8 times: equispaced lines, 8 or 4 % in the middle"


def test_training_draws_each_of_them_and_can_be_continued() -> None:
    several = MRI(problem(acceleration=(4, 8), mask=("random", "equispaced")), CPU, 3)
    first = several.examples([slices(24)])
    assert len(first) == 2 and sum(len(one) for one in first) == 24  # by their centres: 8 and 4 columns of 96
    assert sorted(one.y.center[1] for one in first if isinstance(one.y, KSpace)) == [4, 8]
    for one in first:
        assert len(one.x) == len(one.scale) == len(one.peak) == len(one.y.values)  # type: ignore[union-attr]
    state = several.state()
    second = several.examples([slices(8)])
    other = MRI(problem(acceleration=(4, 8), mask=("random", "equispaced")), CPU, 9)
    other.restore(state)
    for a, b in zip(second, other.examples([slices(8)]), strict=True):
        assert torch.equal(a.y.values, b.y.values)  # type: ignore[union-attr]


def test_lines_and_points_in_one_step() -> None:
    found = MRI(problem(mask=("random", "poisson")), CPU, 3).examples([slices(12)])
    assert sum(len(one) for one in found) == 12
    heights = {len(mask[0].unique(dim=0)) > 1 for one in found for mask in one.y.mask}  # type: ignore[union-attr]
    assert heights == {False, True}  # rows alike: lines; else points


def test_validation_and_test_go_by_the_name_of_the_volume() -> None:
    data, both = Volumes(), MRI(problem(acceleration=(4, 8), mask="random"), CPU, 0)
    folds = [round(fold(both.fixed(data, i).y)) for i in range(16)]  # type: ignore[arg-type]
    assert set(folds) == {4, 8}
    again = MRI(problem(acceleration=(4, 8), mask="random"), CPU, 77)
    assert folds == [round(fold(again.fixed(data, i).y)) for i in range(16)]  # type: ignore[arg-type]


def test_each_acceleration_is_measured_as_a_study_of_it_alone() -> None:
    data, both = Volumes(4), MRI(problem(acceleration=(4, 8), mask=("random", "equispaced")), CPU, 0)
    found = both.variants()
    assert list(found) == [" at acceleration 4", " at acceleration 8", " with random masks", " with equispaced masks"]
    eight = MRI(problem(acceleration=(4, 8)), CPU, 0).variants()[" at acceleration 8"]
    alone = MRI(problem(acceleration=8), CPU, 0)
    assert eight.problem == alone.problem
    for index in range(4):
        a, b = eight.fixed(data, index).y, alone.fixed(data, index).y  # type: ignore[arg-type]
        assert isinstance(a, KSpace) and isinstance(b, KSpace) and torch.equal(a.mask, b.mask)
    assert not alone.variants()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"acceleration": [4, 4]}, "problem.acceleration: found (4, 4), a value is given twice"),
        ({"acceleration": []}, "problem.acceleration: found (), a list of 1 to 16 values is expected"),
        ({"acceleration": [4, 1]}, "input should be greater than or equal to 2"),
        ({"acceleration": [4, 128]}, "input should be less than or equal to 64"),
        ({"acceleration": [4, "8"]}, "input should be a valid integer"),
        ({"acceleration": [4, True]}, "input should be a valid integer"),
        ({"mask": ["random", "spiral"]}, "input should be 'equispaced', 'random', 'gaussian' or 'poisson'"),
        ({"center_fraction": 1.5}, "problem.center_fraction: found 1.5, input should be less than 1"),
        ({"center_fraction": [0.08, 0.0], "acceleration": [4, 8]}, "input should be greater than 0"),
        ({"center_fraction": [0.08, 0.04]}, "lists 2 fractions for 1 accelerations; give one, or one for each"),
        ({"mask_lines": "1x9:8c80"}, None),
        ({"mask_lines": "none"}, "problem.mask_lines.is written from mask_file; name the file there"),
        ({"mask_lines": "1x9:8c"}, "is no mask of its size"),
        ({"mask_lines": "0x9:00"}, "is no mask of its size"),
    ],
)
def test_bad_keys(content: Any, options: dict[str, Any], words: str | None) -> None:
    study = content(problem={"kind": "mri", **options}, images={"source": "fastmri", "val": 1, "test": 1})
    if words is None:
        assert rs.parse_study(study).problem.words == "MRI, a mask of its own, accelerated 2.2 times"
        return
    with pytest.raises(UserError) as error:
        rs.parse_study(study)
    assert words in str(error.value)


def save(path: Path, values: Any, dtype: Any = np.uint8) -> str:
    np.save(path, np.asarray(values, dtype))
    return path.name


def test_a_mask_of_a_file_is_part_of_the_run(tmp_path: Path, content: Any) -> None:
    mask = np.zeros(40, np.uint8)
    mask[::3] = mask[17:23] = 1
    images = {"source": "fastmri", "val": 1, "test": 1}

    def run() -> Run:
        made = content(problem={"kind": "mri", "mask_file": "m.npy"}, images=images)
        return rs.runs_of(rs.parse_study(made, beside=tmp_path))[0]

    save(tmp_path / "m.npy", mask)
    first = run()
    assert isinstance(first.problem, MRIProblem) and first.problem.columns == 40
    assert np.array_equal(mask_of(first.problem.mask_lines[0])[0], mask.astype(bool))
    assert Run.model_validate_json(first.model_dump_json()).id == first.id
    drawn, center = Masks(first.problem, torch.Generator()).draw(32, 40)
    assert drawn.shape == (1, 1, 40) and np.array_equal(drawn[0, 0].numpy(), mask.astype(bool)) and center == (17, 6)
    save(tmp_path / "m.npy", mask, np.float64)
    assert run().id == first.id
    mask[1] = 1
    save(tmp_path / "m.npy", mask)
    assert run().id != first.id


def test_points_and_several_masks(tmp_path: Path, content: Any) -> None:
    points = np.random.default_rng(0).random((32, 40)) < 0.2
    points[12:20, 16:24] = True
    assert middle_of(points) == (16, 8) and np.array_equal(mask_of(text_of(points)), points)
    lines = np.zeros(40, bool)
    lines[16:24] = True
    save(tmp_path / "a.npy", points)
    save(tmp_path / "b.npy", lines)
    made = content(problem={"kind": "mri", "mask_file": ["a.npy", "b.npy"]},
                   images={"source": "fastmri", "val": 1, "test": 1})  # fmt: skip
    several = rs.parse_study(made, beside=tmp_path).problem
    masks = Masks(several, torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    assert {masks.draw(32, 40)[0].shape[1] for _ in range(12)} == {1, 32}
    given = {"kind": "mri", "mask_file": "b.npy"}
    columns = rs.parse_study(made | {"problem": given}, beside=tmp_path).problem
    with pytest.raises(UserError, match="holds a mask of 40 columns, and there is k-space of 48 columns"):
        Masks(columns, torch.Generator()).draw(32, 48)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="holds a mask of 32 x 40 points, and there is k-space of 30 x 40 points"):
        [masks.draw(30, 40) for _ in range(20)]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full(40, 2), "holds 40 values that are not all 0 or 1"),
        (np.full(40, np.nan), "that are not all 0 or 1"),
        (np.zeros(40), "does not measure the middle of k-space"),
        (np.ones(40), "measures all of k-space"),
        (np.ones((2, 3, 4)), "is no array of one or two dimensions"),
        (np.array(["a"]), "is no array of one or two dimensions"),
        (np.zeros(0), "is no array of one or two dimensions"),
    ],
)
def test_files_that_hold_no_mask(tmp_path: Path, content: Any, values: Any, words: str) -> None:
    np.save(tmp_path / "m.npy", values)
    with pytest.raises(UserError) as error:
        rs.parse_study(content(problem={"kind": "mri", "mask_file": "m.npy"}), beside=tmp_path)
    assert words in str(error.value)


def test_other_mistakes_with_mask_files(tmp_path: Path, content: Any) -> None:
    def refused(words: str, **options: Any) -> None:
        with pytest.raises(UserError) as error:
            rs.parse_study(content(problem={"kind": "mri", **options}), beside=tmp_path)
        assert words in str(error.value)

    (tmp_path / "pickled.npy").write_bytes(b"\x80\x04K\x01.")
    save(tmp_path / "a.npy", [0, 1, 0, 0])
    save(tmp_path / "a.npy", [0, 0, 1, 0])
    save(tmp_path / "b.npy", [0, 0, 1, 0, 0])
    refused("is no .npy array", mask_file="pickled.npy")
    refused("lost.npy", mask_file="lost.npy")
    refused("give the name of a .npy file, or a list", mask_file=3)
    refused("has masks of 4 and of 5 columns", mask_file=["a.npy", "b.npy"])
    refused("problem.acceleration: is said beside mask_file", mask_file="a.npy", acceleration=4)


def test_a_study_of_two_accelerations_says_the_results_of_each(tmp_path: Path) -> None:
    for index in range(6):
        values = phantoms.kspace(2, size=(40, 48), seed=10 * index)
        phantoms.write_fastmri(tmp_path / "data" / f"v{index}.h5", values, patient_id=f"p{index}")
    study = tmp_path / "s" / "study.toml"
    study.parent.mkdir()
    study.write_text("""
name = "s"
[problem]
kind = "mri"
mask = "random"
acceleration = [3, 6]
center_fraction = 0.1
[images]
source = "fastmri"
val = 1
test = 2
[network]
family = "unet"
depth = 2
[sweep]
n = [1, 2]
width = [2]
[recipe]
steps = 4
batch = 2
""")
    flags = ("--data", tmp_path / "data", "--workers", 1, "--keep-going", "--no-probe")
    code, out, err = call("run", study, *flags)
    assert code == 0, out + err
    code, out, _ = call("report", study)
    assert code == 0
    shift = (study.parent / "report" / "shift.csv").read_text()
    assert [line.split(",")[0] for line in shift.splitlines()[1:]] == [
        "test", "test at acceleration 3", "test at acceleration 6",
    ]  # fmt: skip
    assert "MRI accelerated 3 or 6 times" in (study.parent / "report" / "report.html").read_text()
    run = next((study.parent / "runs").glob("mri-*"))
    code, out, err = call("reconstruct", run, tmp_path / "data" / "v0.h5", "--out", tmp_path / "out.npy")
    assert code == 0 and np.load(tmp_path / "out.npy").shape == (2, 28, 28), out + err
