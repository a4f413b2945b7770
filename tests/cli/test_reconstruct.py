"""Applying a trained run to images of one's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from reconscale.imaging import open_images
from reconscale.study import Folder, Images, Network, Problem, Recipe, Run
from reconscale.training.reconstruct import load_trained, tiled
from reconscale.training.worker import Placement, Task, carry_out

from .calling import call, refused


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a small colour run: a DnCNN, which has no normalisation over the image."""
    images = Images(source="deadleaves", size=32, total=8, patch=16, val=2, test=2)
    network = Network(family="dncnn", width=4, depth=4)
    recipe = Recipe(steps=8, batch=2)
    run = Run(problem=Problem(kind="denoising"), images=images, n=4, network=network, recipe=recipe)
    folder = Folder(tmp_path_factory.mktemp("runs"))
    opened = open_images(images, cache=tmp_path_factory.mktemp("cache"))
    assert carry_out(Task(run, opened, folder, Placement()), lambda message: None) == "done"
    return folder.of(run)


def noisy(shape: tuple[int, ...], dtype: type = np.uint8) -> np.ndarray:
    return (np.random.default_rng(0).random(shape) * np.iinfo(dtype).max).astype(dtype)


def test_a_png_keeps_size_and_channels(trained: Path, tmp_path: Path) -> None:
    Image.fromarray(noisy((33, 47, 3))).save(tmp_path / "a.png")
    code, _, err = call("reconstruct", trained, tmp_path / "a.png", "--out", tmp_path / "deep" / "b.png")
    assert code == 0, err
    with Image.open(tmp_path / "deep" / "b.png") as image:
        assert image.size == (47, 33) and image.mode == "RGB"


def test_sixteen_bits_stay_sixteen(trained: Path, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noisy((20, 24, 3), np.uint16), photometric="rgb")
    code, _, err = call("reconstruct", trained, tmp_path / "a.tif", "--out", tmp_path / "b.tif")
    assert code == 0, err
    result = tifffile.imread(tmp_path / "b.tif")
    assert result.dtype == np.uint16 and result.shape == (20, 24, 3) and len(np.unique(result)) > 256


def test_grey_through_a_colour_network(trained: Path, tmp_path: Path) -> None:
    Image.fromarray(noisy((20, 24))).save(tmp_path / "a.png")
    assert call("reconstruct", trained, tmp_path / "a.png", "--out", tmp_path / "b.png")[0] == 0
    with Image.open(tmp_path / "b.png") as image:
        assert image.mode == "L" and image.size == (24, 20)


def test_a_folder(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(noisy((16, 16, 3))).save(tmp_path / "in" / name)
    assert call("reconstruct", trained, tmp_path / "in", "--out", tmp_path / "out")[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]


def test_tiles_agree_with_the_whole(trained: Path) -> None:
    """Without normalisation over the image, tiles change nothing."""
    model = load_trained(trained)
    y = torch.rand(1, 3, 70, 91)
    with torch.inference_mode():
        whole = model.network(y)
        parts = tiled(model, y, tile=32)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-6)


def test_bad_words(trained: Path, tmp_path: Path) -> None:
    Image.fromarray(noisy((16, 16, 3))).save(tmp_path / "a.png")
    (tmp_path / "empty").mkdir()
    assert "does not exist" in refused("reconstruct", trained, tmp_path / "none.png", "--out", tmp_path / "b.png")
    assert "holds no result" in refused("reconstruct", tmp_path, tmp_path / "a.png", "--out", tmp_path / "b.png")
    assert "holds no PNG" in refused("reconstruct", trained, tmp_path / "empty", "--out", tmp_path / "out")
    assert "b.gif" in refused("reconstruct", trained, tmp_path / "a.png", "--out", tmp_path / "b.gif")
    assert not (tmp_path / "b.gif").exists() and not (tmp_path / "out").exists()


def test_damaged_weights(trained: Path, tmp_path: Path) -> None:
    Image.fromarray(noisy((16, 16, 3))).save(tmp_path / "a.png")
    copy = tmp_path / trained.name
    copy.mkdir()
    for path in trained.iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    (copy / "weights.safetensors").write_bytes(b"\x00" * 64)
    assert "is damaged" in refused("reconstruct", copy, tmp_path / "a.png", "--out", tmp_path / "b.png")
    (copy / "weights.safetensors").unlink()
    assert "has no trained weights" in refused("reconstruct", copy, tmp_path / "a.png", "--out", tmp_path / "b.png")
