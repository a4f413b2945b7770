"""The sets of a study: what is tested, and what each n means in slices, volumes and units."""

from __future__ import annotations

from dataclasses import dataclass

from reconscale.files import to_json, write_whole
from reconscale.imaging import ImageSet, Measures, Pixels, Slices
from reconscale.study import Folder, Images, Run, Study


@dataclass(frozen=True)
class Tested:
    """Images that reconstructions are measured on.

    Attributes:
        problem: measures them.
        pixels: the images.
        crop: the side that they are centre-cropped to at most; none: they are whole.
    """

    problem: Measures
    pixels: Pixels | Slices
    crop: int | None


def tested(options: Images, images: ImageSet, problem: Measures) -> dict[str, Tested]:
    """Every test set by name, and the main one at the other levels of noise that the problem names.

    Args:
        options: the images of the study.
        images: the same, opened.
        problem: of the study.
    """
    crop, main = options.test_patch, options.main_test
    found = {name: Tested(problem, pixels, crop) for name, pixels in images.tests.items()}
    for words, variant in problem.variants().items():
        found[main + words] = Tested(variant, images.tests[main], crop)
    return found


def training_sets(study: Study, images: ImageSet, folder: Folder) -> None:
    """Write ``training-sets.json`` of a study of volumes: the mean over seeds for each n, and the pixels of a slice.

    Nothing is written for studies of single images.
    """
    if not isinstance(images.train, Slices):
        return
    rows = []
    for n in sorted(study.sweep.n):
        subsets = [images.training(n, seed if study.images.subset == "seed" else 0) for seed in study.sweep.seed]
        counts = [(len(s), len(set(s.volume_names)), len(set(s.units))) for s in subsets if isinstance(s, Slices)]
        means = [sum(column) / len(column) for column in zip(*counts, strict=True)]
        rows.append({"n": n, "slices": means[0], "volumes": means[1], "units": means[2]})
    write_whole(folder.root / "training-sets.json", to_json({"sets": rows, "pixels": _area(images.train)}))


def pixels_of(run: Run, images: ImageSet) -> float:
    """Pixels of what training sees of an image: of a crop, or of the mean slice."""
    return _area(images.train) if isinstance(images.train, Slices) else float(run.images.patch**2)


def _area(slices: Slices) -> float:
    return sum(slices.area(i) for i in range(len(slices))) / len(slices)
