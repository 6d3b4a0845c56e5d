from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise

import pytest

from recollect.memory.values import Moment
from recollect.testing.simulated_moments import MOMENT_S, simulated_moments


@pytest.fixture(scope="module")
def day() -> list[Moment]:
    return list(simulated_moments(seed=3, hours=24.0, stream="shop"))


def test_a_seed_fixes_the_moments_and_a_longer_life_extends_them(day: list[Moment]) -> None:
    morning = list(simulated_moments(seed=3, hours=2.0, stream="shop"))
    elsewhere = list(simulated_moments(seed=4, hours=2.0, stream="shop"))

    assert morning == day[: len(morning)]
    assert [m.findings for m in elsewhere] != [m.findings for m in morning]


def test_moments_are_contiguous_and_account_for_every_frame(day: list[Moment]) -> None:
    assert len(day) == 24 * 3600 / MOMENT_S
    assert all(before.span.end_s == after.span.start_s for before, after in pairwise(day))
    assert len({moment.id for moment in day}) == len(day)
    assert all(moment.counts.balanced for moment in day)


def test_every_visit_has_an_arrival_a_departure_and_a_summary(day: list[Moment]) -> None:
    kinds = Counter(finding.kind for moment in day for finding in moment.of("action"))
    visits = [(m, f) for m in day for f in m.of("action") if f.kind == "visit"]

    assert kinds["enters"] == pytest.approx(kinds["leaves"], abs=5)
    assert kinds["visit"] == kinds["leaves"] > 100
    assert all(m.span.start_s < f.span.end_s <= m.span.end_s for m, f in visits)
    assert all(f.detail["value"] == pytest.approx(f.span.duration_s, abs=0.02) for _, f in visits)


def test_findings_other_than_visits_lie_inside_their_moment(day: list[Moment]) -> None:
    inside = [
        m.span.start_s <= f.span.start_s <= f.span.end_s <= m.span.end_s
        for m in day
        for f in m.findings
        if f.kind != "visit"
    ]

    assert all(inside)


def test_noon_is_busier_and_brighter_than_midnight(day: list[Moment]) -> None:
    noon, midnight = day[6 * 720 : 7 * 720], day[18 * 720 : 19 * 720]

    def values_of(moments: list[Moment], kind: str) -> list[float]:
        return [float(f.detail.get("value", 0)) for m in moments for f in m.findings if f.kind == kind]

    assert len(values_of(noon, "visit")) > 5 * max(1, len(values_of(midnight, "visit")))
    assert min(values_of(noon, "brightness")) > max(values_of(midnight, "brightness"))


def test_each_rare_line_is_shown_once(day: list[Moment]) -> None:
    lines = Counter(finding.text for moment in day for finding in moment.of("visible_text"))
    rare = [f.text for m in day for f in m.of("visible_text") if f.detail.get("rare")]

    assert 20 <= len(rare) <= 90
    assert {lines[text] for text in rare} == {1}


def test_moments_are_made_2000_times_faster_than_real_time() -> None:
    begin_s = time.process_time()

    count = sum(1 for _ in simulated_moments(seed=0, hours=4.0, stream="shop"))

    assert count * MOMENT_S > 2000 * (time.process_time() - begin_s)
