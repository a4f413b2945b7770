"""Real pairs: which truth belongs to which input, what is read together, and what is refused."""

from __future__ import annotations

import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from reconscale.data import ImageSet, open_images, write_image
from reconscale.data.pairs.listing import list_pairs
from reconscale.data.pairs.subset import PairSubset
from reconscale.data.verify import verify_images
from reconscale.errors import UserError
from reconscale.study import Images
from tests import camera

LIMITS = (camera.BLACK, camera.WHITE)


def options(**more: Any) -> Images:
    given: dict[str, Any] = {"inputs": "noisy", "truths": "clean", "range": LIMITS, "patch": 16, "val": 2, "test": 2}
    return Images(source="pairs", **{**given, **more})


def opened(folder: Path, **more: Any) -> ImageSet:
    return open_images(options(**more), data=folder, cache=folder / "cache")


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight scenes with three noisy copies each."""
    folder = tmp_path_factory.mktemp("copies")
    camera.write_pairs(folder, scenes=8, copies=3)
    return folder


def touch(folder: Path, *names: str) -> None:
    for index, name in enumerate(names):
        write_image(folder / name, np.full((20, 20, 1), index, np.uint8))


def stack(path: Path, count: int) -> None:
    pages = np.arange(count * 400, dtype=np.uint16).reshape(count, 20, 20)
    tifffile.imwrite(path, pages, photometric="minisblack", metadata={"axes": "ZYX"})


def matched(folder: Path, **more: Any) -> dict[str, str]:
    listing = list_pairs(options(**more), folder)
    return {name: listing.truths.names[truth] for name, truth in zip(listing.names, listing.truth_of, strict=True)}


class TestMatching:
    def test_by_name_whatever_the_ending(self, tmp_path: Path) -> None:
        touch(tmp_path, "noisy/s/a.png", "noisy/b.png", "clean/s/a.tif", "clean/b.png", "clean/c.png")
        assert matched(tmp_path) == {"noisy/b.png": "clean/b.png", "noisy/s/a.png": "clean/s/a.tif"}
        assert "1 of 3 truths have no input" in list_pairs(options(), tmp_path).remarks[0]

    def test_one_truth_a_folder(self, tmp_path: Path) -> None:
        touch(tmp_path, "noisy/s/1.png", "noisy/s/2.png", "noisy/t/1.png", "clean/s/gt.png", "clean/t.png")
        listing = list_pairs(options(), tmp_path)
        assert (
            matched(tmp_path)["noisy/s/2.png"] == "clean/s/gt.png"
            and matched(tmp_path)["noisy/t/1.png"] == "clean/t.png"
        )
        assert listing.scenes == ("clean/s/gt.png", "clean/s/gt.png", "clean/t.png")

    def test_two_truths_of_one_folder_are_named(self, tmp_path: Path) -> None:
        touch(tmp_path, "noisy/s04/1.png", "noisy/s05/1.png", "clean/s04.png", "clean/s04/gt.png", "clean/s05.png")
        with pytest.raises(UserError, match=r"s04/1.png.* may belong to clean/s04(/gt)?.png and clean/s04(/gt)?.png, "):
            matched(tmp_path)

    def test_words_are_replaced_in_one_folder_too(self, tmp_path: Path) -> None:
        touch(tmp_path, "a_NOISY_1.png", "a_GT_1.png", "b/c_NOISY_1.png", "b/c_GT_1.png")
        found = matched(tmp_path, inputs=".", truths=".", match=("NOISY", "GT"))
        assert found == {"a_NOISY_1.png": "a_GT_1.png", "b/c_NOISY_1.png": "b/c_GT_1.png"}
        with pytest.raises(UserError, match="the same folder; say which word"):
            matched(tmp_path, inputs=".", truths=".")

    def test_the_right_words_are_proposed(self, tmp_path: Path) -> None:
        touch(tmp_path, "noisy/1x2.png", "noisy/2x2.png", "clean/1.png", "clean/2.png")
        with pytest.raises(UserError, match=r'inputs are called as noisy/1x2.png.*set match = \["x2", ""\]'):
            matched(tmp_path)
        assert matched(tmp_path, match=("x2", ""))["noisy/2x2.png"] == "clean/2.png"

    def test_missing_partners_are_named(self, tmp_path: Path) -> None:
        touch(tmp_path, "noisy/1.png", "noisy/2.png", "noisy/3.png", "clean/1.png", "clean/2.png")
        with pytest.raises(UserError, match=r"1 of 3 inputs have no truth .*: noisy/3.png; add the truths"):
            matched(tmp_path)

    def test_a_table(self, tmp_path: Path) -> None:
        touch(tmp_path, "d/1.png", "d/2.png", "d/3.png", "d/t.png", "d/u.png")
        (tmp_path / "d" / "pairs.csv").write_text("scene;Input;truth\nA;1.png;t.png\nB;2.png;u.png\nA;3.png;t.png\n")
        where = {"csv": "d/pairs.csv", "inputs": None, "truths": None}
        assert matched(tmp_path, **where) == {"d/1.png": "d/t.png", "d/2.png": "d/u.png", "d/3.png": "d/t.png"}
        assert list_pairs(options(**where), tmp_path).scenes == ("A", "B", "A")

    @pytest.mark.parametrize(
        "table, words",
        [
            ("input,truth\n1.png,1.png\n", "line 2: names d/1.png as input and as its truth"),
            ("input,truth\n1.png,t.png\n1.png,t.png\n", "line 3: names the input d/1.png a second time"),
            ("input,truth\n9.png,t.png\n", "line 2: found 'd/9.png', which does not exist"),
            ("input,truth\n1.png,\n", "line 2: has no truth"),
            ("input,truth\n../../1.png,t.png\n", "is not below the data folder"),
            ("input,truth\npairs.csv,t.png\n", "which is no PNG"),
            ("input,truth,scene\n1.png,t.png,A\n2.png,t.png,B\n", "into the scenes A and B"),
            ("noisy,clean\n1.png,t.png\n", "has the columns noisy, clean; write a CSV file"),
            ("input,truth\n", "names no pair"),
            ("\x80", "has the columns"),
        ],
    )
    def test_tables_that_cannot_be(self, table: str, words: str, tmp_path: Path) -> None:
        touch(tmp_path, "d/1.png", "d/2.png", "d/t.png")
        (tmp_path / "d" / "pairs.csv").write_text(table, encoding="utf-8")
        with pytest.raises(UserError, match=words.replace("(", r"\(")):
            matched(tmp_path, csv="d/pairs.csv", inputs=None, truths=None)

    def test_pages_of_stacks(self, tmp_path: Path) -> None:
        touch(tmp_path, "clean/one.tif")
        for name, count in (("noisy/one.tif", 3), ("noisy/two.tif", 2), ("clean/two.tif", 2)):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            stack(tmp_path / name, count)
        found = matched(tmp_path)
        assert found["noisy/one.tif#0002"] == "clean/one.tif" and found["noisy/two.tif#0001"] == "clean/two.tif#0001"
        assert set(list_pairs(options(), tmp_path).scenes) == {"clean/one.tif", "clean/two.tif"}
        stack(tmp_path / "clean/two.tif", 4)
        with pytest.raises(UserError, match="has 2 pages, and its truth clean/two.tif has 4"):
            matched(tmp_path)


class TestScenes:
    def test_copies_never_part_and_n_counts_scenes(self, copies: Path) -> None:
        images = opened(copies)
        units = {name: set(pixels.units) for name, pixels in images.sets.items()}
        assert images.available == len(units["train"]) == 4 and len(images.train) == 12
        assert not (units["train"] & units["val"] or units["train"] & units["test"] or units["val"] & units["test"])
        two, three = images.training(2, 0), images.training(3, 0)
        assert len(two) == 6 and set(two.names) < set(three.names) and images.images.noun == "scenes"
        assert images.describe()["sets"]["train"]["scenes"] == 4

    def test_copies_with_truths_of_their_own_are_asked_about(self, tmp_path: Path) -> None:
        camera.write_pairs(tmp_path, scenes=6)
        rng = np.random.default_rng(0)
        for index in range(6):
            values = camera.scene(index, 40)
            for copy in "ab":
                write_image(tmp_path / "own" / "clean" / str(index) / f"{copy}.tif", camera.stored(values))
                write_image(tmp_path / "own" / "noisy" / str(index) / f"{copy}.tif", camera.photograph(values, rng))
        with pytest.raises(UserError, match='keep them together with images.unit = "folder"'):
            opened(tmp_path / "own")
        assert opened(tmp_path / "own", unit="folder").available == 2

    def test_skipped_duplicates_take_their_scene_along(self, tmp_path: Path) -> None:
        camera.write_pairs(tmp_path, scenes=6, copies=2)
        for index in range(6, 9):
            values = camera.scene(index - 6, 40)
            write_image(tmp_path / "clean" / f"{index:02d}.tif", camera.stored(values))
            noisy = camera.photograph(values, np.random.default_rng(index))
            write_image(tmp_path / "noisy" / f"{index:02d}" / "0.tif", noisy)
        images = opened(tmp_path, duplicates="skip", split_seed=1)
        assert images.duplicates > 0
        truths = [np.unique(pixels.store.hashes[pixels.rows], axis=0) for pixels in images.sets.values()]
        held = np.concatenate(truths)
        assert len(np.unique(held, axis=0)) == len(held)


class TestReading:
    @pytest.mark.parametrize("factor", [1, 2])
    def test_crops_lie_at_one_place_and_are_turned_alike(self, factor: int, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        for index in range(6):
            values = rng.integers(0, 65535, (24, 30, 1)).astype(np.uint16)
            large = values.repeat(factor, 0).repeat(factor, 1)
            large[0, 0] ^= 1  # else input and truth are the same image at a factor of 1
            write_image(tmp_path / "noisy" / f"{index}.png", values)
            write_image(tmp_path / "clean" / f"{index}.png", np.pad(large, ((0, factor - 1), (0, 0), (0, 0))))
        pairs = opened(tmp_path, range=None).train
        assert isinstance(pairs, PairSubset) and pairs.factor == factor
        pairs = pickle.loads(pickle.dumps(pairs))
        for generator in (None, torch.Generator().manual_seed(0)):
            y, x = pairs.pair_crops([0, 1, 1, 0] * 4, 16, generator=generator, turns=torch.Generator().manual_seed(1))
            assert y.shape == (16, 1, 16 // factor, 16 // factor) and x.shape == (16, 1, 16, 16)
            larger = y.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
            assert (larger - x).abs().max() <= 1
        for crop in (None, 15, 16):
            y, x = pairs.pair_tensors(0, crop)
            assert x.shape[-2:] == (factor * y.shape[-2], factor * y.shape[-1])
            larger = y.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
            assert (larger - x).abs().max() < 2 / 65535

    def test_noise_beyond_black_and_white_stays(self, tmp_path: Path) -> None:
        camera.write_pairs(tmp_path, scenes=6)
        pairs = opened(tmp_path, range=(400, 700)).train
        assert isinstance(pairs, PairSubset)
        y, x = pairs.pair_tensors(0)
        assert y.min() < 0 and y.max() > 1 and x.min() == 0 and x.max() == 1

    def test_inputs_of_other_units(self, tmp_path: Path) -> None:
        camera.write_pairs(tmp_path, scenes=6)
        plain, other = (opened(tmp_path, input_range=limits).train for limits in (None, (100, 3280)))
        assert isinstance(plain, PairSubset) and isinstance(other, PairSubset)
        assert torch.allclose(plain.pair_tensors(0)[0], 3 * other.pair_tensors(0)[0])
        assert torch.equal(plain.pair_tensors(0)[1], other.pair_tensors(0)[1])

    def test_the_digest_knows_both_sides(self, tmp_path: Path) -> None:
        camera.write_pairs(tmp_path, scenes=6)
        before = opened(tmp_path).digest
        name = tmp_path / "noisy" / "00.tif"
        write_image(name, camera.photograph(camera.scene(0, 40), np.random.default_rng(9)))
        assert opened(tmp_path).digest != before

    def test_verify_reads_both_sides(self, copies: Path) -> None:
        images = opened(copies)
        report = verify_images(options(), data=copies, cache=copies / "cache")
        assert report.counted.startswith("32 images") and not report.damaged and not report.changed
        assert len(images.files()) > len(images.train.store.files())  # type: ignore[union-attr]

    def test_further_test_sets(self, copies: Path) -> None:
        camera.write_pairs(copies / "night", scenes=3, copies=2, first=20)
        images = opened(copies, test_sets={"night": "night"})
        assert len(images.tests["night"]) == 6 and images.tests["night"].names[0] == "night/noisy/20/0.tif"


def shifted(folder: Path, rows: int, columns: int) -> None:
    """Pairs whose inputs are displaced down and to the right."""
    rng = np.random.default_rng(0)
    for index in range(6):
        values = camera.scene(index, 96)
        write_image(folder / "clean" / f"{index}.tif", camera.stored(values[16:80, 16:80]))
        moved = values[16 - rows : 80 - rows, 16 - columns : 80 - columns]
        write_image(folder / "noisy" / f"{index}.tif", camera.photograph(moved, rng))


class TestChecks:
    @pytest.mark.parametrize("rows, columns", [(1, 0), (3, -5)])
    def test_a_displacement_is_found(self, rows: int, columns: int, tmp_path: Path) -> None:
        shifted(tmp_path, rows, columns)
        with pytest.raises(UserError, match="displaced against their truths.*allow_shift = true") as caught:
            opened(tmp_path)
        assert f"({rows:+d}.0 down, {columns:+d}.0 to the right)" in str(caught.value)
        found = opened(tmp_path, allow_shift=True).pairs["median shift in pixels"]
        assert abs(found - np.hypot(rows, columns)) < 0.3

    @pytest.mark.parametrize("rows, columns", [(1, 0), (0, -1)])
    def test_a_pixel_without_noise_is_refused(self, rows: int, columns: int, tmp_path: Path) -> None:
        for index in range(6):
            values = camera.scene(index, 96)
            moved = values[16 - rows : 80 - rows, 16 - columns : 80 - columns]
            write_image(tmp_path / "clean" / f"{index}.tif", camera.stored(values[16:80, 16:80]))
            write_image(tmp_path / "noisy" / f"{index}.tif", camera.stored(moved))
        with pytest.raises(UserError, match="displaced against their truths"):
            opened(tmp_path)
        assert opened(tmp_path, allow_shift=True).available == 2

    def test_registered_pairs_pass_and_are_told(self, copies: Path) -> None:
        assert opened(copies).pairs["median shift in pixels"] < 0.3

    def test_a_better_range_of_inputs_is_proposed(self, tmp_path: Path) -> None:
        camera.write_pairs(tmp_path, scenes=6)
        for path in sorted((tmp_path / "noisy").glob("*.tif")):
            values = tifffile.imread(path)[..., None].astype(float)
            write_image(path, camera.stored(0.25 * (values - camera.BLACK) + 50))
        (said,) = opened(tmp_path).cautions
        found = re.search(r"about 0.25 times their truths.*images.input_range = \[([0-9.]+), ([0-9.]+)\]", said)
        assert found and abs(float(found[1]) - 50) < 5 and abs(float(found[2]) - 315) < 5
        assert not opened(tmp_path, input_range=(50, 315)).cautions

    def test_noise_alone_is_no_displacement(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        for index in range(6):
            for side in ("noisy", "clean"):
                write_image(tmp_path / side / f"{index}.png", rng.integers(0, 255, (64, 64, 1)).astype(np.uint8))
        with pytest.raises(UserError, match="little in common with their truths.*allow_unrelated = true"):
            opened(tmp_path, range=None)
        found = opened(tmp_path, range=None, allow_unrelated=True)
        assert found.pairs["median shift in pixels"] == "not measurable for 2 of 2 pairs" and not found.cautions

    @pytest.mark.parametrize("wrong", ["permuted", "mirrored", "turned", "zoomed"])
    def test_truths_of_something_else_are_refused(self, wrong: str, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        for index in range(12):
            values = camera.scene(index, 64)
            write_image(tmp_path / "noisy" / f"{index}.tif", camera.photograph(values, rng))
            other = {
                "permuted": camera.scene((index + 1) % 12, 64),
                "mirrored": values[:, ::-1],
                "turned": values[::-1, ::-1],
                "zoomed": values[16:48, 16:48].repeat(2, 0).repeat(2, 1),
            }[wrong]
            write_image(tmp_path / "clean" / f"{index}.tif", camera.stored(other))
        for allow_shift in (False, True):
            with pytest.raises(UserError, match="little in common.*median of 4 .*allow_unrelated = true"):
                opened(tmp_path, val=4, allow_shift=allow_shift)
        assert not opened(tmp_path, val=4, allow_shift=True, allow_unrelated=True).cautions

    @pytest.mark.parametrize("factor", [1, 2])
    def test_low_light_is_accepted(self, factor: int, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        for index in range(6):
            values = camera.scene(index, 64 * factor)
            dark = camera.BLACK + (camera.reduced(values, factor) - camera.BLACK) / 200  # 2 electrons are white
            write_image(tmp_path / "clean" / f"{index}.tif", camera.stored(values))
            write_image(tmp_path / "noisy" / f"{index}.tif", camera.photograph(dark, rng))
        assert opened(tmp_path).available == 2

    def test_swapped_folders_are_asked_back(self, tmp_path: Path) -> None:
        camera.write_pairs(tmp_path, scenes=6, side=64)
        with pytest.raises(UserError, match="noisier than their inputs.*swapped.*allow_noisy_truth"):
            opened(tmp_path, inputs="clean", truths="noisy")
        assert opened(tmp_path, inputs="clean", truths="noisy", allow_noisy_truth=True).available == 2

    def test_a_sharp_truth_of_a_blurred_input_is_not_noisy(self, tmp_path: Path) -> None:
        from scipy.ndimage import gaussian_filter

        for index in range(6):
            values = camera.scene(index, 96)
            write_image(tmp_path / "clean" / f"{index}.tif", camera.stored(values))
            write_image(tmp_path / "noisy" / f"{index}.tif", camera.stored(gaussian_filter(values, (2, 2, 0))))
        assert opened(tmp_path).available == 2

    @pytest.mark.parametrize(
        "spoil, words",
        [
            (lambda image: image[:30], "has 40 x 30 pixels, and its truth clean/00.tif has 40 x 40"),
            (lambda image: image[:20, :20], "is 2 times smaller than its truth, and noisy/01.tif 1 times"),
            (lambda image: np.repeat(image, 3, 2), "inputs are RGB|mixes 5 grey and 1 RGB"),
        ],
    )
    def test_inputs_that_do_not_fit(
        self, spoil: Callable[[np.ndarray], np.ndarray], words: str, tmp_path: Path
    ) -> None:
        camera.write_pairs(tmp_path, scenes=6)
        write_image(tmp_path / "noisy" / "00.tif", spoil(tifffile.imread(tmp_path / "noisy" / "00.tif")[..., None]))
        with pytest.raises(UserError, match=words):
            opened(tmp_path)

    def test_equal_and_constant_images(self, tmp_path: Path) -> None:
        camera.write_pairs(tmp_path, scenes=6)
        kept = (tmp_path / "noisy" / "03.tif").read_bytes()
        (tmp_path / "noisy" / "03.tif").write_bytes((tmp_path / "clean" / "03.tif").read_bytes())
        with pytest.raises(UserError, match=r"noisy/03.tif: is the same image as its truth clean/03.tif"):
            opened(tmp_path, range=None)
        (tmp_path / "noisy" / "03.tif").write_bytes(kept)
        write_image(tmp_path / "clean" / "02.tif", np.full((40, 40, 1), 700, np.uint16))
        with pytest.raises(UserError, match="clean/02.tif: is a truth that is .* of white everywhere"):
            opened(tmp_path)

    def test_unreadable_files_take_their_partner_along(self, tmp_path: Path) -> None:
        camera.write_pairs(tmp_path, scenes=8)
        (tmp_path / "clean" / "02.tif").write_bytes(b"\x80\x04K\x01.")  # a pickle
        with pytest.raises(UserError, match="whatever its name says"):
            opened(tmp_path)
        images = opened(tmp_path, unreadable="skip")
        assert images.available == 3 and ("noisy/02.tif", "its truth clean/02.tif cannot be read") in images.skipped


class TestKeys:
    @pytest.mark.parametrize(
        "given, words",
        [
            ({"csv": "a.csv"}, "csv: names every pair"),
            ({"truths": None}, "truths: is missing"),
            ({"folders": ("a",)}, "folders: is not for the source 'pairs'"),
            ({"downscale": 2}, "downscale: is not for pairs"),
            ({"range": None, "input_range": (0, 1)}, "input_range: is for inputs of other units"),
            ({"input_range": (1, 0)}, "input_range: found"),
            ({"match": ("", "a")}, "match"),
        ],
    )
    def test_keys_that_do_not_go_together(self, given: dict[str, Any], words: str) -> None:
        with pytest.raises(ValueError, match=words):
            options(**given)

    def test_other_sources_have_none(self) -> None:
        with pytest.raises(ValueError, match="inputs: is for the source 'pairs', not for 'folder'"):
            Images(source="folder", val=1, test=1, inputs="a")

    def test_places_are_needed(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="images.inputs: is missing; name two folders"):
            opened(tmp_path, inputs=None, truths=None)


def test_one_noisy_image_in_two_scenes_is_refused(tmp_path: Path) -> None:
    camera.write_pairs(tmp_path, scenes=8)
    shutil.copy(tmp_path / "noisy" / "02.tif", tmp_path / "noisy" / "05.tif")
    with pytest.raises(
        UserError, match=r"05.tif: is the same image as noisy/02.tif, and their truths are not: clean/0"
    ):
        opened(tmp_path)


def test_dark_frames_may_be_alike(tmp_path: Path) -> None:
    camera.write_pairs(tmp_path, scenes=8)
    for name in ("02.tif", "05.tif"):
        write_image(tmp_path / "noisy" / name, np.full((40, 40, 1), 100, np.uint16))
    assert len(opened(tmp_path, allow_unrelated=True).train) == 4
