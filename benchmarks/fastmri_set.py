"""Make a synthetic set in fastMRI's format: volumes of multi-coil k-space with their reconstructions.

Images are random ellipses with smooth phases, seen by simulated coils with a little noise; every slice differs.

    python benchmarks/fastmri_set.py OUT --slices 2000          # 6.6 GB at 4 coils, 320 x 320
"""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np

from reconscale.data.volumes.transforms import root_sum_of_squares, to_kspace
from reconscale.physics.mri_coils import simulated_maps

PER_VOLUME = 16


def main() -> None:
    """Parse the flags and write the volumes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--slices", type=int, default=2000)
    parser.add_argument("--coils", type=int, default=4)
    parser.add_argument("--side", type=int, default=320)
    flags = parser.parse_args()
    make_set(flags.out, flags.slices, flags.coils, flags.side)


def make_set(out: Path, slices: int, coils: int, side: int) -> None:
    """Write ``slices`` slices below ``out``, 16 a volume."""
    out.mkdir(parents=True, exist_ok=True)
    maps = simulated_maps(coils, side, side).numpy()[0]
    for index in range(-(-slices // PER_VOLUME)):
        rng = np.random.default_rng(index)
        count = min(PER_VOLUME, slices - index * PER_VOLUME)
        with h5py.File(out / f"file{index:05d}.h5", "w") as file:
            kspace = file.create_dataset("kspace", (count, coils, side, side), np.complex64)
            truth = file.create_dataset("reconstruction_rss", (count, side, side), np.float32)
            for number in range(count):
                values = to_kspace(maps * image(rng, side))
                noise = rng.standard_normal((coils, side, side, 2), dtype=np.float32).view(np.complex64)[..., 0]
                kspace[number] = values + 1e-6 * noise
                truth[number] = root_sum_of_squares(kspace[number])
            file.attrs["max"] = float(truth[()].max())
            file.attrs["acquisition"], file.attrs["patient_id"] = "SYNTHETIC", f"patient{index:05d}"


def image(rng: np.random.Generator, side: int) -> np.ndarray:
    """One complex image of twelve ellipses, brightest near 1e-4."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    y, x = axis[:, None], axis[None]
    found = np.zeros((side, side), np.float32)
    for _ in range(12):
        a, b, c, d, value = *rng.uniform(-0.6, 0.6, 2), *rng.uniform(0.05, 0.4, 2), rng.uniform(0.2, 1)
        found += np.float32(value) * (((x - a) / c) ** 2 + ((y - b) / d) ** 2 < 1)
    phase = np.exp(1j * (rng.uniform(-2, 2) * x + rng.uniform(-2, 2) * y))
    return np.asarray(1e-4 * found * phase, np.complex64)


if __name__ == "__main__":
    main()
