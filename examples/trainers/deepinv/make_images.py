"""Write 60 smooth random images into ``images``, to try the study with."""

from pathlib import Path

import numpy as np
from scipy.ndimage import zoom

folder = Path(__file__).parent / "images"
folder.mkdir(exist_ok=True)
for number in range(60):
    coarse = np.random.default_rng(number).random((5, 5), dtype=np.float32)
    np.save(folder / f"{number:03d}.npy", np.clip(zoom(coarse, 3.2), 0, 1).astype(np.float32))
