"""Write slices that were made from a NIfTI volume as one, with its header and its place in space."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from reconscale.data.volumes.image_files import NIFTI, opened_nifti, slice_axis
from reconscale.data.volumes.scan import library
from reconscale.files import write_atomic

__all__ = ["NIFTI", "write_nifti"]


def write_nifti(path: Path, slices: np.ndarray, like: Path) -> None:
    """Write a volume as float32, in the units of the one that it was made from.

    Orientation, origin, units and texts of the header are kept. Where slices have fewer pixels, as with
    ``images.matrix``, the voxels are larger and cover the same field of view.

    Args:
        path: ends in ``.nii`` or ``.nii.gz``.
        slices: (slices, h, w) in the order in which the file was cut.
        like: the NIfTI file.

    Raises:
        UserError: a file cannot be read or written.
    """
    nibabel = library("nibabel")
    given = opened_nifti(like)
    axis = slice_axis([float(zoom) for zoom in given.header.get_zooms()[:3]])
    values = np.moveaxis(np.asarray(slices, np.float32), 0, axis)
    header = given.header.copy()
    header.set_data_dtype(np.float32)
    header.set_slope_inter(1, 0)
    made = type(given)(values, None, header)
    grown = [old / new for old, new in zip(given.shape[:3], values.shape, strict=True)]
    shift = [old // 2 - factor * (new // 2)
             for old, new, factor in zip(given.shape[:3], values.shape, grown, strict=True)]  # fmt: skip
    change = nibabel.affines.from_matvec(np.diag(grown), shift)
    (sform, s_code), (qform, q_code) = given.get_sform(coded=True), given.get_qform(coded=True)
    made.header["pixdim"][1:4] *= np.asarray(grown, np.float32)
    if q_code:
        made.set_qform(qform @ change, int(q_code))
    if s_code:
        made.set_sform(sform @ change, int(s_code))
    with tempfile.TemporaryDirectory() as place:  # nibabel chooses how to pack by the ending
        file = Path(place) / f"volume{'.nii.gz' if path.name.lower().endswith('.gz') else '.nii'}"
        nibabel.save(made, file)
        write_atomic(path, file.read_bytes())
