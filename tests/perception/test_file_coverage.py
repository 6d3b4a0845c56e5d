"""What was lost of a file becomes counts and outages, and nothing else does."""

from __future__ import annotations

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from recollect.perception.sources.file_coverage import (
    OUTAGE_S,
    Damage,
    FileCoverage,
    FileEnd,
    TimedPicture,
)
from recollect.perception.sources.source import Dropped, Outage

SHOWN_S = 0.04
HOLES_S = st.lists(st.just(0.0) | st.floats(0.0, 3.0), min_size=1, max_size=30)
"""Stretches without a picture, each after a picture."""


def pictures_with(holes_s: list[float]) -> list[TimedPicture]:
    starts_s = itertools.accumulate((SHOWN_S + hole_s for hole_s in holes_s), initial=0.0)
    return [TimedPicture(start_s, SHOWN_S) for start_s in starts_s]


def events_of(
    holes_s: list[float],
    losses: list[Damage],
    *,
    is_continuous: bool,
    bytes_missing: bool,
    others_last_s: float = 0.0,
) -> list[Dropped | Outage]:
    """All events of pictures with holes between them. Losses are noted before the first picture.

    The file goes on for ``others_last_s`` after the last picture.
    """
    coverage = FileCoverage(
        0.0, from_start=True, is_continuous=is_continuous, has_lost=lambda before, after: bytes_missing
    )
    for loss in losses:
        coverage.note_damage(loss)
    pictures = pictures_with(holes_s)
    events = [event for picture in pictures for event in coverage.until(picture)]
    return events + coverage.at_end(FileEnd(None, pictures[-1].time_s + SHOWN_S + others_last_s))


def outages(events: list[Dropped | Outage]) -> list[Outage]:
    return [event for event in events if isinstance(event, Outage)]


@given(HOLES_S)
def test_a_long_wait_for_a_picture_is_no_loss(holes_s):
    assert events_of(holes_s, [], is_continuous=False, bytes_missing=False) == []


@given(
    HOLES_S,
    st.lists(st.builds(Damage, st.floats(0.0, 60.0), st.integers(0, 9))),
    st.booleans(),
    st.booleans(),
    st.just(0.0) | st.floats(0.0, 9.0),
)
@example([0.9, 0.0], [Damage(1.4, 5)], True, True, 3.0)
def test_lost_frames_count_once_and_outages_hold_no_picture(
    holes_s, losses, is_continuous, bytes_missing, others_last_s
):
    pictures = pictures_with(holes_s)
    end_s = pictures[-1].time_s + SHOWN_S

    events = events_of(
        holes_s,
        losses,
        is_continuous=is_continuous,
        bytes_missing=bytes_missing,
        others_last_s=others_last_s,
    )

    counted = sum(event.count for event in events if isinstance(event, Dropped))
    assert counted == sum(loss.count for loss in losses)
    for earlier, later in itertools.pairwise(outages(events)):
        assert earlier.end_s <= later.start_s
    for outage in outages(events):
        assert outage.start_s < outage.end_s
        inside = [
            picture for picture in pictures if outage.start_s < picture.time_s + SHOWN_S / 2 < outage.end_s
        ]
        assert outage.start_s >= end_s or not inside


@given(HOLES_S)
@example([0.5] * 5)
@example([0.21] * 30)
@example([1.1295913528939052, 1.0])  # as the difference of two times, the second one is a little below 1 s
def test_short_damaged_stretches_are_told_when_long_together(holes_s):
    events = events_of(holes_s, [], is_continuous=True, bytes_missing=True)

    lost_s = sum(hole_s for hole_s in holes_s if hole_s >= 0.2 + 1e-6)
    told_s = sum(outage.end_s - outage.start_s for outage in outages(events))
    assert lost_s - told_s < OUTAGE_S + 1e-6
    assert told_s <= sum(holes_s) + 1e-6


def test_one_short_damaged_stretch_is_no_outage():
    assert outages(events_of([0.0, 0.9, 0.0], [], is_continuous=True, bytes_missing=True)) == []
