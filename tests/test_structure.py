"""How modules hang together: what the contracts of import-linter do not see."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import structure

MODULES = structure.read_modules(structure.ROOT)


def test_no_import_cycles_in_rooms_either_and_with_imports_inside_functions() -> None:
    cycles = structure.import_cycles(structure.import_graph(MODULES))
    assert not cycles, "import cycles: " + "; ".join(" -> ".join(cycle) for cycle in cycles)


def test_no_module_defines_a_name_twice() -> None:
    repeated = structure.repeated_definitions(MODULES)
    assert not repeated, "the second definition wins: " + "; ".join(f"{name} in {module}" for module, name in repeated)


def test_a_cycle_is_named() -> None:
    modules = {
        "p.a": "from p import b",
        "p.b": "def f():\n    from p.c import g",
        "p.c": "import p.a\nfrom p.d import h",
        "p.d": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.c import g",
        "p": "",
    }
    assert structure.import_cycles(structure.import_graph(modules)) == [["p.a", "p.b", "p.c", "p.a"]]


def test_a_repeated_constant_is_found() -> None:
    assert structure.repeated_definitions({"p": "A, B = 1, 2\nA = 3\ndef f(): ..."}) == [("p", "A")]


def test_an_overload_is_no_second_definition() -> None:
    typed = "from typing import overload\n@overload\ndef f(a: int) -> int: ...\ndef f(a): return a\n"
    assert structure.repeated_definitions({"p": typed}) == []
    assert structure.repeated_definitions({"p": typed + "def f(b): return b\n"}) == [("p", "f")]
