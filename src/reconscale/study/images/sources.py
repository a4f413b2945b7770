"""Where images can come from: the registry of sources, and what a study needs to know of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Source:
    """A place that images come from.

    Attributes:
        listing: finds what is there: a function, or ``module:name`` of one, imported when images are read. Of single
            images (options, data folder or none) -> ``reconscale.data.listing.Listing``; of volumes (options, data
            folder or none, what messages call ``images.folders``) -> a ``VolumeListing``.
        volumes: whether it gives slices of volumes, not single images.
        content: ``magnitudes``, ``complex`` images with their phase, or measured ``kspace``.
        knows_patients: of volumes: whether its files name the patient.
        photographs: of single images: whether it gives photographs in tiles, which a split keeps together.
        needs_folder: whether it reads files of the user's, below the data folder.
        paired: whether it gives inputs with their truths.
        ranged: of single images: whether ``images.range`` says what their values mean.
        named_arrays: whether its files hold arrays that have names, so that ``images.dataset`` chooses one.
        channels_apart: whether its files may hold channels as an axis, so that ``images.channel`` chooses one.
        code: digest of the user's own code, where it is known.
    """

    listing: str | Callable[..., Any]
    volumes: bool = False
    content: Literal["magnitudes", "complex", "kspace"] = "magnitudes"
    knows_patients: bool = False
    photographs: bool = False
    needs_folder: bool = False
    paired: bool = False
    ranged: bool = False
    named_arrays: bool = False
    channels_apart: bool = False
    code: str = ""


_VOLUMES = "reconscale.data.volumes"

SOURCES: dict[str, Source] = {
    "bundled": Source("reconscale.data.sources:list_bundled", photographs=True),
    "folder": Source("reconscale.data.folders:list_folder", needs_folder=True, ranged=True),
    "deadleaves": Source("reconscale.data.sources:list_deadleaves"),
    "array": Source("reconscale.data.array_files:list_arrays", needs_folder=True, ranged=True, named_arrays=True),
    "ome-zarr": Source(
        "reconscale.data.ome_zarr:list_ome_zarr", needs_folder=True, ranged=True, named_arrays=True, channels_apart=True
    ),
    "pairs": Source("reconscale.data.pairs.listing:list_pairs", needs_folder=True, paired=True, ranged=True),
    "fastmri": Source(
        f"{_VOLUMES}.kspace_files:list_fastmri", True, "kspace", True, needs_folder=True, named_arrays=True
    ),
    "kspace-array": Source(
        f"{_VOLUMES}.kspace_files:list_kspace_arrays", True, "kspace", needs_folder=True, named_arrays=True
    ),
    "ismrmrd": Source(
        f"{_VOLUMES}.ismrmrd_files:list_ismrmrd", True, "kspace", True, needs_folder=True, named_arrays=True
    ),
    "complex": Source(
        f"{_VOLUMES}.image_files:list_complex", True, "complex", True, needs_folder=True, named_arrays=True
    ),
    "nifti": Source(f"{_VOLUMES}.image_files:list_nifti", True, needs_folder=True),
    "dicom": Source(f"{_VOLUMES}.dicom_files:list_dicom", True, knows_patients=True, needs_folder=True),
}
"""The sources by the word in study files. A new one is a function and an entry here."""
