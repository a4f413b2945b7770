"""The study file: read from TOML and validated."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from reconscale.errors import UserError, suggest
from reconscale.files import read_limited
from reconscale.laws.points import METRICS
from reconscale.shown import Shown
from reconscale.study.base import FrozenModel, suggest_own
from reconscale.study.camera import fill_in_camera
from reconscale.study.defaults import fill_in, fill_in_tolerance
from reconscale.study.images import Images
from reconscale.study.initial_weights import read_init
from reconscale.study.mask_files import read_masks
from reconscale.study.noise_levels import check_grey_levels
from reconscale.study.policies import check_keys_are_read
from reconscale.study.problems import PROBLEMS
from reconscale.study.profiles import PROFILES, profiles_of
from reconscale.study.proposed_sweep import open_axes, with_proposed
from reconscale.study.recorded_parts import recall_parts
from reconscale.study.run import MOST, WIDEST, AnyProblem, Architecture, Network, Recipe

MOST_BYTES = 1 << 20
"""Bytes of a study file."""
MOST_RUNS = 1_000_000
"""Runs of a study."""


class Sweep(FrozenModel):
    """The grid: every n with every width and every seed.

    Attributes:
        n: training set sizes; ``images.counts`` says of what.
        width: network widths.
        seed: replicates; each has its own nested order of training images, initialisation and noise.
    """

    n: tuple[int, ...]
    width: tuple[int, ...]
    seed: tuple[int, ...] = (0,)

    @model_validator(mode="after")
    def _axes(self) -> Self:
        for name in ("n", "width", "seed"):
            values: tuple[int, ...] = getattr(self, name)
            least = 0 if name == "seed" else 1
            if not values:
                raise ValueError(f"{name}: the list is empty; give at least one value")
            if len(set(values)) != len(values):
                raise ValueError(f"{name}: a value is given twice; give each value once")
            if min(values) < least:
                raise ValueError(f"{name}: found {min(values)}; values start at {least}")
            if max(values) > MOST:
                raise ValueError(f"{name}: found a number of {len(str(max(values)))} digits; values end at {MOST:.0e}")
        if max(self.width) > WIDEST:
            raise ValueError(f"width: found {max(self.width)}; values end at {WIDEST}")
        runs = len(self.n) * len(self.width) * len(self.seed)
        if runs > MOST_RUNS:
            raise ValueError(f"n: the grid has {runs:,} runs; a study has at most {MOST_RUNS:,}")
        return self


class Override(FrozenModel):
    """A rule of the kind "for these sizes or widths, train like this instead".

    Attributes:
        n, width: the runs it applies to: [from, to], both included; none: all.
        recipe: the recipe's fields that change.
        skip: leave these cells out of the grid.
        seeds: keep only this many seeds in these cells.
    """

    n: tuple[int, int] | None = None
    width: tuple[int, int] | None = None
    recipe: dict[str, Any] = Field(default_factory=dict)
    skip: bool = False
    seeds: int | None = Field(default=None, ge=1)

    def covers(self, n: int, width: int) -> bool:
        """Whether the rule applies to a cell of the grid."""
        return _within(n, self.n) and _within(width, self.width)


class Analysis(FrozenModel):
    """What is asked of the results.

    Attributes:
        profile: the metric that curves are drawn in, a name in ``PROFILES``; of a study file that does not say: the
            usual one of its problem.
        worthwhile: the smallest gain worth paying for, in the unit of the metric: dB of PSNR, per cent of an error,
            SSIM; of a study file that does not say: 0.1 dB, 2 %, 0.01 SSIM.
        forecast: sizes to forecast; none: 2, 4 and 10 times the largest n.
        baseline_images: test images that reconstructions without learning are measured on at most, spread evenly; of
            volumes whole ones, and four at least.
    """

    profile: str = "psnr-rgb-clip"
    worthwhile: float = Field(default=0.1, gt=0)
    forecast: tuple[float, ...] = ()
    baseline_images: int = Field(default=32, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, content: Any) -> Any:
        """What is worthwhile in another metric than PSNR."""
        profile = PROFILES.get(str(content.get("profile"))) if isinstance(content, Mapping) else None
        if profile is None or profile.kind == "psnr":
            return content
        return {"worthwhile": METRICS[profile.kind].worthwhile, **content}

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.profile not in PROFILES:
            raise ValueError(f"profile: found '{self.profile}'; {suggest_own(self.profile, PROFILES)}")
        try:
            METRICS[PROFILES[self.profile].kind].check_worthwhile(self.worthwhile, math.nan)
        except UserError as mistake:
            raise ValueError(f"worthwhile: {mistake.found}; {mistake.remedy}") from mistake
        if any(n <= 0 for n in self.forecast):
            raise ValueError("forecast: sizes must be above 0; leave out what is not")
        return self


class Study(Shown, FrozenModel):
    """An immutable grid of runs and the analysis asked for.

    Attributes:
        version: of the study file: decides what is meant where it says nothing, see :mod:`reconscale.study.defaults`.
    """

    version: Literal[1, 2] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")
    problem: AnyProblem
    images: Images
    network: Architecture = Field(default_factory=Architecture)
    sweep: Sweep
    recipe: Recipe = Field(default_factory=Recipe)
    override: tuple[Override, ...] = ()
    analysis: Analysis = Field(default_factory=Analysis)

    def __repr__(self) -> str:
        grid, family = self.sweep, self.network.family
        return (
            f"Study({self.name}: {self.problem.kind}, {family}, {len(grid.n)} n x {len(grid.width)} widths x "
            f"{len(grid.seed)} seeds)"
        )

    def __str__(self) -> str:
        return repr(self)

    @model_validator(mode="before")
    @classmethod
    def _tolerance(cls, content: Any) -> Any:
        """Training has converged where twice the steps gain less than a third of what is worthwhile."""
        return fill_in_tolerance(content) if isinstance(content, Mapping) else content

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, content: Any) -> Any:
        """What is not said is as the version of the file has it."""
        return fill_in(content) if isinstance(content, Mapping) else content

    @model_validator(mode="before")
    @classmethod
    def _profile(cls, content: Any) -> Any:
        """Curves are drawn in the usual metric of the problem where the file does not say in which."""
        if not isinstance(content, Mapping) or not isinstance(content.get("problem"), Mapping):
            return content
        kind, analysis = PROBLEMS.get(str(content["problem"].get("kind"))), content.get("analysis", {})
        if kind is None or not isinstance(analysis, Mapping) or "profile" in analysis:
            return content
        usual = kind.usual_profile(content["problem"])
        worthwhile = METRICS[PROFILES[usual].kind].worthwhile
        return {**content, "analysis": {"worthwhile": worthwhile, **analysis, "profile": usual}}

    @model_validator(mode="before")
    @classmethod
    def _camera(cls, content: Any) -> Any:
        """What a camera says is turned into levels of noise."""
        return fill_in_camera(content) if isinstance(content, Mapping) else content

    @model_validator(mode="before")
    @classmethod
    def _read(cls, content: Any) -> Any:
        """Before anything is filled in: every key of the recipe that is said is read by a policy."""
        if isinstance(content, Mapping):
            check_keys_are_read(content)
        return content

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        """Problem, images and metric belong together."""
        kind, profile = self.problem.kind, self.analysis.profile
        truth: Literal["clean", "noisy"] = "clean" if self.problem.has_truth else "noisy"
        if profile not in profiles_of(kind, truth=truth):
            what = kind if truth == "clean" else "images without a truth"
            fitting = suggest(profile, profiles_of(kind, truth=truth))
            raise ValueError(f"analysis.profile: found '{profile}', which is not for {what}; {fitting}")
        losses = [self.recipe.loss, *(str(rule.recipe["loss"]) for rule in self.override if "loss" in rule.recipe)]
        self.problem.check_losses(self.images, losses)
        self.problem.check_images(self.images)
        check_grey_levels(self.problem)
        return self

    @model_validator(mode="after")
    def _overrides(self) -> Self:
        for number, rule in enumerate(self.override):
            for key, value in rule.recipe.items():
                if key in ("init", "init_path", "init_sha256"):
                    same = "all runs of a study begin with the same weights; set it in [recipe]"
                    raise ValueError(f"override.{number}.recipe.{key}: {same}")
                if key not in Recipe.model_fields:
                    known = suggest(key, Recipe.model_fields)
                    raise ValueError(f"override.{number}.recipe.{key}: there is no such key; {known}")
                try:
                    Recipe.model_validate({key: value})
                except ValidationError as error:
                    if error.errors()[0]["loc"]:  # else it goes with others, which are looked at below
                        raise ValueError(f"override.{number}.recipe.{_sentence(error.errors()[0])}") from error
        by_n = {
            tuple(_within(n, rule.n) for rule in self.override) for n in self.sweep.n
        }  # a few, however large the grid
        by_width = {tuple(_within(width, rule.width) for rule in self.override) for width in self.sweep.width}
        sets = {tuple(i for i, both in enumerate(zip(a, b, strict=True)) if all(both)) for a in by_n for b in by_width}
        kept = sorted(rules for rules in sets if not any(self.override[number].skip for number in rules))
        if not kept:
            raise ValueError("override: every cell of the grid is skipped; keep at least one")
        for rules in kept:
            self._check_together(rules)
        return self

    def _check_together(self, rules: tuple[int, ...]) -> None:
        """Refuse what the rules of one cell make of the recipe, where it is none."""
        changes = self._changes(rules)
        if not changes:
            return
        place = f"override.{rules[-1]}.recipe"
        try:
            changed = self.recipe_with(changes)
        except ValidationError as error:
            raise ValueError(f"{place}.{_sentence(error.errors()[0])}") from error
        swapped = "muon" in (changed.optimizer, self.recipe.optimizer) and changed.optimizer != self.recipe.optimizer
        if swapped and "lr" not in changes:
            raise ValueError(f"{place}.lr: is missing; {self.recipe.lr:g} is a rate for {self.recipe.optimizer}, "
                             f"say the one for {changed.optimizer} too")  # fmt: skip
        policies = (self.recipe.policy, changed.policy)
        if "converge" in policies and len(set(policies)) > 1 and "steps" not in changes:
            means = {True: "those before the first branch", False: "all of them"}
            before, after = (means[policy == "converge"] for policy in policies)
            raise ValueError(f"{place}.steps: is missing; the {self.recipe.steps} steps of the study are {before}, and "
                             f"of '{changed.policy}' they are {after}: say how many")  # fmt: skip

    def recipe_with(self, changes: Mapping[str, Any]) -> Recipe:
        """The study's recipe with some fields changed, validated like the recipe itself."""
        return Recipe.model_validate({**self.recipe.model_dump(exclude_defaults=True), **changes})

    def cell_recipe(self, n: int, width: int) -> Recipe | None:
        """The recipe of one cell of the grid, or none where an override leaves the cell out; later rules win."""
        rules = self._rules(n, width)
        if any(self.override[number].skip for number in rules):
            return None
        changes = self._changes(rules)
        return self.recipe_with(changes) if changes else self.recipe

    def _rules(self, n: int, width: int) -> tuple[int, ...]:
        """Numbers of the rules that apply to a cell of the grid."""
        return tuple(number for number, rule in enumerate(self.override) if rule.covers(n, width))

    def _changes(self, rules: tuple[int, ...]) -> dict[str, Any]:
        """What rules change together; later ones win."""
        changes: dict[str, Any] = {}
        for number in rules:
            changes |= self.override[number].recipe
        return changes

    def cell_seeds(self, n: int, width: int) -> tuple[int, ...]:
        """The seeds of one cell of the grid."""
        limits = [rule.seeds for rule in self.override if rule.seeds and rule.covers(n, width)]
        return self.sweep.seed[: min(limits)] if limits else self.sweep.seed

    def cell_network(self, width: int) -> Network:
        """The network of one width."""
        return Network(**self.network.model_dump(), width=width)


def load_study(path: str | Path) -> Study:
    """Read a study file.

    Args:
        path: a TOML file, or the folder of a ``study.toml``.

    Raises:
        UserError: the file is missing, is not TOML, or says something that a study cannot be. Every mistake is named
            in one go, with its place and the nearest right word.
    """
    path = study_path(path)
    content = read_content(path)
    recall_parts(path.parent / "runs")
    if elsewhere := [table for table in ELSEWHERE if table in content]:
        raise UserError(path, f"has [{elsewhere[0]}]: its networks are trained by other code than ours",
                        "run, status, report, decide, forecast, fit and compare take it, no other command")  # fmt: skip
    return complete_study(content, path)


def complete_study(content: Mapping[str, Any], path: Path) -> Study:
    """The study of a file's content, with the grid that its results folder holds where the file names none.

    Args:
        content: as read from TOML.
        path: of the study file.

    Raises:
        UserError: see :func:`load_study`.
    """
    complete = with_proposed(content, path.parent / "runs")
    if missing := [name for name in open_axes(complete) if name != "seed"]:
        placed = {**{name: [1] for name in missing}, **complete.get("sweep", {})}
        parse_study({**complete, "sweep": placed}, path, beside=path.parent)  # what else is wrong is said first
        raise UserError(f"{path}, [sweep]", f"has no {' and no '.join(missing)}",
                        "give it, or let runs be chosen: reconscale run STUDY --budget 2h")  # fmt: skip
    return parse_study(complete, path, beside=path.parent)


ELSEWHERE = ("command", "callable")
"""Tables of a study whose networks are trained by other code: see :mod:`reconscale.study.external`."""


def read_content(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        UserError: it is missing, too large, or not TOML.
    """
    data = read_limited(path, MOST_BYTES, "give the path of a study file")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))  # some editors put a mark first
    except UnicodeDecodeError as error:
        raise UserError(path, "is not UTF-8 text", "save the study file as UTF-8") from error
    except RecursionError as error:
        raise UserError(path, "is nested too deeply", "write it as the examples are") from error
    except ValueError as error:  # also numbers of more digits than Python reads
        raise UserError(path, f"is not TOML: {error}", "mend that line") from error


def study_path(path: str | Path) -> Path:
    """The study file that ``path`` means: itself, or the ``study.toml`` inside it.

    Raises:
        UserError: the path cannot be looked at.
    """
    path = Path(path)
    try:
        return path / "study.toml" if path.is_dir() else path
    except OSError as error:  # no permission, or a name that is too long
        raise UserError(path, f"cannot be read ({error.strerror})", "give the path of a study file") from error


def parse_study(content: Mapping[str, Any], where: object = "study", *, beside: str | Path | None = None) -> Study:
    """Turn the content of a study file into a Study.

    Args:
        content: as read from TOML.
        where: what messages call it.
        beside: the folder that files which it names (masks, weights) are seen from; none: the working directory.

    Raises:
        UserError: see :func:`load_study`.
    """
    try:
        return Study.model_validate(as_tuples(_with_files(content, Path(beside or "."))))
    except ValidationError as error:
        raise UserError(where, sentences(error), "mend the study file and run again") from error


def _with_files(content: Mapping[str, Any], beside: Path) -> Mapping[str, Any]:
    """The content of a study file, with what decides numbers in the files that it names."""
    if not isinstance(content, Mapping):
        return content
    readers = {"problem": read_masks, "recipe": read_init}
    return {**content, **{key: read(content[key], beside) for key, read in readers.items() if key in content}}


def sentences(error: ValidationError, root: type[BaseModel] = Study) -> str:
    """What is wrong with the content of a study file, in words.

    Args:
        error: what pydantic found.
        root: the model of the whole file.
    """
    problems = [_sentence(detail, root) for detail in error.errors()]
    return "; also ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")


def as_tuples(value: Any) -> Any:
    """TOML arrays as tuples, which is what frozen models hold; whole numbers stay what they are."""
    if isinstance(value, list):
        return tuple(as_tuples(item) for item in value)
    if isinstance(value, Mapping):
        return {key: as_tuples(item) for key, item in value.items()}
    return value


def _sentence(detail: ErrorDetails, root: type[BaseModel] = Study) -> str:
    parts = [str(part) for part in detail["loc"]]
    if parts[:1] == ["problem"] and parts[1:2] and parts[1] in PROBLEMS:
        del parts[1]  # the kind tells the models apart; the file has no table of that name
    place = ".".join(parts)
    kind = detail["type"]
    if kind == "union_tag_invalid":
        found = detail["ctx"]["tag"]
        return f"{place}.kind: found '{found}'; {suggest_own(str(found), PROBLEMS)}"
    if kind == "union_tag_not_found":
        return f"{place}.kind: is missing"
    if kind == "extra_forbidden":
        *parents, key = (str(part) for part in detail["loc"])
        return f"{place}: there is no such key, {suggest(key, _keys_at(parents, root))}"
    if kind == "missing":
        return f"{place}: is missing"
    message = detail["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{place}.{message}" if place else message
    return f"{place}: found {detail['input']!r}, {message[0].lower()}{message[1:].replace('valid tuple', 'list')}"


def _keys_at(parents: list[str], root: type[BaseModel]) -> list[str]:
    """The keys that a table of the study file may have."""
    model: type[BaseModel] = root
    for part in parents:
        if part == "problem":
            continue
        if part in PROBLEMS:
            model = PROBLEMS[part]
            continue
        if part.isdigit():
            continue
        annotation = model.model_fields[part].annotation
        inner = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type) and issubclass(a, BaseModel)]
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)


def _within(value: int, interval: tuple[int, int] | None) -> bool:
    return interval is None or interval[0] <= value <= interval[1]
