"""Volumes from files: what is read, how it is divided, and what is refused by name."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from reconscale.data import ImageSet, Slices, open_images
from reconscale.data.volumes.transforms import center, root_sum_of_squares, to_image, to_kspace
from reconscale.errors import UserError
from reconscale.study import Images
from tests import phantoms

Opened = Callable[..., ImageSet]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    def make(source: str = "fastmri", **options: Any) -> ImageSet:
        fields = {"val": 1, "test": 1, "folders": ("data",), **options}
        return open_images(Images(source=source, **fields), data=tmp_path, cache=tmp_path / "cache")  # type: ignore[arg-type]

    return make


@pytest.fixture
def fastmri(tmp_path: Path) -> Path:
    for index in range(5):
        phantoms.write_fastmri(tmp_path / "data" / f"file{index}.h5", phantoms.kspace(4, seed=10 * index))
    return tmp_path / "data"


def train(images: ImageSet) -> Slices:
    assert isinstance(images.train, Slices)
    return images.train


class TestFastMRI:
    def test_slices_are_what_the_files_hold(self, opened: Opened, fastmri: Path) -> None:
        slices = train(opened())
        assert len(slices) == 12 and len(set(slices.units)) == 3 and slices.names[0].endswith(".h5/000")
        for index in (0, 5, 11):
            one = slices.slice(index)
            name, number = slices.names[index].rsplit("/", 1)
            with h5py.File(fastmri.parent / name) as file:
                assert one.kspace is not None and np.array_equal(one.kspace, file["kspace"][int(number)])
                assert np.array_equal(one.truth, file["reconstruction_rss"][int(number)])
                assert one.maximum == file.attrs["max"] == pytest.approx(slices.peak(index))

    @pytest.mark.parametrize("how", ["chunked", "compressed", "double", "big-endian"])
    def test_every_way_of_storing_k_space_gives_the_same(self, opened: Opened, fastmri: Path, how: str) -> None:
        expected = train(opened()).slice(3)
        for path in fastmri.iterdir():
            with h5py.File(path, "a") as file:
                values = file["kspace"][()]
                del file["kspace"]
                kinds = {"chunked": {"chunks": (1, 1, 32, 40)}, "compressed": {"compression": "gzip"}}
                kind = {"double": np.complex128, "big-endian": np.dtype(">c8")}.get(how, np.complex64)
                file.create_dataset("kspace", data=values.astype(kind), **kinds.get(how, {}))  # type: ignore[arg-type]
        found = train(opened()).slice(3)
        assert found.kspace is not None and found.kspace.dtype == np.complex64
        assert np.array_equal(found.kspace, expected.kspace) and np.array_equal(found.truth, expected.truth)

    def test_a_single_coil(self, opened: Opened, tmp_path: Path) -> None:
        for index in range(3):
            values = phantoms.kspace(3, 1, seed=index)[:, 0]
            truth = np.stack([root_sum_of_squares(k[None]) for k in values])
            path = tmp_path / "data" / f"{index}.h5"
            phantoms.write_fastmri(path, values, reconstruction_rss=None, reconstruction_esc=truth)
        assert train(opened()).slice(0).shape == (1, 32, 40, 32, 40)

    def test_without_a_reconstruction_it_is_computed(self, opened: Opened, tmp_path: Path) -> None:
        for index in range(3):
            phantoms.write_fastmri(tmp_path / "data" / f"{index}.h5", reconstruction_rss=None, max=None,
                                   kspace=phantoms.kspace(4, seed=index))  # fmt: skip
        slices = train(opened())
        one = slices.slice(1)
        assert one.kspace is not None
        assert np.allclose(one.truth, root_sum_of_squares(one.kspace), rtol=1e-6)
        assert one.maximum == pytest.approx(max(float(slices.slice(i).truth.max()) for i in range(4)))

    def test_a_narrow_k_space_cuts_the_reconstruction(self, opened: Opened, tmp_path: Path) -> None:
        """fastMRI's brain files: 320 x 320 reconstructions of k-space with 264 columns."""
        for index in range(3):
            values = phantoms.kspace(2, seed=index)
            truth = np.stack([root_sum_of_squares(k) for k in values])
            wide = np.pad(truth, ((0, 0), (0, 0), (4, 4)))
            phantoms.write_fastmri(tmp_path / "data" / f"{index}.h5", values, reconstruction_rss=wide)
        one = train(opened()).slice(0)
        assert one.truth.shape == (32, 40)

    def test_mixed_sizes_and_coils_are_counted(self, opened: Opened, tmp_path: Path) -> None:
        for index, (coils, size) in enumerate([(3, (32, 40)), (4, (33, 41)), (3, (32, 40)), (5, (34, 40))]):
            values = phantoms.kspace(2, coils, size, seed=index)
            phantoms.write_fastmri(tmp_path / "data" / f"{index}.h5", values)
        described = opened(val=1, test=1).describe()["sets"]
        shapes = [key for known in described.values() for key in known["coils x rows x columns"]]
        assert {"3 x 32 x 40", "4 x 33 x 41", "5 x 34 x 40"} <= set(shapes)

    def test_filters(self, opened: Opened, fastmri: Path) -> None:
        phantoms.write_fastmri(fastmri / "t1.h5", phantoms.kspace(4, seed=99), acquisition="AXT1")
        images = opened(acquisition=("AXT2",), slices=(1, 2))
        names = [name for pixels in images.sets.values() for name in pixels.names]
        assert len(names) == 10 and {name[-3:] for name in names} == {"001", "002"}
        assert not any("t1" in name for name in names)

    def test_a_patient_is_a_unit(self, opened: Opened, fastmri: Path) -> None:
        phantoms.write_fastmri(fastmri / "again.h5", phantoms.kspace(4, seed=77), patient_id="file0")
        images = opened()
        for pixels in images.sets.values():
            inside = {name.split("/")[1] for name in pixels.names}
            assert ("again.h5" in inside) == ("file0.h5" in inside)

    @pytest.mark.usefixtures("fastmri")
    def test_a_patient_from_the_path(self, opened: Opened) -> None:
        images = opened(patient=r"file(\d)", val=2)
        assert {unit for pixels in images.sets.values() for unit in pixels.units} == set("01234")

    def test_it_is_prepared_once_and_a_new_file_alone_costs(
        self, opened: Opened, fastmri: Path, tmp_path: Path
    ) -> None:
        before = opened().digest
        cache = tmp_path / "cache" / "volumes"
        stamps = {path.name: (path / "facts.json").stat().st_mtime_ns for path in cache.iterdir() if path.is_dir()}
        assert len(stamps) == 5
        assert opened().digest == before
        phantoms.write_fastmri(fastmri / "new.h5", phantoms.kspace(4, seed=55))
        assert opened().digest != before
        after = {path.name: (path / "facts.json").stat().st_mtime_ns for path in cache.iterdir() if path.is_dir()}
        assert len(after) == 6 and all(after[name] == stamp for name, stamp in stamps.items())

    @pytest.mark.usefixtures("fastmri")
    def test_what_was_left_by_a_killed_process_is_no_harm(self, opened: Opened, tmp_path: Path) -> None:
        digest = opened().digest
        for path in (tmp_path / "cache" / "volumes").iterdir():
            if path.is_dir():
                (path / "facts.json").unlink()
        assert opened().digest == digest

    @pytest.mark.usefixtures("fastmri")
    def test_slices_pickle_as_places(self, opened: Opened) -> None:
        slices = train(opened())
        again = pickle.loads(pickle.dumps(slices))
        assert len(pickle.dumps(slices)) < 6000 and again.names == slices.names
        assert np.array_equal(again.slice(2).kspace, slices.slice(2).kspace)


class TestNesting:
    @pytest.mark.usefixtures("fastmri")
    @pytest.mark.parametrize("counts", ["units", "images"])
    def test_subsets_are_nested_and_units_whole(self, opened: Opened, counts: str) -> None:
        images = opened(counts=counts)
        assert images.available == (3 if counts == "units" else 12)
        for seed in range(3):
            names = [list(images.training(n, seed).names) for n in range(1, images.available + 1)]
            assert all(large[: len(small)] == small for small, large in pairwise(names))
            if counts == "units":
                assert all(len(set(names[n])) == 4 * (n + 1) for n in range(3))
            else:  # one unit is used up before the next begins
                firsts = [name.split(".h5")[0] for name in names[-1]]
                assert len(set(firsts[:4])) == 1 and len(set(firsts)) == 3
        assert len({tuple(images.training(3, seed).names) for seed in range(6)}) > 1


def leak_train(data: Path) -> dict[str, Any]:
    phantoms.write_fastmri(data.parent / "other" / "x.h5", phantoms.kspace(4, seed=70), patient_id="file2")
    return {"test_sets": {"other": "other"}, "test": 0}


def same_slice(data: Path) -> dict[str, Any]:
    phantoms.write_fastmri(data.parent / "other" / "x.h5", phantoms.kspace(4, seed=10))
    return {"test_sets": {"other": "other"}, "test": 0}


Values = np.ndarray


def bad(path: Path, values: Values | None = None, **changes: Any) -> None:
    phantoms.write_fastmri(path, phantoms.kspace(4, seed=5) if values is None else values, **changes)


def with_nan(path: Path) -> None:
    values = phantoms.kspace(4, seed=5)
    values[2, 1, 3, 4] = np.nan
    bad(path, values, reconstruction_rss=None, max=1.0)


def with_other_axes(path: Path) -> None:
    bad(path, kspace=np.moveaxis(phantoms.kspace(4, 3, (130, 140)), 1, -1), reconstruction_rss=None)


def cut_short(path: Path) -> None:
    bad(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def ismrmrd(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["dataset/xml"] = "x"


DAMAGED: dict[str, Callable[[Path], object]] = {
    "no kspace": lambda path: bad(path, kspace=None, kspce=phantoms.kspace(4)),
    "axes": with_other_axes,
    "cut short": cut_short,
    "text": lambda path: path.write_text("not HDF5"),
    "nan": with_nan,
    "other rss": lambda path: bad(path, reconstruction_rss=np.stack(
        [2 * center(root_sum_of_squares(k), 28, 28) for k in phantoms.kspace(4, seed=5)])),
    "magnitude": lambda path: bad(path, np.abs(phantoms.images(4))[:, None].astype(np.complex64),
                                  reconstruction_rss=None),
    "image": lambda path: bad(path, phantoms.images(4, seed=3)[:, None], reconstruction_rss=None),
    "corner": lambda path: bad(path, np.fft.fftshift(phantoms.kspace(4), (-2, -1)), reconstruction_rss=None),
    "real": lambda path: bad(path, kspace=np.abs(phantoms.kspace(4))),
    "slices": lambda path: bad(path, reconstruction_rss=np.zeros((3, 28, 28), np.float32)),
    "zeros": lambda path: bad(path, np.zeros_like(phantoms.kspace(4))),
    "ismrmrd": ismrmrd,
    "none": lambda path: bad(path, kspace=np.zeros((0, 3, 32, 40), np.complex64), reconstruction_rss=None),
    "tiny": lambda path: bad(path, phantoms.kspace(2, 2, (8, 12)), crop=6),
    "word": lambda path: bad(path, max="bright"),
    "group": lambda path: h5py.File(path, "w").create_group("kspace").file.close(),
}  # fmt: skip


def damaged(kind: str) -> Callable[[Path], dict[str, Any]]:
    def make(data: Path) -> dict[str, Any]:
        DAMAGED[kind](data / "bad.h5")
        return {}

    return make


BAD: dict[str, tuple[Callable[[Path], dict[str, Any]], str]] = {
    "no k-space": (damaged("no kspace"), "bad.h5: has no data set 'kspace' .*did you mean 'kspce'"),
    "wrong axes": (damaged("axes"), r'130 coils, 140 rows, 3 columns; state the order .*images.axes = "shwc"'),
    "cut short": (damaged("cut short"), "bad.h5.*(cannot be read|truncated|ends before)"),
    "not HDF5": (damaged("text"), "bad.h5: cannot be read as HDF5"),
    "NaN": (damaged("nan"), "bad.h5: holds NaN or infinite values in the k-space of slice 2"),
    "another RSS": (damaged("other rss"), r"reconstruction of slice 2 that differs by 50.0% .*0.5 times as bright"),
    "magnitudes": (damaged("magnitude"), "real numbers as k-space of slice 2: it looks like a magnitude image"),
    "images": (damaged("image"), "it looks like an image, not like k-space; .*complex"),
    "zero frequency in a corner": (damaged("corner"), r"at row \d+, column \d+ .*save np.fft.fftshift"),
    "real numbers": (damaged("real"), "holds float32 numbers of shape .* where complex k-space is expected"),
    "slices that do not match": (damaged("slices"), "holds 4 k-space slices and reconstruction_rss of shape"),
    "nothing": (damaged("zeros"), "holds nothing but zeros"),
    "no slices": (damaged("none"), r"bad.h5: holds k-space of shape \(0, 3, 32, 40\), which is none; remove the file"),
    "tiny slices": (damaged("tiny"), "8 rows, 12 columns; slices have at least 16 x 16 pixels"),
    "a maximum in words": (damaged("word"), "has the attribute max = 'bright'; give a number, or leave it out"),
    "a group": (damaged("group"), "holds a group 'kspace'; expected an array"),
    "ISMRMRD": (damaged("ismrmrd"), "is an ISMRMRD file"),
    "no such place": (lambda data: {"folders": ("dta",)}, "found 'dta', which does not exist"),
    "no file": (lambda data: {"folders": (".",), "source": "nifti"}, "holds no file that ends in .nii or .nii.gz"),
    "an acquisition": (lambda data: {"acquisition": ("AXT1",)}, "none of the 5 volumes .* acquisitions here: AXT2"),
    "slices": (lambda data: {"slices": (9, 12)}, "no volume has a slice between 9 and 12"),
    "a patient": (lambda data: {"patient": "subject"}, "is not matched by images.patient = 'subject'"),
    "too many held out": (lambda data: {"val": 3, "test": 2}, r"hold out 3 \+ 2 of 5 units"),
    "a patient on both sides": (leak_train, "volume 'data/file2.h5' is of a patient of other, 'file2'"),
    "a slice on both sides": (same_slice, "volume 'data/file1.h5' has a slice that is the same in other"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_volumes_are_named(opened: Opened, fastmri: Path, name: str) -> None:
    make, sentence = BAD[name]
    options = make(fastmri)
    with pytest.raises(UserError, match=sentence):
        opened(**options)


def test_unreadable_volumes_can_be_skipped(opened: Opened, fastmri: Path) -> None:
    damaged("nan")(fastmri)
    images = opened(unreadable="skip")
    assert len(images.skipped) == 1 and "NaN" in images.skipped[0][1]


def test_leaking_units_can_be_skipped(opened: Opened, fastmri: Path) -> None:
    images = opened(**leak_train(fastmri), duplicates="skip", val=1)
    assert "file2" not in images.train.units + images.val.units
    assert any("file2" in unit for unit, _ in images.skipped)


class TestImages:
    def test_complex_hdf5(self, opened: Opened, tmp_path: Path) -> None:
        phantoms.write_complex(tmp_path / "data" / "all.h5")
        images = opened("complex")
        assert {unit for pixels in images.sets.values() for unit in pixels.units} == set("1234")
        one = train(images).slice(0)
        assert one.image is not None and one.kspace is None
        assert np.allclose(np.abs(one.image), one.truth) and one.shape == (0, 32, 40, 32, 40)

    def test_peaks_bring_slices_to_one_scale(self, opened: Opened, tmp_path: Path) -> None:
        path = phantoms.write_complex(tmp_path / "data" / "all.h5")
        with h5py.File(path, "a") as file:
            file["max"] = np.linspace(1e-6, 2e-6, 12)
        images = opened("complex")
        tops = [float(s.slice(i).truth.max()) for s in images.sets.values() for i in range(len(s))]
        assert sorted(tops) == pytest.approx(np.linspace(1e-6, 2e-6, 12).tolist(), rel=1e-4)

    def test_complex_arrays(self, opened: Opened, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        for index in range(3):
            values = phantoms.images(3, seed=index)
            np.save(tmp_path / "data" / f"{index}.npy", values if index else np.stack([values.real, values.imag], 1))
        assert sum(len(s) for s in opened("complex").sets.values()) == 9

    def test_k_space_arrays(self, opened: Opened, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        for index in range(3):
            np.save(tmp_path / "data" / f"{index}.npy", phantoms.kspace(1, 4, seed=index)[0])
        images = opened("kspace-array")
        assert train(images).slice(0).shape == (4, 32, 40, 32, 40)

    def test_k_space_of_other_axes(self, opened: Opened, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        for index in range(3):
            values = phantoms.kspace(2, 4, seed=index)
            np.save(tmp_path / "data" / f"{index}.npy", np.moveaxis(values, 1, -1))
        slices = train(opened("kspace-array", axes="shwc"))
        index = int(slices.names[1].split("/")[1][0])
        assert np.array_equal(slices.slice(1).kspace, phantoms.kspace(2, 4, seed=index)[1])

    def test_a_lower_resolution(self, opened: Opened, tmp_path: Path) -> None:
        phantoms.write_complex(tmp_path / "data" / "all.h5", size=(48, 64))
        full, low = (train(opened("complex", matrix=matrix)).slice(0) for matrix in (None, 24))
        assert low.image is not None and full.image is not None and low.image.shape == (24, 24)
        assert low.truth.mean() == pytest.approx(full.truth.mean(), rel=0.2)
        middle = to_kspace(full.image)[12:36, 20:44]
        assert np.allclose(to_kspace(low.image), middle * 24 / np.sqrt(48 * 64), atol=1e-3 * np.abs(middle).max())

    @pytest.mark.parametrize("case", ["magnitude", "small", "no data set", "npy"])
    def test_bad_images(self, opened: Opened, tmp_path: Path, case: str) -> None:
        data, options = tmp_path / "data", {}
        if case == "magnitude":
            data.mkdir()
            with h5py.File(data / "a.h5", "w") as file:
                file["image"] = np.abs(phantoms.images(3))
            sentence = "a.h5: holds float32 numbers of shape .*magnitude images\\?"
        elif case == "small":
            phantoms.write_complex(data / "a.h5")
            options, sentence = {"matrix": 64}, "is 40 x 32 pixels; images.matrix = 64 needs more"
        elif case == "no data set":
            data.mkdir()
            with h5py.File(data / "a.h5", "w") as file:
                file["subject"] = [1, 2]
            sentence = "a.h5: holds no data set of images among: subject"
        else:
            data.mkdir()
            np.save(data / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
            sentence = "a.npy: cannot be read \\(it holds Python objects\\)"
        with pytest.raises(UserError, match=sentence):
            opened("complex", **options)


class TestMedical:
    def test_nifti(self, opened: Opened, tmp_path: Path) -> None:
        nibabel = pytest.importorskip("nibabel")
        (tmp_path / "data").mkdir()
        for index in range(3):
            volume = np.moveaxis(np.abs(phantoms.images(5, seed=index)) * 1e6, 0, 2).astype(np.int16)
            header = nibabel.Nifti1Image(volume, np.diag([1.0, 1.0, 3.0, 1.0]))
            nibabel.save(header, tmp_path / "data" / f"sub-{index}_T1w.nii.gz")
        images = opened("nifti", patient=r"sub-\d")
        one = train(images).slice(2)
        assert sum(len(s) for s in images.sets.values()) == 15 and one.image is not None
        number = int(train(images).names[2].split("sub-")[1][0])
        expected = np.rint(np.abs(phantoms.images(5, seed=number)) * 1e6)[2]
        assert np.abs(one.truth - expected).max() <= 1

    def test_another_folder_of_equal_names_sizes_and_times_is_read(self, tmp_path: Path) -> None:
        nibabel = pytest.importorskip("nibabel")
        digests = []
        for seed, variant in ((0, "one"), (50, "other")):
            (tmp_path / variant / "data").mkdir(parents=True)
            for index in range(3):
                path = tmp_path / variant / "data" / f"sub-{index}.nii"
                volume = np.moveaxis(np.abs(phantoms.images(5, seed=seed + index)) * 1e6, 0, 2).astype(np.int16)
                nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), path)
                os.utime(path, (5, 5))
            images = Images(source="nifti", folders=("data",), val=1, test=1)
            digests.append(open_images(images, data=tmp_path / variant, cache=tmp_path / "cache").digest)
        assert digests[0] != digests[1]

    def test_a_nifti_of_four_axes(self, opened: Opened, tmp_path: Path) -> None:
        nibabel = pytest.importorskip("nibabel")
        (tmp_path / "data").mkdir()
        nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4, 2)), np.eye(4)), tmp_path / "data" / "a.nii")
        with pytest.raises(UserError, match="expected one magnitude volume of three axes"):
            opened("nifti")

    def test_dicom_slices_are_sorted_along_the_normal(self, opened: Opened, tmp_path: Path) -> None:
        pytest.importorskip("pydicom")
        for patient in range(3):
            values = np.abs(phantoms.images(4, seed=patient)) * 1e7
            for position in (2, 0, 3, 1):
                ending = ".dcm" if patient else ""
                write_dicom(tmp_path / "data" / f"p{patient}" / f"z{9 - position}{ending}", values[position], position,
                            f"patient {patient}")  # fmt: skip
        images = opened("dicom")
        slices = train(images)
        assert set(slices.units) <= {"patient 0", "patient 1", "patient 2"} and len(slices) == 4
        patient = int(slices.units[0][-1])
        for index in range(4):
            expected = np.rint(np.abs(phantoms.images(4, seed=patient)) * 1e7)[index]
            assert np.abs(slices.slice(index).truth - expected).max() <= 1


def write_dicom(path: Path, image: np.ndarray, position: int, patient: str) -> None:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.PatientID, data.SeriesInstanceUID, data.SeriesNumber = patient, f"1.2.{abs(hash(patient)) % 10**8}", 1
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.ImagePositionPatient, data.ImageOrientationPatient = [0, 0, 3.0 * position], [1, 0, 0, 0, 1, 0]
    data.Rows, data.Columns = image.shape
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 15, 0, 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.PixelData = np.rint(image).astype(np.uint16).tobytes()
    data.save_as(path, enforce_file_format=True)


def test_the_transform_and_its_inverse() -> None:
    values = phantoms.images(2, (33, 40))
    assert np.allclose(to_image(to_kspace(values)), values, atol=1e-9)
    assert np.linalg.norm(to_kspace(values)) == pytest.approx(np.linalg.norm(values), rel=1e-5)
