"""A study's problem, images and recipe in words."""

from __future__ import annotations

from reconscale.laws import Finding
from reconscale.report.format import amount
from reconscale.study import Study


def problem_words(study: Study) -> str:
    """The inverse problem in a few words."""
    acquisition = study.problem.acquisition(study.images)
    return f"{study.problem.words}; {acquisition}" if acquisition else study.problem.words


def images_words(study: Study) -> str:
    """The images, the unit, and the training crops."""
    images = study.images
    if images.volumes:
        lower = f", the middle {images.matrix} × {images.matrix} of k-space" if images.matrix else ""
        return f"{images.source}; a unit is a patient, or a volume where no patient is known; whole slices{lower}"
    return f"{images.source}; a unit is a {images.unit}; crops of {images.patch} × {images.patch} pixels"


OPTIMIZERS = {
    "muon": "Muon for matrices of weights and Adam at a fifth of the rate for the others",
    "adam": "Adam",
    "rmsprop": "RMSprop",
}
"""Optimizers in words."""


def recipe_words(study: Study) -> str:
    """How networks were trained."""
    recipe, steps = study.recipe, amount(study.recipe.steps)
    shape = "a constant rate" if recipe.decay == "none" else f"{recipe.decay} decay"
    held = "a constant rate and " if recipe.hold > recipe.warmup else ""
    policy = {
        "fast": f"{steps} steps at every n, with warm-up, {held}a linear fall to zero, and one restart at a third "
        "of the rate if training diverges",
        "budget": f"{steps} steps at every n, with warm-up and {shape}",
        "plateau": f"the rate halved when validation stops improving, at most {steps} steps",
        "paper": f"the two-phase policy of the paper, at most {steps} steps",
        "paper-mri": "a tenth of the rate when the validation loss stops improving, as in the official code, at most "
        + (f"{recipe.epochs} epochs" if recipe.epochs else f"{steps} steps"),
    }[recipe.policy]
    carried = f" at width {recipe.lr_width}, scaled with width^−{recipe.lr_power:g}" if recipe.lr_width else ""
    items = "slices" if study.images.volumes else f"crops of {study.images.patch} pixels"
    items += ", turned and mirrored at random" if study.images.augment else ""
    decay = f", weight decay {recipe.weight_decay:g}" if recipe.weight_decay else ""
    clipped = f", gradients clipped to norm {recipe.clip:g}" if recipe.clip else ""
    return (
        f"Training: {OPTIMIZERS[recipe.optimizer]}, learning rate {recipe.lr:g}{carried}{decay}{clipped}, "
        f"batches of {recipe.batch} {items}, "
        f"loss {recipe.loss}, precision {recipe.precision}; {policy}."
    )


def problem_findings(study: Study) -> tuple[Finding, ...]:
    """Cautions that follow from the study file alone."""
    return study.problem.findings(study.images)
