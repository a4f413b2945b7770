"""Conversions when images are packed: channels, size, depth."""

from __future__ import annotations

import numpy as np

from reconscale.imaging.store import SCALES

THUMB = 32
"""Side of the thumbnails that duplicates are found by."""


def converted(image: np.ndarray, channels: int, dtype: str, downscale: int) -> np.ndarray:
    """One image as it is stored.

    RGB becomes grey by the BT.601 luma in full range (as Pillow's ``L``), grey becomes RGB by repetition; then the
    area is averaged and rounded; then the type is widened, exactly where both are integers: 8-bit values times 257.

    Args:
        image: (H, W, C) of uint8, uint16 or float32.
        channels: 1 or 3.
        dtype: the stored type, at least as wide.
        downscale: the area-downsampling factor; rows and columns that do not fill a block are cut off at the end.

    Returns:
        (H // downscale, W // downscale, channels) of ``dtype``, contiguous; at least 1 x 1.
    """
    if image.shape[2] == 3 and channels == 1:
        image = gray(image)
    if downscale > 1:
        image = area_averaged(image, downscale)
    if image.dtype != np.dtype(dtype):
        image = image.astype(np.uint16) * 257 if dtype == "uint16" else image / np.float32(SCALES[image.dtype.name])
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], channels)), dtype=dtype)


def gray(image: np.ndarray) -> np.ndarray:
    """BT.601 luma, full range: (H, W, 3) to (H, W, 1), same type; integers are rounded as Pillow rounds."""
    if image.dtype.kind == "f":
        luma = image.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
        return np.asarray(luma[..., None].clip(0, 1), np.float32)
    wide = image.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    return np.asarray((wide + 32768) >> 16, image.dtype)[..., None]


def area_averaged(image: np.ndarray, factor: int) -> np.ndarray:
    """Mean over blocks of factor x factor pixels (smaller images: over what there is), rounded for integers."""
    height, width, channels = image.shape
    tall, wide = min(factor, height), min(factor, width)
    rows, columns = height // tall, width // wide
    blocks = image[: rows * tall, : columns * wide].reshape(rows, tall, columns, wide, channels)
    mean = blocks.mean((1, 3), dtype=np.float64)
    return np.asarray(np.rint(mean) if image.dtype.kind == "u" else mean, image.dtype)


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Grey area thumbnail: (32, 32) float16 in [0, 1]."""
    import cv2

    flat = (gray(image) if image.shape[2] == 3 else image)[..., 0].astype(np.float32) / SCALES[image.dtype.name]
    return np.asarray(cv2.resize(flat, (THUMB, THUMB), interpolation=cv2.INTER_AREA), np.float16)
