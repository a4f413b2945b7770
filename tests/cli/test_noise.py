"""The verb noise, as a person uses it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from reconscale.cli.app import app
from reconscale.data import write_image
from reconscale.study import load_study

from ..data.test_noise_level import noisy, pictures


def say(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["noise", *map(str, words)])
    return done.exit_code, done.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for index, image in enumerate(pictures(3)):
        (tmp_path / f"scene{index}").mkdir()
        for copy in range(2):
            pixels = np.round(255 * noisy(image, 6, 600, rng)).astype(np.uint8)
            write_image(tmp_path / f"scene{index}" / f"{copy}.png", pixels)
    return tmp_path


def test_copies_give_the_lines_of_a_study_that_opens(folder: Path, tmp_path: Path) -> None:
    code, out = say(folder, "--copies")
    assert code == 0 and "caution" not in out and "3 scenes of up to 2 copies" in out
    lines = out.partition("in a study file:\n")[2]
    study = tmp_path / "study.toml"
    study.write_text(
        'name = "x"\n'
        + lines
        + '\n[images]\nsource = "deadleaves"\nsize = 64\ntotal = 30\npatch = 32\nval = 4\ntest = 4\n'
        '[network]\nfamily = "unet"\n[sweep]\nn = [4, 8]\nwidth = [4]\nseed = [0]\n[recipe]\nsteps = 20\n'
    )
    problem = load_study(study).problem
    assert problem.sigma == pytest.approx(6, abs=0.4) and problem.photons == pytest.approx(600, rel=0.08)


def test_json_and_one_copy(folder: Path) -> None:
    code, out = say(folder, "--json")
    found = json.loads(out)
    assert code == 0 and found["copies"] == 1 and found["images"] == 6 and found["white"] is True
    assert found["sigma"] == pytest.approx(6, abs=0.8) and len(found["means"]) == len(found["deviations"])
    assert "caution: of one copy, fine texture counts as noise" in say(folder)[1]


def test_gaussian_noise_has_no_photons_and_the_lines_of_one_copy_open(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for index, image in enumerate(pictures(4)):
        write_image(tmp_path / f"{index}.png", np.round(255 * noisy(image, 12, None, rng)).astype(np.uint8))
    code, out = say(tmp_path)
    assert code == 0 and "Poisson part: none was found" in out and "photons =" not in out
    lines = out.partition("in a study file:\n")[2]
    study = tmp_path / "study.toml"
    study.write_text('version = 2\nname = "x"\n' + lines + '\n[images]\nsource = "folder"\nval = 1\ntest = 1\n'
                     "[sweep]\nn = [1]\nwidth = [4]\n")  # fmt: skip
    made = load_study(study)
    assert made.problem.truth == "noisy" and made.recipe.loss == "neighbor2neighbor"
    assert made.problem.sigma == pytest.approx(12, abs=0.6)


def test_twelve_bits_in_sixteen_are_asked_about_and_scaled_by_range(tmp_path: Path) -> None:
    rng, stack = np.random.default_rng(0), []
    image = next(pictures(1))[..., 0]
    for _ in range(5):
        stack.append(np.round(64 + 3800 * image + 30 * rng.standard_normal(image.shape)).clip(0, 4095))
    tifffile.imwrite(
        tmp_path / "stack.tif", np.stack(stack).astype(np.uint16), photometric="minisblack", metadata={"axes": "ZYX"}
    )
    assert "give --range" in say(tmp_path, "--copies")[1]
    code, out = say(tmp_path, "--copies", "--range", 64, 4095, "--json")
    assert code == 0 and json.loads(out)["sigma"] == pytest.approx(30 / 4031 * 255, rel=0.03)


STUDY = (
    '\n[images]\nsource = "deadleaves"\nsize = 64\ntotal = 30\npatch = 32\nval = 4\ntest = 4\n'
    '[network]\nfamily = "unet"\n[sweep]\nn = [4, 8]\nwidth = [4]\nseed = [0]\n[recipe]\nsteps = 20\n'
)


def test_a_camera_in_the_numbers_of_its_data_sheet(tmp_path: Path) -> None:
    """What is printed is what made the images, and a study takes it."""
    rng, (image,) = np.random.default_rng(0), pictures(1)
    gain, read_noise, black, white = 0.5, 12.0, 100, 3100
    (tmp_path / "scene").mkdir()
    for copy in range(6):
        electrons = rng.poisson(gain * (white - black) * image) + read_noise * rng.standard_normal(image.shape)
        values = np.round(black + electrons / gain).clip(0, 65535).astype(np.uint16)
        write_image(tmp_path / "scene" / f"{copy}.png", values)
    code, out = say(tmp_path, "--copies", "--range", black, white)
    assert code == 0
    line = next(line for line in out.splitlines() if line.startswith("as a camera"))
    camera = line.partition("camera = ")[2].partition("}")[0] + "}"
    study = 'name = "x"\n[problem]\nkind = "denoising"\ncamera = ' + camera + STUDY
    images = f'[images]\nrange = [{black}, {white}]\nsource = "folder"'
    (tmp_path / "study.toml").write_text(study.replace('[images]\nsource = "deadleaves"', images))
    problem = load_study(tmp_path / "study.toml").problem
    assert problem.camera.gain == pytest.approx(gain, rel=0.1) and problem.camera.black == black
    assert problem.camera.read_noise == pytest.approx(read_noise, rel=0.1)
    assert problem.photons == pytest.approx(gain * (white - black), rel=0.1)


@pytest.mark.parametrize(("sigma", "photons"), [(0.6, None), (0.2, 300)])
def test_little_noise_gives_lines_that_a_study_takes(tmp_path: Path, sigma: float, photons: float | None) -> None:
    """Levels below 1 of 255 are refused in a study file unless it says that they are meant."""
    rng, (image,) = np.random.default_rng(0), pictures(1)
    (tmp_path / "scene").mkdir()
    for copy in range(4):
        counted = rng.poisson(image * photons) / photons if photons else image
        pixels = (counted + sigma / 255 * rng.standard_normal(image.shape)).clip(0, 1)
        write_image(tmp_path / "scene" / f"{copy}.png", np.round(65535 * pixels).astype(np.uint16))
    code, out = say(tmp_path, "--copies")
    assert code == 0
    (tmp_path / "study.toml").write_text('name = "x"\n' + out.partition("in a study file:\n")[2] + STUDY)
    problem = load_study(tmp_path / "study.toml").problem
    assert problem.sigma == pytest.approx(sigma, abs=0.05 if photons is None else 1)


def test_copies_of_other_scenes_are_refused_and_flicker_is_said(tmp_path: Path) -> None:
    rng, images = np.random.default_rng(0), list(pictures(3))
    for index, image in enumerate(images):
        (tmp_path / "others").mkdir(exist_ok=True)
        write_image(tmp_path / "others" / f"{index}.png", np.round(255 * noisy(image, 10, None, rng)).astype(np.uint8))
    code, out = say(tmp_path / "others", "--copies")
    assert code == 2 and "others" in out and "give copies of one scene" in " ".join(out.split())
    (tmp_path / "flicker").mkdir()
    for copy, exposure in enumerate((0.95, 1.0, 1.05, 0.93)):
        pixels = np.round(255 * noisy(exposure * images[0], 10, None, rng)).astype(np.uint8)
        write_image(tmp_path / "flicker" / f"{copy}.png", pixels)
    code, out = say(tmp_path / "flicker", "--copies")
    assert code == 0 and "the exposure flickered" in out
    (cautions,) = (json.loads(say(tmp_path / "flicker", "--copies", "--json")[1])["cautions"],)
    assert len(cautions) == 1 and "flickered" in cautions[0]


def test_of_many_copies_some_are_read(tmp_path: Path) -> None:
    rng, (image,) = np.random.default_rng(0), pictures(1, 64)
    for copy in range(45):
        write_image(tmp_path / f"{copy}.png", np.round(255 * noisy(image, 10, None, rng)).astype(np.uint8))
    assert json.loads(say(tmp_path, "--copies", "--json")[1])["copies"] == 15


def test_one_image_many_times_has_no_noise(tmp_path: Path) -> None:
    (image,) = pictures(1, 64)
    for copy in range(3):
        write_image(tmp_path / f"{copy}.png", np.round(255 * image).astype(np.uint8))
    code, out = say(tmp_path, "--copies")
    assert code == 2 and "copies without any difference" in " ".join(out.split())


def test_compressed_images_have_no_upper_bound(tmp_path: Path) -> None:
    """JPEG takes the finest noise away: what is left of 10 grey levels is below 2."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for index, image in enumerate(pictures(2)):
        pixels = np.round(255 * noisy(image, 10, None, rng)).astype(np.uint8)
        Image.fromarray(pixels[..., 0]).save(tmp_path / f"{index}.jpg", quality=75)
    code, out = say(tmp_path)
    assert code == 0 and "this is no bound" in out and "an upper bound" not in out


def test_files_of_two_kinds(tmp_path: Path) -> None:
    """12 bits in 16 beside 8 bits; white that no file can reach; NaN beside a range."""
    rng = np.random.default_rng(0)
    for index, image in enumerate(pictures(3, 192)):
        pixels = noisy(image, 10, None, rng)
        write_image(tmp_path / f"eight{index}.png", np.round(255 * pixels).astype(np.uint8))
        write_image(tmp_path / f"twelve{index}.png", np.round(4095 * pixels).astype(np.uint16))
    assert "no 16-bit file holds more than" in say(tmp_path)[1]
    code, out = say(tmp_path, "--range", 0, 4095)
    assert code == 2 and "holds at most 255 in each pixel" in " ".join(out.split())
    (tmp_path / "nan").mkdir()
    tifffile.imwrite(tmp_path / "nan" / "a.tif", np.full((64, 64), np.nan, np.float32))
    code, out = say(tmp_path / "nan", "--range", 0, 1000)
    assert code == 2 and "holds NaN" in " ".join(out.split())


def test_mistakes(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for words, part in (
        ((tmp_path / "no",), "is not a folder"),
        ((tmp_path / "empty",), "holds no"),
        ((folder, "--range", 5, 5), "no white above black"),
    ):
        code, out = say(*words)
        assert code == 2 and part in " ".join(out.split()) and "Traceback" not in out
    (folder / "scene0" / "1.png").unlink()
    code, out = say(folder, "--copies")
    assert code == 2 and "holds one image" in " ".join(out.split())
