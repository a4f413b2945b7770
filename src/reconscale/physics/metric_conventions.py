"""The same images under every metric convention."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from reconscale.data.folders import with_pages
from reconscale.data.image_files import SUFFIXES, read_image
from reconscale.data.pixel_values import CORNER
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
    are seen.

    Raises:
        UserError: the file cannot be read, or holds something else.
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
    elif lower.endswith(HDF5):
        array = _from_hdf5(path)
    elif lower.endswith(NIFTI):
        array = np.moveaxis(nifti_volume(path), -1, 0)
    else:
        raise UserError(path, "is of no kind that is known here", "give .npy, .h5, .nii, .nii.gz or an image file")
    if array.ndim not in (2, 3) or array.dtype.kind not in "fciu":
        raise UserError(
            path, f"holds {array.dtype} numbers of shape {array.shape}", "expected (H, W) or (slices, H, W)"
        )
    if not np.isfinite(array).all():
        raise UserError(path, "holds NaN or infinite values", "replace them")
    return array if array.ndim == 3 else array[None]


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
    """What to know where image files use a corner of the range of their type, as 12 bits in a file of 16; else none.

    Args:
        found: the reconstruction, from :func:`read_images`.
        truth: the ground truth, likewise.
    """
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
    if min(truth.shape[1:3]) < 11:
        raise UserError("the images", f"are {truth.shape[2]} x {truth.shape[1]} pixels", "SSIM needs 11 x 11 here")
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
