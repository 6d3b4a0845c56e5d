"""The registry of finding kinds: valid declarations, look-ups, and declared built-in kinds."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from recollect.common.builtin_kinds import BUILTIN_KINDS
from recollect.common.finding_kinds import FindingField, FindingKind, QuestionCue
from recollect.common.kind_registry import FindingKindRegistry, kind_of, names_for, names_with

BELL = FindingKind(
    "bell_rings",
    "action",
    nouns=("ring of the bell", "rings of the bell"),
    asked_by=(QuestionCue(r"\bbells?\b", also=("door_opens",)),),
    traits=("no_activity",),
)


def test_a_registered_kind_is_in_every_table() -> None:
    registry = FindingKindRegistry([BELL])

    assert registry.get("bell_rings") is BELL
    assert registry.names_with("no_activity") == {"bell_rings"}
    assert [(cue.pattern, names) for cue, names in registry.cues()] == [
        (r"\bbells?\b", ("bell_rings", "door_opens"))
    ]


def test_registering_the_same_declaration_again_is_harmless() -> None:
    registry = FindingKindRegistry([BELL])

    registry.register(BELL)

    assert registry.kinds() == (BELL,)


def test_a_refused_declaration_registers_nothing() -> None:
    registry = FindingKindRegistry([BELL])

    with pytest.raises(ValueError, match="'bell_rings' is declared already"):
        registry.register(FindingKind("horn", "action"), FindingKind("bell_rings", "speech"))

    assert registry.kinds() == (BELL,)


@pytest.mark.parametrize("name", ["", "Bell", "bell rings", "x'; --"])
def test_a_kind_with_an_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="lower case name"):
        FindingKindRegistry([FindingKind(name, "action")])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"field": "sound"}, "unknown field 'sound'"),
        ({"reliability": 1.5}, "reliability is 1.5"),
        ({"importance": -0.1}, "importance is -0.1"),
        ({"traits": ("loud",)}, "unknown traits"),
        ({"asked_by": (QuestionCue("(bell"),)}, "no regular expression"),
        ({"caption": "counted"}, "needs 2 caption sentences"),
        ({"caption": "if_quiet"}, "needs 1 caption sentence"),
    ],
)
def test_an_invalid_declaration_is_refused_with_a_reason(changes: dict[str, object], message: str) -> None:
    declaration = {"name": "bell_rings", "field": "action", **changes}

    with pytest.raises(ValueError, match=message):
        FindingKind(**declaration)  # type: ignore[arg-type]


def test_an_undeclared_kind_has_the_defaults_of_its_field() -> None:
    action, line = kind_of("knocks_twice", "action"), kind_of("plate", "visible_text")

    assert action.summary_count(2) == "2 × knocks twice"
    assert action.answer_count(2) == "2 “knocks_twice”"
    assert (action.caption_style, line.caption_style) == ("told", "omitted")
    assert (action.description_importance, line.description_importance) == (0.0, 0.1)
    assert action.reliability == 0.6


def test_kinds_are_looked_up_by_trait_and_by_general_question() -> None:
    assert names_with("shot_change") >= {"cut", "dissolve", "fade"}
    assert names_for("people") == ("visit",)
    assert names_for("text") == ("line", "subtitle")


def test_kinds_that_declarations_refer_to_are_declared() -> None:
    names = {kind.name for kind in BUILTIN_KINDS}
    referred = {
        name
        for kind in BUILTIN_KINDS
        for name in (*kind.supersedes, *kind.combines, *(also for cue in kind.asked_by for also in cue.also))
    }

    assert referred <= names


def test_every_kind_in_the_sources_is_declared_once() -> None:
    """A kind is the second argument of a Finding, or its ``kind``."""
    root = Path(__file__).parents[2]
    sources = [file for room in ("perception", "agent", "memory") for file in (root / room).rglob("*.py")]

    reported = {name for file in sources for name in reported_kinds(ast.parse(file.read_text("utf-8")))}

    assert {"enters", "face", "typed", "camera_pan", "read"} <= reported
    assert reported <= {kind.name for kind in BUILTIN_KINDS}
    assert len(BUILTIN_KINDS) == len({kind.name for kind in BUILTIN_KINDS})


def reported_kinds(module: ast.Module) -> set[str]:
    """The kinds that calls pass as constants, after a field or as the ``kind`` of a finding."""
    names: set[str] = set()
    for call in ast.walk(module):
        if not isinstance(call, ast.Call):
            continue
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        field, kind = (
            (call.args[0], call.args[1])
            if len(call.args) > 1
            else (keywords.get("field"), keywords.get("kind"))
        )
        if (
            isinstance(field, ast.Constant)
            and field.value in get_args(FindingField)
            and isinstance(kind, ast.Constant)
        ):
            names.add(kind.value)
    return names


def test_the_registry_loads_nothing_heavy() -> None:
    code = (
        "import sys; from recollect.common.kind_registry import declared_kinds; assert declared_kinds(); "
        "print(*sorted({'cv2', 'numpy', 'pyarrow', 'av'} & sys.modules.keys()))"
    )

    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert process.stdout.split() == []
