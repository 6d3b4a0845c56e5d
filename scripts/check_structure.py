"""Measures the structure of the code, and fails where a figure is above its limit.

    python scripts/check_structure.py            # the figures, and what is above a limit
    python scripts/check_structure.py --list     # every place behind a figure

It reads the sources of the package as text and imports none of them. Tests and benchmarks are left out.
The limits are those that the project holds itself to; a figure points at places to read.
"""

from __future__ import annotations

import argparse
import ast
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {"common": 0, "memory": 1, "perception": 2, "tools": 3, "agent": 4}
"""The floor of each top-level folder; folders that are not named are on the top floor."""
TOP_FLOOR = 5
VAGUE_NAMES = frozenset((ROOT / "scripts" / "vague_names.txt").read_text(encoding="utf-8").split())
"""Names that say nothing about the value they are bound to."""
_BRANCHES = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.IfExp,
    ast.ExceptHandler,
    ast.Assert,
    ast.comprehension,
    ast.match_case,
)


@dataclass(frozen=True)
class Measurement:
    """One figure with its limit, and the places behind it, the worst first."""

    name: str
    value: float
    limit: float
    places: Sequence[str]
    unit: str = ""

    @property
    def exceeded(self) -> bool:
        """Whether the figure is above its limit."""
        return self.value > self.limit


@dataclass(frozen=True)
class SourceModule:
    """One module of the package."""

    name: str
    """Dotted, such as ``recollect.memory.store``."""
    path: Path
    tree: ast.Module
    is_package: bool
    imports: set[str] = field(default_factory=set)
    """Modules of the package that it imports when it is loaded."""
    late_imports: set[str] = field(default_factory=set)
    """Modules of the package that it imports inside a function, or for type checkers only."""


def read_modules(root: Path = ROOT) -> dict[str, SourceModule]:
    """Every module of the package, by its dotted name."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    modules: dict[str, SourceModule] = {}
    for package, folder in project["tool"]["setuptools"]["package-dir"].items():
        for path in sorted((root / folder).rglob("*.py")):
            parts = [package, *path.relative_to(root / folder).with_suffix("").parts]
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            modules[name] = SourceModule(name, path, tree, is_package)
    for module in modules.values():
        for node, is_late in _import_nodes(module.tree):
            targets = module.late_imports if is_late else module.imports
            targets.update(_imported_modules(module, node, modules))
    return modules


def _import_nodes(tree: ast.Module) -> Iterator[tuple[ast.ImportFrom, bool]]:
    """Each ``from … import``, and whether it is not run when the module is loaded."""
    pending: list[tuple[ast.AST, bool]] = [(tree, False)]
    while pending:
        node, is_late = pending.pop()
        if isinstance(node, ast.ImportFrom):
            yield node, is_late
        is_late |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        is_late |= isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        pending += [(child, is_late) for child in ast.iter_child_nodes(node)]


def _imported_modules(
    module: SourceModule, node: ast.ImportFrom, modules: Mapping[str, SourceModule]
) -> Iterator[str]:
    parts = module.name.split(".")
    if node.level:
        package = parts if module.is_package else parts[:-1]
        package = package[: len(package) - (node.level - 1)]
        base = ".".join([*package, *(node.module.split(".") if node.module else [])])
    else:
        base = node.module or ""
    if base.split(".")[0] != "recollect":
        return
    for alias in node.names:
        submodule = f"{base}.{alias.name}"
        yield submodule if submodule in modules else base


def import_cycles(modules: Mapping[str, SourceModule]) -> list[list[str]]:
    """Groups of modules that import each other in a circle, late imports included (Tarjan's algorithm)."""
    graph = {
        name: sorted((module.imports | module.late_imports) & set(modules) - {name})
        for name, module in modules.items()
        if not module.is_package
    }
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    cycles: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in graph[name]:
            if target not in graph:
                continue
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                cycles.append(sorted(group))

    for name in graph:
        if name not in index:
            visit(name)
    return cycles


def floor_of(name: str) -> int:
    """The floor a module is on."""
    return FLOORS.get(name.split(".")[1] if "." in name else "", TOP_FLOOR)


def upward_imports(modules: Mapping[str, SourceModule]) -> list[str]:
    """Imports of a module on a higher floor."""
    return [
        f"{name} -> {target}"
        for name, module in modules.items()
        for target in sorted(module.imports | module.late_imports)
        if floor_of(target) > floor_of(name)
    ]


def complexity(function: ast.AST) -> int:
    """The cyclomatic complexity of one function, without the functions and classes inside it (McCabe 1976)."""
    total = 1
    pending = list(ast.iter_child_nodes(function))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        total += isinstance(node, _BRANCHES)
        if isinstance(node, ast.BoolOp):
            total += len(node.values) - 1
        if isinstance(node, ast.comprehension):
            total += len(node.ifs)
        pending += ast.iter_child_nodes(node)
    return total


def _argument_count(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    bound = bool(arguments.args) and arguments.args[0].arg in {"self", "cls"}
    return len(named) - bound


def measure(modules: Mapping[str, SourceModule]) -> list[Measurement]:
    """All figures."""
    classes: dict[str, list[str]] = defaultdict(list)
    bound: Counter[str] = Counter()
    vague: list[str] = []
    private: list[str] = []
    functions: list[tuple[int, int, str]] = []
    for module in modules.values():
        short = str(module.path.relative_to(ROOT))
        for node in ast.walk(module.tree):
            name = _bound_name(node)
            if name is not None:
                bound[name] += 1
                if name in VAGUE_NAMES:
                    vague.append(f"{short}:{getattr(node, 'lineno', 0)} {name}")
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes[node.name].append(short)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                place = f"{short}:{node.lineno} {node.name}"
                functions.append((complexity(node), _argument_count(node), place))
            elif isinstance(node, ast.Attribute) and _is_foreign_private(node):
                private.append(f"{short}:{node.lineno} {ast.unparse(node)[:60]}")
    cycles = import_cycles(modules)
    upward = upward_imports(modules)
    repeated = [f"{name}: {', '.join(places)}" for name, places in classes.items() if len(places) > 1]
    by_complexity = sorted(functions, reverse=True)
    by_arguments = sorted(functions, key=lambda entry: -entry[1])
    return [
        Measurement("import circles", len(cycles), 0, [" <-> ".join(group) for group in cycles]),
        Measurement("upward imports", len(upward), 0, upward),
        Measurement("public class names used twice", len(repeated), 0, sorted(repeated)),
        Measurement("private attributes touched from outside", len(private), 3, private),
        Measurement(
            "highest cyclomatic complexity",
            by_complexity[0][0],
            20,
            [f"{value} {place}" for value, _, place in by_complexity[:20]],
        ),
        Measurement(
            "most arguments of a function",
            by_arguments[0][1],
            8,
            [f"{count} {place}" for _, count, place in by_arguments[:20]],
        ),
        Measurement(
            "vague variable names", round(100 * len(vague) / max(1, bound.total()), 2), 1.0, vague, " %"
        ),
    ]


def _bound_name(node: ast.AST) -> str | None:
    """The name that a node binds, if it binds one."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return node.id
    return node.arg if isinstance(node, ast.arg) else None


def _is_foreign_private(node: ast.Attribute) -> bool:
    """Whether a private attribute is read or written through something else than the object itself."""
    if not node.attr.startswith("_") or node.attr.startswith("__"):
        return False
    return not (isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"})


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures; 1 where one is above its limit."""
    parser = argparse.ArgumentParser(description="Measure the structure of the code against its limits.")
    parser.add_argument("--list", action="store_true", help="print every place behind a figure")
    arguments = parser.parse_args(argv)
    measurements = measure(read_modules())
    for measurement in measurements:
        mark = "  ABOVE THE LIMIT" if measurement.exceeded else ""
        value = f"{measurement.value:g}{measurement.unit}"
        limit = f"{measurement.limit:g}{measurement.unit}"
        print(f"{measurement.name}: {value} (limit {limit}){mark}")
        if arguments.list or measurement.exceeded:
            places = measurement.places if arguments.list else measurement.places[:10]
            print("".join(f"    {place}\n" for place in places), end="")
    return int(any(measurement.exceeded for measurement in measurements))


if __name__ == "__main__":
    sys.exit(main())
