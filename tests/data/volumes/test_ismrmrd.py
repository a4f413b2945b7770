"""ISMRMRD raw data: which acquisitions are lines of images, what is told apart, and what is refused."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reconscale.data import open_images
from reconscale.data.volumes.ismrmrd_files import list_ismrmrd
from reconscale.data.volumes.scan import VolumeInfo
from reconscale.data.volumes.transforms import center, root_sum_of_squares, to_image, to_kspace
from reconscale.data.volumes.volume_set import Slices
from reconscale.errors import UserError
from reconscale.study import Images
from tests.raw_data import acquisition, lines_of, oversampled, phantom, write_raw, write_scans

pytest.importorskip("ismrmrd")


def scans(place: Path, **options: Any) -> tuple[VolumeInfo, ...]:
    return list_ismrmrd(Images(source="ismrmrd", val=1, test=1, **options), place).volumes


def test_the_image_is_that_of_the_lines(tmp_path: Path) -> None:
    """Slices interleave, the readout is oversampled twice, and noise and navigators are no lines."""
    write_scans(tmp_path, 1)
    listing = list_ismrmrd(Images(source="ismrmrd", val=1, test=1), tmp_path)
    (scan,) = listing.volumes
    assert (scan.name, scan.patient, scan.acquisition, scan.count, scan.shape) == (
        "scan0.h5",
        "p0",
        "T2w",
        3,
        (2, 32, 48),
    )
    for index in range(3):
        truth = phantom(index, 2, 32, 48)
        np.testing.assert_allclose(to_image(scan.read(index)), truth, atol=1e-5)
    assert listing.left_out == (("scan0.h5, 2 acquisitions", "are no lines of an image: 1 navigator, 1 noise scan"),)


def test_orthonormal_and_of_the_same_noise(tmp_path: Path) -> None:
    """Without its oversampling, white noise has the same standard deviation."""
    rng = np.random.default_rng(0)
    noise = np.asarray(rng.normal(size=(1, 64, 48)) + 1j * rng.normal(size=(1, 64, 48)), np.complex64)
    write_raw(tmp_path / "a.h5", lines_of(noise))
    (scan,) = scans(tmp_path)
    assert np.std(scan.read(0)) == pytest.approx(np.std(noise), rel=0.03)


def test_averages_contrasts_and_repetitions_are_not_mixed(tmp_path: Path) -> None:
    made = []
    for contrast in range(2):
        for repetition in range(3):
            kspace, _ = oversampled(10 * contrast + repetition)
            made += lines_of(kspace, contrast=contrast, repetition=repetition)
    write_raw(tmp_path / "a.h5", made)
    found = {scan.name: scan for scan in scans(tmp_path)}
    assert list(found) == [f"a.h5/contrast-{c}-repetition-{r}" for c in range(2) for r in range(3)]
    for name, scan in found.items():
        seed = 10 * int(name.split("-")[1]) + int(name[-1])
        np.testing.assert_allclose(to_image(scan.read(0)), phantom(seed, 2, 32, 48), atol=1e-5)
    assert {scan.patient for scan in found.values()} == {"a.h5"}  # one unit: a split must not part them
    assert found["a.h5/contrast-1-repetition-0"].acquisition == "T2w contrast 1 repetition 0"


def test_calibration_lines_that_are_also_lines_of_the_image_count(tmp_path: Path) -> None:
    kspace, image = oversampled(0)
    made = [acquisition(kspace[:, :, s], s, *(["IS_PARALLEL_CALIBRATION", "IS_PARALLEL_CALIBRATION_AND_IMAGING"]
                                              if 20 <= s < 28 else [])) for s in range(48)]  # fmt: skip
    made += [acquisition(0 * kspace[:, :, s], s, "IS_PARALLEL_CALIBRATION") for s in range(20, 28)]
    write_raw(tmp_path / "a.h5", made)
    (scan,) = scans(tmp_path)
    np.testing.assert_allclose(to_image(scan.read(0)), image, atol=1e-5)


def test_fewer_lines_and_an_asymmetric_echo_are_placed_by_their_centres(tmp_path: Path) -> None:
    """What was not measured around them is 0."""
    full = to_kspace(phantom(3, 2, 64, 48))
    made = [acquisition(full[:, 16:, step + 4], step, centre=16) for step in range(40)]
    write_raw(tmp_path / "a.h5", made, fov_x=256, recon=64, last=39, center=20)
    (scan,) = scans(tmp_path)
    expected = np.zeros_like(full)
    expected[:, 16:, 4:44] = full[:, 16:, 4:44]
    np.testing.assert_array_equal(scan.read(0), expected)


def test_samples_to_discard_do_not_count(tmp_path: Path) -> None:
    full = to_kspace(phantom(3, 2, 64, 48))
    made = [acquisition(full[:, :, step], step, discard_pre=4, discard_post=2) for step in range(48)]
    write_raw(tmp_path / "a.h5", made, fov_x=256, recon=64)
    values = scans(tmp_path)[0].read(0)
    np.testing.assert_array_equal(values[:, 4:62], full[:, 4:62])
    assert not values[:, :4].any() and not values[:, 62:].any()


def test_a_study_opens_them(tmp_path: Path) -> None:
    write_scans(tmp_path / "data", 4)
    images = Images(source="ismrmrd", val=1, test=1)
    found = open_images(images, data=tmp_path / "data", cache=tmp_path / "cache")
    train = found.train
    assert isinstance(train, Slices) and found.available == 2 and len(train) == 6
    one = pickle.loads(pickle.dumps(train)).slice(0)  # as workers get them
    seed = 100 * int(one.volume[4])
    np.testing.assert_allclose(one.truth, np.sqrt((np.abs(phantom(seed, 2, 32, 48)) ** 2).sum(0)), atol=1e-5)
    np.testing.assert_allclose(root_sum_of_squares(one.kspace), center(one.truth, 32, 48), atol=1e-5)
    assert ("scan0.h5, 2 acquisitions", "are no lines of an image: 1 navigator, 1 noise scan") in found.skipped


def full() -> np.ndarray:
    return oversampled(0)[0]


REFUSED: dict[str, tuple[Callable[[], list[Any]], dict[str, Any], str]] = {
    "undersampled": (lambda: lines_of(full(), keep=lambda s: s % 2 == 0), {}, r"24 of 47 lines of slice 0.*no ground"),
    "not Cartesian": (lambda: lines_of(full()), {"trajectory": "spiral"}, "along a spiral trajectory; grid it first"),
    "three dimensions": (
        lambda: lines_of(full()) + lines_of(full(), kspace_encode_step_2=1), {}, r"three-dimensional \(2 partitions"
    ),
    "echo-planar": (lambda: [acquisition(full()[:, :, s], s, "IS_REVERSE") for s in range(48)], {}, "backwards"),
    "a line twice": (lambda: lines_of(full()) + lines_of(full())[:1], {}, "1 lines of slice 0 more than once"),
    "noise alone": (lambda: [acquisition(full()[:, :, 0], 0, "IS_NOISE_MEASUREMENT")], {}, "no line of an image .1 no"),
    "nothing": (list, {}, "holds|has"),
    "lengths": (lambda: [*lines_of(full())[:-1], acquisition(full()[:, 4:, 47], 47)], {}, "of different lengths"),
    "outside": (lambda: lines_of(full()), {"center": 2, "y": 40}, "outside the 40 that it encodes"),
    "too long": (lambda: lines_of(full()), {"x": 32, "fov_x": 256}, "64 samples centred at 32, which do not fit"),
    "another encoding": (lambda: lines_of(full(), encoding_space_ref=3), {}, "does not describe"),
    "entities": (lambda: lines_of(full()), {"protocol": "T2", "patient": ""}, "no plain XML"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str, tmp_path: Path) -> None:
    made, header, message = REFUSED[name]
    write_raw(tmp_path / "a.h5", made(), **header)
    if name == "entities":
        import h5py

        with h5py.File(tmp_path / "a.h5", "a") as file:
            text = file["dataset/xml"][0].replace(b"?>", b'?><!DOCTYPE a [<!ENTITY b "c">]>', 1)
            file["dataset/xml"][0] = text
    with pytest.raises(UserError, match=message) as caught:
        scans(tmp_path)
    assert "\n" not in str(caught.value)


def test_several_groups_are_named(tmp_path: Path) -> None:
    for group in ("first", "second"):
        write_raw(tmp_path / "a.h5", lines_of(full()), group=group)
    with pytest.raises(UserError, match=r"holds 2 groups of acquisitions \(first, second\)"):
        scans(tmp_path)
    assert len(scans(tmp_path, dataset="second")) == 1


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    write_scans(tmp_path, 1)
    monkeypatch.setitem(sys.modules, "ismrmrd", None)
    with pytest.raises(UserError, match=r"needs the package ismrmrd, .*pip install 'reconscale\[ismrmrd\]'"):
        scans(tmp_path)


STRESS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from reconscale.data.volumes.ismrmrd_files import list_ismrmrd
from reconscale.study import Images
scans = list_ismrmrd(Images(source="ismrmrd", val=1, test=1), Path(sys.argv[1])).volumes
with ThreadPoolExecutor(8) as pool:
    sums = list(pool.map(lambda k: abs(scans[k % 2].read(k % 3)).sum(), range(400)))
assert len({round(float(value), 3) for value in sums}) == 6
"""


def test_threads_read_at_the_same_time(tmp_path: Path) -> None:
    """Without a lock h5py crashes here, in a process of its own so that the others go on."""
    write_scans(tmp_path, 2)
    ended = subprocess.run([sys.executable, "-c", STRESS, tmp_path], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
