"""K-space and images as people keep them: in MATLAB files, of other axes, undersampled, shifted, of another meaning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from reconscale.data import ImageSet, Slices, open_images
from reconscale.data.volumes.transforms import center, root_sum_of_squares, to_image
from reconscale.errors import UserError
from reconscale.study import Images
from tests import phantoms

Opened = Callable[..., ImageSet]
COMPOUND = np.dtype([("real", "<f4"), ("imag", "<f4")])


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    def make(source: str = "fastmri", **options: Any) -> ImageSet:
        images = Images.model_validate({"source": source, "val": 1, "test": 1, "folders": ("data",), **options})
        return open_images(images, data=tmp_path, cache=tmp_path / "cache")

    return make


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def train(images: ImageSet) -> Slices:
    assert isinstance(images.train, Slices)
    return images.train


def number_of(slices: Slices, index: int) -> int:
    return int(slices.names[index].split("/")[1][0])


def compound(values: np.ndarray) -> np.ndarray:
    found = np.empty(values.shape, COMPOUND)
    found["real"], found["imag"] = values.real, values.imag
    return found


def write_matlab(path: Path, version: str, **arrays: np.ndarray) -> None:
    """Arrays as MATLAB's ``size`` shows them, in a file of version 5 or 7.3."""
    if version == "5":
        scipy.io.savemat(path, arrays, do_compression=True)
        return
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            held = compound(values) if np.iscomplexobj(values) else values
            file.create_dataset(name, data=held.T).attrs["MATLAB_class"] = np.bytes_("single")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


class TestMatlab:
    @pytest.mark.parametrize("version", ["5", "7.3"])
    @pytest.mark.parametrize("source", ["fastmri", "kspace-array"])
    def test_k_space_of_frames(self, opened: Opened, data: Path, version: str, source: str) -> None:
        """(rows, columns, coils, slices, frames), as cardiac challenges give it."""
        for index in range(3):
            values = phantoms.kspace(6, 3, seed=10 * index).reshape(2, 3, 3, 32, 40)
            write_matlab(data / f"{index}.mat", version, kspace_full=values.transpose(3, 4, 2, 0, 1))
        slices = train(opened(source, axes="hwcst"))
        assert len(slices) == 6 and slices.described()["dtypes"] == {"complex64": 1}
        expected = phantoms.kspace(6, 3, seed=10 * number_of(slices, 0))
        for index in range(6):
            assert np.array_equal(slices.slice(index).kspace, expected[index])

    @pytest.mark.parametrize("source", ["fastmri", "kspace-array"])
    def test_last_axes_of_one_entry_are_left_out(self, opened: Opened, data: Path, source: str) -> None:
        """MATLAB drops them: coils must not become slices."""
        for index in range(3):
            values = phantoms.kspace(2, 3, seed=10 * index)
            write_matlab(data / f"{index}.mat", "7.3", kspace_full=values.transpose(2, 3, 1, 0))
        slices = train(opened(source, axes="hwcst"))
        assert slices.slice(1).shape[:3] == (3, 32, 40) and len(slices) == 2

    @pytest.mark.parametrize("version", ["5", "7.3"])
    def test_an_image_a_file(self, opened: Opened, data: Path, version: str) -> None:
        for index in range(3):
            write_matlab(data / f"{index}.mat", version, im_ori=phantoms.images(1, seed=index)[0])
        slices = train(opened("complex"))
        assert np.array_equal(slices.slice(0).image, phantoms.images(1, seed=number_of(slices, 0))[0])

    @pytest.mark.parametrize("version", ["5", "7.3"])
    def test_complex_images(self, opened: Opened, data: Path, version: str) -> None:
        for index in range(3):
            values = np.moveaxis(phantoms.images(4, seed=index), 0, 2)
            write_matlab(data / f"{index}.mat", version, img=values, maps=np.ones((3, 3)), other=values[..., :1])
        with pytest.raises(UserError, match=r"several arrays .*img 32 x 40 x 4.*images.dataset"):
            opened("complex")
        with pytest.raises(UserError, match=r"""of shape \(32, 40, 4\) in an order .*images.axes = "hws\""""):
            opened("complex", dataset="img")
        with pytest.raises(UserError, match=r"has no variable 'imgs'; .*did you mean 'img'"):
            opened("complex", dataset="imgs")
        slices = train(opened("complex", dataset="img", axes="hws"))
        assert np.array_equal(slices.slice(2).image, phantoms.images(4, seed=number_of(slices, 2))[2])

    def test_an_order_that_is_not_stated_is_told(self, opened: Opened, data: Path) -> None:
        for index in range(3):
            values = phantoms.kspace(8, 3, seed=index).reshape(2, 4, 3, 32, 40).transpose(3, 4, 2, 0, 1)
            write_matlab(data / f"{index}.mat", "7.3", kspace=values)
        with pytest.raises(UserError, match=r'which has 5 axes; .*for instance images.axes = "hwcst"'):
            opened()

    def test_slices_in_the_place_of_columns_are_told(self, opened: Opened, data: Path) -> None:
        for index in range(3):
            np.save(data / f"{index}.npy", phantoms.kspace(20, 2, seed=index).transpose(2, 1, 3, 0))
        with pytest.raises(UserError, match=r"has 20 columns of nearly equal energy .*look like slices.*images.axes"):
            opened("kspace-array")

    def test_files_beside_others_are_passed_over(self, opened: Opened, data: Path) -> None:
        for index in range(3):
            phantoms.write_fastmri(data / f"{index}.h5", phantoms.kspace(2, seed=index))
            write_matlab(data / f"maps{index}.mat", "5", maps=np.ones((3, 3)))
        images = opened()
        assert images.skipped[0][1] == "3 files, each of which is a MATLAB file beside files of another kind"

    @pytest.mark.parametrize("content", [b"", b"text", b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"\xff" * 9])
    def test_damage(self, opened: Opened, data: Path, content: bytes) -> None:
        (data / "a.mat").write_bytes(content)
        with pytest.raises(UserError, match=r"a.mat: (cannot be read as a MATLAB file|holds no array)"):
            opened()


class TestHDF5:
    @pytest.mark.parametrize("names", [("real", "imag"), ("re", "im"), ("Real", "Imag")])
    def test_real_and_imaginary_fields(self, opened: Opened, data: Path, names: tuple[str, str]) -> None:
        for index in range(3):
            values = compound(phantoms.kspace(2, seed=index)).view(np.dtype([(name, "<f4") for name in names]))
            phantoms.write_fastmri(data / f"{index}.h5", phantoms.kspace(2, seed=index), kspace=values)
        slices = train(opened())
        assert np.array_equal(slices.slice(1).kspace, phantoms.kspace(2, seed=number_of(slices, 1))[1])

    def test_other_fields_are_named(self, opened: Opened, data: Path) -> None:
        values = compound(phantoms.kspace(2)).view(np.dtype([("a", "<f4"), ("b", "<f4")]))
        phantoms.write_fastmri(data / "a.h5", phantoms.kspace(2), kspace=values)
        with pytest.raises(UserError, match=r"'a'.*'b'.*fields are called real and imag"):
            opened()

    def test_parts_in_an_axis_are_told(self, opened: Opened, data: Path) -> None:
        values = phantoms.kspace(3)
        phantoms.write_fastmri(data / "a.h5", values, kspace=np.stack([values.real, values.imag], -1))
        with pytest.raises(UserError, match=r"save x\[:, :, :, :, 0\] \+ 1j \* x\[:, :, :, :, 1\]"):
            opened()

    def test_a_data_set_of_another_name(self, opened: Opened, data: Path) -> None:
        for index in range(3):
            with h5py.File(data / f"{index}.h5", "w") as file:
                file["raw/ksp"] = phantoms.kspace(2, seed=index)
        with pytest.raises(UserError, match="name another one with images.dataset"):
            opened()
        with pytest.raises(UserError, match="has no data set 'raw/kps' .*did you mean 'raw/ksp'"):
            opened(dataset="raw/kps")
        slices = train(opened(dataset="raw/ksp"))
        assert np.array_equal(slices.slice(1).kspace, phantoms.kspace(2, seed=number_of(slices, 1))[1])

    @pytest.mark.parametrize("kind", ["external", "soft"])
    def test_a_data_set_in_another_file_is_refused(self, opened: Opened, data: Path, kind: str) -> None:
        with h5py.File(data.parent / "other.h5", "w") as file:
            file["deep/ksp"] = phantoms.kspace(2)
        with h5py.File(data / "a.h5", "w") as file:
            file.create_group("raw")["far"] = h5py.ExternalLink("../other.h5", "deep")
            if kind == "soft":
                file.create_group("near")["ksp"] = h5py.SoftLink("/raw/far/ksp")
        with pytest.raises(UserError, match="lie in another file"):
            opened(dataset="near/ksp" if kind == "soft" else "raw/far/ksp")


def single_coil(path: Path, index: int) -> np.ndarray:
    """A file as fastMRI's single-coil ones: the reconstruction of all coils is another image."""
    values = phantoms.kspace(2, 1, seed=index)[:, 0]
    esc = np.stack([center(np.abs(to_image(k)), 28, 28) for k in values])
    phantoms.write_fastmri(path, values, reconstruction_esc=esc, reconstruction_rss=0.7 * esc, max=float(esc.max()))
    return esc


def test_the_truth_of_a_single_coil(opened: Opened, data: Path) -> None:
    truths = [single_coil(data / f"{index}.h5", index) for index in range(3)]
    slices = train(opened())
    assert np.allclose(slices.slice(1).truth, truths[number_of(slices, 1)][1])


def masked(values: np.ndarray, kind: str) -> np.ndarray:
    mask = np.zeros(values.shape[-2:], bool)
    if kind == "columns":
        mask[:, ::4] = mask[:, 18:22] = True
    elif kind == "rows":
        mask[::4] = mask[14:18] = True
    else:
        mask[:] = np.random.default_rng(0).random(mask.shape) < 0.4
    return np.where(mask, values, 0).astype(np.complex64)


class TestSampling:
    @pytest.mark.parametrize(
        "kind, words", [("columns", "columns"), ("rows", "rows"), ("points", "points of the middle")]
    )
    def test_undersampled_k_space_is_no_truth(self, opened: Opened, data: Path, kind: str, words: str) -> None:
        for index in range(3):
            values = masked(phantoms.kspace(2, seed=index), kind)
            phantoms.write_fastmri(data / f"{index}.h5", values, reconstruction_rss=None, max=None)
        with pytest.raises(UserError, match=f"holds nothing in .* {words} of slice 1: its k-space is undersampled"):
            opened()

    def test_padding_partial_fourier_and_corners_are_no_gaps(self, opened: Opened, data: Path) -> None:
        y, x = np.meshgrid(np.linspace(-1, 1, 32), np.linspace(-1, 1, 40), indexing="ij")
        kept = [np.abs(x) < 0.8, x > -0.3, x**2 + y**2 < 1]
        for index, part in enumerate(kept):
            values = (phantoms.kspace(2, seed=index) * part).astype(np.complex64)
            phantoms.write_fastmri(data / f"{index}.h5", values, reconstruction_rss=None, max=None)
        assert len(train(opened())) == 2


def test_a_peak_that_lies_a_little_beside_the_middle_is_read(opened: Opened, data: Path) -> None:
    """As scanners give it whose timing is a little off."""
    for index in range(3):
        values = np.roll(phantoms.kspace(2, seed=index), (3, -2), (-2, -1))
        phantoms.write_fastmri(data / f"{index}.h5", values, reconstruction_rss=None, max=None)
    assert len(train(opened())) == 2


SHIFTED: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "rows and columns": (lambda x: x.T, "with rows and columns swapped"),
    "half": (lambda x: np.fft.fftshift(x), "shifted by half along both axes"),
    "half of one": (lambda x: np.fft.fftshift(x, 1), "shifted by half along its columns"),
    "upside down": (lambda x: x[::-1], "upside down"),
    "brighter": (lambda x: 3 * np.fft.fftshift(x), "shifted by half along both axes"),
}


@pytest.mark.parametrize("name", SHIFTED)
def test_how_a_reconstruction_differs_is_told(opened: Opened, data: Path, name: str) -> None:
    change, words = SHIFTED[name]
    values = phantoms.kspace(2, size=(40, 40), seed=1)
    stored = np.stack([change(root_sum_of_squares(k)) for k in values])
    phantoms.write_fastmri(data / "a.h5", values, reconstruction_rss=stored)
    with pytest.raises(UserError, match=f"the image of its k-space {words}"):
        opened()


def test_an_image_shifted_by_half_is_told(opened: Opened, data: Path) -> None:
    """fftshift(fft2(x)) lacks the shift of the image."""
    y, x = np.meshgrid(np.linspace(-1, 1, 32), np.linspace(-1, 1, 40), indexing="ij")
    disc = (x**2 + y**2 < 0.3) * np.exp(0.3j * (x + y))
    np.save(data / "a.npy", np.fft.fftshift(np.fft.fft2(disc))[None].astype(np.complex64))
    with pytest.raises(UserError, match=r"shifted by half along both axes .*np.fft.ifftshift"):
        opened("kspace-array", axes="shw")


def test_complex_images_whose_sign_alternates_are_told(opened: Opened, data: Path) -> None:
    for index in range(3):
        values = to_image(np.fft.fftshift(phantoms.kspace(2, 1, seed=index)[:, 0], (-2, -1)))
        np.save(data / f"{index}.npy", values.astype(np.complex64))
    with pytest.raises(UserError, match=r"a phase that puts the zero frequency .*ifftshift"):
        opened("complex")


def test_slices_last_are_told(opened: Opened, data: Path) -> None:
    for index in range(3):
        np.save(data / f"{index}.npy", np.moveaxis(phantoms.images(4, seed=index), 0, 2))
    with pytest.raises(UserError, match=r"holds 32 images of 40 x 4 pixels, .*images.axes = .hws."):
        opened("complex")
    assert sum(len(s) for s in opened("complex", axes="hws").sets.values()) == 12


def test_the_same_names_in_every_folder_are_of_one_patient(opened: Opened, data: Path) -> None:
    for index in range(4):
        (data / f"P{index}").mkdir()
        for view in ("lax", "sax"):
            values = phantoms.images(2, seed=2 * index + (view == "sax"))
            np.save(data / f"P{index}" / f"cine_{view}.npy", values)
    with pytest.raises(UserError, match=r"4 folders with the same 2 names each \(cine_lax.npy, cine_sax.npy\)"):
        opened("complex")
    assert opened("complex", unit="folder").units == 2 and opened("complex", patient=".+").units == 6


def test_complex_images_without_a_phase_are_told(opened: Opened, data: Path) -> None:
    np.save(data / "a.npy", np.abs(phantoms.images(2)).astype(np.complex64))
    with pytest.raises(UserError, match="real numbers as complex images"):
        opened("complex")


def test_parts_of_a_file_have_names_of_their_own(opened: Opened, data: Path) -> None:
    with h5py.File(data / "all.h5", "w") as file:
        file["image"] = np.concatenate([phantoms.images(1, seed=seed) for seed in range(4)])
        file["patient"] = np.array([b"a-b", b"a", b"c", b"d"])
        file["contrast"] = np.array([b"t", b"b-t", b"t", b"t"])
    names = {name for pixels in opened("complex").sets.values() for name in pixels.volume_names}
    assert len(names) == 4


class TestNIfTI:
    @staticmethod
    def write(path: Path, values: np.ndarray) -> None:
        nibabel = pytest.importorskip("nibabel")
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(values, np.diag([1.0, 1.0, 3.0, 1.0])), path)

    def volume(self, seed: int) -> np.ndarray:
        return np.moveaxis(np.abs(phantoms.images(3, seed=seed)), 0, 2).astype(np.float32) * 1e6

    def test_a_fourth_axis_of_one_entry(self, opened: Opened, data: Path) -> None:
        for index in range(3):
            self.write(data / f"{index}.nii", self.volume(index)[..., None])
        slices = train(opened("nifti"))
        assert np.array_equal(slices.slice(1).truth, self.volume(number_of(slices, 1))[..., 1])

    def test_more_are_refused(self, opened: Opened, data: Path) -> None:
        self.write(data / "a.nii", np.stack([self.volume(0)] * 5, -1))
        with pytest.raises(UserError, match="holds 5 volumes .*save each as a file of its own"):
            opened("nifti")

    @pytest.mark.parametrize("name", ["t1_ph", "t1_phase", "part-phase_bold", "t1_seg", "t1_dseg", "mask", "label0001"])
    def test_other_kinds_are_passed_over_by_name(self, opened: Opened, data: Path, name: str) -> None:
        for index in range(3):
            self.write(data / f"{index}.nii.gz", self.volume(index))
            self.write(data / "more" / str(index) / f"{name}.nii.gz", self.volume(index))
        images = opened("nifti")
        assert sum(len(s) for s in images.sets.values()) == 9
        assert images.skipped[0][1].startswith("3 files, each of which is called a ")

    @pytest.mark.parametrize("meaning, sentence", [("standardised", "no magnitudes"), ("labels", "it is a label map")])
    def test_values_of_another_meaning_are_refused(
        self, opened: Opened, data: Path, meaning: str, sentence: str
    ) -> None:
        for index in range(3):
            values = self.volume(index)
            values = (values - values.mean()) / values.std() if meaning == "standardised" else (values > 30) * 2.0
            self.write(data / f"{index}.nii", values.astype(np.float32))
        with pytest.raises(UserError, match=sentence):
            opened("nifti")

    def test_overflown_numbers_are_refused(self, opened: Opened, data: Path) -> None:
        """Values above 32767 that were written as int16."""
        for index in range(3):
            self.write(data / f"{index}.nii", (self.volume(index) * 300).astype(np.uint16).view(np.int16))
        with pytest.raises(UserError, match="negative values are no magnitudes"):
            opened("nifti")

    def test_label_maps_by_their_intent_are_refused(self, opened: Opened, data: Path) -> None:
        nibabel = pytest.importorskip("nibabel")
        found = nibabel.Nifti1Image(self.volume(0), np.eye(4))
        found.header.set_intent("label")
        nibabel.save(found, data / "a.nii")
        with pytest.raises(UserError, match="is a label map by its intent code"):
            opened("nifti")

    def test_a_little_below_zero_is_read_as_before(self, opened: Opened, data: Path) -> None:
        for index in range(3):
            self.write(data / f"{index}.nii", self.volume(index) - np.float32(0.2))
        slices = train(opened("nifti"))
        expected = np.abs(self.volume(number_of(slices, 1)) - np.float32(0.2))[..., 1]
        assert np.array_equal(slices.slice(1).truth, expected)

    def test_frames_of_one_patient_must_stay_together(self, opened: Opened, data: Path) -> None:
        for index in range(6):
            self.write(data / f"Patient{index // 2:03d}_frame{index % 2:02d}.nii", self.volume(index))
        with pytest.raises(UserError, match=r"holds 2 volumes of Patient000, .*images.patient = '\(\?i\)\(\?:subject"):
            opened("nifti")
        assert opened("nifti", patient=r"(?i)(?:subject|subj|patient)[-_]?\d+").units == 1

    def test_files_of_one_subject_must_stay_together(self, opened: Opened, data: Path) -> None:
        for index in range(6):
            self.write(data / f"sub-{index // 2}" / f"sub-{index // 2}_ses-{index % 2}_T1w.nii", self.volume(index))
        with pytest.raises(UserError, match=r"holds 2 volumes of sub-0, .*images.patient"):
            opened("nifti")
        assert opened("nifti", patient="sub-[A-Za-z0-9]+").units == 1
        assert opened("nifti", unit="folder").units == 1


def test_a_damaged_file_can_be_skipped_at_its_header(opened: Opened, data: Path) -> None:
    for index in range(3):
        phantoms.write_fastmri(data / f"{index}.h5", phantoms.kspace(2, seed=index))
    (data / "cut.h5").write_bytes((data / "0.h5").read_bytes()[:3000])
    with pytest.raises(UserError, match='cut.h5: cannot be read as HDF5 .*images.unreadable = "skip"'):
        opened()
    assert [name for name, _ in opened(unreadable="skip").skipped] == ["data/cut.h5"]


def test_mistakes_of_the_study_are_never_skipped(opened: Opened, data: Path) -> None:
    for index in range(3):
        phantoms.write_fastmri(data / f"{index}.h5", phantoms.kspace(2, seed=index))
    with pytest.raises(UserError, match="is not matched by images.patient"):
        opened(unreadable="skip", patient="subject")


def test_repeated_slices_are_counted(opened: Opened, data: Path) -> None:
    for index in range(4):
        np.save(data / f"{index}.npy", phantoms.images(3, seed=index))
    names = train(opened("complex")).volume_names
    first, second = sorted({name.split("/")[1] for name in names})
    (data / second).write_bytes((data / first).read_bytes())
    assert train(opened("complex")).described()["repeated slices"] == 3


def test_what_is_read_is_described(opened: Opened, data: Path) -> None:
    for index in range(3):
        phantoms.write_fastmri(data / f"{index}.h5", phantoms.kspace(2, seed=index))
    slices = train(opened())
    known = slices.described()
    top = max(float(slices.slice(index).truth.max()) for index in range(2))
    assert known["volumes"] == 1 and known["dtypes"] == {"complex64": 1}
    assert known["magnitudes to"] == pytest.approx(top, rel=1e-3) and known["magnitudes from"] < top
