from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from recollect.memory.values import Span
from recollect.perception.observers.observer import Observer
from recollect.perception.observers.ocr import MAX_LINES, OcrLine, OcrReader, read_text
from recollect.perception.observers.text_observer import TextObserver, look_closely, worth_keeping
from recollect.perception.observers.text_tracking import TextReading, TextTracker
from recollect.perception.sources.frame import SMALL_SIDE, Frame

CLIPS = Path(os.environ.get("RECOLLECT_CLIPS", Path(__file__).parents[3] / "shared" / "clips"))

STEP_S = 0.25


def page(*lines, shade=30):
    """A plain picture, 640 × 360, with (text, x, y) written on it."""
    picture = np.full((360, 640, 3), shade, np.uint8)
    for text, x, y in lines:
        cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (235, 235, 235), 2, cv2.LINE_AA)
    return picture


def frame(time_s, picture):
    height, width = picture.shape[:2]
    scale = SMALL_SIDE / max(height, width)
    small = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    thumb = cv2.resize(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), (64, 36))
    return Frame(
        time_s,
        round(time_s * 1000),
        Fraction(1, 1000),
        thumb,
        small=small,
        read_picture=lambda: picture,
        size=(width, height),
    )


def watch(observer, picture_at, start_s, end_s):
    for number in range(round((end_s - start_s) / STEP_S)):
        time_s = start_s + number * STEP_S
        observer.push(frame(time_s, picture_at(time_s)))


def lines_of(observer, span):
    return [finding for finding in observer.findings(span) if finding.kind == "line"]


def test_text_is_found_from_its_appearance_to_its_end():
    observer = TextObserver()
    shown = page(("Mind the gap", 150, 180))

    watch(observer, lambda t: shown if 2.0 <= t < 5.0 else page(), 0.0, 8.0)

    (line,) = lines_of(observer, Span(0.0, 8.0))
    assert line.field == "visible_text"
    assert line.text == "Mind the gap"
    assert line.written_by == "ocr/1"
    assert line.span.start_s == pytest.approx(2.0, abs=0.5)
    assert line.span.end_s == pytest.approx(5.0, abs=0.5)
    assert line.detail["first_s"] == pytest.approx(2.0, abs=0.5)
    assert line.box == pytest.approx((150 / 640, 155 / 360, 350 / 640, 190 / 360), abs=0.05)


def test_a_picture_that_does_not_change_is_read_once():
    observer = TextObserver()
    still = page(("Platform 4", 60, 100), ("Departures", 60, 160))

    watch(observer, lambda t: still, 0.0, 10.0)

    assert observer.counts.looks == 1
    assert observer.reader.lines_read == 2
    assert [line.text for line in lines_of(observer, Span(5.0, 10.0))] == ["Platform 4", "Departures"]


def test_noise_does_not_cause_another_reading():
    observer = TextObserver()
    still, rng = page(("Platform 4", 60, 100)), np.random.default_rng(7)

    def noisy(_):
        return np.clip(still + rng.normal(0, 4, still.shape), 0, 255).astype(np.uint8)

    watch(observer, noisy, 0.0, 5.0)

    assert observer.counts.looks == 1


def test_a_picture_without_text_is_never_read():
    observer = TextObserver()
    blurred = cv2.GaussianBlur(page(("texture", 100, 200)), (0, 0), 15)

    watch(observer, lambda t: np.roll(blurred, round(t * 40), axis=1), 0.0, 4.0)

    assert observer.reader.detections == 0
    assert lines_of(observer, Span(0.0, 4.0)) == []


def test_a_change_in_a_corner_costs_one_small_reading():
    observer = TextObserver()
    before = page(("Departures", 60, 60), ("Platform 4", 60, 120))
    after = page(("Departures", 60, 60), ("Platform 4", 60, 120), ("Delayed", 480, 330))
    watch(observer, lambda t: before, 0.0, 3.0)
    whole_px, read = observer.reader.detected_px, observer.reader.lines_read

    watch(observer, lambda t: after, 3.0, 6.0)

    assert observer.counts.looks == 2
    assert observer.reader.lines_read == read + 1
    assert observer.reader.detected_px - whole_px < 0.2 * 640 * 360
    texts = [(line.text, line.span.start_s) for line in lines_of(observer, Span(0.0, 6.0))]
    assert texts == [("Departures", 0.0), ("Platform 4", 0.0), ("Delayed", 3.0)]


def test_a_pointer_that_passes_over_text_does_not_end_it():
    observer = TextObserver()
    still = page(("Save changes", 200, 180))

    def with_pointer(time_s):
        picture = still.copy()
        cv2.circle(picture, (100 + round(120 * time_s), 170), 8, (255, 255, 255), -1)
        return picture

    watch(observer, with_pointer, 0.0, 3.0)

    spans = [line.span for line in lines_of(observer, Span(0.0, 3.0)) if line.text == "Save changes"]
    assert spans[0].start_s == 0.0
    assert spans[-1].end_s == 3.0


def test_a_growing_line_is_one_typed_line():
    observer = TextObserver()
    text = "squash the old bug"

    def typed(time_s):
        return page((text[: max(0, min(len(text), round((time_s - 1.0) * 4)))], 60, 180))

    watch(observer, typed, 0.0, 8.0)

    findings = observer.findings(Span(0.0, 8.0))
    (line,) = [finding for finding in findings if finding.kind == "line"]
    (action,) = [finding for finding in findings if finding.kind == "typed"]
    assert line.text == text
    assert (action.field, action.text) == ("action", f'the text "{text}" is typed')
    assert action.detail["text"] == text
    assert action.span.start_s == pytest.approx(1.5, abs=0.8)
    assert action.span.end_s == pytest.approx(5.5, abs=0.6)


def test_a_moment_keeps_the_text_typed_by_its_end():
    observer = TextObserver()
    text = "squash the old bug"
    watch(observer, lambda t: page((text[: round(t * 4)], 60, 180)), 0.0, 8.0)

    (early,) = lines_of(observer, Span(0.0, 3.0))
    (late,) = lines_of(observer, Span(3.0, 8.0))

    assert text.startswith(early.text)
    assert len(early.text) < len(text)
    assert late.text == text


def test_lines_end_at_a_cut_and_the_next_shot_is_read_again():
    observer = TextObserver()
    watch(observer, lambda t: page(("First scene", 60, 180)), 0.0, 2.0)
    observer.cut(2.0)
    watch(observer, lambda t: page(("Second scene", 60, 180)), 2.0, 4.0)

    spans = {line.text: line.span for line in lines_of(observer, Span(0.0, 4.0))}

    assert spans == {"First scene": Span(0.0, 2.0), "Second scene": Span(2.0, 4.0)}


def test_a_changing_region_is_read_at_most_once_a_second():
    observer = TextObserver()
    tall = np.vstack(
        [page((f"entry {n} of the long list", 20, 60), (f"more {n}", 20, 200)) for n in range(8)]
    )

    watch(observer, lambda t: tall[round(t * 100) : round(t * 100) + 360], 0.0, 6.0)

    assert observer.counts.looks <= 7


@pytest.mark.slow
def test_reading_full_pages_takes_about_as_long_as_they_last():
    observer = TextObserver()

    def full_page(time_s):
        number, picture = round(time_s), np.full((720, 1280, 3), 30, np.uint8)
        for row in range(32):
            text = f"row {number * 31 + row} of the page that is shown in second {number}"
            place = (20, 20 + 22 * row)
            cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (235,) * 3, 1, cv2.LINE_AA)
        return picture

    watch(observer, full_page, 0.0, 1.0)
    lines_of_one_look = observer.reader.lines_read
    watch(observer, full_page, 1.0, 7.0)

    assert lines_of_one_look >= 32
    assert observer.reader.lines_read <= 20 * 7 + lines_of_one_look


def test_a_caption_over_moving_texture_is_read():
    rng = np.random.default_rng(3)
    grass = cv2.GaussianBlur(rng.integers(0, 255, (360, 1280, 3), np.uint8), (0, 0), 2)
    observer = TextObserver()

    def film(time_s):
        picture = np.ascontiguousarray(np.roll(grass, round(time_s * 60), axis=1)[:, :640])
        if 4.0 <= time_s < 7.0:
            cv2.rectangle(picture, (100, 295), (540, 345), (0, 0, 0), -1)
            cv2.putText(picture, "We should go home", (130, 330), 0, 1.0, (255, 255, 255), 2, cv2.LINE_AA)
        return picture

    watch(observer, film, 0.0, 9.0)

    (line,) = [findings for findings in lines_of(observer, Span(0.0, 9.0)) if "home" in findings.text]
    assert line.span.start_s == pytest.approx(4.0, abs=1.0)
    assert line.span.end_s == pytest.approx(7.0, abs=1.0)


def test_ended_lines_are_dropped_after_they_are_reported():
    observer = TextObserver()
    watch(observer, lambda t: page(("Mind the gap", 150, 180)) if t < 2.0 else page(), 0.0, 5.0)

    assert len(lines_of(observer, Span(0.0, 5.0))) == 1
    assert lines_of(observer, Span(0.0, 5.0)) == []


def test_the_observer_refuses_a_rate_of_zero():
    with pytest.raises(ValueError, match="looks_per_s"):
        TextObserver(looks_per_s=0)


def test_it_is_an_observer():
    assert isinstance(TextObserver(), Observer)


def test_a_moment_keeps_the_first_and_last_two_times_of_a_clock():
    lines = TextTracker("test/1")
    for second in range(10):
        now = TextReading(f"12:00:0{second}", 0.99, (0.1, 0.1, 0.3, 0.15), float(second))
        lines.update([now], [(line, float(second)) for line in lines.visible], float(second))

    findings = lines.findings(Span(0.0, 10.0))

    assert [finding.text for finding in findings] == ["12:00:00", "12:00:08", "12:00:09"]


def test_a_line_that_scrolls_is_the_same_line():
    lines = TextTracker("test/1")
    for step in range(5):
        now = TextReading(
            "a line of a long list", 0.99, (0.1, 0.8 - step / 10, 0.5, 0.85 - step / 10), float(step)
        )
        lines.update([now], [(line, float(step)) for line in lines.visible], float(step))

    (findings,) = lines.findings(Span(0.0, 5.0))
    assert findings.span == Span(0.0, 5.0)


def test_a_line_missed_by_one_reading_continues():
    lines = TextTracker("test/1")
    exit_sign = TextReading("EXIT", 0.99, (0.1, 0.1, 0.3, 0.15), 0.0)
    for time_s, readings in ((0.0, [exit_sign]), (0.5, []), (1.0, [exit_sign])):
        lines.update(readings, [(line, time_s) for line in lines.visible], time_s)

    (findings,) = lines.findings(Span(0.0, 2.0))
    assert findings.span == Span(0.0, 2.0)


def test_a_partial_reading_of_an_unchanged_line_is_ignored():
    lines = TextTracker("test/1")
    lines.update([TextReading("Finished the upgrade!", 0.99, (0.1, 0.1, 0.5, 0.15), 0.0)], [], 0.0)

    part = TextReading("the upgrade", 0.99, (0.2, 0.1, 0.5, 0.15), 0.0)
    lines.update([part], [(lines.visible[0], None)], 1.0)

    assert [finding.text for finding in lines.findings(Span(0.0, 2.0))] == ["Finished the upgrade!"]


@pytest.mark.parametrize(
    ("text", "confidence", "kept"),
    [("EXIT", 0.7, True), ("EXIT", 0.5, False), ("A", 0.99, False), ("...", 0.99, False), ("No", 0.95, True)],
)
def test_a_shorter_line_needs_a_higher_confidence(text, confidence, kept):
    assert worth_keeping(OcrLine(text, confidence, (0, 0, 9, 9))) is kept


def test_lines_come_in_reading_order():
    picture = page(("left", 40, 100), ("right", 400, 104), ("below", 40, 220))

    assert [line.text for line in read_text(picture)] == ["left", "right", "below"]


def test_a_line_that_looks_the_same_is_not_recognised_again():
    reader = OcrReader()
    picture = page(("Departures", 60, 60))
    reader.read(picture)

    (line,) = reader.read(picture)

    assert line.text == "Departures"
    assert (reader.lines_read, reader.lines_reused) == (1, 1)


@pytest.mark.slow
def test_the_lines_read_in_one_picture_are_bounded():
    crowded = np.full((2200, 1000, 3), 255, np.uint8)
    for row in range(110):
        for column in range(3):
            place = (10 + 330 * column, 15 + 20 * row)
            cv2.putText(
                crowded, f"row {row}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA
            )
    reader = OcrReader()

    reader.read(crowded)

    assert 100 < reader.lines_read <= MAX_LINES


def test_a_second_look_finds_small_print_and_its_times():
    small = np.full((180, 320, 3), 240, np.uint8)
    cv2.putText(
        small, "gate 17 closes", (40, 90), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (20, 20, 20), 1, cv2.LINE_AA
    )
    blank = np.full((180, 320, 3), 240, np.uint8)

    findings = look_closely([(5.0, small), (6.0, small), (7.0, blank)], Span(4.0, 8.0))

    (line,) = findings
    assert line.text == "gate 17 closes"
    assert line.span == Span(5.0, 7.0)
    assert line.written_by == "inspect-ocr/1"


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real clips are not here (set RECOLLECT_CLIPS)")
def test_a_second_look_reads_a_blurred_sign_in_a_film():
    with av.open(str(CLIPS / "c12_city_shots_cuts.mp4")) as container:
        picture = next(f.to_ndarray(format="bgr24") for f in container.decode(video=0) if f.time >= 2.76)

    assert [finding.text for finding in look_closely([(2.76, picture)], Span(2.2, 3.04))] == ["TAXI"]
