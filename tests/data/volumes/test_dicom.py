"""DICOM folders as archives export them: what is a volume, what is passed over, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reconscale.data import ImageSet, Slices, open_images
from reconscale.errors import UserError
from reconscale.study import Images
from tests import phantoms

pytest.importorskip("pydicom")

Opened = Callable[..., ImageSet]
SR = "1.2.840.10008.5.1.4.1.1.88.22"


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    def make(**options: Any) -> ImageSet:
        images = Images.model_validate({"source": "dicom", "val": 1, "test": 1, "folders": ("data",), **options})
        return open_images(images, data=tmp_path, cache=tmp_path / "cache")

    return make


def image(patient: int, position: int = 0) -> np.ndarray:
    values = np.abs(phantoms.images(position + 1, seed=31 * patient)[position])
    return np.rint(1000 * values / values.max()).astype(np.uint16)


def write(path: Path, pixels: np.ndarray | None, position: float = 0, **changes: Any) -> None:
    """A DICOM file; ``changes`` replace its elements by keyword, and None leaves one out."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    stated: dict[str, Any] = {
        "SOPClassUID": MRImageStorage, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID, "Modality": "MR",
        "PatientID": path.parent.name, "SeriesInstanceUID": f"1.2.3.{path.parent.name[-1:].encode()[0]}",
        "SeriesNumber": 2, "SeriesDescription": "T2", "ImagePositionPatient": [0, 0, float(position)],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 0,
    }  # fmt: skip
    if pixels is not None:
        stated |= {"Rows": pixels.shape[-2], "Columns": pixels.shape[-1], "PixelData": pixels.tobytes()}
    for keyword, value in (stated | changes).items():
        if value is not None:
            setattr(file, keyword, value)
    file.save_as(path, enforce_file_format=True)


def series(data: Path, patients: int = 4, slices: int = 3, **changes: Any) -> None:
    for patient in range(patients):
        for position in range(slices):
            write(data / f"p{patient}" / f"{position}.dcm", image(patient, position), position, **changes)


def counts(images: ImageSet) -> tuple[int, int, int]:
    """(volumes, distinct names of slices, slices)."""
    names = [name for pixels in images.sets.values() for name in pixels.names]
    return sum(len(set(s.volume_names)) for s in images.sets.values()), len(set(names)), len(names)


def test_patients_in_one_folder_have_volumes_of_their_own(opened: Opened, tmp_path: Path) -> None:
    for patient in range(4):
        for position in range(3):
            write(tmp_path / "data" / f"IM{patient}{position}.dcm", image(patient, position), position,
                  PatientID=f"p{patient}", SeriesInstanceUID=f"1.2.{patient}")  # fmt: skip
    assert counts(opened()) == (4, 12, 12)


def test_names_that_are_unique_stay_as_they_are(opened: Opened, tmp_path: Path) -> None:
    series(tmp_path / "data")
    names = {name for pixels in opened().sets.values() for name in pixels.volume_names}
    assert names == {f"data/p{patient}/series-2" for patient in range(4)}


def test_the_same_identifier_for_all_patients(opened: Opened, tmp_path: Path) -> None:
    for patient in range(4):
        for position in range(3):
            write(tmp_path / "data" / f"{patient}{position}.dcm", image(patient, position), position,
                  PatientID=f"p{patient}", SeriesInstanceUID="1.2")  # fmt: skip
    assert counts(opened()) == (4, 12, 12)


class TestAnIdentifierForEverySlice:
    @staticmethod
    def write(data: Path, *, patient: str | None, study: bool) -> None:
        for number in range(4):
            for position in range(3):
                write(data / f"{number}" / f"{position}.dcm", image(number, position), position, PatientID=patient and
                      f"{patient}{number}", SeriesInstanceUID=f"1.{number}.{position}",
                      StudyInstanceUID=f"2.{number}" if study else f"2.{number}.{position}")  # fmt: skip

    @pytest.mark.parametrize("patient", ["p", None])
    def test_of_one_study_is_one_volume(self, opened: Opened, tmp_path: Path, patient: str | None) -> None:
        self.write(tmp_path / "data", patient=patient, study=True)
        assert counts(opened()) == (4, 12, 12)

    def test_of_one_patient_is_one_unit(self, opened: Opened, tmp_path: Path) -> None:
        self.write(tmp_path / "data", patient="p", study=False)
        images = opened()
        assert counts(images) == (12, 12, 12) and images.units == 2

    def test_without_a_patient_is_refused(self, opened: Opened, tmp_path: Path) -> None:
        self.write(tmp_path / "data", patient=None, study=False)
        with pytest.raises(UserError, match=r'3 series of one slice each .* no patient; .*images.unit = "folder"'):
            opened()
        assert opened(unit="folder").units == 2


def test_a_study_without_a_patient_is_a_unit(opened: Opened, tmp_path: Path) -> None:
    for number in range(4):
        for contrast in (1, 2):
            write(tmp_path / "data" / f"{number}-{contrast}.dcm", image(number, contrast), PatientID=None,
                  StudyInstanceUID=f"2.{number}", SeriesInstanceUID=f"1.{number}.{contrast}", SeriesNumber=contrast
                  )  # fmt: skip
    assert opened().units == 2 and counts(opened())[0] == 8


@pytest.mark.parametrize("name", ["MR.1.2.826.0.1.{0}.{1}", "1.2.826.0.1.{0}.{1}", "I{0}.{1}", "IM-{0}-{1}"])
def test_names_without_the_usual_ending(opened: Opened, tmp_path: Path, name: str) -> None:
    for patient in range(3):
        for position in range(2):
            path = tmp_path / "data" / f"p{patient}" / name.format(patient, position)
            write(path, image(patient, position), position)
        (tmp_path / "data" / f"p{patient}" / "notes.txt").write_text("read me")
    assert counts(opened()) == (3, 6, 6)


def test_what_is_no_image_is_passed_over_and_counted(opened: Opened, tmp_path: Path) -> None:
    data = tmp_path / "data"
    series(data)
    for patient in range(4):
        write(data / f"p{patient}" / "SR1.dcm", None, Modality="SR", SOPClassUID=SR, SeriesNumber=99)
        write(data / f"p{patient}" / "seg.dcm", image(patient), Modality="SEG", SeriesInstanceUID="1.9")
    (data / "README").write_text("of the archive")
    images = opened()
    assert counts(images) == (4, 12, 12)
    assert [reason for _, reason in images.skipped] == [
        "is no DICOM file", "4 files, each of which holds no image of a scanner (SR)",
        "4 files, each of which holds no image of a scanner (SEG)"]  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]},
        {"ImageType": ["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"]},
        {"ComplexImageComponent": "PHASE"},
    ],
)
def test_phase_images_are_left_out_and_counted(opened: Opened, tmp_path: Path, changes: dict[str, Any]) -> None:
    data = tmp_path / "data"
    series(data)
    for patient in range(4):
        write(data / f"p{patient}" / "phase.dcm", 4 * image(patient), 1, **changes)
    images = opened()
    assert counts(images) == (4, 12, 12)
    assert images.skipped == (
        ("data/p0/phase.dcm and 3 more", "4 files, each of which is a phase image, no magnitude image"),
    )


@pytest.mark.parametrize(
    "keyword, values", [("EchoNumbers", (1, 2)), ("EchoTime", (10, 80)), ("InversionTime", (0, 900))]
)
def test_echoes_are_volumes_of_their_own(opened: Opened, tmp_path: Path, keyword: str, values: tuple[int, int]) -> None:
    data = tmp_path / "data"
    for patient in range(4):
        for position in range(3):
            for value in values:
                path = data / f"p{patient}" / f"{position}-{value}.dcm"
                write(path, image(patient, position) // (1 + (value > values[0])), position, **{keyword: value})
    images = opened()
    assert counts(images) == (8, 24, 24) and images.units == 2


REPEATED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "time": ([{"TemporalPositionIdentifier": k} for k in (1, 2)], "series-2-time-1"),
    "acquisition": ([{"AcquisitionNumber": k} for k in (1, 2)], "series-2-acq-1"),
    "trigger": ([{"TriggerTime": k} for k in (0, 40)], "series-2-trigger-0.0"),
    "kind": ([{"ImageType": ["DERIVED", "PRIMARY", k]} for k in ("WATER", "FAT")], "series-2-type-DERIVED.PRIMARY.FAT"),
    "kind and time": ([{"TemporalPositionIdentifier": t, "AcquisitionNumber": a} for t in (1, 2) for a in (1, 2)],
                      "series-2-time-1-acq-1"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REPEATED)
def test_slices_that_repeat_are_volumes_of_their_own(opened: Opened, tmp_path: Path, kind: str) -> None:
    values, name = REPEATED[kind]
    for patient in range(4):
        for position in range(3):
            for number, changes in enumerate(values):
                pixels = image(patient, position) // (1 + number)
                write(tmp_path / "data" / f"p{patient}" / f"{position}-{number}.dcm", pixels, position, **changes)
    images = opened()
    assert counts(images) == (4 * len(values), 12 * len(values), 12 * len(values)) and images.units == 2
    assert f"data/p0/{name}" in {found for pixels in images.sets.values() for found in pixels.volume_names}


@pytest.mark.parametrize("trigger", [False, True])
def test_slices_that_repeat_without_a_reason_are_refused(opened: Opened, tmp_path: Path, trigger: bool) -> None:
    """Trigger times that differ from slice to slice tell nothing."""
    for patient in range(4):
        for position in range(3):
            for number in range(2):
                changes = {"TriggerTime": 40 * number + position} if trigger else {}
                path = tmp_path / "data" / f"p{patient}" / f"{position}-{number}.dcm"
                write(path, image(patient, position) // (1 + number), position, **changes)
    with pytest.raises(UserError, match="up to 2 slices in one place, and no tag tells .*; keep the files of each"):
        opened()


def test_slices_that_are_turned_lie_in_places_of_their_own(opened: Opened, tmp_path: Path) -> None:
    """Three planes of a localiser cross in one point: no slice repeats another."""
    turned = ([1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 1])
    for patient in range(4):
        for plane, axes in enumerate(turned):
            path = tmp_path / "data" / f"p{patient}" / f"{plane}.dcm"
            write(path, image(patient, plane), 0, ImageOrientationPatient=axes)
    assert counts(opened()) == (4, 12, 12)


def test_a_copy_in_the_same_folder_counts_once(opened: Opened, tmp_path: Path) -> None:
    data = tmp_path / "data"
    series(data)
    (data / "p1" / "0 copy.dcm").write_bytes((data / "p1" / "0.dcm").read_bytes())
    images = opened()
    assert counts(images) == (4, 12, 12) and "copy" in images.skipped[0][1]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "Hounsfield units": ({"RescaleIntercept": -1024, "RescaleSlope": 1}, "holds values from -1024 .* no magnitudes"),
    "MONOCHROME1": ({"PhotometricInterpretation": "MONOCHROME1"}, "is MONOCHROME1: .*save it as MONOCHROME2"),
    "mosaic": ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "is a mosaic, .*dcm2niix"),
    "colours": ({"PhotometricInterpretation": "PALETTE COLOR"}, "holds colours .*in grey"),
}


@pytest.mark.parametrize("name", BAD)
def test_values_of_another_meaning_are_refused(opened: Opened, tmp_path: Path, name: str) -> None:
    changes, sentence = BAD[name]
    series(tmp_path / "data", **changes)
    with pytest.raises(UserError, match=sentence):
        opened()


def test_values_are_rescaled_as_the_file_says(opened: Opened, tmp_path: Path) -> None:
    series(tmp_path / "data", RescaleSlope="0.5", RescaleIntercept="10")
    slices = opened().train
    assert isinstance(slices, Slices)
    patient = int(slices.units[1][-1])
    assert np.array_equal(slices.slice(1).truth, 0.5 * image(patient, 1).astype(np.float32) + 10)


def group(**elements: Any) -> Any:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    found = Dataset()
    for keyword, value in elements.items():
        setattr(found, keyword, Sequence([group(**value)]) if isinstance(value, dict) else value)
    return found


def write_enhanced(path: Path, patient: int, *, echoes: tuple[float, ...] = (30.0,)) -> None:
    """Three slices in one file, the middle one last, with a slope of their own each."""
    from pydicom.sequence import Sequence

    order = (0, 2, 1)
    frames = [
        group(PlanePositionSequence={"ImagePositionPatient": [0, 0, 5.0 * position]},
              MREchoSequence={"EffectiveEchoTime": echoes[position % len(echoes)]},
              PixelValueTransformationSequence={"RescaleSlope": position + 1, "RescaleIntercept": 0})
        for position in order
    ]  # fmt: skip
    shared = group(PlaneOrientationSequence={"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]})
    write(path, np.stack([image(patient, position) for position in order]), NumberOfFrames=3,
          ImagePositionPatient=None, ImageOrientationPatient=None, PerFrameFunctionalGroupsSequence=Sequence(frames),
          SharedFunctionalGroupsSequence=Sequence([shared]))  # fmt: skip


def test_frames_of_one_file_are_a_volume(opened: Opened, tmp_path: Path) -> None:
    for patient in range(3):
        write_enhanced(tmp_path / "data" / f"p{patient}" / "all.dcm", patient)
    slices = opened().train
    assert isinstance(slices, Slices) and len(slices) == 3
    patient = int(slices.units[0][-1])
    for position in range(3):
        expected = image(patient, position).astype(np.float32) * (position + 1)
        assert np.array_equal(slices.slice(position).truth, expected)


def test_frames_of_several_echoes_are_refused(opened: Opened, tmp_path: Path) -> None:
    for patient in range(3):
        write_enhanced(tmp_path / "data" / f"p{patient}" / "all.dcm", patient, echoes=(30.0, 80.0))
    with pytest.raises(UserError, match=r"frames of several echoes \(30.0, 80.0\)"):
        opened()


def test_a_damaged_header_can_be_skipped(opened: Opened, tmp_path: Path) -> None:
    series(tmp_path / "data")
    (tmp_path / "data" / "p0" / "cut.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\1" * 20)
    with pytest.raises(UserError, match='cut.dcm: cannot be read as DICOM .*images.unreadable = "skip"'):
        opened()
    assert [name for name, _ in opened(unreadable="skip").skipped] == ["data/p0/cut.dcm"]


def test_screenshots_are_passed_over(opened: Opened, tmp_path: Path) -> None:
    data = tmp_path / "data"
    series(data)
    write(data / "p0" / "screen.dcm", image(7), SeriesNumber=9, SeriesInstanceUID="1.9",
          ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"])  # fmt: skip
    assert opened().skipped == (("data/p0/screen.dcm", "is a screenshot"),)


def test_padding_is_no_magnitude(opened: Opened, tmp_path: Path) -> None:
    series(tmp_path / "data", PixelPaddingValue=0)
    assert counts(opened()) == (4, 12, 12)
    padded = np.where(image(1) > 0, image(1), 4000).astype(np.uint16)
    write(tmp_path / "data" / "p1" / "9.dcm", padded, 9, PixelPaddingValue=4000)
    with pytest.raises(UserError, match=r"with the value 4000 \(PixelPaddingValue\)"):
        opened()


def test_folders_of_patients_without_a_name(opened: Opened, tmp_path: Path) -> None:
    for patient in range(4):
        for contrast in (1, 2):
            write(tmp_path / "data" / f"p{patient}" / f"{contrast}.dcm", image(patient, contrast), PatientID=None,
                  SeriesNumber=contrast, SeriesInstanceUID=f"1.{contrast}.{patient}")  # fmt: skip
    with pytest.raises(UserError, match=r'4 folders with the same 2 names each .*images.unit = "folder"'):
        opened()
    assert opened(unit="folder").units == 2
