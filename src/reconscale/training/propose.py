"""Work out the grid of a study that names none, from the images that there are and the family of its networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from reconscale.data import open_images
from reconscale.errors import UserError
from reconscale.networks import FAMILIES
from reconscale.study.proposed_sweep import (
    SEEDS,
    ProposedSweep,
    open_axes,
    propose_sizes,
    propose_widths,
    record_proposed,
    with_proposed,
)
from reconscale.study.recorded_parts import recall_parts
from reconscale.study.study_file import ELSEWHERE, parse_study, read_content, study_path
from reconscale.training.placement import ExecutionConfig


def propose_sweep(
    path: str | Path,
    where: ExecutionConfig,
    progress: Callable[[str, int, int], None] | None = None,
    *,
    keep: bool = True,
) -> ProposedSweep | None:
    """Give a study the axes of its grid that it leaves open, and keep them beside its results.

    Args:
        path: a study file, or the folder of a ``study.toml``.
        where: where to compute; the folder above the images is used.
        progress: called with (label, done, total) while images are prepared.
        keep: whether they are written down; else nothing is.

    Returns:
        What was proposed; none where the study, or an earlier proposal, gives all of it.

    Raises:
        UserError: the study file is wrong in another way, or there are too few images.
    """
    path = study_path(path)
    content, root = read_content(path), path.parent / "runs"
    missing = open_axes(with_proposed(content, root))
    if not missing or any(table in content for table in ELSEWHERE):
        return None
    recall_parts(root)
    network = content.get("network", {})
    family = FAMILIES.get(network.get("family", "")) if isinstance(network, dict) else None
    multiple = 1 if family is None else math.lcm(family.width_multiple, network.get("heads") or family.heads or 1)
    widths = propose_widths(multiple)
    placed = {"n": [1], "width": list(widths), "seed": list(SEEDS), **content.get("sweep", {})}
    study = parse_study({**content, "sweep": placed}, path, beside=path.parent)
    if study.images.sources:
        raise UserError(path, "leaves the grid open, and its images come from several sources",
                        "give width and seed in [sweep]")  # fmt: skip
    images = open_images(study.images, data=where.resolved().data_folder, progress=progress)
    made = {"n": propose_sizes(images.available), "width": widths, "seed": SEEDS}
    proposed = ProposedSweep(**{name: made[name] for name in missing})
    if keep:
        record_proposed(root, proposed)
    return proposed
