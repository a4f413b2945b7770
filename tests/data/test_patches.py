"""Patches of images: where they come from, that they are always the same, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reconscale.data import ImageSet, open_images, write_image
from reconscale.data.patches import Cut, patches_at, patches_of
from reconscale.data.sources import list_deadleaves
from reconscale.errors import UserError
from reconscale.study import Images
from reconscale.theory.filters import best_flow
from reconscale.theory.images import linear_curve, spectrum_of
from reconscale.theory.linear import learned_path, moments_of
from reconscale.theory.operators import denoising


def numbered(height: int, width: int, channels: int = 1, start: int = 0) -> np.ndarray:
    """An image whose 16-bit pixels say where they are: start + place in reading order, channel by channel."""
    flat = np.arange(height * width * channels, dtype=np.uint16) + np.uint16(start)
    return flat.reshape(height, width, channels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_image(tmp_path / "images" / "b.png", numbered(20, 30))
    write_image(tmp_path / "images" / "deep" / "a.png", numbered(25, 12, start=1000))
    (tmp_path / "images" / "notes.txt").write_text("no image")
    return tmp_path / "images"


def corners(cut: Cut) -> list[int]:
    return [round(value * 65535) for value in cut.patches.values[:, 0]]


def test_patches_are_pieces_of_the_images(folder: Path) -> None:
    cut = patches_at(folder, 4, most=60)
    assert cut.patches.values.shape == (60, 16) and cut.patches.values.dtype == np.float64
    assert cut.patches.shape == (4, 4, 1) and (cut.used, cut.available) == (2, 2)
    assert cut.patches.image.tolist() == [0] * 30 + [1] * 30  # b.png, deep/a.png
    for corner, image, values in zip(corners(cut), cut.patches.image, cut.patches.values, strict=True):
        start, width = ((0, 30), (1000, 12))[image]
        row, column = divmod(corner - start, width)
        expected = start + (row + np.arange(4))[:, None] * width + column + np.arange(4)
        assert np.array_equal(np.rint(values * 65535), expected.ravel())
    assert len(set(corners(cut))) == 60  # no place twice


def test_colour_patches_keep_their_channels_together(tmp_path: Path) -> None:
    write_image(tmp_path / "c.tif", numbered(9, 9, 3))
    cut = patches_at(tmp_path, 2, most=5)
    assert cut.patches.shape == (2, 2, 3)
    for corner, values in zip(corners(cut), cut.patches.values, strict=True):
        assert np.array_equal(np.rint(values * 65535) - corner, [0, 1, 2, 3, 4, 5, 27, 28, 29, 30, 31, 32])


def test_a_small_image_gives_every_place_once(tmp_path: Path) -> None:
    write_image(tmp_path / "s.png", numbered(5, 6))
    cut = patches_at(tmp_path, 4)
    assert sorted(corners(cut)) == [0, 1, 2, 6, 7, 8]


def test_the_same_patches_again_and_others_with_another_seed(folder: Path) -> None:
    first, again, other = (patches_at(folder, 4, most=40, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.patches.values, again.patches.values)
    assert not np.array_equal(first.patches.values, other.patches.values)
    assert corners(first)[:3] == [197, 8, 144], "a change of these changes every explanation: raise its version"


def test_many_images_are_thinned_and_few_patches_are_one_an_image(tmp_path: Path) -> None:
    np.save(tmp_path / "stack.npy", np.arange(30, dtype=np.uint8).repeat(64).reshape(30, 8, 8))
    cut = patches_at(tmp_path / "stack.npy", 8, most=10)
    owners = cut.patches.image.tolist()
    assert (cut.used, cut.available) == (10, 30) and len(set(owners)) == 10 and owners == sorted(owners)
    assert np.array_equal(np.rint(cut.patches.values[:, 0] * 255), owners)


def test_conversions(folder: Path, tmp_path: Path) -> None:
    write_image(folder / "colour.png", np.full((8, 8, 3), 100, np.uint8))
    with pytest.raises(UserError, match="mixes grey and RGB images .* say --channels gray"):
        patches_at(folder, 4)
    assert patches_at(folder, 4, channels="gray").patches.shape == (4, 4, 1)
    cut = patches_at(folder, 4, channels="rgb", most=30)
    assert cut.patches.shape == (4, 4, 3)
    grey = cut.patches.values[cut.patches.image == 0].reshape(-1, 16, 3)
    assert np.array_equal(grey[..., 0], grey[..., 1]) and np.array_equal(grey[..., 0], grey[..., 2])


@pytest.mark.parametrize(
    "side, part",
    [
        (13, "deep/a.png: is 12 x 25 pixels, and patches are 13 x 13; lower --patch"),
        (1, "--patch: found 1; a whole number from 2 to 32 is expected"),
        (33, "--patch: found 33"),
    ],
)
def test_sides_that_cannot_be(folder: Path, side: int, part: str) -> None:
    with pytest.raises(UserError) as caught:
        patches_at(folder, side)
    assert part in str(caught.value)


def test_places_without_images(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not there; give a folder of images"):
        patches_at(tmp_path / "nowhere", 4)
    with pytest.raises(UserError, match="holds no PNG, JPEG, TIFF, BMP or WebP image"):
        patches_at(tmp_path, 4)
    (tmp_path / "file.txt").write_text("words")
    with pytest.raises(UserError, match="is a file; give a folder"):
        patches_at(tmp_path / "file.txt", 4)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UserError, match=r"broken.png: is cut short"):
        patches_at(tmp_path, 4)


def studied(**options: object) -> ImageSet:
    return open_images(Images.model_validate(
        {"source": "deadleaves", "size": 32, "total": 12, "patch": 16, "val": 2, "test": 2} | options
    ))  # fmt: skip


def test_images_of_a_study() -> None:
    images = studied()
    cut = patches_of(images.train, 8, most=80)
    assert cut.patches.shape == (8, 8, 3) and len(cut.patches.values) == 80 and (cut.used, cut.available) == (8, 8)
    whole = images.train.image(0) / 255
    for values in cut.patches.values[:10]:
        window = np.lib.stride_tricks.sliding_window_view(whole, (8, 8, 3)).reshape(-1, 192)
        assert np.abs(window - values).sum(1).min() == 0
    told: list[tuple[str, int, int]] = []
    patches_of(images.train, 8, progress=lambda *words: told.append(words))
    assert told[-1] == ("cutting patches", 8, 8)


def test_only_the_centre_that_networks_see() -> None:
    images = studied()
    cut = patches_of(images.train, 8, crop=8)
    assert len(cut.patches.values) == 8
    centre = images.train.image(3)[12:20, 12:20] / 255
    assert np.array_equal(cut.patches.values[3], centre.ravel())
    with pytest.raises(UserError, match="is 4 x 4 pixels, and patches are 8 x 8"):
        patches_of(images.train, 8, crop=4)


def test_patches_share_the_unit_or_the_image(tmp_path: Path) -> None:
    for scan in range(6):
        for piece in range(3):
            rng = np.random.default_rng([scan, piece])
            write_image(tmp_path / f"scan{scan}" / f"{piece}.png", rng.integers(0, 256, (16, 16, 1), np.uint8))
    options = Images(source="folder", unit="folder", patch=8, val=1, test=1)
    train = open_images(options, data=tmp_path).train
    by_unit, by_image = (patches_of(train, 8, units=units, most=24) for units in (True, False))
    assert by_unit.patches.image.tolist() == np.arange(4).repeat(6).tolist() and by_unit.used == by_unit.available == 4
    assert by_image.patches.image.tolist() == np.arange(12).repeat(2).tolist() and by_image.available == 12
    assert np.array_equal(by_unit.patches.values, by_image.patches.values)


def test_photographs_are_cut_without_torch_and_opencv(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.full((16, 16, 3), 7, np.uint8))
    code = (
        "import sys; from pathlib import Path; from reconscale.data.patches import patches_at;"
        f"patches_at(Path({str(tmp_path)!r}), 8); print([m for m in ('torch', 'cv2', 'tifffile') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "deep.png", numbered(16, 16))
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(
        UserError, match=r"needs the package cv2, which is not installed; pip install 'reconscale\[train\]'"
    ):
        patches_at(tmp_path, 8)


def test_an_image_gives_as_many_patches_as_there_are_places(folder: Path) -> None:
    assert patches_at(folder, 4, most=10).each == round((17 * 27 + 22 * 9) / 2)
    assert patches_of(studied().train, 8, crop=16, most=10).each == 81


def test_the_curve_in_images_is_that_of_a_window_sliding_over_noisy_images(tmp_path: Path) -> None:
    """Really learned from all overlapping patches of n images with one noise each; counting tiles is off."""
    side, sigma, rng = 4, 25 / 255, np.random.default_rng(0)
    listing = list_deadleaves(Images(source="deadleaves", channels="gray", size=20, total=40, val=1, test=1), None)
    images = [listing.load(index)[..., 0] / 255 for index in range(40)]
    np.save(tmp_path / "leaves.npy", np.array(images, np.float32))
    cut = patches_at(tmp_path / "leaves.npy", side, most=40 * 17**2)
    operator = denoising(cut.patches.shape, sigma)
    spectrum = spectrum_of(cut.patches, operator)
    x = spectrum.centred(cut.patches)
    moments = moments_of(x.T @ x / len(x), operator)

    def windows(image: np.ndarray) -> np.ndarray:
        return np.lib.stride_tricks.sliding_window_view(image - spectrum.mean[0], (side, side)).reshape(-1, side**2)

    for n in (4, 10):
        risks = []
        for _ in range(10):
            chosen = [images[index] for index in rng.choice(40, n, replace=True)]
            noisy = [image + sigma * rng.standard_normal(image.shape) for image in chosen]
            pairs = (np.concatenate([windows(image) for image in part]) for part in (chosen, noisy))
            risks.append(best_flow(learned_path(*pairs, moments)).risk)
        computed, tiles = (
            linear_curve(spectrum, [n], counts="images", per_image=each).mse[0] for each in (cut.each, 25)
        )
        apart = [10 * np.log10(mse / np.mean(risks)) for mse in (computed, tiles)]
        assert abs(apart[0]) < 0.05, apart
        assert apart[1] > 0.2, apart
