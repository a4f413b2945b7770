"""ISMRMRD files as scanners' converters write them, made by the library itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.data.volumes.transforms import to_kspace

HEADER = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
 <subjectInformation>{patient}</subjectInformation>
 <measurementInformation><patientPosition>HFS</patientPosition><protocolName>{protocol}</protocolName>
 </measurementInformation>
 <experimentalConditions><H1resonanceFrequency_Hz>128000000</H1resonanceFrequency_Hz></experimentalConditions>
 <encoding>
  <encodedSpace><matrixSize><x>{x}</x><y>{y}</y><z>1</z></matrixSize>
   <fieldOfView_mm><x>{fov_x}</x><y>256</y><z>5</z></fieldOfView_mm></encodedSpace>
  <reconSpace><matrixSize><x>{recon}</x><y>{y}</y><z>1</z></matrixSize>
   <fieldOfView_mm><x>256</x><y>256</y><z>5</z></fieldOfView_mm></reconSpace>
  <encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>{last}</maximum><center>{center}</center>
   </kspace_encoding_step_1></encodingLimits>
  <trajectory>{trajectory}</trajectory>
 </encoding>
</ismrmrdHeader>
"""


def phantom(seed: int, coils: int, rows: int, columns: int) -> np.ndarray:
    """(coils, rows, columns) complex64: smooth discs in the middle, each coil with a phase of its own."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    image = np.zeros((rows, columns))
    for _ in range(6):
        a, b, r = [*rng.uniform(-0.4, 0.4, 2).tolist(), rng.uniform(0.1, 0.4)]
        image += rng.uniform(0.2, 1) * (np.hypot(x - a, y - b) < r)
    maps = [np.exp(-((x - np.cos(c)) ** 2 + (y - np.sin(c)) ** 2) / 2 + 1j * (x + c)) for c in range(coils)]
    return np.asarray(image * np.stack(maps), np.complex64)


def acquisition(line: np.ndarray, step: int, *flags: str, centre: int | None = None, **counters: int) -> Any:
    """An acquisition of (coils, samples), with its counters and flags."""
    import ismrmrd

    made = ismrmrd.Acquisition.from_array(np.ascontiguousarray(line, np.complex64))
    made.center_sample = line.shape[1] // 2 if centre is None else centre
    made.idx.kspace_encode_step_1 = step
    for name, value in counters.items():
        target = made if name in ("encoding_space_ref", "discard_pre", "discard_post") else made.idx
        setattr(target, name, value)
    for flag in flags:
        made.set_flag(getattr(ismrmrd, f"ACQ_{flag}"))
    return made


def write_raw(path: Path, acquisitions: Iterable[Any], *, group: str = "dataset", **header: Any) -> None:
    """Write a file of acquisitions with a header, through the library."""
    import ismrmrd

    about = {"x": 64, "y": 48, "fov_x": 512, "recon": 32, "last": 47, "center": 24, "trajectory": "cartesian",
             "protocol": "T2w", "patient": "", **header}  # fmt: skip
    if about["patient"]:
        about["patient"] = f"<patientID>{about['patient']}</patientID>"
    path.parent.mkdir(parents=True, exist_ok=True)
    with ismrmrd.Dataset(str(path), group, create_if_needed=True) as file:
        file.write_xml_header(HEADER.format(**about).encode())
        for number, made in enumerate(acquisitions):
            made.scan_counter = number
            file.append_acquisition(made)


def lines_of(kspace: np.ndarray, *, keep: Callable[[int], bool] = lambda step: True, **counters: int) -> list[Any]:
    """The lines of (coils, samples, steps) of one slice."""
    return [acquisition(kspace[:, :, step], step, **counters) for step in range(kspace.shape[2]) if keep(step)]


def oversampled(seed: int, coils: int = 2, rows: int = 32, columns: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """K-space with a readout that is oversampled twice, (coils, 2 rows, columns); and the image that it is of."""
    image = phantom(seed, coils, rows, columns)
    wide = np.zeros((coils, 2 * rows, columns), np.complex64)
    wide[:, rows - rows // 2 : rows + rows // 2] = image
    return to_kspace(wide), image


def write_scans(folder: Path, count: int, slices: int = 3) -> None:
    """Files of one patient each, of slices that interleave, with a noise scan and navigators."""
    rng = np.random.default_rng(0)
    for number in range(count):
        noise = acquisition(rng.normal(size=(2, 64)), 0, "IS_NOISE_MEASUREMENT")
        navigator = acquisition(rng.normal(size=(2, 64)), 3, "IS_NAVIGATION_DATA")
        planes = [oversampled(100 * number + index)[0] for index in range(slices)]
        imaged = [acquisition(planes[s][:, :, step], step, slice=s) for step in range(48) for s in range(slices)]
        write_raw(folder / f"scan{number}.h5", [noise, navigator, *imaged], patient=f"p{number}")
