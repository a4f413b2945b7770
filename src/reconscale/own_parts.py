"""Parts of the user's own: a Python file, or an installed package, that adds entries to the registries.

Nothing but :func:`load_plugin` runs it, and only a person calls that, or says ``--plugin``: a study file names entries,
never code. What was loaded travels to workers with the runs, so that all of them compute with the same code.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module, invalidate_caches
from importlib.metadata import PackageNotFoundError, distribution, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from reconscale.code_digest import digest_of_file, digest_of_package, files_beside, read_code
from reconscale.errors import UserError
from reconscale.plugins import load_object

GROUP = "reconscale.plugins"
"""The entry points by which an installed package says where its parts are."""
REGISTRIES = {
    "FAMILIES": "reconscale.networks:FAMILIES",
    "SOURCES": "reconscale.study:SOURCES",
    "LOSSES": "reconscale.study:LOSSES",
    "MASKS": "reconscale.study.mri:MASKS",
    "METRICS": "reconscale.laws.metrics:METRICS",
    "PROFILES": "reconscale.study:PROFILES",
    "PROBLEMS": "reconscale.study:PROBLEMS",
    "LAWS": "reconscale.laws:LAWS",
}
"""What a plugin may add to: the name, and where it is."""

Registry = dict[str, Any]


@dataclass(frozen=True)
class Plugin:
    """A file or a package whose entries are known here.

    Pickled, it takes the text of its file along, and is loaded where it is unpickled.

    Attributes:
        name: of the file, or of the package.
        place: what ``--plugin`` takes: the absolute path of the file, or the name of the package.
        digest: SHA-256 of its code and of the modules beside it that it imports; comments and blank lines do not count.
        entries: what it added: (registry, name).
        text: of the file; none of a package.
        mistake: why it could not be loaded here, as a ``UserError`` has it: nothing is raised within unpickling.
    """

    name: str
    place: str
    digest: str
    entries: tuple[tuple[str, str], ...]
    text: str | None = None
    mistake: tuple[str, str, str] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return (_load_again, (self.place, self.digest, self.text))


_LOADED: dict[str, Plugin] = {}
"""By place. Registries are of a process, and so is this."""
_RECALLED: dict[tuple[str, str], str] = {}
"""Entries that stand for parts which are not loaded: (registry, name) -> where they came from."""


def loaded_plugins() -> tuple[Plugin, ...]:
    """The plugins of this process, in the order of their names."""
    return tuple(sorted(_LOADED.values(), key=lambda plugin: plugin.name))


def load_plugin(place: str | Path) -> Plugin:
    """Run a file of parts, or import the parts of an installed package, so that their entries are known.

    Args:
        place: a Python file; or the name of a package that has an entry point in the group ``reconscale.plugins``.

    Raises:
        UserError: there is no such file or package, its code fails, an entry has a name that is taken, or it adds
            nothing. The registries are then as they were.
    """
    path = Path(place).expanduser()
    if path.suffix == ".py" or path.is_file():
        path = path.resolve()
        return _load(str(path), read_code(path))
    return _load(str(place), None)


def _load_again(place: str, digest: str, text: str | None) -> Plugin:
    """Load in another process what was loaded in the first one."""
    try:
        plugin = _load(place, text)
        if plugin.digest != digest:
            raise UserError(place, "is not the code that the command began with", "run again, without changing it")
    except UserError as mistake:
        return Plugin(Path(place).name, place, digest, (), text, (mistake.where, mistake.found, mistake.remedy))
    return plugin


def check_loaded(plugins: Sequence[Plugin]) -> None:
    """Say what went wrong where plugins came to this process.

    Raises:
        UserError: one could not be loaded.
    """
    for plugin in plugins:
        if plugin.mistake is not None:
            raise UserError(*plugin.mistake)


def _load(place: str, text: str | None) -> Plugin:
    digest = digest_of_package(_module_of(place)) if text is None else digest_of_file(Path(place), text)
    if place in _LOADED and _LOADED[place].digest == digest:
        return _LOADED[place]
    name = place if text is None else Path(place).name
    if other := next((p for p in _LOADED.values() if p.name == name and p.place != place), None):
        raise UserError(place, f"has the name of another plugin, {other.place}", "rename one: results are kept by it")
    _forget(place)
    with _restored_on_failure() as (registries, before):
        new = _import(place) if text is None else _run_file(Path(place), text)
        entries = _added(place, before, registries)
        if new and not entries:
            raise UserError(place, "adds nothing", "end it with an entry, like rs.FAMILIES['mine'] = ...")
        load_object("reconscale.study.recorded_parts:check_entries")(place, entries)
    plugin = Plugin(name, place, digest, entries, text)
    _LOADED[place] = plugin
    return plugin


def _registries() -> dict[str, Registry]:
    """Those that can be had: without torch there are no families."""
    found = {}
    for key, where in REGISTRIES.items():
        with suppress(ModuleNotFoundError):
            found[key] = load_object(where)
    return found


@contextmanager
def _restored_on_failure() -> Iterator[tuple[dict[str, Registry], dict[str, Registry]]]:
    """The registries, and what is in them; entries that only are remembered are out of the way for a while."""
    registries = _registries()
    remembered = {(key, name): registries[key].pop(name, None) for key, name in _RECALLED if key in registries}
    before = {key: dict(registry) for key, registry in registries.items()}
    try:
        yield registries, before
    except BaseException:
        for key, registry in registries.items():
            registry.clear()
            registry.update(before[key])
        raise
    finally:
        for (key, name), entry in remembered.items():
            if name in registries[key]:
                del _RECALLED[key, name]  # it is loaded now
            elif entry is not None:
                registries[key][name] = entry


def _added(place: str, before: dict[str, Registry], registries: dict[str, Registry]) -> tuple[tuple[str, str], ...]:
    """The new entries.

    Raises:
        UserError: one that was there is another one now, or gone.
    """
    entries = []
    for key, registry in registries.items():
        for name, was in before[key].items():
            if registry.get(name) is not was:
                owner = next((p.name for p in _LOADED.values() if (key, name) in p.entries), "reconscale itself")
                raise UserError(place, f"takes the name '{name}' of {key}, which {owner} has",
                                "give the entry another name")  # fmt: skip
        entries += [(key, str(name)) for name in registry if name not in before[key]]
    for name in load_object("reconscale.study.base:SELF_SUPERVISED"):
        if ("LOSSES", name) in entries:
            raise UserError(place, f"takes the name '{name}' of LOSSES, which reconscale itself has",
                            "give the entry another name")  # fmt: skip
    return tuple(entries)


def _forget(place: str) -> None:
    """Take the entries of an older version out, and the modules beside it, which may have changed too."""
    plugin = _LOADED.pop(place, None)
    if plugin is None:
        return
    registries = _registries()
    for key, name in plugin.entries:
        registries.get(key, {}).pop(name, None)
    if plugin.text is not None:
        for path in files_beside(Path(place), plugin.text):
            for name, module in list(sys.modules.items()):
                if getattr(module, "__file__", None) == str(path):
                    del sys.modules[name]
        invalidate_caches()


def module_name(place: str) -> str:
    """The name of the module that a file of parts becomes."""
    return "reconscale_plugin_" + "".join(c if c.isalnum() else "_" for c in Path(place).stem)


def _run_file(path: Path, text: str) -> bool:
    """Run the text of a file as a module of its own; what lies beside it can be imported.

    Raises:
        UserError: it fails; the line is named.
    """
    name, folder = module_name(str(path)), str(path.parent)
    module = ModuleType(name)
    module.__file__ = str(path)
    on_path = folder in sys.path
    if not on_path:
        sys.path.append(folder)  # behind all others: a file of parts hides no package
    sys.modules[name] = module
    try:
        exec(compile(text, str(path), "exec", dont_inherit=True), module.__dict__)  # what --plugin was given for
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        if not on_path:
            sys.path.remove(folder)
        raise _failed(str(path), error) from error
    return True


def _failed(place: str, error: BaseException) -> UserError:
    if isinstance(error, UserError):
        return UserError(f"{place}, {error.where}", error.found, error.remedy)
    said = (str(error).strip().splitlines() or [""])[0][:300]
    if isinstance(error, SyntaxError):
        return UserError(place, f"is not Python: {error.msg} in line {error.lineno}", "mend that line")
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == place]
    at = f" in line {lines[-1]}" if lines else ""
    return UserError(place, f"fails to load{at} ({type(error).__name__}: {said})", "mend it, or leave --plugin out")


def _module_of(package: str) -> str:
    """The module that an installed package names.

    Raises:
        UserError: there is none.
    """
    points = [p for p in entry_points(group=GROUP) if package in (p.name, p.dist.name if p.dist else None)]
    if points:
        return points[0].value.partition(":")[0]
    try:
        distribution(package)
    except (PackageNotFoundError, ValueError) as error:
        raise UserError("--plugin", f"found '{package}', which is neither a Python file nor an installed package",
                        "give the path of a file that ends in .py") from error  # fmt: skip
    raise UserError("--plugin", f"the package '{package}' names no parts",
                    f"it needs an entry point in the group '{GROUP}'")  # fmt: skip


def _import(package: str) -> bool:
    """Import the module of a package; false where it was there already, as its entries were."""
    module = _module_of(package)
    there = module in sys.modules
    try:
        import_module(module)
    except (Exception, SystemExit) as error:
        raise _failed(package, error) from error
    return not there


def code_behind(registry: str, name: str, entry: object) -> dict[str, str]:
    """What an entry of the user's own is computed with: name of its plugin, or its own -> digest of that code.

    Args:
        registry: a key of ``REGISTRIES``.
        name: of the entry.
        entry: the entry; the ``code`` that it has of itself counts where no plugin has added it.
    """
    for plugin in _LOADED.values():
        if (registry, name) in plugin.entries:
            return {plugin.name: plugin.digest}
    code = getattr(entry, "code", "")
    return {name: code} if code else {}


def recall(registry: str, name: str, entry: object | None, place: str) -> None:
    """Add an entry that stands for a part which is not loaded; one that is known stays.

    Args:
        registry: a key of ``REGISTRIES``.
        name: of the entry.
        entry: says what other rooms ask of the part, but cannot do its work; none: nothing is asked.
        place: what ``--plugin`` would load it from.
    """
    if any((registry, name) in plugin.entries for plugin in _LOADED.values()):
        return
    if entry is None:
        _RECALLED[registry, name] = place
        return
    known: Registry = load_object(REGISTRIES[registry])
    if name not in known or (registry, name) in _RECALLED:
        known[name] = entry
        _RECALLED[registry, name] = place


def recalled_from(registry: str, name: str) -> str | None:
    """What ``--plugin`` would load a part from that only is remembered; none for all others."""
    return _RECALLED.get((registry, name))
