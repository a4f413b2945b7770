"""Studies of OME-Zarr, HDF5, ISMRMRD and NIfTI through the command line; what comes out is read by other libraries."""

from __future__ import annotations

from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest

from reconscale.data.sources import draw_leaves
from tests.raw_data import phantom, write_scans
from tests.zarr_images import write_zarr

from .calling import call, refused

STUDY = """
name = "formats"
version = 2
[problem]
{problem}
[images]
{images}
val = 1
test = 1
[network]
{network}
[sweep]
n = [2]
width = [2]
[recipe]
steps = 4
batch = 2
"""
DENOISING = 'kind = "denoising"', 'family = "dncnn"\ndepth = 3'
MRI = 'kind = "mri"\nacceleration = 2', 'family = "unet"\ndepth = 2'


def trained(folder: Path, data: Path, kind: tuple[str, str], images: str) -> tuple[Path, str]:
    """The directory of a finished run, and what ``data`` says."""
    path = folder / "study.toml"
    path.write_text(STUDY.format(problem=kind[0], network=kind[1], images=images))
    code, said, err = call("data", path, "--data", data)
    assert code == 0, err
    code, _, err = call("run", path, "--data", data, "--workers", 1, "--keep-going")
    assert code == 0, err
    return next(place.parent for place in (folder / "runs").glob("*/result.json")), said


def stack(seed: int, planes: int = 3, side: int = 48) -> np.ndarray:
    """(planes, side, side) uint16 in the lower part of the range, as of a camera."""
    return np.stack([100 + 14 * draw_leaves(seed, z, side, 1)[..., 0].astype(np.uint16) for z in range(planes)])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr(tmp_path: Path, version: str) -> None:
    zarr = pytest.importorskip("zarr")
    data = tmp_path / "data"
    channels = {"channels": [{"label": "DAPI"}, {"label": "GFP"}]}
    for number in range(5):
        both = np.stack([stack(2 * number), stack(2 * number + 1)])
        write_zarr(data / f"{number}.ome.zarr", both, "czyx", version, omero=channels, chunks=(1, 2, 32, 32))
    images = 'source = "ome-zarr"\nchannel = 1\npatch = 32\nrange = [100, 4095]'
    run, said = trained(tmp_path, data, DENOISING, images)
    assert "5 OME-Zarr files hold 15 planes, and n counts files" in said
    code, _, err = call("reconstruct", run, data / "0.ome.zarr", "--out", tmp_path / "out.zarr")
    assert code == 0, err
    group = zarr.open_group(str(tmp_path / "out.zarr"), mode="r")
    found = group["0"]
    assert (
        found.shape == (1, 3, 48, 48)
        and found.dtype == np.uint16
        and found.metadata.zarr_format == group.metadata.zarr_format
    )
    about = group.attrs if version == "0.4" else group.attrs["ome"]
    first = about["multiscales"][0]
    assert [axis["name"] for axis in first["axes"]] == ["c", "z", "y", "x"] and first["axes"][1]["unit"] == "micrometer"
    assert first["datasets"][0]["coordinateTransformations"][0]["scale"] == [1.0, 1.0, 0.2, 0.2]
    assert about["omero"]["channels"] == [{"label": "GFP"}]
    values = np.asarray(found[0])
    assert values.min() >= 100 and values.max() <= 4095  # the range of the study
    assert np.corrcoef(values.ravel(), stack(1).ravel())[0, 1] > 0.9  # the second channel
    assert "is there already" in refused("reconstruct", run, data / "1.ome.zarr", "--out", tmp_path / "out.zarr")
    code, _, err = call("reconstruct", run, data, "--out", tmp_path / "all")
    assert code == 0, err
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [f"{k}.ome.zarr" for k in range(5)]


def test_a_data_set_of_hdf5(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with h5py.File(data / "cells.h5", "w") as file:
        images = np.concatenate([stack(number) for number in range(3)])
        file.create_dataset("exp/raw", data=images, chunks=(4, 48, 48), compression="gzip").attrs["gain"] = 0.5
        file["exp/mask"] = images > 900
        file["exp/other"] = images[:, :24]
    options = 'source = "array"\npatch = 32\nrange = [100, 4095]\n'
    (tmp_path / "study.toml").write_text(STUDY.format(problem=DENOISING[0], network=DENOISING[1], images=options))
    assert "2 data sets that may be images: exp/other 9 x 24 x 48, exp/raw 9 x 48 x 48" in refused(
        "data", tmp_path / "study.toml", "--data", data
    )
    run, _ = trained(tmp_path, data, DENOISING, f'{options}dataset = "exp/raw"')
    code, _, err = call("reconstruct", run, data / "cells.h5", "--out", tmp_path / "out.h5")
    assert code == 0 and "exp/mask" in err, err
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["exp/raw"].shape == (9, 48, 48) and file["exp/raw"].dtype == np.uint16
        assert file["exp/raw"].attrs["gain"] == 0.5 and list(file["exp"]) == ["raw"]


def test_ismrmrd(tmp_path: Path) -> None:
    pytest.importorskip("ismrmrd")
    write_scans(tmp_path / "data", 4)
    run, said = trained(tmp_path, tmp_path / "data", MRI, 'source = "ismrmrd"')
    assert "1 navigator, 1 noise scan" in said
    code, _, err = call("reconstruct", run, tmp_path / "data" / "scan0.h5", "--out", tmp_path / "out.h5")
    assert code == 0, err
    from ismrmrd.xsd import CreateFromDocument

    with h5py.File(tmp_path / "out.h5") as file:
        found = file["reconstruction"][:]
        assert CreateFromDocument(file["ismrmrd_header"][()]).subjectInformation.patientID == "p0"
    truth = np.stack([np.sqrt((np.abs(phantom(index, 2, 32, 48)) ** 2).sum(0)) for index in range(3)])
    assert found.shape == truth.shape and np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("matrix", [None, 32])
def test_nifti(tmp_path: Path, matrix: int | None) -> None:
    """The place of every voxel in space stays: twice the size, half the voxels."""
    data = tmp_path / "data"
    data.mkdir()
    affine = np.array([[0.0, -1, 0, 20], [0.8, 0, 0, -30], [0, 0, 3, 5], [0, 0, 0, 1]])
    for number in range(4):
        volume = np.stack([np.abs(phantom(3 * number + z, 1, 64, 64)[0]) for z in range(3)], axis=-1)
        image = nibabel.Nifti1Image((1000 * volume).astype(np.int16), affine)
        image.header["descrip"] = b"T1 head"
        image.set_qform(affine, 1)
        image.to_filename(data / f"p{number}.nii.gz")
    options = 'source = "nifti"' + (f"\nmatrix = {matrix}" if matrix else "")
    run, _ = trained(tmp_path, data, MRI, options)
    code, _, err = call("reconstruct", run, data / "p0.nii.gz", "--out", tmp_path / "out.nii.gz")
    assert code == 0, err
    given, found = nibabel.load(data / "p0.nii.gz"), nibabel.load(tmp_path / "out.nii.gz")
    side = matrix or 64
    assert found.shape == (side, side, 3) and found.get_data_dtype() == np.float32
    assert found.header["descrip"].tobytes().startswith(b"T1 head")
    assert (int(found.header["qform_code"]), int(found.header["sform_code"])) == (1, 2)
    factor = 64 / side
    np.testing.assert_allclose(found.affine @ [3, 4, 1, 1], given.affine @ [3 * factor, 4 * factor, 1, 1], atol=1e-4)
    np.testing.assert_allclose(found.get_qform(), found.get_sform(), atol=1e-4)
    step = int(factor)
    same = np.corrcoef(found.get_fdata().ravel(), given.get_fdata()[::step, ::step].ravel())[0, 1]
    assert same > 0.9
    code, _, err = call("reconstruct", run, data / "p0.nii.gz", "--out", tmp_path / "out.h5")
    assert code == 0 and "keep no place in space" in err, err
