"""The linear limit of a user's own images, and the explanation that a study keeps."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from reconscale.data.sources import list_bundled
from reconscale.errors import UserError
from reconscale.results import Folder
from reconscale.study import Images, load_study

from .calling import call, refused


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Bundled photographs as PNG files, 96 x 96, grey."""
    place = tmp_path_factory.mktemp("photographs")
    listing = list_bundled(Images(source="bundled", val=1, test=1), None)
    for index in range(6):
        image = np.asarray(listing.load(index))
        flat = image[..., :3].mean(2) if image.shape[2] > 1 else image[..., 0]
        Image.fromarray(flat[:96, :96].astype(np.uint8)).save(place / f"{index}.png")
    return place


def computed(*words):
    code, out, err = call("theory", "from-images", *words, "--json")
    assert code == 0, err
    return json.loads(out, parse_constant=pytest.fail)


def test_curve_falls_to_its_floor(photographs):
    record = computed(photographs, "--patch", 4, "--n", "3,10", "--n", "1e5", "--within", 0.05)
    mse = record["curve"]["mse"]
    assert record["images"] == record["available"] == 6
    assert mse[0] > mse[1] > mse[2] >= record["floor"] > 0
    assert mse[2] == pytest.approx(record["floor"], rel=1e-3)
    assert record["curve"]["psnr"][0] == pytest.approx(-10 * np.log10(mse[0]))
    found = record["within"]["0.05"]
    reached = computed(photographs, "--patch", 4, "--n", str(round(found)))["curve"]["mse"][0]
    assert 10 * np.log10(reached / record["floor"]) == pytest.approx(0.05, abs=0.02)
    assert any("6 images" in caution for caution in record["cautions"])


@pytest.mark.parametrize(
    "problem",
    [
        ("denoising", "--sigma", "10"),
        ("superresolution", "--factor", "4", "--sigma", "0"),
        ("masked-fourier", "--acceleration", "2"),
        ("inpainting", "--keep", "0.5"),
        ("compressed-sensing", "--keep", "0.5"),
    ],
)
def test_every_problem(photographs, problem):
    record = computed(photographs, "--problem", *problem, "--n", "3,30", "--counts", "images", "--patch", 4)
    assert record["problem"] == problem[0]
    assert 0 < record["floor"] <= record["curve"]["mse"][1] < record["curve"]["mse"][0] < record["curve"]["power"]


def test_told_in_words_and_saved(photographs, tmp_path):
    out = tmp_path / "linear.csv"
    code, said, err = call("theory", "from-images", photographs, "--n", "100,1000", "--counts", "patches", "--out", out)
    assert code == 0, err
    assert "an explanation, not a forecast" in " ".join(said.split())
    assert "limit (Wiener filter)" in said
    assert "caution: All patches are from 6 images" in said
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [float(row["n"]) for row in rows] == [100, 1000]
    assert "already exists" in refused("theory", "from-images", photographs, "--out", out)


def test_few_images_are_warned_about(photographs):
    code, said, _ = call("theory", "from-images", photographs, "--patch", 4)
    assert code == 0 and "overlapping patches" in said and "too optimistic" not in said
    assert said.index(" 3 ") < said.index(" 10 ") < said.index(" 60 ")
    code, said, _ = call("theory", "from-images", photographs, "--patch", 4, "--n", 2, "--within", 3)
    assert code == 0 and "caution: below n = 3 images the curve is too optimistic" in said
    assert "within 3 dB of it with 3 images or fewer" in said


def test_same_numbers_every_time(photographs):
    words = (photographs, "--patch", 4, "--n", 10)
    assert computed(*words) == computed(*words)
    assert computed(*words) != computed(*words, "--seed", 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--problem", "deblurring"), "--problem: found 'deblurring'"),
        (("--problem", "superresolution", "--factor", "3"), "3 does not divide a patch of 8 x 8"),
        (("--patch", "1"), "found 1; a whole number from 2 to 32"),
        (("--patch", "97"), "found 97"),
        (("--sigma=-2",), "--sigma: found -2"),
        (("--keep", "0.5"), "--keep: has no meaning for denoising"),
        (("--counts", "pixels"), "counts: found 'pixels'"),
        (("--within", "0"), "--within: found 0"),
        (("--within", "nan"), "--within: found nan"),
        (("--channels", "grey"), "did you mean 'gray'?"),
        (("--n", "0.5"), "--n: found 0.5"),
        (("--data", "."), "is no study"),
        (("--seed=-1",), "--seed: found -1"),
        (("--out", "curve.txt"), "does not end in .csv"),
    ],
)
def test_refusals(photographs, words, said):
    assert said in refused("theory", "from-images", photographs, *words)


def test_places_without_images_are_refused(tmp_path):
    assert "is not there" in refused("theory", "from-images", tmp_path / "nowhere")
    assert "holds no PNG, JPEG, TIFF, BMP or WebP image" in refused("theory", "from-images", tmp_path)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    assert "broken.png" in refused("theory", "from-images", tmp_path)


def test_too_few_and_flat_images_are_refused(tmp_path):
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "a.png")
    assert "at least 65 are needed" in refused("theory", "from-images", tmp_path)
    Image.fromarray(np.full((64, 64), 7, np.uint8)).save(tmp_path / "a.png")
    assert "are all the same" in refused("theory", "from-images", tmp_path)


def test_needs_no_torch(photographs):
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom reconscale.cli import app\n"
        "result = CliRunner().invoke(app, ['theory', 'from-images', *sys.argv[1:]])\n"
        "assert result.exit_code == 0, result.output\n"
        "print(sorted({'torch', 'deepinv', 'cv2', 'skimage'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(photographs), "--n", "10", "--patch", "4"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_a_study_gives_images_problem_and_noise(tiny_study):
    record = computed(tiny_study, "--patch", 4, "--n", 4)
    assert record["problem"] == "denoising"
    assert record["sigma"] == pytest.approx(25 / 255)
    assert record["available"] == 8
    other = computed(tiny_study, "--patch", 4, "--n", 4, "--sigma", 10)
    assert other["floor"] < record["floor"]


def explained(tiny_study):
    from reconscale.data import open_images
    from reconscale.training.linear_explanation import explanation

    study = load_study(tiny_study)
    images = open_images(study.images)
    return explanation(study, images, Folder.beside(tiny_study), lambda *_: None)


def test_a_study_keeps_its_explanation(tiny_study):
    record = explained(tiny_study)
    path = Folder.beside(tiny_study).root / "theory" / "explanation.json"
    first = path.read_bytes()
    assert json.loads(first) == record
    assert {4.0, 8.0, 80.0} <= set(record["curve"]["n"]) and min(record["curve"]["n"]) >= 3  # below, it is not true
    assert 0 < record["floor"] < record["curve"]["mse"][-1] < record["curve"]["mse"][0]
    stamp = path.stat().st_mtime_ns
    assert explained(tiny_study) == record
    assert path.stat().st_mtime_ns == stamp  # not made twice
    path.unlink()
    explained(tiny_study)
    assert path.read_bytes() == first
    tiny_study.write_text(tiny_study.read_text().replace('kind = "denoising"', 'kind = "denoising"\nsigma = 50'))
    assert explained(tiny_study)["floor"] > record["floor"]
    path.write_text("{")
    with pytest.raises(UserError, match="delete it; `reconscale run` writes it again"):
        explained(tiny_study)


def test_what_cannot_be_explained_is_said_and_does_not_stop_a_study(tiny_study):
    small = {
        "size = 32": "size = 16",
        "total = 12": "total = 5",
        "n = [2, 4, 8]": "n = [1]",
        "seed = [0, 1]": "seed = [0]",
    }
    text = tiny_study.read_text()
    for before, after in small.items():
        text = text.replace(before, after)
    tiny_study.write_text(text)
    assert "for a covariance of 192 values" in explained(tiny_study)["lacking"]
    assert call("run", tiny_study, "--keep-going")[0] == 0
    assert call("report", tiny_study)[0] == 0
    assert "Why the curve flattens" not in (tiny_study.parent / "report" / "report.html").read_text()
