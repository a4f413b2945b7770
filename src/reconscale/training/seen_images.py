"""Whether training sees all the images that it is given."""

from __future__ import annotations

from reconscale.data import ImageSet
from reconscale.study import Study
from reconscale.training.schedule import most_steps


def unseen_cautions(study: Study, images: ImageSet) -> tuple[str, ...]:
    """A sentence about the smallest n at which training ends before it has seen every image; else nothing.

    Args:
        study: the study.
        images: its images.
    """
    for n in sorted(study.sweep.n):
        count = max(len(images.training(n, 0, mix)) for mix in study.sweep.mixes[n])
        for recipe in {study.cell_recipe(n, width) for width in study.sweep.width}:
            seen = count if recipe is None else most_steps(recipe, count) * recipe.batch
            if recipe is not None and seen < count:
                key = "doublings" if recipe.policy == "converge" else "steps"
                return (
                    f"at n = {n} training sees {seen:,} of {count:,} images at most, and what is not seen teaches "
                    f"nothing: raise recipe.{key} or recipe.batch",
                )
    return ()
