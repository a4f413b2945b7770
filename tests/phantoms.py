"""Synthetic volumes in the formats that users have: written by the tests, different for every seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from reconscale.data.volumes.transforms import center, root_sum_of_squares, to_kspace
from reconscale.physics.mri_coils import simulated_maps

SIZE = (32, 40)


def images(count: int, size: tuple[int, int] = SIZE, seed: int = 0) -> np.ndarray:
    """(count, H, W) complex64: ellipses with smooth phases, brightest near 1e-4, as scanners give them."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]), indexing="ij")
    found = np.zeros((count, *size), np.complex64)
    for image in found:
        for _ in range(6):
            a, b, c, d, value = *rng.uniform(-0.5, 0.5, 2), *rng.uniform(0.1, 0.5, 2), rng.uniform(0.3, 1)
            image += (value * (((x - a) / c) ** 2 + ((y - b) / d) ** 2 < 1)).astype(np.float32)
        image *= np.exp(1j * (rng.uniform(-2, 2) * x + rng.uniform(-2, 2) * y + rng.uniform(0, 6))).astype(np.complex64)
    return (1e-4 * found).astype(np.complex64)


def kspace(count: int, coils: int = 3, size: tuple[int, int] = SIZE, seed: int = 0) -> np.ndarray:
    """(count, coils, H, W) complex64 k-space with a little noise."""
    rng = np.random.default_rng(seed + 1)
    maps = simulated_maps(coils, *size).numpy()
    clean = to_kspace(maps * images(count, size, seed)[:, None])
    noise = rng.standard_normal((*clean.shape, 2)).astype(np.float32) @ np.array([1, 1j], np.complex64)
    return np.asarray(clean + 1e-6 * noise, np.complex64)


def write_fastmri(path: Path, values: np.ndarray | None = None, *, crop: int = 28, **changes: Any) -> Path:
    """A volume in fastMRI's format; ``changes`` replace or (None) leave out data sets and attributes."""
    values = kspace(4) if values is None else values
    truth = np.stack([center(root_sum_of_squares(np.atleast_3d(k) if k.ndim == 3 else k[None]), crop, crop)
                      for k in values])  # fmt: skip
    attributes = {"max": float(truth.max()), "acquisition": "AXT2", "patient_id": path.stem}
    datasets: dict[str, Any] = {"kspace": values, "reconstruction_rss": truth}
    for name, value in changes.items():
        where = attributes if name in ("max", "acquisition", "patient_id") else datasets
        where[name] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, value in datasets.items():
            if value is not None:
                file[name] = value
        for name, value in attributes.items():
            if value is not None:
                file.attrs[name] = value
    return path


def write_complex(path: Path, *, patients: int = 4, slices: int = 3, size: tuple[int, int] = SIZE) -> Path:
    """Complex images of several patients in one HDF5 file, as int16 real and imaginary parts."""
    found = np.concatenate([images(slices, size, seed) for seed in range(patients)])
    parts = np.stack([found.real, found.imag], 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["image_ri"] = np.rint(parts / np.abs(parts).max() * 1000).astype(np.int16)
        file["subject"] = np.repeat(np.arange(1, patients + 1), slices)
    return path
