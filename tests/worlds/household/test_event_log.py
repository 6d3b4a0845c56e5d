"""The event log holds exactly what a camera saw up to the time of the cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recollect.worlds.house import House, furnish
from recollect.worlds.household import EventLog, Pattern
from recollect.worlds.household.event_log import OPENERS, PLACES, READ_S, SUBJECTS


@pytest.fixture(scope="module")
def house() -> House:
    return furnish("log", 400.0)


def test_the_log_has_every_act_of_the_house(house):
    log = EventLog.of(house)

    acts = sorted((event.act.clause, event.span) for event in log.between(0.0, house.duration_s))

    expected = sorted((happening.act.clause, happening.span) for happening in house.happenings)
    assert [clause for clause, _ in acts] == [clause for clause, _ in expected]
    assert np.allclose([[s.start_s, s.end_s] for _, s in acts], [[s.start_s, s.end_s] for _, s in expected])


@given(time_s=st.floats(0.0, 400.0))
@settings(deadline=None, max_examples=40)
def test_a_cut_log_has_no_later_act_and_no_later_span(time_s):
    log = EventLog.of(furnish("log", 400.0)).until(time_s)

    for event in log.between(0.0, 1e9):
        assert event.known_s <= time_s
        assert event.span.end_s <= time_s
    for subject in SUBJECTS:
        assert all(sighting.span.end_s <= time_s for sighting in log.sightings(subject))


def test_a_room_that_is_off_camera_keeps_what_it_last_showed(house):
    for time_s in np.linspace(30.0, 390.0, 25):
        log = EventLog.of(house).until(time_s)
        for subject in (*PLACES, *OPENERS):
            sightings = log.sightings(subject)
            if not sightings:
                continue
            view = house.view(sightings[-1].span.end_s - 0.01)
            shown = view.open if subject in OPENERS else view.on[subject.room.places.index(subject.name)]
            assert view.room == subject.room
            assert sightings[-1].shown == shown


def test_a_room_never_on_camera_has_no_known_state(house):
    first_s = house.scenes[0][1].duration_s - 0.1
    log = EventLog.of(house).until(first_s)

    assert {subject.room for subject in SUBJECTS if log.sightings(subject)} == {house.scenes[0][1].room}


def test_the_log_of_a_longer_house_extends_that_of_a_shorter_one():
    shorter, longer = EventLog.of(furnish(5, 120.0)), EventLog.of(furnish(5, 400.0)).until(120.0)

    assert shorter.until(120.0).between(0.0, 120.0) == longer.between(0.0, 120.0)
    for subject in SUBJECTS:
        assert shorter.until(120.0).history(subject) == longer.history(subject)


def test_removing_an_act_removes_no_other(house):
    log = EventLog.of(house)
    comings = log.acts(Pattern("comes"))

    without = log.without(comings[3]).acts(Pattern("comes"))

    assert without == [*comings[:3], *comings[4:]]


def test_a_sign_is_known_once_it_could_be_read(house):
    shown = EventLog.of(house).acts(Pattern("shows"))[1]

    assert shown not in EventLog.of(house).until(shown.at_s + READ_S - 0.01).acts(Pattern("shows"))
    assert EventLog.of(house).until(shown.at_s + READ_S + 0.01).acts(Pattern("shows"))[1].act == shown.act


def test_visits_run_from_the_first_step_in_to_the_last_step_out(house):
    log = EventLog.of(house)
    for event in log.acts(Pattern("comes")):
        assert event.act.who is not None
        visit = next(v for v in log.visits(event.act.who) if v.span.start_s == event.at_s)
        middle = {figure.person for figure in house.view(visit.span.middle_s).figures}
        after = {figure.person for figure in house.view(visit.span.end_s + 0.01).figures}
        assert event.act.who in middle
        assert event.act.who not in after
