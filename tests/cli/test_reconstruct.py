"""Applying a trained run to images of one's own."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from reconscale.data import open_images
from reconscale.networks import build, input_spec
from reconscale.results import Folder
from reconscale.study import DenoisingProblem, Images, Network, Recipe, Run
from reconscale.training.apply import TILE, Trained, load_trained, tiled
from reconscale.training.worker import Placement, Task, run_task

from .calling import call, refused


def train(tmp_path_factory: pytest.TempPathFactory, channels: Literal["rgb", "gray"], steps: int) -> Path:
    images = Images(source="deadleaves", size=32, total=8, patch=16, val=2, test=2, channels=channels)
    network = Network(family="dncnn", width=4, depth=4)
    recipe = Recipe(steps=steps, batch=2)
    run = Run(problem=DenoisingProblem(kind="denoising"), images=images, n=4, network=network, recipe=recipe)
    folder = Folder(tmp_path_factory.mktemp("runs"))
    opened = open_images(images, cache=tmp_path_factory.mktemp("cache"))
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert run_task(Task(run, opened, folder, Placement()), lambda message: None) == "done"
    finally:
        for number, handler in kept.items():  # a worker takes both for itself
            signal.signal(number, handler)
    return folder.of(run)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a small colour run: a DnCNN, which has no normalisation over the image."""
    return train(tmp_path_factory, "rgb", 8)


@pytest.fixture(scope="module")
def trained_grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in grey."""
    return train(tmp_path_factory, "gray", 2)


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


def test_colour_through_a_grey_network(trained_grey: Path, tmp_path: Path) -> None:
    """Channel by channel: each comes out as it would alone."""
    array = noisy((21, 24, 3))
    Image.fromarray(array).save(tmp_path / "a.png")
    Image.fromarray(array[..., 1]).save(tmp_path / "green.png")
    for name in ("a", "green"):
        assert (
            call("reconstruct", trained_grey, tmp_path / f"{name}.png", "--out", tmp_path / f"{name}-out.png")[0] == 0
        )
    with Image.open(tmp_path / "a-out.png") as image, Image.open(tmp_path / "green-out.png") as green:
        assert image.mode == "RGB" and image.size == (24, 21) and green.mode == "L"
        assert np.array_equal(np.asarray(image)[..., 1], np.asarray(green))


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 60, 3), (3, 5), (17, 2)])
def test_odd_and_tiny_sizes(trained: Path, tmp_path: Path, shape: tuple[int, ...]) -> None:
    Image.fromarray(noisy(shape)).save(tmp_path / "a.png")
    code, _, err = call("reconstruct", trained, tmp_path / "a.png", "--out", tmp_path / "b.png")
    assert code == 0, err
    with Image.open(tmp_path / "b.png") as image:
        assert image.size == (shape[1], shape[0])


def test_larger_than_a_tile(trained: Path, tmp_path: Path) -> None:
    """The file that comes out is the whole image through the network at once, to a grey level."""
    array = noisy((24, TILE + 61, 3))
    Image.fromarray(array).save(tmp_path / "a.png")
    assert call("reconstruct", trained, tmp_path / "a.png", "--out", tmp_path / "b.png")[0] == 0
    y = torch.from_numpy(array.astype(np.float32) / 255).permute(2, 0, 1)[None]
    with torch.inference_mode():
        whole = 255 * load_trained(trained).network(y)[0].permute(1, 2, 0).clamp(0, 1).numpy()
    with Image.open(tmp_path / "b.png") as image:
        assert np.abs(np.asarray(image) - whole).max() < 0.51


def test_inside_the_directory_of_the_run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(noisy((16, 16, 3))).save(tmp_path / "a.png")
    monkeypatch.chdir(trained)
    code, _, err = call("reconstruct", ".", tmp_path / "a.png", "--out", tmp_path / "b.png")
    assert code == 0, err


def test_a_folder(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(noisy((16, 16, 3))).save(tmp_path / "in" / name)
    assert call("reconstruct", trained, tmp_path / "in", "--out", tmp_path / "out")[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]


def test_folders_of_scenes(trained: Path, tmp_path: Path) -> None:
    """As those of pairs; where the reconstructions lie within, they are not taken for images the next time."""
    given = tmp_path / "in"
    for name in ("s1/a.png", "s1/b.png", "s2/a.png", "c.png"):
        (given / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy((16, 16, 3))).save(given / name)
    for _ in range(2):
        assert call("reconstruct", trained, given, "--out", given / "out")[0] == 0
        written = sorted(path.relative_to(given / "out").as_posix() for path in (given / "out").rglob("*.*"))
        assert written == ["c.png", "s1/a.png", "s1/b.png", "s2/a.png"]


def test_a_folder_that_cannot_work(trained: Path, tmp_path: Path) -> None:
    """Nothing is written, and nothing that was given is replaced."""
    given, out = tmp_path / "in", tmp_path / "out"
    given.mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(noisy((16, 16, 3))).save(given / name)
    before = (given / "a.png").read_bytes()
    (tmp_path / "file").write_text("in the way")
    assert "is a file" in refused("reconstruct", trained, given, "--out", tmp_path / "file")
    assert "is an image that is given" in refused("reconstruct", trained, given, "--out", given)
    assert "is an image that is given" in refused("reconstruct", trained, given / "a.png", "--out", given / "a.png")
    Image.fromarray(noisy((16, 16, 3))).save(given / "a.jpg")
    assert "would both be written" in refused("reconstruct", trained, given, "--out", out)
    (given / "a.jpg").unlink()
    (given / "c.png").write_text("These are words.")
    assert "c.png" in refused("reconstruct", trained, given, "--out", out)
    assert not out.exists() and (given / "a.png").read_bytes() == before
    assert (tmp_path / "file").read_text() == "in the way"


def test_hidden_files_and_folders_are_no_images(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "sub.png").mkdir(parents=True)
    (tmp_path / "in" / "._a.png").write_bytes(b"what some systems leave behind")
    Image.fromarray(noisy((16, 16, 3))).save(tmp_path / "in" / "a.png")
    assert call("reconstruct", trained, tmp_path / "in", "--out", tmp_path / "out")[0] == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_a_run_that_is_not_done(trained: Path, tmp_path: Path) -> None:
    Image.fromarray(noisy((16, 16, 3))).save(tmp_path / "a.png")
    copy = tmp_path / trained.name
    copy.mkdir()
    record = json.loads((trained / "result.json").read_text()) | {"status": "diverged", "reason": "not finite"}
    del record["sha256"]  # results that were written before there were sums have none
    (copy / "result.json").write_text(json.dumps(record))
    (copy / "weights.safetensors").write_bytes((trained / "weights.safetensors").read_bytes())
    words = ("reconstruct", copy, tmp_path / "a.png", "--out", tmp_path / "b.png")
    assert "choose a run that is done" in refused(*words) and not (tmp_path / "b.png").exists()


def test_tiles_agree_with_the_whole(trained: Path) -> None:
    """Without normalisation over the image, tiles change nothing."""
    model = load_trained(trained)
    y = torch.rand(1, 3, 70, 91)
    with torch.inference_mode():
        whole = model.network(y)
        parts = tiled(model, y, tile=32)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "network", [Network(family="resnet", width=4, depth=1), Network(family="shrinkage", width=4, depth=1),
                Network(family="shrinkage-unet", width=4, depth=1), Network(width=2, depth=3, norm="none"),
                Network(family="drunet", width=2, depth=1)],
    ids=lambda network: network.family)  # fmt: skip
def test_tiles_show_networks_the_same_blocks_as_the_whole(network: Network) -> None:
    """Networks that halve images or take 2 x 2 pixels together change with where a tile begins."""
    problem = DenoisingProblem(kind="denoising")
    run = Run(problem=problem, images=Images(source="deadleaves", val=1, test=1), n=1, network=network, recipe=Recipe())
    torch.manual_seed(0)
    model = Trained(run, build(network, input_spec(problem, 1)).eval(), 1)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight += 0.1 * torch.randn_like(weight)
    y = torch.rand(1, 1, 40, 579)
    with torch.inference_mode():
        whole, parts = model.of_image(y), tiled(model, y, tile=32)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-5)


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
