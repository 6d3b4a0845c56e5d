from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from recollect.perception.sources.file_source import FileSource
from recollect.perception.sources.frame import Frame
from recollect.perception.stages.shot_detection import (
    MEMORY_S,
    ShotBoundary,
    ShotDetector,
    structural_similarity,
)

FPS = 25
BLACK = np.full((108, 192), 16.0, np.float32)
WHITE = np.full((108, 192), 250.0, np.float32)

Plane = NDArray[np.float32]


def scene(seed: int, *, low: float = 20, high: float = 230, width: int = 400) -> Plane:
    """A synthetic scene with blotches of every size, wider than the view of the camera."""
    random = np.random.default_rng(seed)
    place = np.zeros((200, width), np.float32)
    for cells in (4, 9, 20, 45):
        blotches = random.normal(0, 1, (cells // 2, cells * width // 400)).astype(np.float32)
        place += cv2.resize(blotches, (width, 200), interpolation=cv2.INTER_CUBIC) / cells**0.35
    place = (place - place.min()) / (place.max() - place.min())
    return low + (high - low) * place


def view(place: Plane, left_px: float = 20, top_px: float = 20) -> Plane:
    """The part of a scene that the camera shows."""
    return cv2.getRectSubPix(place, (192, 108), (left_px + 96, top_px + 54))


def still(picture: Plane, seconds: float) -> list[Plane]:
    return [picture] * round(seconds * FPS)


def blend(before: Plane, after: Plane, seconds: float) -> list[Plane]:
    steps = round(seconds * FPS)
    return [before + (after - before) * (step / steps) for step in range(1, steps)]


def filmed(pictures: Iterable[Plane], *, noise: float = 1.0, start_s: float = 0.0) -> list[Frame]:
    random = np.random.default_rng(7)
    frames = []
    for number, picture in enumerate(pictures):
        thumb = cv2.resize(picture, (64, 36), interpolation=cv2.INTER_AREA)
        thumb = np.clip(thumb + random.normal(0, noise, thumb.shape), 0, 255).astype(np.uint8)
        frames.append(Frame(start_s + number / FPS, number, Fraction(1, FPS), thumb))
    return frames


def changes(frames: Iterable[Frame]) -> list[ShotBoundary]:
    detector = ShotDetector()
    return [change for frame in frames if (change := detector.push(frame)) is not None]


def test_a_cut_is_dated_at_the_first_frame_of_the_new_shot():
    frames = filmed([*still(view(scene(1)), 2), *still(view(scene(2)), 2)])

    boundaries = changes(frames)

    assert [(change.kind, change.start_s, change.end_s) for change in boundaries] == [("cut", 2.0, 2.0)]


def test_a_cut_is_reported_one_frame_after_it():
    frames = filmed([*still(view(scene(1)), 2), *still(view(scene(2)), 2)])
    detector = ShotDetector()

    reported_s = [frame.time_s for frame in frames if detector.push(frame) is not None]

    assert reported_s == [2.0 + 1 / FPS]


def test_a_cut_between_two_dark_shots_is_found():
    dark = [view(scene(seed, low=15, high=60)) for seed in (3, 4)]

    boundaries = changes(filmed([*still(dark[0], 1), *still(dark[1], 1)], noise=0.7))

    assert [(change.kind, change.start_s) for change in boundaries] == [("cut", 1.0)]


@pytest.mark.parametrize("flash", [WHITE, BLACK, np.clip(view(scene(1)) * 1.6 + 90, 0, 255)])
def test_a_flash_of_two_frames_is_not_a_shot_change(flash):
    before = still(view(scene(1)), 1)

    boundaries = changes(filmed([*before, flash, flash, *before]))

    assert boundaries == []


def test_a_cut_hidden_by_a_flash_is_found():
    frames = filmed([*still(view(scene(1)), 1), WHITE, WHITE, *still(view(scene(2)), 1)])

    boundaries = changes(frames)

    assert [(change.kind, change.start_s) for change in boundaries] == [("cut", 1.0 + 2 / FPS)]


@pytest.mark.parametrize("pixels_a_second", [20, 60, 200, 500])
def test_a_pan_is_not_a_shot_change(pixels_a_second):
    wide = scene(5, width=2300)

    boundaries = changes(filmed([view(wide, left_px=pixels_a_second * n / FPS) for n in range(4 * FPS)]))

    assert boundaries == []


def test_camera_shake_is_not_a_shot_change():
    random = np.random.default_rng(3)
    place, wobble = scene(6), random.normal(0, 4, (4 * FPS, 2))

    boundaries = changes(filmed([view(place, 60 + x, 40 + y) for x, y in wobble]))

    assert boundaries == []


@pytest.mark.parametrize("pixels_a_second", [150, 400, 1200])
def test_a_passing_lorry_is_not_a_shot_change(pixels_a_second):
    street, lorry = view(scene(7)), scene(8)[:90, :250]
    pictures = []
    for number in range(3 * FPS):
        picture, left_px = street.copy(), round(pixels_a_second * number / FPS) - 250
        visible = lorry[:, max(0, -left_px) : max(0, 192 - left_px)]
        picture[18:, max(0, left_px) : max(0, left_px) + visible.shape[1]] = visible
        pictures.append(picture)

    boundaries = changes(filmed(pictures))

    assert boundaries == []


def test_a_lamp_switched_off_and_on_is_not_a_shot_change():
    lit = view(scene(9))

    boundaries = changes(filmed([*still(lit, 1), *still(lit * 0.35 + 5, 1), *still(lit, 1)]))

    assert boundaries == []


def test_slowly_changing_light_is_not_a_shot_change():
    lit = view(scene(9))

    boundaries = changes(filmed([lit * (0.7 + 0.3 * np.cos(2 * n / FPS)) for n in range(5 * FPS)]))

    assert boundaries == []


def test_a_noisy_still_picture_is_not_a_shot_change():
    boundaries = changes(filmed(still(view(scene(1)), 6), noise=5.0))

    assert boundaries == []


def test_typed_and_scrolled_text_is_not_a_shot_change():
    page = np.full((900, 192), 40.0, np.float32)
    random = np.random.default_rng(11)
    for top in range(6, 900, 8):
        page[top : top + 4, 4 : random.integers(20, 180)] = 200
    typed = [page[:108].copy() for _ in range(2 * FPS)]
    for number, picture in enumerate(typed):
        picture[60:64, 4 + 3 * number :] = 40
    scrolled = [page[8 * n : 8 * n + 108] for n in range(2 * FPS)]

    boundaries = changes(filmed([*typed, *scrolled], noise=0.2))

    assert boundaries == []


@pytest.mark.parametrize("seconds", [0.4, 1.0, 3.0])
def test_a_dissolve_is_found_with_its_start_and_end(seconds):
    shot_a, shot_b = view(scene(1)), view(scene(2))

    boundaries = changes(filmed([*still(shot_a, 2), *blend(shot_a, shot_b, seconds), *still(shot_b, 2)]))

    assert [change.kind for change in boundaries] == ["dissolve"]
    assert boundaries[0].start_s == pytest.approx(2.0, abs=0.15)
    assert boundaries[0].end_s == pytest.approx(2.0 + seconds, abs=0.15)


def test_a_dissolve_is_reported_within_half_a_second_of_its_end():
    shot_a, shot_b = view(scene(1)), view(scene(2))
    detector = ShotDetector()

    reports = [
        (frame.time_s, change)
        for frame in filmed([*still(shot_a, 2), *blend(shot_a, shot_b, 1), *still(shot_b, 2)])
        if (change := detector.push(frame)) is not None
    ]

    assert [reported_s - change.end_s <= 0.5 for reported_s, change in reports] == [True]


def test_a_fade_out_and_in_is_one_fade_that_ends_in_black():
    shot_a, shot_b = view(scene(1)), view(scene(2))
    frames = filmed(
        [
            *still(shot_a, 2),
            *blend(shot_a, BLACK, 1),
            *still(BLACK, 0.5),
            *blend(BLACK, shot_b, 1),
            *still(shot_b, 2),
        ]
    )

    boundaries = changes(frames)

    assert [(change.kind, change.into_blank) for change in boundaries] == [("fade", True)]
    assert boundaries[0].end_s == pytest.approx(3.0, abs=0.15)


def test_a_fade_in_after_a_sudden_black_is_a_fade():
    shot_a, shot_b = view(scene(1)), view(scene(2))

    boundaries = changes(
        filmed([*still(shot_a, 2), *still(BLACK, 0.5), *blend(BLACK, shot_b, 1), *still(shot_b, 2)])
    )

    assert [(change.kind, change.into_blank) for change in boundaries] == [("fade", False)]
    assert boundaries[0].start_s == pytest.approx(2.5, abs=0.15)


def test_a_fade_in_at_the_start_is_not_a_shot_change():
    shot = view(scene(2))

    boundaries = changes(filmed([*still(BLACK, 0.5), *blend(BLACK, shot, 1), *still(shot, 2)]))

    assert boundaries == []


def test_a_long_black_ends_in_a_new_shot():
    same = still(view(scene(1)), 1)

    boundaries = changes(filmed([*same, *still(BLACK, 4), *same]))

    assert [(change.kind, change.start_s) for change in boundaries] == [("cut", 5.0)]


def test_a_detector_started_later_finds_the_same_changes():
    shot_a, shot_b, shot_c = (view(scene(seed)) for seed in (1, 2, 3))
    frames = filmed(
        [
            *still(shot_a, 3.1),
            *still(shot_b, 2.3),
            *blend(shot_b, shot_c, 1.5),
            *still(shot_c, 2),
            WHITE,
            *still(shot_c, 2),
            *blend(shot_c, BLACK, 1),
            *still(BLACK, 0.4),
            *blend(BLACK, shot_a, 1),
            *still(shot_a, 3),
        ]
    )
    from_start = changes(frames)

    for from_s in np.arange(MEMORY_S, frames[-1].time_s, 0.73):
        late = changes(frame for frame in frames if frame.time_s >= from_s - MEMORY_S)

        assert [c for c in late if c.end_s >= from_s] == [c for c in from_start if c.end_s >= from_s]
    assert [change.kind for change in from_start] == ["cut", "dissolve", "fade"]


def test_a_reset_forgets_the_shot_before_it():
    detector = ShotDetector()
    for frame in filmed(still(view(scene(1)), 1)):
        detector.push(frame)

    detector.reset()

    after = filmed(still(view(scene(2)), 1), start_s=50.0)
    assert [change for frame in after if (change := detector.push(frame)) is not None] == []


def test_similarity_ignores_light_and_small_shifts_not_scenes():
    original, shifted, different = (
        frame.thumb for frame in filmed([view(scene(1)), view(scene(1), 24, 17) * 0.6 + 20, view(scene(2))])
    )

    assert structural_similarity(original, shifted) > 0.85
    assert structural_similarity(original, different) < 0.5


def changes_in(clip: Path) -> list[ShotBoundary]:
    with closing(FileSource(clip, fps=1)) as source:
        return changes(event for event in source.frames() if isinstance(event, Frame))


@pytest.mark.parametrize(
    ("clip", "cuts_s", "dissolves_s"),
    [
        ("c12_city_shots_cuts.mp4", [1.20, 3.04, 5.48, 7.48, 9.68], []),
        ("c15_stage_faces_cuts.mp4", [1.52, 3.59, 7.89], []),
        # This file has two videos. The larger one is watched, whose cut is a little earlier.
        ("c16_nasa_dissolves.mp4", [8.008], [5.0]),
    ],
)
def test_changes_of_real_films_are_found_at_their_frames(clips, clip, cuts_s, dissolves_s):
    boundaries = changes_in(clips / clip)

    assert [c.start_s for c in boundaries if c.kind == "cut"] == pytest.approx(cuts_s, abs=0.01)
    assert [c.start_s for c in boundaries if c.kind == "dissolve"] == pytest.approx(dissolves_s, abs=0.2)
    assert not [c for c in boundaries if c.kind == "fade"]


@pytest.mark.slow
@pytest.mark.parametrize("clip", ["c01_lobby_table_people.mp4", "c03_bottles_on_table.mp4"])
def test_a_fixed_camera_has_one_shot(clips, clip):
    assert changes_in(clips / clip) == []
