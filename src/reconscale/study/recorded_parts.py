"""What a results folder remembers of the user's own parts: which they were, and what reports ask of them.

Reports, and all commands that only read, need no plugin: what a source or a metric says of itself is written down when
networks are trained. What is read here is data; nothing of it is run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from reconscale.errors import UserError, suggest
from reconscale.files import read_json, to_json, write_atomic
from reconscale.laws.metrics import METRICS, Metric
from reconscale.own_parts import Plugin, loaded_plugins, recall
from reconscale.study.images.sources import SOURCES, Source
from reconscale.study.mri import MASKS, MaskKind
from reconscale.study.own_metric import OwnMetric
from reconscale.study.profiles import PROFILES, Profile

NAME = "plugins.json"
"""The file of a results folder."""
REMEDY = "delete it; `reconscale run` writes it again"
ABSENT = "reconscale.study.recorded_parts:refuse_absent"

Facts = Mapping[str, Any]
"""What an entry says of itself."""
Code = Mapping[str, str]
"""Name of a plugin, or of a part that a script adds -> digest of its code."""


def record_parts(root: Path, plugins: Sequence[Plugin], code: Code) -> None:
    """Write down what the results of a folder are computed with. A folder without own parts has no such file.

    Args:
        root: the results folder.
        plugins: that are loaded.
        code: of the plugins, and of parts that were added without one.

    Raises:
        UserError: the folder cannot be written to.
    """
    path = root / NAME
    if not plugins and not code:
        path.unlink(missing_ok=True)
        return
    kept = [{"name": p.name, "place": p.place, "digest": p.digest, "entries": _facts(p)} for p in plugins]
    write_atomic(path, to_json({"plugins": kept, "code": dict(code)}))


def check_entries(place: str, entries: Sequence[tuple[str, str]]) -> None:
    """Refuse metrics and masks of a plugin that are not what their registries hold.

    Args:
        place: of the plugin.
        entries: what it has added: (registry, name).

    Raises:
        UserError: as said.
    """
    made = {"METRICS": (METRICS, Metric, "rs.Metric('{}', 'higher')"),
            "PROFILES": (PROFILES, Profile, "rs.Profile('{}', 'error', function=...)"),
            "MASKS": (MASKS, MaskKind, "rs.MaskKind('in words', function)")}  # fmt: skip
    for registry, name in entries:
        if registry not in made:
            continue
        known, kind, example = made[registry]
        entry, where = known[name], f"{place}, {registry}['{name}']"  # type: ignore[index]
        if not isinstance(entry, kind):
            raise UserError(where, f"is a {type(entry).__name__}", f"give {example.format(name)}")
        if (own := getattr(entry, "name", name)) != name:
            raise UserError(where, f"has the name '{own}'", "give the entry and the object one name")
        if isinstance(entry, Metric):
            try:
                OwnMetric.of(entry)
            except UserError as mistake:
                raise UserError(where, mistake.found, mistake.remedy) from mistake
        if isinstance(entry, Profile) and entry.kind not in METRICS:
            remedy = f"{suggest(entry.kind, METRICS)}; or add METRICS['{entry.kind}'] before"
            raise UserError(where, f"is of the kind '{entry.kind}'", remedy)
        if isinstance(entry, Profile) and entry.function is None:
            raise UserError(where, "has no function", f"give {example.format(name)}")
        if isinstance(entry, MaskKind) and entry.function is None:
            raise UserError(where, "has no function", f"give {example.format(name)}")


def _facts(plugin: Plugin) -> dict[str, dict[str, Any]]:
    """What entries say of themselves, registry by registry; JSON values only."""
    found: dict[str, dict[str, Any]] = {}
    for registry, name in plugin.entries:
        facts = {}
        if registry in ("SOURCES", "PROFILES"):
            entry = asdict(SOURCES[name] if registry == "SOURCES" else PROFILES[name])
            facts = {key: value for key, value in entry.items() if key not in ("listing", "function", "code")}
        elif registry == "METRICS":
            facts = OwnMetric.of(METRICS[name]).model_dump()
        elif registry == "MASKS":
            facts = {"words": MASKS[name].words}
        found.setdefault(registry, {})[name] = facts
    return found


def recorded_code(root: Path) -> dict[str, str]:
    """What the last ``run`` in a folder computed with: name -> digest.

    Raises:
        UserError: the record is damaged.
    """
    found = _read(root).get("code", {})
    return {str(name): str(digest) for name, digest in found.items()} if isinstance(found, dict) else {}


def recorded_places(root: Path) -> list[str]:
    """What ``--plugin`` was given by the last ``run`` in a folder.

    Raises:
        UserError: the record is damaged.
    """
    return [place for place, _ in _plugins(root)]


def recall_parts(root: Path) -> None:
    """Make the sources, metrics, masks and losses known that a folder remembers, as far as reports need them.

    Raises:
        UserError: the record is damaged.
    """
    plugins = _plugins(root)
    for registry, remembered in REMEMBERED.items():
        for place, entries in plugins:
            try:
                for name, facts in dict(entries.get(registry, {})).items():
                    recall(registry, name, remembered(name, facts), place)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise UserError(root / NAME, f"is damaged ({error})", REMEDY) from error


def _profile(name: str, facts: Facts) -> Profile:
    profile = TypeAdapter(Profile).validate_python({"name": name, **facts})
    if profile.kind not in METRICS:
        raise ValueError(f"the metric '{name}' is of an unknown kind")
    return profile


REMEMBERED: dict[str, Callable[[str, Facts], object | None]] = {
    "METRICS": lambda name, facts: OwnMetric.model_validate({"name": name, **facts}).metric(),
    "MASKS": lambda _, facts: MaskKind(str(facts["words"]), ABSENT),
    "SOURCES": lambda _, facts: TypeAdapter(Source).validate_python({"listing": ABSENT, **facts}),
    "PROFILES": _profile,
    "LOSSES": lambda *_: ABSENT,
    "FAMILIES": lambda *_: None,
}
"""Registry -> what stands for an entry, from its name and facts. Metrics come first: those of images are of them."""


def _plugins(root: Path) -> list[tuple[str, dict[str, Any]]]:
    kept = _read(root).get("plugins", [])
    try:
        return [(str(plugin["place"]), dict(plugin["entries"])) for plugin in kept]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(root / NAME, f"is damaged ({error!r})", REMEDY) from error


def _read(root: Path) -> dict[str, Any]:
    path = root / NAME
    found = read_json(path, REMEDY) if path.is_file() else {}
    if not isinstance(found, dict):
        raise UserError(path, "is damaged", REMEDY)
    return found


def code_of_result(provenance: object) -> dict[str, str]:
    """What a result was computed with, besides the package: name -> digest."""
    found = provenance.get("plugins", {}) if isinstance(provenance, Mapping) else {}
    return {str(name): str(digest) for name, digest in found.items()} if isinstance(found, dict) else {}


def absent_plugins(provenance: object) -> list[str]:
    """The names of the own parts that a result was computed with and that are not loaded."""
    there = {plugin.name for plugin in loaded_plugins()}
    return sorted(name for name in code_of_result(provenance) if name not in there)


def difference(root: Path, before: Code, now: Code, count: int) -> UserError | None:
    """What to say where results came from other code than is loaded; none where it is the same.

    Args:
        root: the results folder.
        before: what results were computed with.
        now: what new ones would be computed with.
        count: of the results.
    """
    if before == now or not count:
        return None
    results, copy = f"{count} result{'s' * (count > 1)}", "copy the study file to a new folder"
    for name, digest in before.items():
        if name not in now:
            place = next((p for p in recorded_places(root) if Path(p).name == name), name)
            return UserError(root, f"{results} came from {name}, which is not loaded", f"pass --plugin {place}")
        if now[name] != digest:
            found = f"{name} has changed since {results} came from it ({digest[:8]}, now {now[name][:8]})"
            return UserError(root, found, f"the results are kept: restore the file, or {copy}")
    name = next(name for name in now if name not in before)
    return UserError(root, f"{results} came without {name}", f"leave it out, or {copy}")


def refuse_absent(*given: object) -> None:
    """What stands for the work of a part that is not loaded.

    Raises:
        UserError: always.
    """
    raise UserError("a part of your own", "is not loaded", "pass --plugin with the file that has it")
