"""What real files get wrong without saying so: checks of the values of slices as they are first read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from reconscale.data.volumes.scan import VolumeInfo
from reconscale.data.volumes.transforms import center, root_sum_of_squares, to_image, to_kspace
from reconscale.errors import UserError

AGREEMENT = 0.01
"""Relative difference (2-norm) up to which a stored reconstruction agrees with its k-space."""
GAPS = 0.02
"""Part of the lines, or of the points in the middle, up to which k-space may hold nothing: a line may be lost."""
FLATTEST = 4.0
"""The strongest line of k-space has at least this many times the energy of the median one; coils and slices differ
less."""
SHIFTED = 4.0
"""An image whose corners hold this many times the energy of its middle is shifted by half."""
NEGATIVE = 1e-3
"""Part of the energy that negative values of a magnitude image may have: interpolation leaves a little."""
MOST_LABELS = 64
"""Whole numbers below this, and no others, are labels where most neighbours are equal; noise makes images differ."""
EQUAL = 0.6
"""Part of the neighbours of label maps that are equal at least, outside the background."""


def check_finite(scan: VolumeInfo, index: int, values: np.ndarray) -> None:
    """Refuse NaN and infinite values.

    Args:
        scan: the volume, for messages.
        index: of the slice.
        values: complex64 of any shape.

    Raises:
        UserError: there are some.
    """
    if not np.isfinite(values.view(np.float32)).all():
        what = "k-space" if scan.kind == "kspace" else "image"
        raise UserError(scan.name, f"holds NaN or infinite values in the {what} of slice {index}",
                      "replace them, or remove the file")  # fmt: skip


@dataclass
class KSpaceChecks:
    """The checks of a volume of measured k-space, and its truth.

    One slice is looked at closely: the first from the middle on that holds anything.

    Attributes:
        scan: the volume.
        done: whether it has been looked at.
    """

    scan: VolumeInfo
    done: bool = False

    def truth_of(self, index: int, kspace: np.ndarray) -> np.ndarray:
        """The magnitude image of a slice, cut to what the k-space can show.

        Args:
            index: of the slice; they come in order.
            kspace: (coils, H, W) complex64.

        Returns:
            (h, w) float32.

        Raises:
            UserError: it is no fully sampled, centred k-space, or its stored reconstruction is another image.
        """
        scan = self.scan
        closely = not self.done and index >= scan.count // 2 and bool(kspace.any())
        self.done = self.done or closely
        if closely:
            check_kspace(scan, index, kspace)
        if scan.truth is None:
            computed = root_sum_of_squares(kspace)
            if closely:
                check_shift(scan, index, computed)
            return computed
        stored = scan.truth(index)
        if not np.isfinite(stored).all():
            raise UserError(scan.name, f"holds NaN or infinite values in the reconstruction of slice {index}",
                          "replace them, or remove the file")  # fmt: skip
        if closely:
            check_agreement(scan, index, root_sum_of_squares(kspace), stored)
        height, width = (min(pair) for pair in zip(stored.shape, kspace.shape[-2:], strict=True))
        return center(stored, height, width)


def check_kspace(scan: VolumeInfo, index: int, kspace: np.ndarray) -> None:
    """Refuse what is not fully sampled, centred k-space: images, other axes, masks, transforms that are not centred.

    K-space is more peaked than its image: the energy of the zero frequency is that of the mean over all pixels.

    Args:
        scan: the volume, for messages.
        index: of the slice.
        kspace: (coils, H, W) complex64, not all zero.

    Raises:
        UserError: it is something else.
    """
    energy = (np.abs(kspace) ** 2).sum(0)
    if not kspace.imag.any():
        raise UserError(scan.name, f"holds real numbers as k-space of slice {index}: it looks like a magnitude image",
                      'give images through source = "complex", "nifti" or "dicom"')  # fmt: skip
    if energy.max() < (np.abs(to_image(kspace)) ** 2).sum(0).max():
        found = f"is less peaked in slice {index} than its Fourier transform: it looks like an image, not like k-space"
        raise UserError(scan.name, found, 'give complex images through source = "complex"')
    _check_axes(scan, index, energy)
    check_sampling(scan, index, energy > 0)
    if place := _zero_frequency(energy):
        found = f"has the zero frequency of slice {index} at {place}"
        raise UserError(scan.name, found, "it belongs in the middle: save np.fft.fftshift(kspace, axes=(-2, -1))")


def check_sampling(scan: VolumeInfo, index: int, measured: np.ndarray) -> None:
    """Refuse undersampled k-space: its zero-filled image is no truth.

    Zeros around what was measured are no gaps: scanners pad k-space, and leave out its corners.

    Args:
        scan: the volume, for messages.
        index: of the slice.
        measured: (H, W) bool, where any coil holds anything.

    Raises:
        UserError: there are gaps.
    """
    rows, columns = np.flatnonzero(measured.any(1)), np.flatnonzero(measured.any(0))
    box = measured[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = box.shape
    middle = box[height // 4 : height - height // 4, width // 4 : width - width // 4]
    empty = {"columns": (~box.any(0), width), "rows": (~box.any(1), height), "points of the middle": (~middle, None)}
    for what, (gaps, all_) in empty.items():
        count, of = int(gaps.sum()), all_ or middle.size
        if count > GAPS * of:
            found = f"holds nothing in {count} of {of} {what} of slice {index}: its k-space is undersampled"
            raise UserError(scan.name, f"{found}, and its zero-filled image is no ground truth",
                          "give fully sampled k-space, such as fastMRI's train and val files: those of test and "
                          "challenge hold a mask")  # fmt: skip


def _check_axes(scan: VolumeInfo, index: int, energy: np.ndarray) -> None:
    """Refuse k-space with an axis that is none of frequencies, which have a peak; images have none in either."""
    flat = [name for axis, name in ((1, "rows"), (0, "columns")) if _is_flat(energy.sum(axis))]
    if len(flat) == 1:
        count = energy.shape[0] if flat == ["rows"] else energy.shape[1]
        found = f"has {count} {flat[0]} of nearly equal energy in slice {index}, which k-space never has"
        raise UserError(scan.name, found, "they look like slices, frames or coils: state the order of axes with "
                      "images.axes")  # fmt: skip


def _is_flat(lines: np.ndarray) -> bool:
    return bool(lines.max() < FLATTEST * np.median(lines))


def _zero_frequency(energy: np.ndarray) -> str:
    """The place of the strongest point of k-space where that is far from the middle; else empty."""
    rows, columns = energy.shape
    row, column = (int(place) for place in np.unravel_index(energy.argmax(), energy.shape))
    if abs(row - rows // 2) > rows // 4 or abs(column - columns // 2) > columns // 4:
        return f"row {row}, column {column} of {rows} x {columns}"
    return ""


def check_shift(scan: VolumeInfo, index: int, image: np.ndarray) -> None:
    """Refuse k-space whose image is shifted by half: what lies in the middle is split over the edges.

    Args:
        scan: the volume, for messages.
        index: of the slice.
        image: (H, W) magnitudes.

    Raises:
        UserError: the corners, or two opposite edges, are much brighter than the middle.
    """
    energy = np.asarray(image, np.float64) ** 2
    rows, columns = energy.shape
    inner = center(energy, rows // 2, columns // 2).sum()
    corners = center(np.fft.fftshift(energy), rows // 2, columns // 2).sum()
    shifted = "along both axes" if corners > SHIFTED * inner else ""
    for axis, name in ((1, "rows"), (0, "columns")):
        lines, part = energy.sum(axis), len(energy.sum(axis)) // 4
        middle = lines[part : len(lines) - part].sum()
        if not shifted and min(lines[:part].sum(), lines[len(lines) - part :].sum()) > SHIFTED * middle:
            shifted = f"along its {name}"
    if shifted:
        raise UserError(
            scan.name,
            f"has an image that is shifted by half {shifted} in slice {index}: its middle is dark, and its edges are "
            "bright",
            "the transform lacks a shift: save np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image, axes), axes=axes), "
            "axes) with axes = (-2, -1)",
        )


Change = Callable[[np.ndarray], np.ndarray]
CHANGES: dict[str, Change] = {
    "shifted by half along both axes (a missing fftshift)": lambda x: np.fft.fftshift(x),
    "shifted by half along its rows (a missing fftshift)": lambda x: np.fft.fftshift(x, 0),
    "shifted by half along its columns (a missing fftshift)": lambda x: np.fft.fftshift(x, 1),
    "with rows and columns swapped": lambda x: x.T,
    "upside down": lambda x: x[::-1],
    "mirrored left to right": lambda x: x[:, ::-1],
    "turned by half a turn (a forward transform where an inverse one belongs, or the reverse)": lambda x: x[::-1, ::-1],
}
"""What a stored reconstruction may be of the image of its k-space, and how that is made."""


def check_agreement(scan: VolumeInfo, index: int, computed: np.ndarray, stored: np.ndarray) -> None:
    """Refuse a reconstruction that is not the root sum of squares of its k-space.

    Args:
        scan: the volume, for messages.
        index: of the slice.
        computed: (H, W) root sum of squares of the k-space.
        stored: (h, w) the reconstruction in the file.

    Raises:
        UserError: they differ; where one is the other moved or turned, it says how.
    """
    difference, ratio = _difference(computed, stored)
    if difference <= AGREEMENT:
        return
    for words, change in CHANGES.items():
        nearly, scale = _difference(change(computed), stored)
        if nearly <= 5 * AGREEMENT or _difference(change(computed) / max(scale, 1e-30), stored)[0] <= 5 * AGREEMENT:
            raise UserError(scan.name, f"holds a reconstruction of slice {index} that is the image of its k-space "
                            f"{words}", "save both in one convention, or leave the reconstruction out; the order of "
                            "axes is stated with images.axes")  # fmt: skip
    raise UserError(
        scan.name,
        f"holds a reconstruction of slice {index} that differs by {difference:.1%} from the root sum of squares of "
        f"its k-space (which is {ratio:.3g} times as bright)",
        "write the root sum of squares of the orthonormal transform, or leave the reconstruction out",
    )


def _difference(computed: np.ndarray, stored: np.ndarray) -> tuple[float, float]:
    """Relative difference in the part that both show, and how many times as bright the first is."""
    height, width = (min(pair) for pair in zip(stored.shape, computed.shape, strict=True))
    a, b = center(computed, height, width), center(stored, height, width)
    difference = float(np.linalg.norm(a - b)) / max(float(np.linalg.norm(b)), 1e-30)
    return difference, float((a * b).sum()) / max(float((b * b).sum()), 1e-30)


@dataclass
class ImageChecks:
    """The checks of a volume of images, as its slices are read.

    Attributes:
        scan: the volume.
        least, most: of the magnitudes of its values; of magnitude images, of the values themselves.
        negative, energy: sums of squares of the negative values, and of all.
        phases: whether any value has an imaginary part.
        labels: the whole numbers that all values are; none: others have been found.
        pairs, equal: pixels of label maps that lie side by side and are not both 0, and those that are equal.
        looked: whether a slice has been looked at closely.
    """

    scan: VolumeInfo
    least: float = float("inf")
    most: float = float("-inf")
    negative: float = 0.0
    energy: float = 0.0
    phases: bool = False
    labels: set[int] | None = field(default_factory=set)
    pairs: int = 0
    equal: int = 0
    looked: bool = False

    def look_at(self, index: int, image: np.ndarray) -> None:
        """Take in a slice (H, W) complex64 before it is prepared.

        Raises:
            UserError: it is a complex image whose k-space is not centred.
        """
        if self.scan.kind == "complex":
            self.phases = self.phases or bool(image.imag.any())
            if not self.looked and index >= self.scan.count // 2 and image.any():
                self.looked = True
                _check_phase(self.scan, index, image)
            values = np.abs(image)
        else:
            values = image.real
            self._count_labels(values)
        squares = np.square(values, dtype=np.float64)
        self.energy += float(squares.sum())
        self.negative += float(squares[values < 0].sum())
        self.least, self.most = min(self.least, float(values.min())), max(self.most, float(values.max()))

    def _count_labels(self, values: np.ndarray) -> None:
        if self.labels is None:
            return
        if values.min() < 0 or values.max() >= MOST_LABELS or (values != np.rint(values)).any():
            self.labels = None
            return
        self.labels |= {int(value) for value in np.unique(values)}
        left, right = values[:, :-1], values[:, 1:]
        self.pairs += int(((left > 0) | (right > 0)).sum())
        self.equal += int(((left == right) & (left > 0)).sum())

    def finish(self) -> None:
        """Refuse what cannot be magnitude images, or complex ones.

        Raises:
            UserError: values are negative, labels, or real numbers that are called complex.
        """
        name = self.scan.name
        if self.scan.kind == "complex":
            if self.energy and not self.phases:
                raise UserError(name, "holds real numbers as complex images: they have no phase",
                              'save magnitudes as NIfTI for source = "nifti": the report then says what they are'
                              )  # fmt: skip
            return
        if self.negative > NEGATIVE * self.energy:
            found = f"holds values from {self.least:.4g} to {self.most:.4g}, and negative values are no magnitudes"
            remedy = "give the scanner's magnitude images: no CT (Hounsfield units), no phase, no standardised values"
            raise UserError(name, found, f"{remedy}; or move them to begin at 0 first")
        if self.labels and len(self.labels) > 1 and self.equal > EQUAL * self.pairs:
            found = f"holds the whole numbers {min(self.labels)} to {max(self.labels)} and no others: it is a label map"
            raise UserError(name, found, "name the folders of images alone in images.folders, or remove the file")


def _check_phase(scan: VolumeInfo, index: int, image: np.ndarray) -> None:
    """Refuse complex images whose k-space has its zero frequency at the edge: their sign alternates."""
    if place := _zero_frequency(np.abs(to_kspace(image)) ** 2):
        found = f"has a phase that puts the zero frequency of slice {index} at {place}"
        raise UserError(scan.name, found, "it belongs in the middle: compute images with "
                      "np.fft.ifft2(np.fft.ifftshift(kspace, axes=(-2, -1)))")  # fmt: skip
