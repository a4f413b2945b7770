"""The result of one run; failures are results too."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, create_model, model_validator

from reconscale.errors import UserError
from reconscale.files import MOST_JSON, read_json, read_limited, to_json, write_atomic
from reconscale.results.score_tables import Layouts, read_scores, table_text
from reconscale.study.base import FrozenModel
from reconscale.study.recorded_parts import absent_plugins
from reconscale.study.run import Run

SCHEMA = 1


@dataclass
class Shared:
    """What the results of a folder have in common, and is kept once.

    Attributes:
        layouts: of the tables of images.
        parts: name and JSON of a part of a run -> the part: its problem, its images, its network or its recipe.
    """

    layouts: Layouts = field(default_factory=dict)
    parts: dict[tuple[str, str], Any] = field(default_factory=dict)


class Validation(FrozenModel):
    """One look at the validation set during training.

    Attributes:
        step: optimisation steps done.
        samples: crops seen.
        lr: learning rate at that step.
        mse: mean over validation images, range 1.
        psnr: mean over validation images of the dB, clipped; of slices with their volume's maximum.
        loss: mean over validation images of what training minimises, where the recipe goes by it.
    """

    step: int
    samples: int
    lr: float
    mse: float
    psnr: float
    loss: float | None = None


class Branch(FrozenModel):
    """What a training of this many steps gives, of a run with the policy ``converge``.

    Attributes:
        trunk: steps at the constant rate.
        steps: with those in which the rate fell to zero.
        best_step: the step of the best weights on validation until here.
        psnr: of those weights: mean over the validation images, dB.
        gain: of that on the branch before; dB, none for the first.
        gain_error: standard error of the gain, from the validation images one by one; dB, none where not measured.
    """

    trunk: int
    steps: int
    best_step: int
    psnr: float
    gain: float | None = None
    gain_error: float | None = None


class AnyResult(FrozenModel):
    """What every run leaves, whoever trained it: a ``result.json`` and the tables beside it.

    Attributes:
        status: ``done``; ``diverged``: the loss became NaN or infinite; ``failed``: the run could not be trained.
        run: the run itself; it has an ``id``.
        p: number of trainable parameters.
        metrics: test set -> metric -> mean over its images; ``val`` is the validation set.
        images: test set -> image name -> metric -> value. Kept in ``images.csv``, not in ``result.json``.
        volumes: test set -> volume -> metric -> value, where images are slices. Kept in ``volumes.csv``.
        reason: what happened and what to do, for runs that are not done, and for those of ours that broke off
            after branches were over: the last of these is then the result.
        provenance: versions, device, threads, digest of the images: what else may decide the last digits.
        times: seconds, by what they were spent on. Not part of what must be reproducible.
    """

    has_images: ClassVar[bool] = True

    status: Literal["done", "diverged", "failed"]
    run: Any
    p: int = Field(ge=0)
    metrics: dict[str, dict[str, float]] = Field(default_factory=dict)
    images: dict[str, dict[str, dict[str, float]]] = Field(default_factory=dict, exclude=True)
    volumes: dict[str, dict[str, dict[str, float]]] = Field(default_factory=dict, exclude=True)
    reason: str = ""
    provenance: dict[str, Any] = Field(default_factory=dict)
    times: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.status == "done" and not self.metrics:
            raise ValueError("a result that is done must have metrics")
        if self.status != "done" and not self.reason:
            raise ValueError("a result that is not done must give its reason")
        return self

    @property
    def seconds(self) -> float:
        """Seconds that the run took, all its processes together; 0 where nothing was timed."""
        parts = sum(spent for kind, spent in self.times.items() if kind != "process")
        return max(parts, self.times.get("process", 0.0))  # the process also starts, writes and draws

    def write(self, folder: Path) -> None:
        """Write ``images.csv``, ``volumes.csv`` and then ``result.json``; when the latter exists, all is there.

        Raises:
            UserError: the folder cannot be written to.
        """
        tables = {}
        for name, values in (("images", self.images), ("volumes", self.volumes)):
            if values:
                tables[f"{name}.csv"] = table_text(values, name[:-1])
                write_atomic(folder / f"{name}.csv", tables[f"{name}.csv"])
        record = {"schema": SCHEMA, "id": self.run.id, **self.model_dump(mode="json")}
        record["run"] = self.run.model_dump(mode="json", exclude_defaults=True)
        record["sha256"] = {name: _sha256(table) for name, table in tables.items()}
        record["sha256"]["result.json"] = _sha256(to_json(record))  # of everything but this line
        write_atomic(folder / "result.json", to_json(record))

    @classmethod
    def read(cls, folder: Path, *, images: bool = True, shared: Shared | None = None) -> Self:
        """Read a result that :meth:`write` wrote.

        Args:
            folder: the directory of the run.
            images: whether the tables of images and volumes are read, too.
            shared: what results have in common, to be kept once; none: of this result alone.

        Raises:
            UserError: the file is damaged, of another schema, or does not belong into this folder.
        """
        shared = shared or Shared()
        result, sums = cls._read_as_written(folder, shared) or cls._read_any(folder)
        if images and result.status == "done":
            path = folder / "volumes.csv"
            layouts = shared.layouts
            volumes = read_scores(path, "volume", sums.get(path.name), layouts) if path.is_file() else {}
            expected = cls.has_images or "images.csv" in sums
            path = folder / "images.csv"
            table = read_scores(path, "image", sums.get(path.name), layouts) if expected else {}
            result.__dict__.update(images=table, volumes=volumes)  # nobody has seen it yet
        return result

    @classmethod
    def _read_as_written(cls, folder: Path, shared: Shared) -> tuple[Self, dict[str, str]] | None:
        """A result that is as it was written, to the last byte, and its sums; None where anything is odd."""
        path = folder / "result.json"
        data = read_limited(path, MOST_JSON)
        if not is_as_written(data) or b"NaN" in data or b"Infinity" in data:
            return None
        try:
            kept = kept_model(cls).model_validate_json(data)
        except (ValidationError, ValueError, RecursionError):
            return None
        values = dict(kept.__dict__)
        schema, name, sums = (values.pop(key) for key in ("schema_", "id_", "sha256_"))
        run = cls._shared_run(values["run"], shared)
        if schema != SCHEMA or run is None or run.id != name or folder.name != name:
            return None
        values["run"] = run
        made: Any = cls.model_construct(_fields_set=kept.model_fields_set - AROUND, **values)
        return made, sums

    @classmethod
    def _shared_run(cls, record: Any, shared: Shared) -> Any:
        """The run of a record, validated; None where it is none."""
        del shared
        try:
            return cls.model_fields["run"].annotation.model_validate_json(json.dumps(record))  # type: ignore[union-attr]
        except (ValidationError, ValueError, AttributeError):
            return None

    @classmethod
    def _read_any(cls, folder: Path) -> tuple[Self, dict[str, str]]:
        """As :meth:`read`, without tables, however the file is written; with the sums that it names."""
        path = folder / "result.json"
        remedy = "delete that folder and run again: only this run is repeated"
        record = read_json(path, remedy)
        sums = _checked(record, path, remedy)
        if not isinstance(record, dict) or record.pop("schema", None) != SCHEMA:
            raise UserError(path, f"is not a result of schema {SCHEMA}", remedy)
        name = record.pop("id", None)
        try:
            result = cls.model_validate_json(json.dumps(record, allow_nan=False))
        except (ValidationError, ValueError, RecursionError) as error:
            if absent := absent_plugins(record.get("provenance")):
                raise UserError(path, f"is of parts of your own, from {absent[0]}, which is not loaded",
                                f"pass --plugin with {absent[0]}") from error  # fmt: skip
            first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
            place = ".".join(str(part) for part in first["loc"])
            raise UserError(path, f"is damaged at '{place}' ({first['msg']})", remedy) from error
        if result.run.id != name or folder.name != name:
            raise UserError(path, f"has the run {result.run.id} under the name {folder.name}", remedy)
        if sums.get("result.json", "right") != "right":
            raise UserError(path, "has been changed since it was written", remedy)
        return result, sums


PARTS = ("problem", "images", "network", "recipe")
"""Fields of a run that many runs of a study have in common."""


class Result(AnyResult):
    """What one run gave.

    Attributes:
        run: the run itself.
        flops: multiply-adds times two of one forward pass, per pixel.
        steps, samples: optimisation steps of the network and crops seen; of ``converge`` those of the last branch.
        best_step: the step whose weights were kept: best mean PSNR (clipped) on validation.
        restarts: how often training diverged and continued from its best weights at a third of the rate.
        validation: the curve over training.
        branches: of ``converge``: quality at S, 2 S, 4 S, ... steps; the last one is the result.
        metrics: test set -> profile -> mean over its images; ``val`` is the validation set at the best step.
        times: seconds of training, validation, test and waiting for data, and of the last process as a whole.
        memory: bytes of the process at its largest, on a GPU those of the card; not part of what must be reproducible.
    """

    run: Run
    flops: float = Field(default=0.0, ge=0)
    steps: int = Field(default=0, ge=0)
    samples: int = Field(default=0, ge=0)
    best_step: int = Field(default=0, ge=0)
    restarts: int = Field(default=0, ge=0)
    validation: tuple[Validation, ...] = ()
    branches: tuple[Branch, ...] = ()
    memory: float = Field(default=0.0, ge=0)

    @classmethod
    def _shared_run(cls, record: Any, shared: Shared) -> Any:
        """The run of a record; its parts are those of other runs where these say the same."""
        if not isinstance(record, dict) or not record.keys() <= Run.model_fields.keys():
            return None
        keys = {name: (name, json.dumps(record.get(name))) for name in PARTS}
        parts = {name: shared.parts[key] for name, key in keys.items() if key in shared.parts}
        if len(parts) == len(PARTS):
            try:
                return Run(**{**record, **parts})
            except ValidationError:
                return None
        run = super()._shared_run(record, shared)
        if run is not None:
            shared.parts.update({key: getattr(run, name) for name, key in keys.items()})
        return run

    @property
    def converged(self) -> bool | None:
        """Whether twice the steps gained less than the recipe's tolerance; none where the policy does not ask."""
        if not self.branches:
            return None
        gain = self.branches[-1].gain
        return gain is not None and gain < self.run.recipe.tolerance


OWN_SUM = re.compile(
    rb'\n  "sha256": \{((?:\n    "images\.csv": "[0-9a-f]{64}",)?)\n    "result\.json": "([0-9a-f]{64})"'
    rb'((?:,\n    "volumes\.csv": "[0-9a-f]{64}")?)\n  \}'
)
"""The sums in a ``result.json``, as :meth:`AnyResult.write` writes them."""


def is_as_written(data: bytes) -> bool:
    """Whether the bytes of a ``result.json`` are those that were written: its sum is that of all but its own line.

    A file that says the same in other bytes (indented in another way, or from before there were sums) is none of these.
    """
    found = OWN_SUM.search(data)
    if found is None:
        return False
    before, expected, after = found.groups()
    others = (before if after else before.rstrip(b",")) + (after if before else after[1:])
    block = b'\n  "sha256": {' + (others + b"\n  }" if others else b"}")
    whole = hashlib.sha256(data[: found.start()] + block + data[found.end() :])
    return whole.hexdigest() == expected.decode()


AROUND = {"schema_", "id_", "sha256_"}
"""Fields of a file that stand around its result."""


@cache
def kept_model(cls: type[AnyResult]) -> type[AnyResult]:
    """The model of the file of a result: its run is not looked at, and there is what stands around a result."""
    around: dict[str, Any] = {
        "run": (Any, ...),
        "schema_": (int, Field(alias="schema")),
        "id_": (str, Field(alias="id")),
        "sha256_": (dict[str, str], Field(alias="sha256")),
    }
    return create_model(f"Kept{cls.__name__}", __base__=cls, **around)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _checked(record: Any, path: Path, remedy: str) -> dict[str, str]:
    """The sums of a result's files; that of ``result.json`` itself is replaced by ``right`` where it is.

    Results that were written before there were sums have none.
    """
    sums = record.pop("sha256", {}) if isinstance(record, dict) else {}
    if not isinstance(sums, dict) or not all(isinstance(value, str) for value in sums.values()):
        raise UserError(path, "is damaged at 'sha256'", remedy)
    if "result.json" in sums:
        others = {name: value for name, value in sums.items() if name != "result.json"}
        whole = {**record, "sha256": others}
        sums = {**sums, "result.json": "right" if _sha256(to_json(whole)) == sums["result.json"] else "wrong"}
    return sums
