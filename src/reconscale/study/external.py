"""Studies whose networks are trained by other code than ours: a Python function, or a command.

Their folder is like that of any study: ``study.toml``, and ``runs`` with one directory a run. The function or command
gets the items of a run and gives back what it measured on the test items; everything after that is the same.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from reconscale.errors import UserError, suggest
from reconscale.files import json_digest
from reconscale.format import times
from reconscale.laws.metrics import METRICS, Metric, register
from reconscale.shown import Drawn
from reconscale.study.base import OWN, FrozenModel, PlacedModel, as_tuples
from reconscale.study.images.image_sources import check_source_names
from reconscale.study.images.own_split import OwnSplit, fill_in_counts
from reconscale.study.mistakes import sentences
from reconscale.study.mixes import check_mixes, counts_of, fill_in_mixes, mix_words
from reconscale.study.own_metric import OwnMetric
from reconscale.study.recorded_parts import recall_parts
from reconscale.study.study_file import ELSEWHERE, complete_study, read_content, study_path
from reconscale.study.subsets import sizes_of

PLACEHOLDER = re.compile(r"\{([A-Za-z_]+)\}")
PLACEHOLDERS = ("train", "val", "test", "width", "seed", "n", "folder", "device", "threads", "root")
"""What a command may ask for in braces."""
Manifest = Literal["paths", "json", "fastmri", "basicsr", "links"]
"""How a list of items is handed to a command."""


class Callable(FrozenModel):
    """The Python function that trains; noted for the reader, never called from here.

    Attributes:
        name: of the function.
        script: the file that calls ``rs.measure``; in a notebook that of the function, where it is in one.
        arguments: whether the script was given arguments, which are noted nowhere.
        directory: where it was started, if it named the study's folder from there.
    """

    name: str
    script: str = ""
    arguments: bool = False
    directory: str = ""

    @property
    def again(self) -> str:
        """The command that goes on, in words where it is not known."""
        if not self.script.endswith(".py"):
            return "the script that calls rs.measure"
        elsewhere = self.directory and Path(self.directory) != Path.cwd()
        place = f"cd {shlex.quote(self.directory)} && " if elsewhere else ""
        return f"{place}python {shlex.quote(self.script)}{' (with its arguments)' * self.arguments}"


class Command(FrozenModel):
    """A command that trains.

    Attributes:
        run: the program and its arguments, as they are given to the system: no shell reads them. ``python`` is the
            interpreter that runs reconscale. In braces: ``train``, ``val`` and ``test`` (the list files), ``width``,
            ``seed``, ``n``, ``folder`` (the run's own, to write to), ``device``, ``threads`` and ``root`` (the folder
            above the items).
        result: what the command writes below ``{folder}``: a JSON file with the metric, or a log that ``reconscale
            import`` reads; ``*`` stands for any part of a name.
        value: of a log: the tag to read; none: the only one that names the metric.
        choose_by: of a log: the validation series on whose best step the value is read; none: the last value.
        time_limit: seconds after which a command counts as stuck and is ended; none: there is no limit.
        list: the form of the list files.
    """

    run: tuple[str, ...]
    result: str = "metrics.json"
    value: str | None = None
    choose_by: str = ""
    time_limit: float | None = Field(default=None, gt=0)
    list: Manifest = "paths"

    @model_validator(mode="after")
    def _known(self) -> Self:
        if not self.run or not self.run[0].strip():
            raise ValueError('run: is empty; give the program and its arguments, run = ["python", "train.py", ...]')
        for word in (found for part in self.run for found in PLACEHOLDER.findall(part)):
            if word not in PLACEHOLDERS:
                raise ValueError(f"run: found {{{word}}}; {suggest(word, PLACEHOLDERS)}")
        if not any("{train}" in part for part in self.run):
            raise ValueError("run: {train} is missing, the list of training items; without it n would change nothing")
        if not any("{folder}" in part for part in self.run):
            raise ValueError("run: {folder} is missing, the folder that the command writes its result to")
        if Path(self.result).is_absolute() or ".." in Path(self.result).parts:
            raise ValueError(f"result: found '{self.result}'; give a place below {{folder}}, as every run has its own")
        return self


class ItemSource(FrozenModel):
    """One of several sources of a function's items.

    Attributes:
        count: how many items it has.
    """

    count: int = Field(ge=1)


class ItemTable(FrozenModel):
    """Which items, and how they are divided.

    Attributes:
        folders: places below the data folder that items are looked for in.
        patterns: of names below these folders; ``**/`` looks into folders within.
        list: a text file with an item a line, instead of folders and patterns.
        group: what is never divided between training, validation and test: ``folder``, or a regular expression, what
            it matches in a path is the group; none: each item is one.
        val, test: items held out; 1 where ``split`` says which.
        split: of a command's items: which are for training, validation and test.
        unit: what an item is, in one word; it is what n counts.
        count, digest: of a function's items: how many, and their hash with their groups and which are held out.
        sources: of a function's items: the sources that they come from, where there are several.
        target: the source that validation and test items are of.
    """

    folders: tuple[str, ...] = (".",)
    patterns: tuple[str, ...] = ()
    list: str | None = None
    group: str | None = None
    val: int = Field(ge=0)
    test: int = Field(ge=1)
    split: OwnSplit | None = None
    unit: str = Field(default="items", min_length=1, max_length=40)
    count: int = Field(default=0, ge=0)
    digest: str = ""
    sources: dict[str, ItemSource] = Field(default_factory=dict)
    target: str | None = None

    @property
    def source_names(self) -> tuple[str, ...]:
        """The names of several sources, the target first, then by name; none where there is one source."""
        return tuple(sorted(self.sources, key=lambda name: (name != self.target, name)))

    @model_validator(mode="before")
    @classmethod
    def _given(cls, content: Any) -> Any:
        return fill_in_counts(content)  # sets that a list gives need no number

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.list is not None and self.patterns:
            raise ValueError("list: is given together with patterns; leave one of the two out")
        if self.group not in (None, "folder"):
            try:
                re.compile(str(self.group))
            except (re.error, OverflowError, RecursionError) as error:
                raise ValueError(f"group: '{self.group}' is not a regular expression ({error})") from error
        if self.sources or self.target is not None:
            check_source_names(tuple(self.sources), self.target)
        return self


class Grid(FrozenModel):
    """Every n with every width and every seed.

    Attributes:
        n: training set sizes, in items, of all sources together.
        mix: where items come from several sources: each source -> its share of n, or how many.
        width: of networks; empty: there is no such setting.
        seed: replicates.
    """

    n: tuple[int, ...]
    width: tuple[int, ...] = ()
    seed: tuple[int, ...] = (0,)
    mix: tuple[dict[str, int | float], ...] = ()

    @cached_property
    def mixes(self) -> Mapping[int, tuple[dict[str, int], ...]]:
        """How many items come from each source, in every mix of n; one without sources where ``mix`` is empty."""
        return counts_of(self.n, self.mix) if self.mix else {n: ({},) for n in self.n}

    @model_validator(mode="before")
    @classmethod
    def _mixes(cls, content: Any) -> Any:
        return fill_in_mixes(content)

    @model_validator(mode="after")
    def _axes(self) -> Self:
        if self.mix:
            counts_of(self.n, self.mix)  # refuses shares and numbers that cannot be
        sizes_of(self.n)
        sizes_of(self.width or (1,), "width")
        if len(set(self.seed)) < len(self.seed) or not self.seed or min(self.seed) < 0:
            raise ValueError("seed: found an empty list, a seed below 0, or one twice; give each seed once")
        return self


class ExternalAnalysis(FrozenModel):
    """What is asked of the results.

    Attributes:
        metric: what is measured on the test items, a key of ``METRICS`` or that of ``[metric]``.
        worthwhile: the smallest gain worth paying for, in the unit of the metric; none: the metric's own.
    """

    metric: str = "psnr"
    worthwhile: float | None = Field(default=None, gt=0)


class ExternalRun(FrozenModel):
    """One training by other code.

    Attributes:
        n, width, seed: which; no width: there is no such setting.
        study: hash of what else decides the numbers.
        mix: source -> how many of the n are its; empty where there is one source.
    """

    n: int = Field(ge=1)
    width: int | None = None
    seed: int = Field(ge=0)
    study: str
    mix: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)

    @property
    def id(self) -> str:
        """Name of the run and of its results folder."""
        width = "" if self.width is None else f"-w{self.width}"
        mix = "".join(f"-{name}.{count}" for name, count in sorted(self.mix.items()))
        return f"n{self.n}{mix}{width}-s{self.seed}-{self.study[:12]}"

    @property
    def words(self) -> str:
        """The run in words."""
        mix = [mix_words(self.mix)] if self.mix else []
        return ", ".join(
            [f"n {self.n}", *mix, *([] if self.width is None else [f"width {self.width}"]), f"seed {self.seed}"]
        )


class ExternalStudy(Drawn, PlacedModel):
    """A study whose networks are trained by other code.

    Attributes:
        version: of the study file, as of other studies; both mean the same here.
        name: of the study.
        callable, command: what trains; one of the two.
        images: the items.
        sweep: the runs: one grid, or several.
        analysis: what is asked.
        metric: the metric, where it is not known here.
    """

    version: Literal[1, 2] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")
    callable: Callable | None = None
    command: Command | None = None
    images: ItemTable
    sweep: tuple[Grid, ...]
    analysis: ExternalAnalysis = Field(default_factory=ExternalAnalysis)
    metric: OwnMetric | None = None

    def __repr__(self) -> str:
        return f"Study({self.name}: trained by {self.trainer_words}, {times(len(self.runs()), 'run')})"

    def __str__(self) -> str:
        return repr(self)

    @property
    def trainer_words(self) -> str:
        """What trains, in words."""
        if self.command is not None:
            return f"the command {shlex.join(self.command.run)}"
        return f"the function {self.callable.name}" if self.callable is not None else "other code"

    @model_validator(mode="before")
    @classmethod
    def _one_grid(cls, content: Any) -> Any:
        images = content.get("images") if isinstance(content, Mapping) and "command" in content else None
        if isinstance(images, Mapping) and images.get("sources"):
            raise ValueError("images.sources: is for functions (rs.measure_mixture); run the command once for each "
                             "mix, and write a table for `reconscale mixture`")  # fmt: skip
        if isinstance(content, Mapping) and isinstance(content.get("sweep"), Mapping):
            return {**content, "sweep": (content["sweep"],)}
        return content

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.callable is None) == (self.command is None):
            raise ValueError("command: is given together with [callable]; one of the two trains")
        if self.metric is not None and self.metric.name != self.analysis.metric:
            raise ValueError(
                f"metric.name: found '{self.metric.name}', and analysis.metric is '{self.analysis.metric}'"
            )
        if self.metric is None and self.analysis.metric not in METRICS:
            known = suggest(self.analysis.metric, METRICS)
            also = f"add a table [metric], or {OWN}"
            raise ValueError(
                f"analysis.metric: found '{self.analysis.metric}'; {known}{';' * (known[-1] != '?')} {also}"
            )
        if self.command is not None and len({len(grid.width) > 0 for grid in self.sweep}) > 1:
            raise ValueError("sweep: some grids have widths and others none; give widths to all or to none")
        if self.command is None and self.images.split is not None:
            raise ValueError("images.split: is for [command]; give rs.measure lists, as val and test")
        if self.command is not None and not self.images.patterns and self.images.list is None:
            raise ValueError('images.patterns: is missing; give for instance ["*.png"], or a list file as images.list')
        for grid in self.sweep:
            check_mixes(self.images.source_names, grid.mix)
        asks = self.command is not None and any("{width}" in part for part in self.command.run)
        if self.command is not None and asks != bool(self.sweep[0].width):
            raise ValueError("sweep.width: goes with {width} in command.run; give both or none")
        return self

    @property
    def known_metric(self) -> Metric:
        """The metric; one of the study's own is entered into ``METRICS``."""
        return METRICS[self.analysis.metric if self.metric is None else register(self.metric.metric())]

    @property
    def worthwhile(self) -> float:
        """The smallest gain worth paying for."""
        return self.known_metric.worthwhile if self.analysis.worthwhile is None else self.analysis.worthwhile

    @cached_property
    def key(self) -> str:
        """Hash of what decides the numbers of all runs, but for the content of the files."""
        command = None if self.command is None else self.command.model_dump(mode="json", exclude={"time_limit"})
        unsaid = {"unit"} if self.images.split is not None else {"unit", "split"}
        unsaid |= set() if self.images.sources else {"sources", "target"}
        table = self.images.model_dump(mode="json", exclude=unsaid)
        return json_digest([command, table, self.analysis.metric])

    def runs(self, grids: Sequence[Grid] | None = None) -> list[ExternalRun]:
        """All runs, each once; of some grids where these are given."""
        found = (ExternalRun(n=n, width=width, seed=seed, study=self.key, mix=mix)
                 for grid in grids or self.sweep for n in grid.n for mix in grid.mixes[n]
                 for width in grid.width or (None,) for seed in grid.seed)  # fmt: skip
        return list({run.id: run for run in found}.values())


def load_external(path: str | Path) -> ExternalStudy:
    """Read the study file of a study whose networks are trained by other code.

    Raises:
        UserError: the file is missing, is not TOML, or says something that such a study cannot be.
    """
    path = study_path(path)
    content = read_content(path)
    recall_parts(path.parent / "runs")
    return _parsed(content, path)


def parse_external(content: Mapping[str, Any], where: object) -> ExternalStudy:
    """Turn the content of such a study file into a study.

    Raises:
        UserError: see :func:`load_external`.
    """
    try:
        return ExternalStudy.model_validate(as_tuples(content))
    except ValidationError as error:
        raise UserError(where, sentences(error, ExternalStudy), "mend the study file and run again") from error


def _parsed(content: Mapping[str, Any], path: Path) -> ExternalStudy:
    return parse_external(content, path).kept_in(path.parent / "runs")


def is_external(path: str | Path) -> bool:
    """Whether a study file has ``[command]`` or ``[callable]``.

    Raises:
        UserError: it is missing, or not TOML.
    """
    content = read_content(study_path(path))
    return any(table in content for table in ELSEWHERE)


def load_study(path: str | Path) -> Any:
    """Read a study file, of any kind.

    Args:
        path: a TOML file, or the folder of a ``study.toml``: also one that ``rs.measure`` wrote.

    Returns:
        A ``Study``; an ``ExternalStudy`` where other code trains: the file has ``[command]``, or ``[callable]``, which
        is what ``rs.measure`` writes. Both have ``figure()``, ``plot(ax)`` and ``results_folder``.

    Raises:
        UserError: the file is missing, is not TOML, or says something that a study cannot be. Every mistake is named
            in one go, with its place and the nearest right word.
    """
    path = study_path(path)
    content = read_content(path)
    recall_parts(path.parent / "runs")
    elsewhere = any(table in content for table in ELSEWHERE)
    return _parsed(content, path) if elsewhere else complete_study(content, path)


def refuse_other_code(study: object) -> None:
    """Refuse to train networks of other code here.

    Raises:
        UserError: the study is an ``ExternalStudy``.
    """
    if not isinstance(study, ExternalStudy):
        return
    again = "call rs.measure again, with the same folder" if study.command is None else "use `reconscale run STUDY`"
    raise UserError(f"study '{study.name}'", f"is trained by {study.trainer_words}", again)
