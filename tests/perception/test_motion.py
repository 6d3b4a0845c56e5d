from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from recollect.memory.values import Finding, Span
from recollect.perception.observers.motion import MotionObserver
from recollect.perception.observers.observer import HOLD_S, Observer
from recollect.perception.sources.frame import THUMB_SHAPE, Frame

CLIPS = Path(os.environ.get("RECOLLECT_CLIPS", Path(__file__).parents[3] / "shared" / "clips"))
needs_clips = pytest.mark.skipif(
    not CLIPS.is_dir(), reason="the real clips are not here (set RECOLLECT_CLIPS)"
)

SIZE = (320, 180)
Draw = Callable[[np.ndarray, float], None]


def room(seed: int = 0) -> np.ndarray:
    """A wall with a floor, a picture and a door: an empty scene with some texture."""
    width, height = SIZE
    picture = np.full((height, width, 3), 150, np.uint8)
    picture[120:] = (60, 95, 130)
    for left_px in range(0, width, 20):
        cv2.line(picture, (left_px, 120), (left_px - 30, height), (45, 75, 105), 1)
    cv2.rectangle(picture, (20, 20), (70, 60), (90, 60, 40), -1)
    cv2.rectangle(picture, (250, 30), (300, 120), (110, 120, 125), -1)
    return np.clip(picture + np.random.default_rng(seed).integers(-3, 4, picture.shape), 0, 255).astype(
        np.uint8
    )


def film(draw: Draw, *, until_s: float, fps: float = 4.0, start_s: float = 0.0) -> Iterator[Frame]:
    """Frames of the room with a drawing in it and a little noise in every frame."""
    base = room()
    noise = np.random.default_rng(7)
    grains = noise.integers(-2, 3, (5, *base.shape), np.int16)
    for number in range(round((until_s - start_s) * fps)):
        time_s = start_s + number / fps
        picture = base.copy()
        draw(picture, time_s)
        grain = grains[noise.integers(len(grains))]
        yield frame(time_s, np.clip(picture + grain, 0, 255).astype(np.uint8))


def frame(time_s: float, picture: np.ndarray) -> Frame:
    return Frame(
        time_s=time_s,
        pts=round(time_s * 1000),
        time_base=Fraction(1, 1000),
        thumb=np.zeros(THUMB_SHAPE, np.uint8),
        small=picture,
        size=(picture.shape[1], picture.shape[0]),
    )


def watch(frames: Iterator[Frame], moment_s: float = 5.0) -> list[Finding]:
    """Request the findings of every moment as late as the contract allows, and the last ones after the cut."""
    observer = MotionObserver()
    findings: list[Finding] = []
    start_s = last_s = 0.0
    for shown in frames:
        while shown.time_s >= start_s + moment_s + HOLD_S:
            findings += observer.findings(Span(start_s, start_s + moment_s))
            start_s += moment_s
        observer.push(shown)
        last_s = shown.time_s
    observer.cut(last_s)
    while start_s <= last_s:
        findings += observer.findings(Span(start_s, start_s + moment_s))
        start_s += moment_s
    return findings


def of_kind(findings: list[Finding], kind: str) -> list[Finding]:
    return [finding for finding in findings if finding.kind == kind]


def walker(
    picture: np.ndarray, middle: tuple[float, float], colour: tuple[int, int, int], sway: int = 0
) -> None:
    """A tall figure with a head, a body and legs that move as it walks."""
    x, y = round(middle[0]), round(middle[1])
    cv2.circle(picture, (x, y - 45), 10, (60, 80, 120), -1)
    cv2.rectangle(picture, (x - 16, y - 35), (x + 16, y + 10), colour, -1)
    cv2.line(picture, (x - 8, y + 10), (x - 10 - sway, y + 50), (40, 30, 30), 9)
    cv2.line(picture, (x + 8, y + 10), (x + 10 + sway, y + 50), (40, 30, 30), 9)


def crossing(picture: np.ndarray, time_s: float) -> None:
    """A red person enters from the left at 4 s, stands at 7-17 s, and has left to the right by 20 s."""
    if 4.0 <= time_s < 20.0:
        x = -30 + (min(time_s, 7.0) - 4.0) * 65 + max(0.0, time_s - 17.0) * 65
        walker(picture, (x, 100), (40, 30, 190), sway=round(6 * np.sin(time_s * 5)))


def test_it_is_an_observer():
    assert isinstance(MotionObserver(), Observer)


def test_entering_staying_and_leaving_is_one_visit_with_sides():
    findings = watch(film(crossing, until_s=26.0))

    (visit,) = of_kind(findings, "visit")
    assert visit.span.start_s == pytest.approx(4.3, abs=0.6)
    assert visit.span.end_s == pytest.approx(20.0, abs=0.8)
    assert visit.detail["value"] == pytest.approx(visit.span.duration_s, abs=0.02)
    assert (visit.detail["from"], visit.detail["to"], visit.detail["complete"]) == ("left", "right", 1)
    assert (visit.detail["colour"], visit.detail["shape"]) == ("red", "tall")


def test_a_track_reports_entering_staying_and_leaving_once_each():
    findings = watch(film(crossing, until_s=26.0))

    (enters,), (leaves,) = of_kind(findings, "enters"), of_kind(findings, "leaves")
    assert enters.text.startswith("a tall red")
    assert enters.text.endswith("enters from the left")
    assert leaves.text.endswith("leaves to the right")
    assert {f.detail["direction"] for f in of_kind(findings, "moves")} == {"right"}
    assert {f.detail["place"] for f in of_kind(findings, "stays")} == {"middle"}
    assert len({f.detail["track"] for f in findings if "track" in f.detail}) == 1


def test_only_the_visit_reaches_beyond_its_moment():
    observer = MotionObserver()
    findings: list[tuple[Span, Finding]] = []
    start_s = 0.0
    for shown in film(crossing, until_s=30.0):
        if shown.time_s >= start_s + 5.0 + HOLD_S:
            moment = Span(start_s, start_s + 5.0)
            findings += [(moment, finding) for finding in observer.findings(moment)]
            start_s += 5.0
        observer.push(shown)

    assert [m.start_s for m, f in findings if f.kind == "visit"] == [15.0]
    for moment, finding in findings:
        if finding.kind != "visit":
            assert moment.start_s <= finding.span.start_s <= finding.span.end_s <= moment.end_s


def test_a_person_present_at_the_cut_is_an_incomplete_visit():
    observer = MotionObserver()
    for shown in film(crossing, until_s=12.0):
        observer.push(shown)

    observer.cut(12.0)
    findings = observer.findings(Span(10.0, 12.0))

    (visit,) = of_kind(findings, "visit")
    assert visit.detail["complete"] == 0
    assert visit.span.start_s == pytest.approx(4.3, abs=0.6)
    assert not of_kind(findings, "leaves")


def test_a_person_still_for_a_minute_remains_one_visit():
    def standing(picture: np.ndarray, time_s: float) -> None:
        x = -30 + (min(max(time_s, 4.0), 7.0) - 4.0) * 65 + max(0.0, time_s - 70.0) * 65
        walker(picture, (x, 100), (150, 60, 40))

    findings = watch(film(standing, until_s=80.0))

    (visit,) = of_kind(findings, "visit")
    assert visit.detail["value"] == pytest.approx(69.0, abs=1.5)


def test_times_may_be_irregular():
    frames = [
        shown
        for number, shown in enumerate(film(crossing, until_s=26.0, fps=8.0))
        if number % 7 not in (1, 3, 4)
    ]

    assert len(of_kind(watch(iter(frames)), "visit")) == 1


def bench(picture: np.ndarray, time_s: float) -> None:
    """A blue box is on the right. An arm takes it away at 6-7 s and returns it at 14-15 s."""

    def box(shift: float) -> None:
        if shift < 120:
            cv2.rectangle(picture, (230, round(80 - shift)), (260, round(130 - shift)), (190, 60, 30), -1)

    def arm(reach: float) -> None:
        if reach > 0:
            low = round(reach)
            for stripe in range(0, low, 8):
                shade = (50, 60 + 60 * ((stripe // 8) % 2), 170)
                cv2.rectangle(picture, (236, stripe), (254, min(stripe + 8, low)), shade, -1)

    reaching = max(0.0, 80 * (1 - abs(time_s - 6.0)), 80 * (1 - abs(time_s - 15.0)))
    lifted = 0.0
    if 6.0 < time_s < 15.0:
        lifted = min(80 * (time_s - 6.0), 80 * (15.0 - time_s), 200.0)
        lifted = lifted if lifted < 80 else 200.0
    box(lifted)
    arm(reaching)


def test_an_object_taken_and_returned_is_recognised():
    findings = watch(film(bench, until_s=22.0))

    (removed,), (placed,) = of_kind(findings, "removed"), of_kind(findings, "placed")
    assert removed.span.start_s == pytest.approx(6.5, abs=1.5)
    assert removed.text == "something blue is taken away from the right"
    assert placed.span.end_s == pytest.approx(15.3, abs=1.2)
    assert (placed.detail["place"], placed.detail["colour"], placed.detail["returned"]) == (
        "right",
        "blue",
        1,
    )


def test_a_bag_is_placed_when_its_bearer_leaves_without_it():
    def bearer(picture: np.ndarray, time_s: float) -> None:
        if time_s >= 3.0:
            x = -40 + (min(time_s, 6.0) - 3.0) * 60 - max(0.0, time_s - 7.0) * 60
            bag = min(x + 30, 170.0) if time_s < 7.0 else 170.0
            cv2.rectangle(picture, (round(bag) - 12, 130), (round(bag) + 12, 155), (40, 170, 60), -1)
            walker(picture, (x, 100), (40, 30, 190), sway=round(6 * np.sin(time_s * 5)))

    findings = watch(film(bearer, until_s=18.0))

    (placed,) = of_kind(findings, "placed")
    assert placed.detail["place"] == "bottom middle"
    assert (placed.detail["colour"], placed.detail["returned"]) == ("green", 0)
    (visit,) = of_kind(findings, "visit")
    assert (visit.detail["from"], visit.detail["to"]) == ("left", "left")


def test_a_sudden_appearance_is_neither_a_visit_nor_placed():
    def pages(picture: np.ndarray, time_s: float) -> None:
        if 4.0 <= time_s < 8.0:
            cv2.rectangle(picture, (60, 40), (200, 120), (240, 240, 240), -1)
        if time_s >= 11.0:
            cv2.rectangle(picture, (180, 90), (280, 150), (20, 20, 20), -1)

    findings = watch(film(pages, until_s=16.0))

    assert not {f.kind for f in findings} & {"enters", "leaves", "visit", "removed", "placed", "shape"}


def test_typed_text_is_not_a_person_who_enters():
    def typed(picture: np.ndarray, time_s: float) -> None:
        text = "the quick brown fox jumps over"[: max(0, round((time_s - 3.0) * 4))]
        cv2.putText(picture, text, (4, 90), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)

    findings = watch(film(typed, until_s=14.0))

    assert not {f.kind for f in findings} & {"enters", "leaves", "visit", "removed", "placed"}


def test_flicker_and_changing_light_are_not_objects():
    def lamp(picture: np.ndarray, time_s: float) -> None:
        if round(time_s * 4) % 3 == 0:
            cv2.circle(picture, (160, 50), 14, (250, 250, 250), -1)
        picture[:] = np.clip(picture * (0.75 + 0.25 * np.cos(time_s / 4)), 0, 255).astype(np.uint8)
        if time_s >= 12.0:
            picture[:] = np.clip(picture * 1.3, 0, 255).astype(np.uint8)

    findings = watch(film(lamp, until_s=24.0))

    assert not {f.kind for f in findings} & {"enters", "leaves", "visit", "removed", "placed"}


def test_a_panning_camera_gives_movement_but_no_tracks():
    wide = np.random.default_rng(3).integers(0, 255, (18, 90, 3), dtype=np.uint8)
    wide = cv2.resize(wide, (900, 180), interpolation=cv2.INTER_CUBIC)

    findings = watch(frame(n / 4, wide[:, n * 9 : n * 9 + 320].copy()) for n in range(60))

    assert not {f.kind for f in findings} & {
        "enters",
        "leaves",
        "visit",
        "removed",
        "placed",
        "shape",
        "empty",
    }
    assert all(f.detail["value"] > 0.2 for f in of_kind(findings, "moving"))


def test_a_scene_is_empty_before_and_after_a_visit():
    findings = watch(film(crossing, until_s=26.0))

    empty = of_kind(findings, "empty")
    assert empty[0].span.start_s == 0.0
    assert max(f.span.end_s for f in empty if f.span.end_s < 10) == pytest.approx(4.3, abs=0.6)
    assert min(f.span.start_s for f in empty if f.span.start_s > 10) == pytest.approx(20.2, abs=0.8)


def test_movement_has_an_amount_and_a_place():
    findings = watch(film(bench, until_s=10.0))

    moving = of_kind(findings, "moving")
    assert moving
    assert {f.detail["place"] for f in moving} == {"right"}
    assert all(0 < f.detail["value"] < 0.2 for f in moving)


def test_after_a_cut_the_new_scene_is_empty():
    observer = MotionObserver()
    for shown in film(crossing, until_s=8.0):
        observer.push(shown)
    observer.cut(8.0)
    observer.findings(Span(0.0, 8.0))

    for shown in film(lambda picture, _: cv2.flip(picture, 1, picture), until_s=16.0, start_s=8.0):
        observer.push(shown)
    findings = observer.findings(Span(8.0, 14.0))

    assert {f.kind for f in findings} == {"empty"}


def test_findings_stay_bounded_if_none_are_requested():
    observer = MotionObserver()
    for shown in film(lambda p, t: crossing(p, t % 22), until_s=150.0):
        observer.push(shown)

    assert len(observer.findings(Span(0.0, 150.0))) < 200


def decoded(name: str, fps: float = 4.0) -> Iterator[Frame]:
    (path,) = CLIPS.glob(f"{name}_*")
    with av.open(path) as container:
        due_s = 0.0
        for picture in container.decode(video=0):
            if picture.time is not None and picture.time >= due_s:
                due_s = max(due_s, picture.time - 1 / fps) + 1 / fps
                scale = 320 / max(picture.width, picture.height)
                size = round(picture.width * scale), round(picture.height * scale)
                yield frame(picture.time, picture.reformat(*size, "bgr24").to_ndarray())


@pytest.mark.slow
@needs_clips
def test_six_people_at_a_table_are_six_visits_within_a_second():
    truth = [(6, 20), (23, 45), (51, 70), (75, 87), (93, 120), (124, 136)]

    visits = of_kind(watch(decoded("c01")), "visit")

    assert [(f.span.start_s, f.span.end_s) for f in visits] == [
        (pytest.approx(start_s, abs=1.2), pytest.approx(end_s, abs=1.2)) for start_s, end_s in truth
    ]
    assert {(f.detail["from"], f.detail["to"]) for f in visits} == {("bottom", "right")}


@needs_clips
def test_moved_bottles_are_reported_with_their_places():
    findings = watch(decoded("c03"))

    moved = [(f.kind, f.detail["place"]) for f in findings if f.kind in ("removed", "placed")]
    assert moved[:2] == [("removed", "left"), ("placed", "left")]
    assert sorted(moved) == sorted(
        [("removed", "left"), ("placed", "left")] * 2
        + [("removed", "middle"), ("placed", "middle"), ("removed", "right"), ("placed", "right")]
    )


@needs_clips
@pytest.mark.parametrize(
    "name", ["c12", "c15", "c16", *(pytest.param(n, marks=pytest.mark.slow) for n in ("c06", "c07"))]
)
def test_screen_recordings_and_films_have_no_visits(name):
    findings = watch(decoded(name))

    assert not {f.kind for f in findings} & {"enters", "visit", "removed", "placed"}


def test_a_sampled_frame_costs_a_few_milliseconds_at_most():
    frames = list(film(crossing, until_s=25.0))
    observer = MotionObserver()
    observer.push(frames[0])

    before_s = time.process_time()
    for shown in frames[1:]:
        observer.push(shown)

    assert (time.process_time() - before_s) / len(frames) < 0.006


@pytest.mark.parametrize("colour", [(220, 60, 30), (30, 30, 210), (60, 190, 60)])
@pytest.mark.parametrize("box", [(200, 60, 246, 100), (90, 20, 136, 60)])
def test_a_box_that_appears_by_itself_is_reported(
    colour: tuple[int, int, int], box: tuple[int, int, int, int]
) -> None:
    def draw(picture: np.ndarray, time_s: float) -> None:
        if 7.0 <= time_s < 13.0:
            picture[box[1] : box[3], box[0] : box[2]] = colour

    changes = [
        finding for finding in watch(film(draw, until_s=20.0)) if finding.kind in ("appears", "disappears")
    ]

    assert [change.kind for change in changes] == ["appears", "disappears"]
    assert [round(change.span.start_s, 1) for change in changes] == [7.0, 13.0]


def test_a_shadow_that_falls_by_itself_does_not_appear() -> None:
    def draw(picture: np.ndarray, time_s: float) -> None:
        if time_s >= 7.0:
            part = picture[40:110, 90:160].astype(np.float32)
            picture[40:110, 90:160] = (part * 0.8).astype(np.uint8)

    assert not {finding.kind for finding in watch(film(draw, until_s=20.0))} & {"appears", "disappears"}
