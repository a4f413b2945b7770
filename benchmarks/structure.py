"""How the source of a checkout is built: modules, lines, lengths of functions, import cycles, names with two meanings.

python benchmarks/structure.py                          # this checkout
python benchmarks/structure.py ../old-checkout .        # two, side by side
python benchmarks/structure.py --list                   # and which functions, cycles and names they are
"""

from __future__ import annotations

import argparse
import ast
import statistics
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "reconscale"
LONG = 40
"""A function of more lines than this is counted as long."""

Graph = dict[str, set[str]]


def main() -> None:
    """Parse the flags, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkouts", type=Path, nargs="*", default=[ROOT])
    parser.add_argument("--list", action="store_true", help="also list what is counted")
    flags = parser.parse_args()
    measured = [measure(read_modules(checkout)) for checkout in flags.checkouts]
    for row in measured[0]:
        print(f"{row:44}" + "".join(f"{made[row][0]:>10}" for made in measured))
    for checkout, made in zip(flags.checkouts, measured, strict=True):
        for row, (_, parts) in made.items():
            for part in parts if flags.list else ():
                print(f"{checkout}: {row}: {part}")


def measure(modules: dict[str, str]) -> dict[str, tuple[float, list[str]]]:
    """The rows of the table: a number each, and what was counted."""
    functions = [found for name, source in modules.items() for found in functions_of(name, source)]
    long = [f"{name} ({lines})" for name, lines in functions if lines > LONG]
    graph = import_graph(modules)
    cycles = [" -> ".join(cycle) for cycle in import_cycles(graph)]
    importers = {name: sum(name in targets for targets in graph.values()) for name in modules}
    once = sorted(name for name, count in importers.items() if count == 1)
    lines = {name: source.count("\n") for name, source in modules.items()}
    files = [f"{name} ({count})" for name, count in lines.items() if count > 450]
    double = [f"{name}: {', '.join(where)}" for name, where in names_with_two_meanings(modules).items()]
    repeated = [f"{module}: {name}" for module, name in repeated_definitions(modules)]
    return {
        "modules": (len(modules), []),
        "lines": (sum(lines.values()), []),
        "files above 450 lines": (len(files), files),
        "functions": (len(functions), []),
        "median lines of a function": (statistics.median(lines for _, lines in functions), []),
        f"functions above {LONG} lines": (len(long), long),
        "import cycles, lazy imports too": (len(cycles), cycles),
        "modules that one module imports": (len(once), once),
        "public names with two meanings": (len(double), double),
        "names that a module defines twice": (len(repeated), repeated),
    }


def read_modules(checkout: Path) -> dict[str, str]:
    """The source of every module, by its dotted name."""
    source = checkout / "src"
    made = {}
    for path in sorted((source / PACKAGE).rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        made[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return made


def functions_of(module: str, source: str) -> Iterator[tuple[str, int]]:
    """Functions and methods, with the number of lines from ``def`` to the last, docstring included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{module}.{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def import_graph(modules: dict[str, str]) -> Graph:
    """Which modules each module imports, at the top or inside functions; imports for type checkers do not count."""
    return {name: set(_imports(ast.parse(source), modules)) - {name} for name, source in modules.items()}


def _imports(node: ast.AST, modules: dict[str, str]) -> Iterator[str]:
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in modules)
    if isinstance(node, ast.ImportFrom) and node.module in modules:
        for alias in node.names:
            inside = f"{node.module}.{alias.name}"
            yield inside if inside in modules else node.module
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, modules)


def import_cycles(graph: Graph) -> list[list[str]]:
    """One cycle, as short as there is, for each group of modules that import each other; the first is named again."""
    found, left = [], set(graph)
    for start in sorted(graph):
        cycle = _shortest_cycle(graph, start) if start in left else None
        if cycle:
            found.append(cycle)
            ahead, behind = _reachable(graph, start), _reachable(_reversed(graph), start)
            left -= ahead & behind
    return found


def _shortest_cycle(graph: Graph, start: str) -> list[str] | None:
    """Breadth first from ``start`` until it is met again."""
    paths, seen = [[start]], set()
    for path in paths:
        for target in sorted(graph[path[-1]]):
            if target == start:
                return [*path, start]
            if target not in seen:
                seen.add(target)
                paths.append([*path, target])
    return None


def _reachable(graph: Graph, start: str) -> set[str]:
    seen, left = {start}, [start]
    while left:
        new = graph[left.pop()] - seen
        seen |= new
        left += new
    return seen


def _reversed(graph: Graph) -> Graph:
    made: Graph = {name: set() for name in graph}
    for name, targets in graph.items():
        for target in targets:
            made[target].add(name)
    return made


def definitions(source: str) -> Iterator[str]:
    """The names that a module defines itself, as often as it does: classes, functions, constants.

    An ``@overload`` is a type of a function that is defined below it, and no definition.
    """
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not _is_overload(node):
            yield node.name
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if _annotated(node) else []
        for target in targets:
            parts = target.elts if isinstance(target, ast.Tuple) else [target]
            yield from (part.id for part in parts if isinstance(part, ast.Name))


def _is_overload(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    return any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list)


def _annotated(node: ast.stmt) -> bool:
    return isinstance(node, ast.AnnAssign)


def names_with_two_meanings(modules: dict[str, str]) -> dict[str, list[str]]:
    """Public classes, functions and constants that two modules or more define, with the modules."""
    places: dict[str, list[str]] = defaultdict(list)
    for module, source in modules.items():
        for name in sorted(set(definitions(source))):
            if not name.startswith("_"):
                places[name].append(module.removeprefix(f"{PACKAGE}."))
    return {name: where for name, where in sorted(places.items()) if len(where) > 1}


def repeated_definitions(modules: dict[str, str]) -> list[tuple[str, str]]:
    """Names that one module defines more than once, where the last silently wins."""
    found = []
    for module, source in modules.items():
        names = list(definitions(source))
        found += [(module, name) for name in sorted(set(names)) if names.count(name) > 1]
    return found


if __name__ == "__main__":
    main()
