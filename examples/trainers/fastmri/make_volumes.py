"""Write 30 phantoms of ellipses as volumes in fastMRI's format into ``knee/singlecoil_train``, to try the study with."""

from pathlib import Path

import h5py
import numpy as np

SIZE, SLICES = 48, 2
HEADER = """<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
<encodedSpace><matrixSize><x>48</x><y>48</y><z>1</z></matrixSize></encodedSpace>
<reconSpace><matrixSize><x>48</x><y>48</y><z>1</z></matrixSize></reconSpace>
<encodingLimits><kspace_encoding_step_1><center>24</center><maximum>47</maximum></kspace_encoding_step_1></encodingLimits>
</encoding></ismrmrdHeader>"""


def phantom(rng):
    """Six ellipses in random places, (SIZE, SIZE) float32."""
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    image = np.zeros((SIZE, SIZE))
    for _ in range(6):
        a, b, c, d, value = *rng.uniform(-0.5, 0.5, 2), *rng.uniform(0.1, 0.5, 2), rng.uniform(0.3, 1)
        image += value * (((x - a) / c) ** 2 + ((y - b) / d) ** 2 < 1)
    return image.astype(np.float32)


folder = Path(__file__).parent / "knee" / "singlecoil_train"
folder.mkdir(parents=True, exist_ok=True)
for number in range(30):
    images = np.stack([phantom(np.random.default_rng([number, index])) for index in range(SLICES)])
    kspace = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(images, axes=(1, 2)), norm="ortho"), axes=(1, 2))
    with h5py.File(folder / f"file{number:03d}.h5", "w") as file:
        file["kspace"] = kspace.astype(np.complex64)
        file["reconstruction_esc"] = images
        file["ismrmrd_header"] = HEADER
        file.attrs.update({"max": float(images.max()), "acquisition": "CORPD_FBK", "patient_id": f"{number:03d}"})
