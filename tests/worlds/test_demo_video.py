from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from recollect.memory.values import Span
from recollect.worlds.demo_video import FPS, DemoTimeline, demo_timeline, render, render_demo_subtitles
from recollect.worlds.scenes import HEIGHT, WIDTH, TerminalScene, TitleCardScene, Truth
from recollect.worlds.shop import Shop, ShopVisitor


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(path) as container:
        return list(container.decode(video=0))


def test_a_seed_fixes_the_pictures_and_another_changes_them() -> None:
    times_s = (1.0, 7.3, 20.0, 39.2, 47.0, 57.5, 63.0)

    first, again, other = (demo_timeline(seed) for seed in (0, 0, 1))

    assert all(np.array_equal(first.draw(t), again.draw(t)) for t in times_s)
    assert not any(np.array_equal(first.draw(t), other.draw(t)) for t in times_s)


def test_the_file_is_h264_with_b_frames_and_exact_frame_times(tmp_path: Path) -> None:
    timeline = DemoTimeline().add(Shop((ShopVisitor("red", 0.2, 0.8, 1.2, 1.8),), 2.0))

    render(timeline, tmp_path / "short.mp4")

    with av.open(tmp_path / "short.mp4") as container:
        frames = list(container.decode(video=0))
        codec = container.streams.video[0].codec_context
    assert (codec.name, codec.width, codec.height) == ("h264", WIDTH, HEIGHT)
    assert any(frame.pict_type == av.video.frame.PictureType.B for frame in frames)
    assert [frame.time for frame in frames] == pytest.approx([number / FPS for number in range(2 * FPS)])


def test_the_video_has_grain_like_that_of_a_camera(tmp_path: Path) -> None:
    render(DemoTimeline().add(TitleCardScene(("STILL",), 1.0)), tmp_path / "still.mp4")

    still = np.stack([frame.to_ndarray(format="gray") for frame in decoded(tmp_path / "still.mp4")])

    assert 0.5 < float(still.std(axis=0).mean()) < 5.0


def test_a_cut_and_a_dissolve_are_where_the_timeline_says() -> None:
    dark, light = Shop((), 2.0, light=0.2), Shop((), 2.0)
    timeline = DemoTimeline().add(dark).add(light, dissolve_s=1.0).add(dark)

    changes = [truth for truth in timeline.truths() if truth.kind in {"cut", "dissolve"}]

    assert [(truth.kind, truth.span.start_s) for truth in changes] == [("dissolve", 1.0), ("cut", 3.0)]
    before, half, after = (float(timeline.draw(t).mean()) for t in (0.9, 1.5, 2.1))
    assert half == pytest.approx((before + after) / 2, abs=1.0)
    assert float(timeline.draw(2.99).mean()) > 2 * float(timeline.draw(3.0).mean())
    assert timeline.duration_s == 5.0


def test_a_visitor_is_visible_exactly_during_the_visit() -> None:
    visitor = ShopVisitor("blue", 1.0, 2.0, 3.0, 4.0, enters_from="right")
    room, empty = Shop((visitor,), 5.0), Shop((), 5.0).draw(0.0)

    visible = [bool(np.any(room.draw(number / 50) != empty)) for number in range(250)]

    first, last = visible.index(True) / 50, (249 - visible[::-1].index(True)) / 50
    assert first == pytest.approx(1.0, abs=0.12)
    assert last == pytest.approx(4.0, abs=0.12)
    assert [truth.span for truth in room.truths() if truth.kind == "visit"] == [Span(1.0, 4.0)]


def test_the_box_is_on_the_counter_until_it_is_taken() -> None:
    room = Shop(
        (ShopVisitor("red", 0, 1, 3, 4, places_s=2.0), ShopVisitor("blue", 6, 7, 9, 10, takes_s=8.0)), 12.0
    )
    place = (slice(185, 200), slice(322, 342))

    yellow = {t: bool(np.ptp(room.draw(t)[place].reshape(-1, 3).mean(axis=0)) > 100) for t in (0, 5, 11)}

    assert yellow == {0: False, 5: True, 11: False}
    assert [truth.kind for truth in room.truths() if truth.kind in {"placed", "removed"}] == [
        "placed",
        "removed",
    ]


def test_a_flash_is_far_brighter_than_the_night_around_it() -> None:
    night = Shop((), 5.0, light=0.1, flash_s=2.0)

    dark, flash, dark_again = (float(night.draw(t).mean()) for t in (1.9, 2.1, 3.0))

    assert flash > 10 * dark
    assert dark_again == pytest.approx(dark)


def test_a_command_is_typed_letter_by_letter_and_then_answered() -> None:
    terminal = TerminalScene("ls -l", "7 files", 6.0, starts_s=1.0, letters_per_s=2.0)
    without_cursor_s = [0.6, 1.6, 2.6, 3.6, 4.6]

    ink = [int((terminal.draw(t)[60:200] > 120).sum()) for t in without_cursor_s]

    assert all(fewer < more for fewer, more in pairwise(ink))
    assert (terminal.typed_s, terminal.answered_s) == (3.0, 4.0)


def test_the_demo_has_every_kind_of_event_in_about_a_minute() -> None:
    timeline = demo_timeline()

    truths = timeline.truths()

    assert 60 <= timeline.duration_s <= 75
    assert truths == sorted(truths, key=lambda truth: truth.span)
    assert all(truth.span.end_s <= timeline.duration_s for truth in truths)
    assert {truth.kind for truth in truths} >= {
        *("enters", "leaves", "visit", "placed", "removed", "empty", "line", "typed"),
        *("cut", "dissolve", "flash", "brightness", "qr"),
    }


def test_the_code_in_the_demo_can_be_read() -> None:
    timeline = demo_timeline()
    (code,) = [truth for truth in timeline.truths() if truth.kind == "qr"]

    read, *_ = cv2.QRCodeDetector().detectAndDecode(timeline.draw(code.span.middle_s))

    assert read == code.text


def test_the_subtitles_are_subrip_and_lie_inside_the_video(tmp_path: Path) -> None:
    cues = render_demo_subtitles(tmp_path / "demo.srt")

    with av.open(tmp_path / "demo.srt") as container:
        packets = [packet for packet in container.demux(subtitles=0) if packet.size]
    starts_s = [float(packet.pts * packet.time_base) for packet in packets]
    assert starts_s == pytest.approx([truth.span.start_s for truth in cues])
    assert [bytes(packet).decode() for packet in packets] == [truth.text for truth in cues]
    assert all(truth.span.end_s <= demo_timeline().duration_s for truth in cues)


@pytest.mark.slow
def test_the_whole_demo_is_a_small_file_of_the_promised_length(demo_video: Path) -> None:
    frames = decoded(demo_video)

    assert len(frames) == round(demo_timeline().duration_s * FPS)
    assert demo_video.stat().st_size < 6_000_000


def test_a_truth_moves_with_its_scene() -> None:
    assert Truth(Span(1.0, 2.0), "line", "OPEN").shifted(4.0) == Truth(Span(5.0, 6.0), "line", "OPEN")
