"""The shape of the house, read from the sources: imports point down, and everything public is described."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PYPROJECT["tool"]["setuptools"]["packages"]
PACKAGE_DIRS: dict[str, str] = PYPROJECT["tool"]["setuptools"]["package-dir"]
NOT_PACKAGED = {"benchmarks", "build", "docs", "models", "tests"}
NOT_IN_THE_WHEEL = {"recollect.evals.tiny", "recollect.testing.crash"}
"""Packages that an editable install has and the wheel lacks."""

FLOORS = {"common": 0, "memory": 1, "perception": 2, "tools": 3, "agent": 4}
"""Packages that are not named here are on the top floor: doors, measurements and test harnesses."""
TOP = max(FLOORS.values()) + 1


def folder_of(package: str) -> Path:
    floor = ".".join(package.split(".")[:2])
    if floor not in PACKAGE_DIRS:
        floor = "recollect"
    below = package.removeprefix(floor).strip(".")
    return ROOT.joinpath(PACKAGE_DIRS[floor], *(below.split(".") if below else []))


MODULES = {
    ".".join([*package.split("."), *([] if file.stem == "__init__" else [file.stem])]): file
    for package in [*PACKAGES, *sorted(NOT_IN_THE_WHEEL)]
    for file in sorted(folder_of(package).glob("*.py"))
}
EACH_MODULE = pytest.mark.parametrize("name", sorted(MODULES))


def parsed(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def imported(name: str) -> Iterator[tuple[int, str]]:
    """The modules of ours that a module imports, as (line, dotted name below ``recollect``)."""
    home = name if MODULES[name].stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(parsed(name)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = home.split(".")[: len(home.split(".")) - (node.level - 1)]
            path = [*base[1:], *(node.module.split(".") if node.module else [])]
            # `from .. import errors` names the module only after the word import.
            for alias in node.names:
                yield node.lineno, ".".join(path or [alias.name])


def floor_of(below_root: str) -> int:
    first = below_root.partition(".")[0]
    return FLOORS.get(first, TOP)


@EACH_MODULE
def test_imports_point_down(name: str) -> None:
    floor = floor_of(name.partition(".")[2])

    upwards = [f"line {line}: {target}" for line, target in imported(name) if floor_of(target) > floor]

    assert not upwards, f"{name} is on floor {floor} and imports from above: {upwards}"


@EACH_MODULE
def test_inside_the_package_our_own_modules_are_imported_relatively(name: str) -> None:
    absolute = []
    for node in ast.walk(parsed(name)):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            targets = [node.module or ""]
        else:
            continue
        absolute += [node.lineno for target in targets if target.split(".")[0] == "recollect"]

    assert not absolute, f"{name} imports recollect by its absolute name on lines {absolute}"


@EACH_MODULE
def test_everything_public_says_what_it_is_for(name: str) -> None:
    assert not list(undescribed(parsed(name), name))


def undescribed(node: ast.Module | ast.ClassDef, path: str) -> Iterator[str]:
    """The module, its public classes and functions, and public methods of public classes, if undescribed."""
    if not ast.get_docstring(node):
        yield path
    for child in node.body:
        if not isinstance(child, _NAMED) or child.name.startswith("_"):
            continue
        if isinstance(child, ast.ClassDef):
            yield from undescribed(child, f"{path}.{child.name}")
        elif not ast.get_docstring(child) and not is_described_elsewhere(child):
            yield f"{path}.{child.name}, line {child.lineno}"


_NAMED = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def is_described_elsewhere(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """An overload is described by its implementation, a setter by its property."""
    marks = {ast.unparse(decorator).rpartition(".")[2] for decorator in function.decorator_list}
    return bool(marks & {"overload", "override", "setter"})


def test_every_folder_with_code_is_packaged() -> None:
    inits = [file for depth in (1, 2, 3) for file in ROOT.glob("*/" * depth + "__init__.py")]
    folders = [file.parent.relative_to(ROOT).parts for file in inits]
    ours = [parts for parts in folders if not parts[0].startswith(".") and parts[0] not in NOT_PACKAGED]
    existing = {".".join(["recollect", *parts[parts[0] == "recollect" :]]) for parts in ours}

    assert existing == set(PACKAGES) | NOT_IN_THE_WHEEL, "pyproject.toml lists other packages than there are"


def test_the_sources_read_here_are_the_sources_meant() -> None:
    """A wrong path would empty the tests above."""
    assert {"recollect.errors", "recollect.memory.values", "recollect.perception.observers.observer"} <= set(
        MODULES
    )


@pytest.mark.parametrize("file", ["constraints.txt", "scripts/serving-env/requirements.txt"])
def test_every_constraint_is_an_exact_version(file: str) -> None:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()

    loose = [line for line in lines if not line.startswith("#") and line.count("==") != 1]

    assert not loose
    assert not [line for line in lines if "://" in line or "@" in line]
