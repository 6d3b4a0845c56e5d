"""Golden test of the built-in finding kinds: captions, summaries, question parser, counts and scores.

The expected texts and figures are in ``kind_golden.json``. They were written before the kinds became a registry
and hold the output that every table derived from it must reproduce.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from recollect.agent.candidates import by_kinds, by_words
from recollect.agent.question_parser import read_question
from recollect.agent.summary_counts import format_count
from recollect.memory.ladder.event_boundaries import is_active
from recollect.memory.ladder.similarity import looks_different, similarity
from recollect.memory.ladder.summaries import summarise
from recollect.memory.values import Field, Finding, Moment, Observation, Span
from recollect.perception.describing.description_priority import description_priority
from recollect.perception.describing.rule_captions import compose_caption

GOLDEN = Path(__file__).with_name("kind_golden.json")
FIELDS: dict[str, Field] = {
    "enters": "action", "leaves": "action", "visit": "action", "moves": "action", "stays": "action",
    "removed": "action", "placed": "action", "typed": "action", "cut": "action", "dissolve": "action",
    "fade": "action", "camera_pan": "action", "camera_zoom_in": "action", "camera_zoom_out": "action",
    "camera_shake": "action", "shape": "actor", "empty": "attribute", "moving": "attribute",
    "colour": "attribute", "brightness": "attribute", "blurred": "attribute", "flash": "attribute",
    "face": "actor", "line": "visible_text", "qr": "visible_text", "barcode": "visible_text",
    "subtitle": "speech", "read": "visible_text", "actor": "actor", "action": "action", "object": "object",
    "place": "place", "seen": "attribute", "unheard_of": "action", "unheard_of_too": "object",
}  # fmt: skip
TRIGGERS = (
    "the visitor stays", "somebody enters", "she leaves", "a car passes by", "the cup is taken", "a box is put down",
    "nobody was there", "the camera zooms in", "it zooms out", "the camera pans", "the picture shakes", "there is a cut",
    "it dissolves", "the picture fades", "it is brightest", "the light flashes", "a name is typed", "a face is shown",
    "the narrator speaks", "a QR code is held up", "a barcode is seen", "the chair moves", "the picture is blurred",
)  # fmt: skip


def finding(kind: str, start_s: float, **detail: str | float) -> Finding:
    text = {"colour": "mostly grey", "line": "EXIT 7"}.get(kind, f"the {kind} text")
    return Finding(FIELDS[kind], kind, text, Span(start_s, start_s + 1.0), "golden/1", 0.7, detail=detail)


def moment(number: int, *findings: Finding, shot: int = 0) -> Moment:
    span = Span(10.0 * number, 10.0 * number + 10.0)
    observation = Observation(compose_caption(findings), findings, "golden/1", 1000.0 + number)
    return Moment(f"m{number}", "yard", 0, span, (observation,), shot=shot)


def detail_of(kind: str) -> dict[str, str | float]:
    if kind == "colour":
        return {"grey": 0.7, "blue": 0.2, "seconds": 9.0}
    return {"value": 0.4} if kind in ("moving", "brightness", "flash") else {}


def report_of(kind: str) -> dict[str, Any]:
    early, late = (finding(kind, start_s, **detail_of(kind)) for start_s in (1.0, 12.0))
    first, second, bare = moment(0, early), moment(1, late, replace(early, span=Span(14.0, 15.0))), moment(2)
    parent = summarise([first, second], Span(0.0, 20.0))
    single = summarise([first], Span(0.0, 10.0))
    above = Moment("e0", "yard", 0, Span(0.0, 20.0), (parent,), rung="event")
    single_above = Moment("e1", "yard", 0, Span(0.0, 10.0), (single,), rung="event")
    question = read_question("When did it happen?")
    candidates = by_kinds(question, (kind,), [first, second], {"yard": 20.0})
    coloured = by_kinds(
        read_question("When did the red person on the left come?"), (kind,), [first], {"yard": 20.0}
    )
    return {
        "caption": first.caption,
        "caption of two": second.caption,
        "summary": parent.caption,
        "summary of one": single.caption,
        "summary findings": [[f.kind, f.text, dict(f.detail)] for f in parent.findings],
        "counted": [format_count(kind, 1), format_count(kind, 3)],
        "priority": description_priority([early]),
        "goes on": [is_active(first), is_active(moment(0, with_value(early, 0.05)))],
        "alike": [similarity(above, single_above), similarity(above, Moment("e2", "yard", 0, Span(0, 20), (parent,)))],
        "different": [looks_different(first, bare), looks_different(first, second)],
        "candidates": [[c.text, c.score, [c.span.start_s, c.span.end_s]] for c in candidates],
        "candidates of red": [c.score for c in coloured],
        "words": [[c.text, c.score] for c in by_words(read_question(f"Where is “the {kind} text”?"), [first], {})],
    }  # fmt: skip


def with_value(changed: Finding, value: float) -> Finding:
    return replace(changed, detail={**changed.detail, "value": value} if "value" in changed.detail else {})


def questions() -> list[str]:
    single = [f"When did it happen that {trigger}?" for trigger in TRIGGERS]
    often = [f"How often did it happen that {trigger}?" for trigger in TRIGGERS]
    pairs = [f"When did it happen that {first} and {second}?" for first, second in combinations(TRIGGERS, 2)]
    return [*single, *often, *pairs[::3], "What is the longest shot?", "How many scenes are there?"]


def parsed(question: str) -> list[Any]:
    reading = read_question(question)
    return [list(reading.kinds), list(reading.unobservable_words)]


def all_together() -> list[str]:
    together = [finding(kind, 0.1 * number, **detail_of(kind)) for number, kind in enumerate(FIELDS)]
    captions = [compose_caption(together), compose_caption(together[::-1])]
    parts = [compose_caption(together[start : start + 7]) for start in range(0, len(together), 3)]
    parents = [summarise([moment(0, *together[start:])], Span(0.0, 10.0)).caption for start in (0, 5, 12, 20)]
    return [*captions, *parts, *parents]


def current() -> dict[str, Any]:
    report = {
        "kinds": {kind: report_of(kind) for kind in FIELDS},
        "questions": {question: parsed(question) for question in questions()},
        "all together": all_together(),
    }
    return dict(json.loads(json.dumps(report)))


EXPECTED = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.is_file() else {}


@pytest.mark.parametrize("kind", FIELDS)
def test_a_kind_is_described_as_before(kind: str) -> None:
    assert json.loads(json.dumps(report_of(kind))) == EXPECTED["kinds"][kind]


def test_the_parser_finds_the_same_kinds_as_before() -> None:
    kinds = {question: parsed(question) for question in questions()}

    assert kinds == EXPECTED["questions"]


def test_many_kinds_together_read_as_before() -> None:
    assert all_together() == EXPECTED["all together"]
