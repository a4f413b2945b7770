"""Open the images of a study, and refuse what cannot work before anything is trained."""

from __future__ import annotations

from collections.abc import Callable

import torch

from reconscale.data import ImageSet, Slices, open_images
from reconscale.data.listing import in_words
from reconscale.errors import UserError
from reconscale.networks import build, input_spec
from reconscale.networks.registry import depth_of, family_of, min_image_size
from reconscale.physics import problem_of
from reconscale.study import Study
from reconscale.training.muon import matrices_of
from reconscale.training.own_code import check_masks, check_metrics, check_networks
from reconscale.training.placement import ExecutionConfig

Progress = Callable[[str, int, int], None]
"""Called with (label, done, total)."""


def prepare(study: Study, where: ExecutionConfig, progress: Progress | None = None) -> ImageSet:
    """Open the images of a study and refuse what cannot work, before anything is trained.

    Raises:
        UserError: no such family, too few images, a patch that the network cannot take, bad images.
    """
    if not study.images.volumes:
        for key in ("patch", "val_patch", "test_patch"):
            _refuse_small(study, f"images.{key}", getattr(study.images, key))
    images = open_images(study.images, data=where.data_folder, progress=progress)
    problem = problem_of(study.problem, torch.device("cpu"), 0)
    for pixels in images.sets.values():
        if isinstance(pixels, Slices):
            for volume in pixels.volumes:
                _refuse_small(study, volume.name, min(volume.facts["size"]), min(volume.shape[1:]))
        problem.check(pixels, study.images.patch)
    if study.images.sources:
        every = [mix for mixes in study.sweep.mixes.values() for mix in mixes]
        images.check_mix({name: max(mix.get(name, 0) for mix in every) for name in study.images.sources})
    if not study.images.sources and max(study.sweep.n) > images.available:
        left_out = f" ({in_words(images.passed_over)})" if images.passed_over else ""
        raise UserError("sweep.n", f"found {max(study.sweep.n)}", f"the images allow at most {images.available} "
                      f"{study.images.counts} for training{left_out}")  # fmt: skip
    check_networks(study, images)
    check_metrics(study, images)
    check_masks(study, images)
    _refuse_without_matrices(study, images.channels)
    return images


def _refuse_without_matrices(study: Study, channels: int) -> None:
    """Refuse Muon where it has nothing to work on; nothing is allocated for it."""
    recipes = (study.recipe.optimizer, *(rule.recipe.get("optimizer") for rule in study.override))
    for width in study.sweep.width if "muon" in recipes else ():
        cells = (study.cell_recipe(n, width) for n in study.sweep.n)
        if any(recipe is not None and recipe.optimizer == "muon" for recipe in cells):
            with torch.device("meta"):
                matrices_of(build(study.cell_network(width), input_spec(study.problem, channels)))


def _refuse_small(study: Study, where: str, side: int | None, of_kspace: int | None = None) -> None:
    """Refuse images that a network of the study cannot take: one of MRI without cascades sees what is shown alone."""
    for width in study.sweep.width:
        network = study.cell_network(width)
        least = min_image_size(network, input_spec(study.problem, 1))
        seen = of_kspace if of_kspace is not None and family_of(network).cascades else side
        if seen is not None and seen < least:
            depth, found = (
                depth_of(network, input_spec(study.problem, 1)),
                f"found {seen}" + " pixels" * (of_kspace is not None),
            )
            raise UserError(where, found, f"{network.family} of depth {depth} needs at least {least}")
