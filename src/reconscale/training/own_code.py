"""The user's own parts in a study: which it uses, what they must be able to do, and that their code stays the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from reconscale.data import ImageSet
from reconscale.data.volumes.volume_set import Slices
from reconscale.errors import UserError
from reconscale.networks import FAMILIES, build, input_spec, size_of
from reconscale.networks.own import check_output
from reconscale.networks.registry import BUILT_IN
from reconscale.own_parts import Plugin, code_behind, loaded_plugins
from reconscale.physics import KSpace, problem_of
from reconscale.physics.metrics import MetricError, refuse_values
from reconscale.physics.mri import center_lines, own_mask
from reconscale.plugins import load_object
from reconscale.results import Folder
from reconscale.study import LOSSES, PROBLEMS, PROFILES, SOURCES, Run, Study
from reconscale.study.mri import MASKS, MRIProblem, Sampling
from reconscale.study.profiles import Profile
from reconscale.study.recorded_parts import code_of_result, difference, record_parts, recorded_code
from reconscale.training import checkpoint
from reconscale.training.executors.base import Tell


def _named(study: Study) -> Iterable[tuple[str, str, object]]:
    """What a study names of the registries: (registry, name, entry); entries that are not there are said elsewhere."""
    losses = [study.recipe.loss, *(str(rule.recipe["loss"]) for rule in study.override if "loss" in rule.recipe)]
    yield "FAMILIES", study.network.family, FAMILIES.get(study.network.family)
    sources = [one.source for one in study.images.sources.values()] or [study.images.source]
    for source in sources:
        yield "SOURCES", source, SOURCES.get(source)
    yield "PROBLEMS", study.problem.kind, PROBLEMS.get(study.problem.kind)
    for kind in {sampling.mask for sampling in getattr(study.problem, "samplings", ())}:
        yield "MASKS", kind, MASKS.get(kind)
    for loss in losses:
        yield "LOSSES", loss, LOSSES.get(loss)


def plugins_of(study: Study) -> tuple[Plugin, ...]:
    """The plugins that numbers of a study depend on: those that it names, and those with metrics, which measure all."""
    used = {(registry, name) for registry, name, _ in _named(study)}
    return tuple(
        plugin
        for plugin in loaded_plugins()
        if used & set(plugin.entries) or any(registry in ("PROFILES", "METRICS") for registry, _ in plugin.entries)
    )


def code_of_study(study: Study) -> dict[str, str]:
    """The own code that numbers of a study depend on: name of a plugin, or of a part without one -> digest."""
    code = {plugin.name: plugin.digest for plugin in plugins_of(study)}
    for registry, name, entry in _named(study):
        code |= code_behind(registry, name, entry)
    return code


def pin_code(study: Study, folder: Folder, runs: Sequence[Run], tell: Tell) -> None:
    """Remember the own parts that a results folder was computed with, and refuse others.

    Runs that were under way with other code begin again; results are kept.

    Args:
        study: the study.
        folder: its results, which this command holds.
        runs: of the study.
        tell: takes the events of the sweep.

    Raises:
        UserError: results of the study came from other code.
    """
    now = code_of_study(study)
    results = [result for result in folder.results(runs, images=False) if result.status != "failed"]
    before = code_of_result(results[0].provenance) if results else {}
    if refusal := difference(folder.root, before, now, len(results)):
        raise refusal
    known = recorded_code(folder.root)
    if known != now:
        begun = [run for run in runs if not folder.is_over(run) and (folder.of(run) / checkpoint.NAME).is_file()]
        for run in begun:
            checkpoint.remove(folder.of(run))
        if begun:
            names = ", ".join(sorted(name for name in {**known, **now} if known.get(name) != now.get(name)))
            words = "run that was under way begins" if len(begun) == 1 else "runs that were under way begin"
            tell({"event": "note", "text": f"{len(begun)} {words} again, as {names} has changed"})
    record_parts(folder.root, plugins_of(study), now)


def check_networks(study: Study, images: ImageSet) -> None:
    """Try untrained networks of the user's own on images of the study: every width, on images as in training and tests.

    Raises:
        UserError: one cannot be built, fails, gives another shape or NaN, has nothing to train, or does not grow with
            its width.
    """
    family = study.network.family
    if family in BUILT_IN:
        return
    problem = problem_of(study.problem, torch.device("cpu"), 0)
    examples = [problem.fixed(data, 0, crop) for data, crop in _looked_at(study, images)]
    given, counted = input_spec(study.problem, images.channels), dict[int, int]()
    for width in sorted(study.sweep.width):
        where = f"network.family '{family}' of width {width}"
        torch.manual_seed(0)
        try:
            network = build(study.cell_network(width), given)
        except UserError:
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"
            raise UserError(where, f"cannot be built ({said})", "mend its __init__, or leave that width out") from error
        for example in examples:
            check_output(where, network.eval(), example.y, example.x)
        check_output(where, network.train(), examples[0].y, examples[0].x)
        counted[width] = size_of(study.cell_network(width), given).p
    if not min(counted.values()):
        raise UserError(f"network.family '{family}'", "has no parameters to train", "register its layers as modules")
    if len(counted) > 1 and len(set(counted.values())) == 1:
        p = next(iter(counted.values()))
        raise UserError(f"network.family '{family}'", f"has {p:,} parameters at every width",
                        "let its width be the number of channels of its layers")  # fmt: skip


LARGEST_TRIED = 256
"""Pixels a side, at most, of the images that metrics are tried on."""


def check_metrics(study: Study, images: ImageSet) -> None:
    """Try the metrics of plugins that the study is measured in, on two random images as large as those of its main test
    set, and slightly changed copies of them.

    Raises:
        UserError: one fails, or does not give a finite number for each image.
    """
    own = [(plugin, name) for plugin in loaded_plugins() for registry, name in plugin.entries if registry == "PROFILES"]
    tried = [(plugin, name) for plugin, name in own if _is_measured(PROFILES[name], study)]
    if not tried:
        return
    problem, volumes = problem_of(study.problem, torch.device("cpu"), 0), PROBLEMS[study.problem.kind].volumes
    shape = problem.fixed(images.tests[study.images.main_test], 0, study.images.test_patch).x.shape
    rows, columns = [min(side, LARGEST_TRIED) for side in shape[-2:]]
    if volumes:  # they are compared over squares, in float64
        rows = columns = min(rows, columns)
    random = torch.Generator().manual_seed(0)
    size = (2, shape[1], rows, columns)
    x = torch.rand(size, generator=random, dtype=torch.float64 if volumes else torch.float32)
    x_hat = x + 0.01 * torch.randn(size, generator=random, dtype=x.dtype)
    for plugin, name in tried:
        more = (study.problem.enlarges,) if PROFILES[name].border and not volumes else ()
        _check_metric(f"metric '{name}' of {plugin.name}", PROFILES[name], x_hat.clone(), x.clone(), *more)


TRIED_MASKS, FAR = 8, 0.1
"""Masks of a kind that are tried, and by what part their lines may differ from what the acceleration says."""


def check_masks(study: Study, images: ImageSet) -> None:
    """Try the masks of plugins that the study measures with, on k-space as large as that of its main test set.

    Raises:
        UserError: one fails or gives no mask, gives another one from the same numbers, or measures much more or less
            than the acceleration says.
    """
    problem = study.problem
    if not isinstance(problem, MRIProblem):
        return
    own = {name: plugin.name for plugin in loaded_plugins() for registry, name in plugin.entries if registry == "MASKS"}
    tried = [sampling for sampling in problem.samplings if sampling.mask in own]
    if not tried:
        return
    example = problem_of(problem, torch.device("cpu"), 0).fixed(
        images.tests[study.images.main_test], 0, study.images.test_patch
    )
    assert isinstance(example.y, KSpace)
    rows, columns = example.y.values.shape[-2:]
    for sampling in tried:
        drawn = [_drawn(rows, columns, sampling, seed) for seed in (*range(TRIED_MASKS), 0)]
        where = f"mask '{sampling.mask}' of {own[sampling.mask]}"
        if not torch.equal(drawn[0], drawn[-1]):
            raise UserError(where, "gives another mask from the same numbers", "draw what is random from rng alone")
        share = sum(float(mask.double().mean()) for mask in drawn[:-1]) / TRIED_MASKS
        if abs(share * sampling.acceleration - 1) > FAR:
            found = f"measures {100 * share:.3g} % of k-space, and acceleration {sampling.acceleration} is "
            found += f"{100 / sampling.acceleration:.3g} %"
            raise UserError(where, found, "count the lines in the middle, too: columns / acceleration in all")


def _drawn(rows: int, columns: int, sampling: Sampling, seed: int) -> Tensor:
    center = center_lines(columns, sampling)
    return own_mask(rows, columns, center, sampling, torch.Generator().manual_seed(seed))[0]


def _is_measured(profile: Profile, study: Study) -> bool:
    """Whether images or slices of a study are measured in a metric, as ``physics.metrics`` does it."""
    kind = study.problem.kind
    fits = profile.takes != "images" if PROBLEMS[kind].volumes else profile.fits(kind)
    return fits and profile.function is not None


def _check_metric(where: str, profile: Profile, x_hat: Tensor, x: Tensor, *more: int) -> None:
    remedy = "it must return a tensor of shape (B,), a finite number for each of the B images"
    try:
        with torch.inference_mode():
            values = load_object(profile.function)(x_hat, x, *more)
    except UserError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"
        raise UserError(where, f"fails on two images of shape {tuple(x.shape)} ({said})", remedy) from error
    if not isinstance(values, Tensor):
        raise UserError(where, f"gives a {type(values).__name__}, not a tensor", remedy)
    if values.shape != x.shape[:1]:
        raise UserError(where, f"gives a tensor of shape {tuple(values.shape)} for two images", remedy)
    if values.is_complex():
        raise UserError(where, "gives complex numbers", remedy)
    if not bool(torch.isfinite(values).all()):
        found = ", ".join(f"{value:g}" for value in values.tolist())
        raise UserError(where, f"gives {found} for two random images and slightly changed copies", remedy)
    for value in values.tolist():
        try:
            refuse_values({profile.name: value})
        except MetricError as mistake:
            raise UserError(where, mistake.found, mistake.remedy) from mistake


def _looked_at(study: Study, images: ImageSet) -> list[tuple[object, int | None]]:
    """One image of every set, with the side that it is cropped to."""
    options = study.images
    tests = [(data, options.test_patch) for data in images.tests.values()]
    patch = None if isinstance(images.train, Slices) else options.patch
    return [(images.train, patch), (images.val, options.val_patch), *tests]
