"""The examples in docstrings run and give the results that they show."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

MODULES = [
    "common.text",
    "evals.label_placement",
    "evals.lmms.prompt_parsing",
    "evals.markdown_tables",
    "evals.scorers",
    "evals.statistics",
    "evals.suites.wall_clock",
    "memory.encoder",
    "memory.query.filters",
    "memory.query.ranking",
    "memory.query.word_stems",
    "memory.storage.file_sizes",
    "memory.storage.rows",
    "memory.values",
]
"""Modules with examples that need neither files nor models, below ``recollect``."""


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    results = doctest.testmod(import_module(f"recollect.{name}"))

    assert results.attempted > 0
    assert results.failed == 0
