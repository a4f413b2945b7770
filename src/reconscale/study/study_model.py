"""A study: a grid of runs and the analysis that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from reconscale.errors import suggest
from reconscale.laws.points import METRICS
from reconscale.shown import Drawn
from reconscale.study.analysis_settings import Analysis
from reconscale.study.base import PlacedModel
from reconscale.study.camera import fill_in_camera
from reconscale.study.defaults import fill_in, fill_in_tolerance
from reconscale.study.images import Images
from reconscale.study.mistakes import sentence
from reconscale.study.mixes import check_mixes
from reconscale.study.noise_levels import check_grey_levels
from reconscale.study.policies import check_keys_are_read
from reconscale.study.problems import PROBLEMS
from reconscale.study.profiles import PROFILES, profiles_of
from reconscale.study.run import AnyProblem, Architecture, Network, Recipe
from reconscale.study.sweep import Override, Sweep, within


class Study(Drawn, PlacedModel):
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
        if truth == "noisy" and self.images.sources:
            why = "'noisy' has one sigma for all images, and several sources have their own"
            raise ValueError(f"problem.truth: {why}; study one source, or images with a truth")
        self.problem.check_losses(self.images, losses)
        self.problem.check_images(self.images)
        check_mixes(self.images.source_names, self.sweep.mix)
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
                        raise ValueError(f"override.{number}.recipe.{sentence(error.errors()[0], Recipe)}") from error
        by_n = {
            tuple(within(n, rule.n) for rule in self.override) for n in self.sweep.n
        }  # a few, however large the grid
        by_width = {tuple(within(width, rule.width) for rule in self.override) for width in self.sweep.width}
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
            raise ValueError(f"{place}.{sentence(error.errors()[0], Recipe)}") from error
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
