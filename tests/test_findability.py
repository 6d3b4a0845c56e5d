"""Findability: ``docs/where.md`` names the file of each behaviour, and ``docs/glossary.md`` each term once."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = re.findall(r"^\| ([^|`]+?) \| `([^`]+)` \|$", (ROOT / "docs" / "where.md").read_text("utf-8"), re.M)
SOURCES = [
    path
    for path in ROOT.glob("*/**/*.py")
    if path.relative_to(ROOT).parts[0] not in {"tests", "benchmarks", "build", "scripts", "examples", "site"}
    and not path.relative_to(ROOT).parts[0].startswith(".")
]
MOST_MATCHES = 6
"""With more matching files, the right one would be hard to pick."""


def searchable(path: Path) -> str:
    """A file's name and the first line of its docstring, in lower case."""
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    first_line = docstring.partition("\n")[0]
    return f"{path.relative_to(ROOT)} {first_line}".replace("_", " ").lower()


TEXTS = {path: searchable(path) for path in SOURCES}


@pytest.mark.parametrize(("behaviour", "file"), ROWS, ids=[behaviour for behaviour, _ in ROWS])
def test_a_behaviour_is_found_by_its_standard_name(behaviour: str, file: str) -> None:
    matches = [
        path for path, text in TEXTS.items() if all(word in text for word in behaviour.lower().split())
    ]

    assert ROOT / file in matches
    assert len(matches) <= MOST_MATCHES, [str(path.relative_to(ROOT)) for path in matches]


def test_at_least_25_behaviours_are_listed() -> None:
    assert len(ROWS) >= 25


def glossary_terms() -> list[str]:
    return re.findall(r"^\*\*(.+)\*\*$", (ROOT / "docs" / "glossary.md").read_text("utf-8"), re.M)


def test_the_glossary_defines_each_word_once() -> None:
    terms = [term.lower() for term in glossary_terms()]

    assert len(terms) == len(set(terms))


def test_the_values_of_the_memory_are_in_the_glossary() -> None:
    """The glossary uses the class names of ``memory/values.py``."""
    tree = ast.parse((ROOT / "memory" / "values.py").read_text("utf-8"))
    described = {"Span", "Finding", "Observation", "KeyFrame", "Moment", "Gap", "Tombstone", "Pin", "Stream"}
    described |= {"Coverage"}
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    terms = {term.replace(" ", "").lower() for term in glossary_terms()}

    assert described <= classes
    assert {name.lower() for name in described} <= terms


def test_class_names_are_unique_in_the_package() -> None:
    names: dict[str, list[Path]] = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                names.setdefault(node.name, []).append(path.relative_to(ROOT))

    assert not {name: places for name, places in names.items() if len(places) > 1}
