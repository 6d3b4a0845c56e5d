"""The documentation names only what exists: modules, classes, files, folders, flags and settings."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

import recollect
import recollect.observers
from recollect.cli.main import build_parser
from recollect.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("models/*/README.md"))
    if path.name != "CHANGELOG.md"
}
"""All pages but the changelog, which also gives former names."""
API = PAGES["docs/api.md"]
FILE_NAMES = {"recollect.toml", "recollect.lance"}
OTHER_PROGRAMS = {"--repeats", "--verbosity", "--mmproj", "--reasoning-parser", "--trust-request-mm-kwargs"}
"""Flags of lmms-eval and of model servers."""
OTHER_VARIABLES = {"RECOLLECT_CONFIG", "RECOLLECT_CLIPS"}
"""Variables that are no setting: the path of the settings file, and the folder of the real clips of some tests."""


def found_in_pages(pattern: str) -> list[str]:
    return sorted({match for text in PAGES.values() for match in re.findall(pattern, text)})


def exists(dotted_name: str) -> bool:
    """Whether a dotted name is a module of Recollect, or an attribute of one. The module itself is not imported."""
    try:
        if importlib.util.find_spec(dotted_name):
            return True
    except ModuleNotFoundError:
        pass
    module, _, name = dotted_name.rpartition(".")
    return bool(module) and exists(module) and hasattr(importlib.import_module(module), name)


def setting_names(model: type[BaseModel] = Settings, section: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_names(field.annotation, f"{name}.")
        else:
            yield f"{section}{name}"


def flags(parser: argparse.ArgumentParser) -> set[str]:
    """The flags of a parser and of its subcommands."""
    known: set[str] = set()
    for action in parser._actions:
        known.update(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            known.update(*(flags(command) for command in action.choices.values()))
    return known


@pytest.mark.parametrize("name", sorted(set(found_in_pages(r"\brecollect(?:\.\w+)+")) - FILE_NAMES))
def test_every_dotted_name_exists(name: str) -> None:
    assert exists(name)


@pytest.mark.parametrize("path", found_in_pages(r"`(\w[\w./-]*/[\w.-]+\.(?:py|md|sh|txt|toml|ipynb))`"))
def test_every_file_named_exists(path: str) -> None:
    assert (ROOT / path).is_file() or (ROOT / "models" / "recollect-tiny" / path).is_file()


@pytest.mark.parametrize("folder", re.findall(r"`(\w+/)`", PAGES["README.md"] + PAGES["CONTRIBUTING.md"]))
def test_every_folder_named_exists(folder: str) -> None:
    assert (ROOT / folder).is_dir()


def test_every_flag_named_in_the_text_exists() -> None:
    assert set(found_in_pages(r"`(--[a-z][\w-]*)")) - OTHER_PROGRAMS <= flags(build_parser())


@pytest.mark.parametrize("command", found_in_pages(r"`python (benchmarks/[^`]+)`"))
def test_every_benchmark_named_has_its_flags(command: str) -> None:
    script, *words = command.split()
    source = (ROOT / script).read_text(encoding="utf-8")

    assert [word for word in words if word.startswith("--") and f'"{word}"' not in source] == []


def test_every_variable_named_is_a_setting() -> None:
    variables = {f"RECOLLECT_{name.replace('.', '__').upper()}" for name in setting_names()}

    assert set(found_in_pages(r"\bRECOLLECT_\w*[A-Z]\b")) - OTHER_VARIABLES <= variables


def test_every_setting_named_exists() -> None:
    sections = "|".join(Settings.model_fields)

    assert set(found_in_pages(rf"`((?:{sections})\.\w+)[` ]")) - {"memory.json"} <= set(setting_names())


def test_every_method_named_exists() -> None:
    methods = set(found_in_pages(r"`(?:await )?memory\.(\w+)\(")) | set(
        found_in_pages(r"`Recollect\.(\w+)[(`]")
    )

    assert methods <= set(dir(recollect.Recollect))


def test_the_reference_lists_every_public_name_once() -> None:
    listed = re.findall(r"^::: recollect\.(\w+)$", API, re.MULTILINE)

    assert sorted(listed) == sorted([*recollect.__all__, "errors"])


def test_the_reference_lists_what_observers_import() -> None:
    listed = set(re.findall(r"^::: recollect\.observers\.(\w+)$", API, re.MULTILINE))

    assert listed <= set(recollect.observers.__all__)
    assert set(recollect.observers.__all__) - listed <= set(recollect.__all__) | {"Box", "FindingField"}
