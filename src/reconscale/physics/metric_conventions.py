"""The same images under every metric convention."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from reconscale.data.folders import with_pages
from reconscale.data.image_checks import without_alpha
from reconscale.data.image_files import SUFFIXES, read_image
from reconscale.data.pixel_values import CORNER
from reconscale.data.store import SCALES
from reconscale.data.volumes.arrays import HDF5, check_links, opened_array, plain_numbers
from reconscale.data.volumes.checks import NEGATIVE
from reconscale.data.volumes.image_files import NIFTI, nifti_volume
from reconscale.data.volumes.kspace_files import KSPACE, stored_truth
from reconscale.data.volumes.scan import first_line
from reconscale.data.volumes.transforms import square
from reconscale.errors import UserError
from reconscale.physics.metrics import MOST_DB, measure_image, measure_slice, measure_volumes
from reconscale.study import PROFILES

STORED = ("reconstruction", "image", "images")
"""Data sets of HDF5 files that hold images, in the order in which they are looked for; fastMRI's truths come after the
first."""

LEAST_BRIGHT = 0.2
"""Images whose largest value is below this are in other units than [0, 1]."""

LEAST_SIDE = 11
"""Pixels of the shortest side that SSIM is computed of here."""

BELOW = -0.3
"""Reconstructions below this part of the truth's largest value have another black than 0, or failed."""

OTHER_UNITS = 20.0
"""Two files whose largest values differ by this factor are in different units, or one is of something else."""


@dataclass(frozen=True)
class Convention:
    """One convention of comparing.

    Attributes:
        name: a profile, or in words.
        value: what it gives.
        unit: ``dB`` or empty.
        meaning: one sentence.
    """

    name: str
    value: float
    unit: str
    meaning: str


def read_images(path: Path) -> np.ndarray:
    """Images of any kind: (S, H, W) real or complex, or (S, H, W, C) of an image file with S pages.

    Reads .npy, HDF5 (see :func:`data_set_of`), NIfTI, and image files (PNG, JPEG, TIFF, BMP and WebP), turned as they
    are seen. An array of (H, W, 3), (H, W, 4), (S, H, W, 3) or (S, H, W, 4) holds colours, with an alpha channel where
    there are 4, and is (S, H, W, 3) here; its uint8 and uint16 are scaled to [0, 1], as those of image files.

    Raises:
        UserError: the file cannot be read, holds something else, or is a .npy of which 3 may count slices or colours.
    """
    lower = path.name.lower()
    if not path.is_file():
        raise UserError(path, "is no file" if path.exists() else "does not exist", "give a file of images")
    if lower.endswith(SUFFIXES):
        _, pages = with_pages([path.name], [path])
        stack = np.stack([read_image(path, page) for _, page in pages])
        return stack / (np.iinfo(stack.dtype).max if stack.dtype.kind == "u" else 1)
    if lower.endswith(".npy"):
        array = plain_numbers(np.asarray(opened_array(path)))
        _refuse_unclear(path, array)
    elif lower.endswith(HDF5):
        array = _from_hdf5(path)
    elif lower.endswith(NIFTI):
        array = np.moveaxis(nifti_volume(path), -1, 0)
    else:
        raise UserError(path, "is of no kind that is known here", "give .npy, .h5, .nii, .nii.gz or an image file")
    if not lower.endswith(NIFTI):
        array = _with_colours(path, array)
    if array.ndim not in (2, 3, 4) or array.dtype.kind not in "fciu" or (array.ndim == 4 and array.shape[3] != 3):
        raise UserError(
            path,
            f"holds {array.dtype} numbers of shape {array.shape}",
            "expected (H, W) or (slices, H, W), or (H, W, 3) or (images, H, W, 3) of colours",
        )
    if not np.isfinite(array).all():
        raise UserError(path, "holds NaN or infinite values", "replace them")
    return array[None] if array.ndim == 2 else array


def _refuse_unclear(path: Path, array: np.ndarray) -> None:
    """Refuse real numbers of (3, H, W), as where arrays of images are read: 3 may count slices or colours."""
    if array.ndim == 3 and array.shape[0] == 3 and array.shape[2] > 4 and array.dtype.kind in "fiu":
        found = f"has the shape {array.shape}, and 3 may count slices or colours"
        raise UserError(path, found, "save one RGB image as (H, W, 3), and 3 grey slices as (3, H, W, 1)")


def _with_colours(path: Path, array: np.ndarray) -> np.ndarray:
    """An array of colours as (S, H, W, 3), scaled as an image file where its type has a white; others as they are."""
    if array.ndim == 4 and array.shape[3] == 1:
        return array[..., 0]
    if array.dtype.kind == "c" or array.ndim not in (3, 4) or array.shape[-1] not in (3, 4):
        return array
    images = array if array.ndim == 4 else array[None]
    images = np.stack([without_alpha(path, image, 3) for image in images]) if len(images) else images
    return images / SCALES[images.dtype.name] if images.dtype.name in ("uint8", "uint16") else images


def read_pair(found: Path, truth: Path) -> tuple[np.ndarray, np.ndarray]:
    """A reconstruction and the truth, see :func:`read_images`, of one layout and of one scale.

    Grey images of an image file, (S, H, W, 1) in [0, 1], may be beside an array of (S, H, W): it is given their axis,
    and its uint8 and uint16 their scale.

    Raises:
        UserError: see :func:`read_images`.
    """
    a, b = read_images(found), read_images(truth)
    if a.ndim < b.ndim and b.shape[-1] == 1:
        a = _as_image_file(a)
    elif b.ndim < a.ndim and a.shape[-1] == 1:
        b = _as_image_file(b)
    return a, b


def _as_image_file(array: np.ndarray) -> np.ndarray:
    scale = SCALES[array.dtype.name] if array.dtype.name in ("uint8", "uint16") else 1
    return array[..., None] / scale


def data_set_of(path: Path) -> str:
    """The data set of an HDF5 file that holds images: ``reconstruction``, else the ground truth of a fastMRI file.

    That of single-coil files is ``reconstruction_esc``, that of multi-coil files ``reconstruction_rss``, as in
    fastMRI's own loader. Empty for files of other kinds.

    Raises:
        UserError: the file cannot be read, or has none.
    """
    import h5py

    if not path.name.lower().endswith(HDF5):
        return ""
    try:
        with h5py.File(path) as file:
            check_links(path, file)
            coils = file[KSPACE].shape[1] if KSPACE in file and file[KSPACE].ndim == 4 else 1
            truth = stored_truth(file, coils)
            names = (STORED[0], *([truth] if truth else []), *STORED[1:])
            key = next((word for word in names if isinstance(file.get(word), h5py.Dataset)), None)
            if key is None:
                known = ", ".join((STORED[0], "reconstruction_rss", "reconstruction_esc", *STORED[1:]))
                raise UserError(path, f"holds none of {known}", f"it has: {', '.join(file) or 'nothing'}")
            return key
    except UserError:
        raise
    except Exception as error:  # h5py raises classes of every kind on damaged files
        raise UserError(path, f"cannot be read as HDF5 ({first_line(error)})", "replace or remove the file") from error


def range_caution(found: np.ndarray, truth: np.ndarray) -> str | None:
    """What to know of the units of two files; none where nothing is odd.

    Image files may use a corner of the range of their type, as 12 bits in a file of 16; or the two files are in
    different units, as 0 to 255 beside 0 to 1.

    Args:
        found: the reconstruction, from :func:`read_images`.
        truth: the ground truth, likewise.
    """
    tops = [float(np.abs(images).max()) if images.size else 0.0 for images in (found, truth)]
    if min(tops) > 0 and max(tops) > OTHER_UNITS * min(tops):
        return (
            f"the largest value of the reconstruction is {tops[0]:.4g} and that of the truth {tops[1]:.4g}: if they "
            "are in different units, as 0 to 255 beside 0 to 1, no number below holds; bring both to one first"
        )
    if not np.iscomplexobj(found) and tops[0] and float(found.min()) < BELOW * tops[1]:
        low, high = float(found.min()), float(found.max())
        return (
            f"the reconstruction holds values from {low:.4g} to {high:.4g}, and the truth up to {tops[1]:.4g}: if "
            "black is not 0 in both, as with values from -1 to 1, no number below holds; bring both to one range first"
        )
    top = float(truth.max()) if truth.ndim == found.ndim == 4 else 1.0
    if not 0 < top <= CORNER:
        return None
    return (
        f"no pixel of the truth is above {100 * top:.2g} % of the range of its file: if that is white, metrics of "
        f"range 1 are {-20 * math.log10(top):.0f} dB too high; scale both files to their whole range first"
    )


def _from_hdf5(path: Path) -> np.ndarray:
    import h5py

    key = data_set_of(path)
    try:
        with h5py.File(path) as file:
            return plain_numbers(np.asarray(file[key]))
    except Exception as error:  # as above
        raise UserError(path, f"cannot be read as HDF5 ({first_line(error)})", "replace or remove the file") from error


def conventions(found: np.ndarray, truth: np.ndarray) -> list[Convention]:
    """A reconstruction and the truth under every convention that fits them.

    Args:
        found: (S, H, W), or (S, H, W, C); complex images are compared by magnitude, too.
        truth: of the same shape.

    Raises:
        UserError: the shapes differ, the truth holds negative values, or images are too small for SSIM.
    """
    if found.shape != truth.shape:
        raise UserError(
            "the two files", f"hold images of shapes {found.shape} and {truth.shape}", "give a matching pair"
        )
    if min(truth.shape[1:3]) < LEAST_SIDE:
        remedy = f"SSIM needs {LEAST_SIDE} x {LEAST_SIDE} here"
        raise UserError("the images", f"are {truth.shape[2]} x {truth.shape[1]} pixels", remedy)
    rows: list[Convention] = []
    if np.iscomplexobj(found) and np.iscomplexobj(truth):
        rows.append(
            Convention("nmse-complex", _nmse(found, truth), "", "squared error of complex values, whole volume")
        )
    _refuse_negative(truth)
    a, b = (np.abs(v) if np.iscomplexobj(v) else v.astype(np.float64) for v in (found, truth))
    a, b = a.astype(np.float64), b.astype(np.float64)
    if b.max() <= 0:
        raise UserError("the truth", "holds nothing above zero", "give the truth second")
    if b.ndim == 3:
        rows += _of_volumes(a, b)
    if b.min() >= 0 and LEAST_BRIGHT <= b.max() <= 1:
        rows += _of_images(a, b)
    grey = (a, b) if b.ndim == 3 else (a.mean(-1), b.mean(-1))
    return rows + [Convention(name, f(*grey), unit, meaning) for name, (unit, meaning, f) in OTHERS.items()]


def _refuse_negative(truth: np.ndarray) -> None:
    """Refuse a truth of negative values: every convention here takes 0 for black, and the maximum for the range."""
    if np.iscomplexobj(truth):
        return
    values = truth.astype(np.float64)
    if float(np.square(values[values < 0]).sum()) > NEGATIVE * float(np.square(values).sum()):
        found = f"holds values from {values.min():.4g} to {values.max():.4g}, and negative values are no magnitudes"
        raise UserError("the truth", found, "move both images by one constant, so that the truth begins at 0")


def _of_volumes(a: np.ndarray, b: np.ndarray) -> list[Convention]:
    peak = torch.tensor([float(square(b).max())], dtype=torch.float64)
    tensors = [(torch.from_numpy(x)[None, None], torch.from_numpy(y)[None, None]) for x, y in zip(a, b, strict=True)]
    slices = {str(index): measure_slice(x, y, peak) for index, (x, y) in enumerate(tensors) if y.max() > 0}
    values = measure_volumes(slices, dict.fromkeys(slices, "volume"))["volume"]
    of_slices = {name: float(np.mean([one[name] for one in slices.values()])) for name in next(iter(slices.values()))}
    names = [name for name, profile in PROFILES.items() if profile.takes == "volumes"]
    return [_convention(name, values.get(name, of_slices.get(name, math.nan))) for name in names]


def _of_images(a: np.ndarray, b: np.ndarray) -> list[Convention]:
    shaped = [np.moveaxis(v, -1, 1) if v.ndim == 4 else v[:, None] for v in (a, b)]
    scores = [
        measure_image(torch.from_numpy(x.copy())[None], torch.from_numpy(y.copy())[None])
        for x, y in zip(*shaped, strict=True)
    ]
    return [_convention(name, float(np.mean([one[name] for one in scores]))) for name in scores[0]]


def _convention(name: str, value: float) -> Convention:
    profile = PROFILES[name]
    return Convention(name, value, profile.unit, profile.description)


def _nmse(found: np.ndarray, truth: np.ndarray) -> float:
    return float((np.abs(found - truth) ** 2).sum() / max(float((np.abs(truth) ** 2).sum()), 1e-300))


def _psnr(mse: float, top: float) -> float:
    return min(10 * math.log10(top**2 / max(mse, 1e-300)), MOST_DB)


def _gaussian_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Wang et al. 2004: Gaussian windows, population covariance, range = the volume's maximum."""
    return _ssim(a, b, [b.max()] * len(b), gaussian_weights=True, sigma=1.5, use_sample_covariance=False)


def _spread_ssim(a: np.ndarray, b: np.ndarray) -> float:
    return _ssim(a, b, [max(float(np.ptp(y)), 1e-300) for y in b])


def _scaled_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Every slice of both scaled to [0, 1] by its own minimum and maximum."""
    scaled = [(v - v.min((1, 2), keepdims=True)) / np.maximum(np.ptp(v, (1, 2), keepdims=True), 1e-300) for v in (a, b)]
    return _ssim(scaled[0], scaled[1], [1.0] * len(b))


def _ssim(a: np.ndarray, b: np.ndarray, ranges: list[float], **how: object) -> float:
    from skimage.metrics import structural_similarity

    pairs = zip(a, b, ranges, strict=True)
    return float(np.mean([structural_similarity(y, x, data_range=top, **how) for x, y, top in pairs]))


def _foreground_psnr(a: np.ndarray, b: np.ndarray) -> float:
    body = b > 0.05 * b.max()
    return _psnr(float(((a - b) ** 2)[body].mean()), float(b.max()))


def _byte_psnr(a: np.ndarray, b: np.ndarray) -> float:
    bytes_ = [np.rint(np.clip(v / b.max(), 0, 1) * 255) for v in (a, b)]
    return _psnr(float(((bytes_[0] - bytes_[1]) ** 2).mean()), 255.0)


OTHERS: dict[str, tuple[str, str, Callable[[np.ndarray, np.ndarray], float]]] = {
    "SSIM, Gaussian window": (
        "", "11x11 Gaussian window, σ 1.5, the volume's maximum as range (Wang et al. 2004)", _gaussian_ssim),
    "SSIM, range of the slice": (
        "", "7x7 uniform window, maximum minus minimum of the slice as range (scikit-image's advice)", _spread_ssim),
    "SSIM, slices scaled": (
        "", "7x7 uniform window after scaling every slice of both to [0, 1]: hides errors of brightness", _scaled_ssim),
    "PSNR, foreground": ("dB", "only where the truth is above 5 % of its maximum", _foreground_psnr),
    "PSNR, 8 bit": ("dB", "both clipped, scaled by the truth's maximum and rounded to 8 bit first", _byte_psnr),
}  # fmt: skip
"""Conventions that others use, none of which is a profile here."""
