"""A study's problem, images and recipe in words: one function a kind of problem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconscale.laws import Finding, finding
from reconscale.report.format import amount
from reconscale.study import DenoisingProblem, MRIProblem, Study
from reconscale.study.problems import SuperresolutionProblem

MEASURED = ("fastmri", "kspace-array", "complex")
"""Sources whose values come from a scanner with their phase; of all others, an MRI acquisition is made up."""


def problem_words(study: Study) -> str:
    """The inverse problem in a few words."""
    problem = study.problem
    if isinstance(problem, MRIProblem):
        return _mri_words(study, problem)
    return WORDS[problem.kind](problem)


def _mri_words(study: Study, problem: MRIProblem) -> str:
    mask = {"equispaced": "equispaced lines", "random": "random lines", "gaussian": "lines denser in the middle",
            "poisson": "points of a Poisson disc"}[problem.mask]  # fmt: skip
    noise = f", noise of σ = {problem.sigma:g} of the maximum" if problem.sigma else ""
    return (
        f"MRI accelerated {problem.acceleration} times: {mask}, {100 * problem.center:g} % in the middle{noise}; "
        f"{acquisition_words(study)}"
    )


def _denoising_words(problem: DenoisingProblem) -> str:
    parts = [f"Gaussian noise, σ = {problem.sigma:g} of 255"] if problem.sigma else []
    parts += [f"Poisson noise of {problem.photons:g} photons at white"] if problem.photons else []
    said = f"denoising of {' and '.join(parts)}"
    if problem.sigma_range:
        said += ", trained from σ = {:g} to {:g}".format(*problem.sigma_range)
    if problem.truth == "noisy":
        return f"{said}; the images are noisy themselves, and nobody has the truth"
    return f"{said}; one noisy copy of each training image" if problem.noise == "fixed" else said


def _superresolution_words(problem: SuperresolutionProblem) -> str:
    jpeg = f", JPEG of quality {problem.jpeg}" if problem.jpeg is not None else ""
    return f"super-resolution {problem.factor} times, {problem.kernel} reduction{_noise(problem.sigma)}{jpeg}"


def _noise(sigma: float) -> str:
    return f", noise of σ = {sigma:g} of 255" if sigma else ""


WORDS: dict[str, Callable[[Any], str]] = {
    "denoising": _denoising_words,
    "superresolution": _superresolution_words,
    "deblurring": lambda p: f"deblurring of a {p.kernel} kernel of {p.radius:g} pixels{_noise(p.sigma)}",
    "inpainting": lambda p: f"inpainting, {100 * p.keep:g} % of the pixels kept{_noise(p.sigma)}",
    "tomography": lambda p: f"computed tomography from {p.angles} parallel-beam views{_noise(p.sigma)}",
    "compressed-sensing": lambda p: (
        f"compressed sensing, {100 * p.ratio:g} % of the pixels' number in random combinations of blocks of "
        f"{p.block} × {p.block}{_noise(p.sigma)}"
    ),
    "deepinv": lambda p: f"deepinv's {p.operator}{_noise(p.sigma)}",
}
"""Kind of problem -> its options in words."""


def acquisition_words(study: Study) -> str:
    """Where k-space comes from."""
    source, problem = study.images.source, study.problem
    assert isinstance(problem, MRIProblem)
    if source in ("fastmri", "kspace-array"):
        return "measured k-space"
    coils = "one uniform coil" if problem.coils == 1 else f"{problem.coils} coils"
    return f"k-space of complex images, {coils}, simulated" if source == "complex" else f"simulated k-space of {coils}"


def images_words(study: Study) -> str:
    """What a unit is, and what training sees of an image."""
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
        "fast": f"{steps} steps at every n, with warm-up, {held}a linear fall to zero, and one fresh start at a third "
        "of the rate where training diverges",
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
    problem, source = study.problem, study.images.source
    if isinstance(problem, DenoisingProblem) and problem.truth == "noisy":
        return (finding("no-truth"),)
    if not isinstance(problem, MRIProblem):
        return ()
    found = []
    if source not in MEASURED:
        found.append(finding("data-crime", source=source))
    if problem.masks == "volume":
        found.append(finding("fixed-masks"))
    return tuple(found)
