"""No statement of the package executes what a user's file holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import reconscale

SOURCES = sorted(Path(reconscale.__file__).parent.rglob("*.py"))
MODULES = {"pickle", "cPickle", "_pickle", "shelve", "marshal", "dill", "cloudpickle", "joblib", "jsonpickle"}
MODULES |= {"xml", "lxml", "tarfile", "code", "codeop"}
"""Modules that run, or let run, what a file holds."""
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "runpy.run_path", "pandas.read_pickle"}
CALLS |= {"torch.jit.load", "torch.hub.load", "torch.package.PackageImporter"}
CALLS |= {"yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "pickle.load", "pickle.loads"}
MUST = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False), "numpy.load": ("allow_pickle", False)}
"""Call -> the argument without which it would unpickle."""


def offences(source: str, name: str = "") -> Iterator[str]:
    """What a source does that it must not, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None)
            words = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [str(module)]
            yield from (f"{node.lineno}: imports {word}" for word in words if word.partition(".")[0] in MODULES)
        elif isinstance(node, ast.Call):
            yield from (f"{node.lineno}: {text}" for text in _called(node, ast.unparse(node.func), name))


def _called(node: ast.Call, called: str, name: str) -> Iterator[str]:
    given = {word.arg: word.value for word in node.keywords}
    if called in CALLS or called.endswith((".extractall", ".extract", ".to_pickle")):
        yield f"calls {called}"
    if called in MUST:
        argument, value = MUST[called]
        stated = given.get(argument)
        if not isinstance(stated, ast.Constant) or stated.value is not value:
            yield f"calls {called} without {argument}={value}"
    if called == "yaml.load" and (name, ast.unparse(given.get("Loader", ast.Constant(None)))) != PLAIN:
        yield "calls yaml.load"
    shell = given.get("shell")
    if shell is not None and not (isinstance(shell, ast.Constant) and shell.value is False):
        yield "starts a shell"


PLAIN = ("log.py", "_plain_loader(yaml)")
"""The one place that loads YAML: by a loader that builds plain values; see ``tests/importers``."""


OWN = {
    "slurm_job.py": ["imports pickle", "calls pickle.loads"],
    "own_parts.py": ["calls exec", "calls compile"],
    "pickled.py": ["imports pickle", "imports cloudpickle", "calls pickle.loads"],
}
"""Jobs of Slurm read the tasks that their own user has just written for them; see ``read_tasks`` and its test. Workers
get the function that trains from the process that calls. A plugin is run where its file was named with ``--plugin``."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(SOURCES[0].parent)))
def test_nothing_in_a_file_is_executed(path: Path) -> None:
    found = [offence.partition(": ")[2] for offence in offences(path.read_text(encoding="utf-8"), path.name)]
    assert found == OWN.get(path.name, [])


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from xml.etree import ElementTree",
        "torch.load(path)",
        "torch.load(path, weights_only=flag)",
        "np.load(path, allow_pickle=True)",
        "np.load(path)",
        "yaml.load(text, Loader=yaml.Loader)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
        "zipfile.ZipFile(path).extractall(place)",
    ],
)
def test_what_is_dangerous_is_seen(source: str) -> None:
    assert list(offences(source))


def test_the_yaml_loader_is_a_safe_one() -> None:
    yaml = pytest.importorskip("yaml")
    from reconscale.importers.log import _plain_loader

    loader = _plain_loader(yaml)
    assert issubclass(loader, yaml.SafeLoader) and not issubclass(loader, yaml.UnsafeLoader)
    assert yaml.load("!!python/object/apply:os.system [ls]", Loader=loader) == ["ls"]
