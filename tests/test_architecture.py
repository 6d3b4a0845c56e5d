"""Package layout and conventions, checked on the sources: layered imports, docstrings, test names, exact pins."""

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

LAYERS = {"common": 0, "memory": 1, "perception": 2, "tools": 3, "agent": 4}
"""Packages not listed are in the top layer: the public API, the command, evaluations and test harnesses."""
TOP_LAYER = max(LAYERS.values()) + 1


def folder_of(package: str) -> Path:
    root = ".".join(package.split(".")[:2])
    if root not in PACKAGE_DIRS:
        root = "recollect"
    subpackage = package.removeprefix(root).strip(".")
    return ROOT.joinpath(PACKAGE_DIRS[root], *(subpackage.split(".") if subpackage else []))


MODULES = {
    ".".join([*package.split("."), *([] if file.stem == "__init__" else [file.stem])]): file
    for package in [*PACKAGES, *sorted(NOT_IN_THE_WHEEL)]
    for file in sorted(folder_of(package).glob("*.py"))
}
EACH_MODULE = pytest.mark.parametrize("name", sorted(MODULES))


MOST_CHARACTERS = 60
"""Of the name of a test function."""


def parsed(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def imported(name: str) -> Iterator[tuple[int, str]]:
    """The modules of Recollect that a module imports, as (line, dotted name below ``recollect``)."""
    package = name if MODULES[name].stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(parsed(name)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package.split(".")[: len(package.split(".")) - (node.level - 1)]
            path = [*base[1:], *(node.module.split(".") if node.module else [])]
            # `from .. import errors` names the module after the keyword import.
            for alias in node.names:
                yield node.lineno, ".".join(path or [alias.name])


def layer_of(module: str) -> int:
    """The layer of a module, given by its dotted name below ``recollect``."""
    return LAYERS.get(module.partition(".")[0], TOP_LAYER)


@EACH_MODULE
def test_imports_point_down(name: str) -> None:
    layer = layer_of(name.partition(".")[2])

    upwards = [f"line {line}: {target}" for line, target in imported(name) if layer_of(target) > layer]

    assert not upwards, f"{name} is in layer {layer} and imports from higher layers: {upwards}"


@EACH_MODULE
def test_imports_inside_the_package_are_relative(name: str) -> None:
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
def test_every_public_definition_has_a_docstring(name: str) -> None:
    assert not list(without_docstring(parsed(name), name))


def without_docstring(node: ast.Module | ast.ClassDef, path: str) -> Iterator[str]:
    """The public definitions of a module or class that have no docstring, the module or class included."""
    if not ast.get_docstring(node):
        yield path
    for child in node.body:
        if not isinstance(child, _NAMED) or child.name.startswith("_"):
            continue
        if isinstance(child, ast.ClassDef):
            yield from without_docstring(child, f"{path}.{child.name}")
        elif not ast.get_docstring(child) and not has_docstring_elsewhere(child):
            yield f"{path}.{child.name}, line {child.lineno}"


_NAMED = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def has_docstring_elsewhere(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """An overload has the docstring of its implementation, a setter that of its property."""
    decorators = {ast.unparse(decorator).rpartition(".")[2] for decorator in function.decorator_list}
    return bool(decorators & {"overload", "override", "setter"})


def test_every_folder_with_code_is_packaged() -> None:
    inits = [file for depth in (1, 2, 3) for file in ROOT.glob("*/" * depth + "__init__.py")]
    folders = [file.parent.relative_to(ROOT).parts for file in inits]
    own_folders = [
        parts for parts in folders if not parts[0].startswith(".") and parts[0] not in NOT_PACKAGED
    ]
    existing = {".".join(["recollect", *parts[parts[0] == "recollect" :]]) for parts in own_folders}

    assert existing == set(PACKAGES) | NOT_IN_THE_WHEEL, "pyproject.toml lists other packages than exist"


def test_the_checked_modules_include_known_ones() -> None:
    """With a wrong path, the tests above would check nothing."""
    assert {"recollect.errors", "recollect.memory.values", "recollect.perception.observers.observer"} <= set(
        MODULES
    )


def test_test_names_have_at_most_60_characters() -> None:
    names = [
        node.name
        for file in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]

    assert "test_test_names_have_at_most_60_characters" in names
    assert [name for name in names if len(name) > MOST_CHARACTERS] == []


@pytest.mark.parametrize("file", ["constraints.txt", "scripts/serving-env/requirements.txt"])
def test_every_constraint_is_an_exact_version(file: str) -> None:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()

    loose = [line for line in lines if not line.startswith("#") and line.count("==") != 1]

    assert not loose
    assert not [line for line in lines if "://" in line or "@" in line]
