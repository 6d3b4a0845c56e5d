"""Moment windows: moments cut as perception cuts them, and simulated search results."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from recollect.evals.tiny.moment_windows import WindowedLife, closely, live, windows_of
from recollect.evals.tiny.simulated_memories import recalled
from recollect.perception.stages.key_frames import MAX_FRAMES, SPACING_S
from recollect.worlds.house import furnish


@pytest.fixture(scope="module")
def life() -> WindowedLife:
    return live(random.Random(1), 300.0)


def test_windows_tile_their_scene():
    (_, scene), *_ = furnish(3, 30.0).scenes

    windows = windows_of(random.Random(0), scene)

    assert windows[0].span.start_s == 0.0
    assert windows[-1].span.end_s == pytest.approx(scene.duration_s, abs=1.0)
    assert all(before.span.end_s == after.span.start_s for before, after in pairwise(windows))


def test_pictures_are_kept_as_perception_keeps_them(life):
    for window in life.windows:
        assert 1 <= len(window.times_s) <= MAX_FRAMES
        assert all(window.span.contains(time_s) for time_s in window.times_s)
        assert all(after - before >= SPACING_S for before, after in pairwise(window.times_s))


def test_the_key_frames_show_most_acts(life):
    deeds = [act for act in life.done if act.kind in {"puts", "takes", "gives", "opens", "closes"}]

    assert sum(act in life.acts for act in deeds) > 0.7 * len(deeds)


def test_a_second_look_has_more_pictures_of_the_same_moment(life):
    window = max(life.windows, key=lambda window: window.span.duration_s)

    again = closely(window, 8)

    assert again.span == window.span
    assert len(again.times_s) == 8


def test_a_search_finds_the_moment_with_the_words_of_the_query(life):
    wanted = next(window for window in life.windows if any(act.kind == "gives" for act in window.seen.acts))
    query = next(act.clause for act in wanted.seen.acts if act.kind == "gives")

    results = [recalled(random.Random(seed), query, life.windows, 4) for seed in range(20)]

    assert sum(wanted in windows for windows in results) >= 18
    assert len({tuple(window.stream_span for window in windows) for windows in results}) > 1
