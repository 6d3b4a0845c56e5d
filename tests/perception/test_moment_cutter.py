"""The moment cutter: moments tile a stream, end at its cuts, and are the same after a restart."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recollect.memory.values import Span
from recollect.perception.sources.frame import THUMB_SHAPE
from recollect.perception.stages.moment_cutter import MAX_S, MIN_S, MomentCutter

STEP_S = 0.25


@dataclass(frozen=True)
class Shot:
    """A run of sampled frames. ``active`` states for each frame whether it differs from the previous frame."""

    active: list[bool]
    offset_s: float
    """How long after the cut its first frame was sampled."""
    step_s: float

    @property
    def duration_s(self) -> float:
        return self.offset_s + len(self.active) * self.step_s


@st.composite
def shots(draw: st.DrawFn) -> list[Shot]:
    generated = []
    for _ in range(draw(st.integers(1, 4))):
        active: list[bool] = []
        for _ in range(draw(st.integers(1, 4))):
            active += [draw(st.booleans())] * draw(st.integers(1, 55))
        offset_s = draw(st.sampled_from((0.0, 0.04, 0.2)))
        generated.append(Shot(active, offset_s, draw(st.sampled_from((STEP_S, STEP_S, 0.1, 1.0, 0.37)))))
    return generated


def frames_of(stream: list[Shot]) -> tuple[list[tuple[float, np.ndarray, bool]], list[float]]:
    """The time and thumbnail of every frame and whether a cut precedes it, and the ends of the shots."""
    frames, ends, start_s, level = [], [], 0.0, 0
    for shot in stream:
        for index, active in enumerate(shot.active):
            level = (level + 100) % 200 if active else level
            time_s = start_s + shot.offset_s + index * shot.step_s
            frames.append((time_s, np.full(THUMB_SHAPE, level, np.uint8), index == 0))
        start_s += shot.duration_s
        ends.append(start_s)
    return frames, ends


def cut_into_moments(stream: list[Shot], from_s: float = 0.0) -> list[list[Span]]:
    """The moments, as batches that became final together."""
    frames, ends = frames_of(stream)
    cutter, batches, shot = MomentCutter(), [], 0
    cutter.begin(from_s)
    for time_s, thumb, first in frames:
        if first and time_s > 0:
            cut_s = ends[shot - 1] if shot else 0.0
            shot += 1
            if cut_s >= from_s and shot > 1:
                batches.append(cutter.cut(cut_s))
                cutter.begin(cut_s)
        elif first:
            shot += 1
        if time_s >= from_s:
            batches.append(cutter.push(time_s, thumb))
    batches.append(cutter.cut(ends[-1]))
    return [batch for batch in batches if batch]


def flat(batches: list[list[Span]]) -> list[Span]:
    return [span for batch in batches for span in batch]


@settings(max_examples=40, deadline=None)
@given(shots())
def test_moments_cover_the_stream_without_gap_or_overlap(stream):
    moments = flat(cut_into_moments(stream))

    assert moments[0].start_s == 0.0
    assert all(moment.end_s == next_.start_s for moment, next_ in pairwise(moments))
    assert moments[-1].end_s == frames_of(stream)[1][-1]


@settings(max_examples=40, deadline=None)
@given(shots())
def test_no_moment_crosses_a_cut(stream):
    moments = flat(cut_into_moments(stream))

    for cut_s in frames_of(stream)[1][:-1]:
        assert not any(moment.start_s < cut_s < moment.end_s for moment in moments)


@settings(max_examples=80, deadline=None)
@given(shots())
def test_moments_last_2_to_10_s_unless_the_shot_is_shorter(stream):
    moments = flat(cut_into_moments(stream))

    starts = [0.0, *frames_of(stream)[1]]
    for moment in moments:
        shot_s = next(e - s for s, e in pairwise(starts) if moment.end_s <= e)
        assert moment.duration_s <= MAX_S + 1e-6
        assert moment.duration_s >= min(MIN_S, shot_s) - 1e-6


@settings(max_examples=25, deadline=None)
@given(shots())
def test_resuming_at_a_final_moment_gives_the_same_moments(stream):
    batches = cut_into_moments(stream)

    for index, batch in enumerate(batches):
        later = flat(cut_into_moments(stream, from_s=batch[-1].end_s))

        assert later == flat(batches[index + 1 :])


def test_a_live_moment_is_never_longer_than_max_s():
    cutter, moments = MomentCutter(max_s=5.0), []
    still = np.zeros(THUMB_SHAPE, np.uint8)

    for index in range(200):
        moments += cutter.push(0.1 + index * STEP_S, still)

    assert len(moments) >= 8
    assert all(moment.duration_s <= 5.0 + 1e-6 for moment in moments)


def test_a_still_picture_shown_for_a_minute_is_one_moment():
    """Without a frame for longer than the maximum length of a moment, the moment cannot be cut."""
    cutter = MomentCutter()
    still = np.zeros(THUMB_SHAPE, np.uint8)

    early = [span for time_s in (0.0, 60.0) for span in cutter.push(time_s, still)]

    assert early + cutter.cut(63.0) == [Span(0.0, 60.0), Span(60.0, 63.0)]


def test_a_still_picture_that_a_cut_ends_is_one_moment():
    cutter = MomentCutter()
    cutter.push(0.0, np.zeros(THUMB_SHAPE, np.uint8))

    assert cutter.cut(60.0) == [Span(0.0, 60.0)]


def test_a_cut_reported_late_ends_the_moment_at_its_time():
    cutter = MomentCutter()
    still = np.zeros(THUMB_SHAPE, np.uint8)
    for index in range(42):
        cutter.push(index * STEP_S, still)  # a moment of 10 s is ready, and 0.25 s of the next one

    assert cutter.cut(9.5) == [Span(0.0, 9.5)]
