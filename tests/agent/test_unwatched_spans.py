"""Answers admit what was not watched closely: gaps, too few pictures, and text that was not read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recollect import Recollect
from recollect.memory import MemoryStore
from recollect.memory.values import Finding, Gap, Moment, Observation, ReducedSpan, Span, Stream, moment_id
from recollect.memory.watch_rate import WatchRate

ONE = WatchRate(1.0, reads_text=False)
NO_TEXT = WatchRate(4.0, reads_text=False)


def quiet(start_s: float, rate: WatchRate | None = None) -> Moment:
    span = Span(start_s, start_s + 5.0)
    findings = () if rate == ONE else (Finding("attribute", "empty", "nothing moves", span, "motion/1"),)
    seen = Observation("Nothing moves.", findings, "observers/1", 1000.0 + start_s)
    moment = Moment(moment_id("door", 0, "moment", start_s), "door", 0, span, (seen,))
    return moment if rate is None else replace(moment, reduced=(ReducedSpan(span, rate),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "memory"


def asked(folder: Path, question: str, moments: list[Moment], gaps: list[Gap] | None = None):
    with MemoryStore.open(folder, write=True) as store:
        store.put_stream(Stream("door", "live", "rtsp://door", "door", "stopped", 4.0))
        store.append(moments)
        for gap in gaps or []:
            store.put_gap(gap)
    with Recollect(folder) as memory:
        return memory.ask(question)


def test_nothing_moves_is_unsure_where_few_pictures_were_seen(folder):
    moments = [quiet(0.0), quiet(5.0, ONE), quiet(10.0, ONE), quiet(15.0)]

    answer = asked(folder, "Does nothing move?", moments)

    assert answer.confidence <= 0.5
    assert "0:05.0–0:15.0 in door only few pictures were examined" in answer.text
    assert [(part.start_s, part.end_s, part.fps) for part in answer.coverage[0].reduced] == [(5.0, 15.0, 1.0)]


def test_nothing_moves_is_sure_where_all_was_watched(folder):
    answer = asked(folder, "Does nothing move?", [quiet(0.0), quiet(5.0), quiet(10.0, NO_TEXT)])

    assert answer.confidence > 0.5
    assert "overloaded" not in answer.text


def test_a_gap_is_named_where_nothing_was_found(folder):
    gap = Gap("g", "door", 0, Span(10.0, 33.6), "overload")

    answer = asked(folder, "Does a red shape enter?", [quiet(0.0), quiet(5.0), quiet(33.6)], [gap])

    assert answer.abstained
    assert "0:10.0–0:33.6 in door was not watched. It may have been there." in answer.text


@pytest.mark.parametrize(
    ("question", "is_named"), [("Which text is on the sign?", True), ("Who enters?", False)]
)
def test_text_that_was_not_read_is_named_where_text_is_asked_for(folder, question, is_named):
    answer = asked(folder, question, [quiet(0.0), quiet(5.0, NO_TEXT), quiet(10.0)])

    assert answer.abstained
    assert ("0:05.0–0:10.0 in door no text was read" in answer.text) == is_named
