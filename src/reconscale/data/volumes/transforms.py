"""The Fourier transform of slices, and the crops that fastMRI takes of them."""

from __future__ import annotations

import numpy as np
import scipy.fft


def to_kspace(image: np.ndarray) -> np.ndarray:
    """Centred orthonormal 2-D Fourier transform over the last two axes (as fastMRI's ``fft2c``); single precision."""
    axes = (-2, -1)
    return np.asarray(scipy.fft.fftshift(scipy.fft.fft2(scipy.fft.ifftshift(image, axes), norm="ortho"), axes))


def to_image(kspace: np.ndarray) -> np.ndarray:
    """The inverse of :func:`to_kspace`."""
    axes = (-2, -1)
    return np.asarray(scipy.fft.fftshift(scipy.fft.ifft2(scipy.fft.ifftshift(kspace, axes), norm="ortho"), axes))


def root_sum_of_squares(kspace: np.ndarray) -> np.ndarray:
    """(h, w) float32 magnitude image of the k-space (coils, H, W) of one slice."""
    return np.asarray(np.sqrt((np.abs(to_image(kspace)) ** 2).sum(0)), np.float32)


def center(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle of the last two axes, placed as fastMRI's ``center_crop``: begins at (length - size) // 2."""
    top, left = (values.shape[-2] - height) // 2, (values.shape[-1] - width) // 2
    return values[..., top : top + height, left : left + width]


def square(values: np.ndarray) -> np.ndarray:
    """The centre crop that fastMRI's evaluation compares: as many rows as columns, where there are more."""
    rows, columns = values.shape[-2:]
    return center(values, min(rows, columns), columns)


def of_lower_resolution(image: np.ndarray, matrix: int) -> np.ndarray:
    """An image from the middle ``matrix`` x ``matrix`` of its k-space; its intensity is kept.

    fftshift puts the zero frequency at index length // 2, so that the window begins at length // 2 - matrix // 2.
    """
    rows, columns = image.shape[-2:]
    top, left = rows // 2 - matrix // 2, columns // 2 - matrix // 2
    middle = to_kspace(image)[..., top : top + matrix, left : left + matrix]
    return np.asarray(to_image(middle) * (matrix / np.sqrt(rows * columns)), image.dtype)
