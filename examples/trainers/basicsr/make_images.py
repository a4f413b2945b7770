"""Write 40 smooth random colour images into ``gt``, and at half the size into ``lq``, to try the study with."""

from pathlib import Path

import cv2
import numpy as np

for name in ("gt", "lq"):
    (Path(__file__).parent / name).mkdir(exist_ok=True)
for number in range(40):
    coarse = np.random.default_rng(number).random((12, 12, 3))
    image = np.clip(cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_NEAREST) * 255, 0, 255).astype(np.uint8)
    small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA)
    for name, pixels in (("gt", image), ("lq", small)):
        cv2.imwrite(str(Path(__file__).parent / name / f"{number:03d}.png"), pixels)
