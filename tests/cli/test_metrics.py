"""The same images under every convention."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

from reconscale.errors import UserError
from reconscale.physics.metric_conventions import conventions
from tests import phantoms

from .calling import call


def pair(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    truth = phantoms.images(4, (40, 36), seed)
    rng = np.random.default_rng(seed)
    return truth + 5e-6 * rng.standard_normal(truth.shape).astype(np.complex64), truth


def test_formats_agree(tmp_path: Path) -> None:
    found, truth = (np.abs(v) for v in pair())
    np.save(tmp_path / "a.npy", found)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["reconstruction_rss"] = truth
    code, out, err = call("metrics", tmp_path / "a.npy", tmp_path / "b.h5", "--json")
    assert code == 0, err
    values = {row["name"]: row["value"] for row in json.loads(out)}
    direct = {row.name: row.value for row in conventions(found, truth)}
    assert values == pytest.approx(direct)
    assert len(values) > 8 and len({round(v, 3) for name, v in values.items() if "SSIM" in name}) > 1


def test_values_from_outside() -> None:
    found, truth = (np.abs(v).astype(np.float64) for v in pair(3))
    values = {row.name: row.value for row in conventions(found, truth)}
    top = truth[:, 2:38].max()
    wang = [structural_similarity(t, f, data_range=truth.max(), gaussian_weights=True, sigma=1.5,
                                  use_sample_covariance=False) for t, f in zip(truth, found, strict=True)]  # fmt: skip
    assert values["SSIM, Gaussian window"] == pytest.approx(np.mean(wang), abs=1e-9)
    cut = [structural_similarity(t[2:38], f[2:38], data_range=top) for t, f in zip(truth, found, strict=True)]
    assert values["ssim-fastmri-volume-v1"] == pytest.approx(np.mean(cut), abs=1e-6)


def test_complex_values_are_compared_as_such() -> None:
    found, truth = pair()
    values = {row.name: row.value for row in conventions(found * np.exp(1j), truth)}
    assert values["nmse-complex"] > 0.5 > values["nmse-fastmri-volume-v1"]


def test_photographs(tmp_path: Path) -> None:
    image = (np.random.default_rng(0).random((20, 24, 3)) * 255).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.fromarray(np.minimum(image, 250)).save(tmp_path / "b.png")
    code, out, err = call("metrics", tmp_path / "a.png", tmp_path / "b.png")
    assert code == 0, err
    assert "psnr-rgb-clip" in out and "PSNR, 8 bit" in out and "fastmri" not in out


@pytest.mark.parametrize(
    "name, content, sentence",
    [
        ("a.npy", np.ones((3, 20, 20, 2)), "expected (H, W) or (slices, H, W)"),
        ("a.npy", np.full((5, 20, 20), np.nan), "holds NaN"),
        ("a.npy", np.ones((2, 20, 20)), "hold images of shapes (2, 20, 20) and (5, 20, 20)"),
        ("a.npy", np.ones((3, 20, 20)), "(3, 20, 20), and 3 may count slices or colours; save one RGB image as"),
        ("a.npy", np.zeros((20, 20, 4), np.uint8), "has transparent pixels"),
        ("a.npy", np.array([{}], dtype=object), "it holds Python objects"),
        ("a.txt", None, "is of no kind that is known here"),
        ("a.h5", None, "cannot be read as HDF5"),
        ("missing.npy", None, "does not exist"),
    ],
)
def test_mistakes(tmp_path: Path, name: str, content: np.ndarray | None, sentence: str) -> None:
    np.save(tmp_path / "truth.npy", np.ones((5, 20, 20)))
    if content is not None:
        np.save(tmp_path / name, content, allow_pickle=True)
    elif name != "missing.npy":
        (tmp_path / name).write_text("x")
    code, _, err = call("metrics", tmp_path / name, tmp_path / "truth.npy")
    assert code == 2 and sentence in " ".join(err.split()) and "Traceback" not in err


@pytest.mark.parametrize("coils, expected", [(1, "reconstruction_esc"), (4, "reconstruction_rss")])
def test_the_truth_of_fastmri_files(tmp_path: Path, coils: int, expected: str) -> None:
    _, truth = (np.abs(v) for v in pair())
    with h5py.File(tmp_path / "found.h5", "w") as file:
        file["reconstruction"] = truth
    with h5py.File(tmp_path / "truth.h5", "w") as file:
        file["kspace"] = np.zeros((4, coils, 40, 36), np.complex64)
        for name in ("reconstruction_esc", "reconstruction_rss"):
            file[name] = truth if name == expected else 2 * truth
    code, out, err = call("metrics", tmp_path / "found.h5", tmp_path / "truth.h5")
    assert code == 0, err
    assert "100.00 dB" in out and f"truth.h5: {expected}" in out


def test_negative_values_are_not_made_positive() -> None:
    found, truth = (np.abs(v).astype(np.float64) for v in pair())
    signed = np.where(np.arange(36) % 2, found, -found)
    direct = {row.name: row.value for row in conventions(signed, truth)}
    assert direct["nmse-fastmri-volume-v1"] > 0.5
    with pytest.raises(UserError, match="the truth: holds values from .* no magnitudes"):
        conventions(found, truth - truth.mean())


def test_small_images_are_refused() -> None:
    with pytest.raises(UserError, match="SSIM needs 11 x 11"):
        conventions(np.ones((1, 9, 30)), np.ones((1, 9, 30)))


def values_of(*names: Path) -> dict[str, float]:
    code, out, err = call("metrics", *names, "--json")
    assert code == 0 and not err, err
    return {row["name"]: row["value"] for row in json.loads(out)}


def test_colours_and_grey_values_in_arrays_are_those_of_image_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, shape in (("colour", (20, 24, 3)), ("grey", (20, 24))):
        truth = (rng.random(shape) * 255).astype(np.uint8)
        found = np.minimum(truth, 250)
        files = [tmp_path / f"{name}-{which}.png" for which in ("found", "truth")]
        for path, image in zip(files, (found, truth), strict=True):
            Image.fromarray(image).save(path)
        expected = pytest.approx(values_of(*files))
        forms = [truth, truth / 255, truth[None]]
        if name == "colour":
            opaque = np.full((20, 24, 1), 255, np.uint8)
            forms += [np.concatenate([truth, opaque], -1)]
        for number, form in enumerate(forms):
            np.save(tmp_path / f"{name}{number}.npy", form)
            assert values_of(files[0], tmp_path / f"{name}{number}.npy") == expected
    np.save(tmp_path / "a.npy", np.minimum(forms[0], 250))
    assert "nmse-fastmri-volume-v1" in values_of(tmp_path / "a.npy", tmp_path / "grey0.npy")


def test_slices_with_an_axis_of_one_are_slices(tmp_path: Path) -> None:
    found, truth = (np.abs(v)[:3] for v in pair())
    for name, array in (("found", found), ("truth", truth)):
        np.save(tmp_path / f"{name}.npy", array[..., None])
    direct = {row.name: row.value for row in conventions(found, truth)}
    assert values_of(tmp_path / "found.npy", tmp_path / "truth.npy") == pytest.approx(direct)


def test_files_in_different_units_are_said(tmp_path: Path) -> None:
    truth = np.random.default_rng(0).random((20, 24, 3))
    np.save(tmp_path / "truth.npy", truth)
    for found, says in (
        (255 * truth, "if they are in different units, as 0 to 255 beside 0 to 1"),
        (2 * truth - 1, "if black is not 0 in both, as with values from -1 to 1"),
    ):
        np.save(tmp_path / "found.npy", found)
        code, _, err = call("metrics", tmp_path / "found.npy", tmp_path / "truth.npy")
        assert code == 0 and says in " ".join(err.split())
