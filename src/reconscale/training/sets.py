"""What each n of a study means in slices, volumes and units, kept beside its results for the report."""

from __future__ import annotations

from reconscale.files import to_json, write_whole
from reconscale.imaging import ImageSet, Slices
from reconscale.study import Folder, Run, Study


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
