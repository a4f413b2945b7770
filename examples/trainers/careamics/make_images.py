"""Write 40 smooth random images as TIFF, to try the study with: ``noisy`` to train on and ``clean`` to measure with."""

from pathlib import Path

import numpy as np
import tifffile
from scipy.ndimage import zoom

for name in ("noisy", "clean"):
    (Path(__file__).parent / name).mkdir(exist_ok=True)
for number in range(40):
    rng = np.random.default_rng(number)
    clean = np.clip(zoom(rng.random((5, 5)), 12.8), 0, 1).astype(np.float32)
    noisy = (clean + 0.1 * rng.standard_normal(clean.shape)).astype(np.float32)
    for name, image in (("noisy", noisy), ("clean", clean)):
        tifffile.imwrite(Path(__file__).parent / name / f"{number:03d}.tif", image)
