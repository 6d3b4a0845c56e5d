"""A connection that shows life is not stalled, and one that waits in vain is given up with the right cause."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.perception.sources.connection_progress import ConnectionProgress, LiveTimeouts
from recollect.perception.sources.packet_cadence import LONGEST_PATIENCE_S, PacketCadence
from recollect.perception.sources.packet_reports import reported_packets
from recollect.perception.sources.reader_messages import ReceivedPackets

STALL_S = 5.0
TIMEOUTS = LiveTimeouts(stall_s=STALL_S)


def opened(now_s: float = 0.0) -> ConnectionProgress:
    progress = ConnectionProgress(TIMEOUTS, STALL_S, now_s)
    progress.note("started", now_s)
    return progress


def packets(video: int = 0, key: int = 0, other: int = 0, patience_s: float = STALL_S) -> ReceivedPackets:
    return ReceivedPackets(video, key, other, patience_s)


@given(gop_s=st.floats(1.0, 100.0), every_s=st.floats(0.1, 4.0))
def test_waiting_for_a_key_frame_is_no_stall(gop_s, every_s):
    progress, now_s, count = opened(), 0.0, 0
    while now_s < gop_s:
        count += 1
        progress.note(packets(video=count), now_s)
        now_s += every_s
        assert progress.failure(now_s) is None


def test_what_an_open_connection_waits_for_is_said():
    sound, no_key, no_decoder = opened(), opened(), opened()
    for second in range(6):
        sound.note(packets(other=second + 1), second)
        no_key.note(packets(video=second + 1), second)
        no_decoder.note(packets(video=second + 1, key=1), second)

    assert sound.waiting(5.0) == "it sends sound, and no picture has come yet (5 s)"
    assert no_key.waiting(5.0) == "it sends, and no key frame has come yet (5 s)"
    assert no_decoder.waiting(5.0) == "it sends, and no picture that can be decoded has come yet (5 s)"


def test_a_source_that_never_shows_a_picture_is_given_up():
    progress = opened()
    for second in range(int(TIMEOUTS.picture_s) + 1):
        progress.note(packets(video=second + 1), second)

    cause, detail = progress.failure(TIMEOUTS.picture_s + 0.1)

    assert cause == "no picture"
    assert "no key frame" in detail


@pytest.mark.parametrize(("note", "cause"), [(False, "timeout"), (True, "stalled")])
def test_silence_is_a_timeout_before_and_a_stall_after_packets(note, cause):
    progress = opened()
    if note:
        progress.note(packets(video=1), 0.0)

    assert progress.failure(TIMEOUTS.open_s + 1.0)[0] == cause


@given(segment_s=st.floats(1.0, 15.0), count=st.integers(1, 6), start_s=st.integers(0, 100_000))
def test_segments_of_any_length_are_no_stall(segment_s, count, start_s):
    """A whole segment comes at once. The next one may come as late as twice its length."""
    cadence, now_s, media_s = PacketCadence(STALL_S, in_segments=True), 50.0, float(start_s)
    for _ in range(count):
        for frame in range(int(segment_s * 4) + 1):
            cadence.note(now_s + frame * 0.001, media_s + frame / 4)
        assert cadence.patience_s >= min(2 * segment_s, LONGEST_PATIENCE_S)
        now_s, media_s = now_s + segment_s, media_s + segment_s
    assert cadence.patience_s <= max(STALL_S, 3 * segment_s + 1.0)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.none() | st.floats(-1e9, 1e9)), max_size=50), st.booleans())
def test_patience_stays_within_its_bounds(notes, in_segments):
    cadence = PacketCadence(STALL_S, in_segments=in_segments)

    for arrival_s, media_s in notes:
        cadence.note(arrival_s, media_s)

    assert STALL_S <= cadence.patience_s <= LONGEST_PATIENCE_S


@given(interval_s=st.floats(0.6, 20.0))
def test_a_slow_camera_is_given_its_own_pace(interval_s):
    cadence = PacketCadence(STALL_S, in_segments=False)
    cadence.note(0.0, None)
    cadence.note(interval_s, None)

    assert cadence.patience_s >= min(2 * interval_s, LONGEST_PATIENCE_S)


class Segments:
    """A source that has sent one segment at once, and then nothing."""

    in_segments = True

    def packets(self) -> Iterator[object]:
        for number in range(60):
            yield SimpleNamespace(dts=number, time_base=Fraction(1, 10), size=1, is_keyframe=number == 0)


def test_the_length_of_a_segment_is_reported_before_the_silence():
    reports: list[dict[str, object]] = []

    list(reported_packets(Segments(), STALL_S, lambda **fields: reports.append(fields)))

    assert reports[-1]["patience_s"] >= 2 * 6.0
    assert len(reports) < 20
