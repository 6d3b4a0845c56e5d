"""Packets of a live source: their queue, what is decoded at a lower rate, and when each frame arrived."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import av
import numpy as np
import pytest
from av.container import InputContainer
from hypothesis import given
from hypothesis import strategies as st

from recollect.perception.sources.frame_sampling import SparseSampler
from recollect.perception.sources.live_decoder import LiveDecoder
from recollect.perception.sources.overload_ladder import WatchRate
from recollect.perception.sources.packet_queue import ArrivedPacket, PacketQueue

FULL = WatchRate(4.0)
KEY_FRAMES = WatchRate(1.0, reads_text=False, key_frames_only=True)


def recorded(codec: str = "libx264", *, seconds: int = 8, key_every: int = 25, b_frames: int = 2) -> bytes:
    """A transport stream or AVI at 25 frames a second."""
    out = io.BytesIO()
    with av.open(out, "w", format="mpegts" if codec == "libx264" else "avi") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuv420p" if codec == "libx264" else "yuvj420p"
        if codec == "libx264":
            stream.options = {"bf": str(b_frames), "g": str(key_every), "sc_threshold": "0"}
        for number in range(25 * seconds):
            picture = np.full((48, 64, 3), number % 200, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return out.getvalue()


@contextmanager
def opened(data: bytes) -> Iterator[tuple[InputContainer, LiveDecoder, Counter[str]]]:
    lost = Counter[str]()
    with av.open(io.BytesIO(data)) as container:
        yield container, LiveDecoder(container.streams.video[0].codec_context, lost), lost


def decoded(
    data: bytes, rates: Iterator[WatchRate], dropped: dict[int, int] | None = None
) -> tuple[list[tuple[av.VideoFrame, float]], Counter[str], dict[int | None, int]]:
    """All frames with their arrivals, where packet ``n`` arrived at ``n``; losses; arrivals by timestamp."""
    frames, arrivals = [], {}
    with opened(data) as (container, decoder, lost):
        for number, packet in enumerate(container.demux(video=0)):
            arrivals[packet.pts] = number
            arrived = ArrivedPacket(packet, float(number), (dropped or {}).get(number, 0))
            frames += list(decoder.frames(arrived, next(rates)))
    return frames, lost, arrivals


def test_a_frame_has_the_arrival_of_its_own_packet():
    frames, lost, arrivals = decoded(recorded(b_frames=3), itertools.repeat(FULL))

    assert len(frames) == 200
    assert [arrival_s for _, arrival_s in frames] == [arrivals[frame.pts] for frame, _ in frames]
    assert not lost


def test_a_key_frame_comes_at_once_where_only_those_are_decoded():
    """A decoder holds frames back for those that are shown earlier. Alone, a key frame must not wait."""
    counts = []
    with opened(recorded()) as (container, decoder, lost):
        for number, packet in enumerate(container.demux(video=0)):
            if packet.size:
                made = list(decoder.frames(ArrivedPacket(packet, float(number), 0), KEY_FRAMES))
                counts.append((packet.is_keyframe, len(made)))

    assert all(count == is_key for is_key, count in counts)
    assert sum(count for _, count in counts) + lost["overload"] == 200


def test_one_frame_a_second_is_decoded_where_all_are_key_frames():
    frames, lost, _ = decoded(recorded("mjpeg"), itertools.repeat(KEY_FRAMES))

    times = [frame.time for frame, _ in frames]
    assert 8 <= len(frames) <= 10
    assert max(b - a for a, b in itertools.pairwise(times)) <= 1.0
    assert len(frames) + lost["overload"] == 200


@pytest.mark.parametrize("change", [30, 37, 60])
def test_after_key_frames_only_decoding_begins_with_one(change):
    rates = itertools.chain(itertools.repeat(KEY_FRAMES, change), itertools.repeat(FULL))

    frames, lost, _ = decoded(recorded(), rates)

    assert len(frames) + lost["overload"] == 200
    assert not any(frame.is_corrupt for frame, _ in frames)
    assert set(lost) <= {"overload"}


def test_after_a_drop_decoding_begins_with_the_next_key_frame():
    frames, lost, arrivals = decoded(recorded(b_frames=0), itertools.repeat(FULL), dropped={40: 7})

    assert arrivals  # 40 to 49 are not decoded, because they build on what was dropped
    assert lost == {"overload": 7 + 10}
    assert len(frames) == 190


@given(
    st.lists(st.floats(0.02, 0.2), min_size=2, max_size=200),
    st.lists(st.sampled_from([1.0, 2.0]), min_size=1, max_size=5),
)
def test_sparse_samples_are_at_most_their_distance_apart(intervals, rates):
    sampler, time_s, taken = SparseSampler(), 100.0, []
    for interval_s, fps in zip(intervals, itertools.cycle(rates)):
        if sampler.takes(time_s, fps):
            taken.append(time_s)
        time_s += interval_s
    # An interval is not known before it has passed, so that the largest possible one is the only slack.
    assert all(b - a <= 1.0 / min(rates) + 0.2 for a, b in itertools.pairwise(taken))


def packet(size: int, *, is_key: bool = False) -> av.Packet:
    made = av.Packet(bytes(size))
    made.is_keyframe = is_key
    return made


def test_what_waits_is_dropped_up_to_the_newest_key_frame():
    waiting = PacketQueue(1000)
    for number, is_key in enumerate([True, False, True, False]):
        waiting.put(packet(10, is_key=is_key), float(number))

    waiting.drop_waiting()

    first, second = waiting.get(), waiting.get()
    assert (first.arrival_s, first.dropped, first.packet.is_keyframe) == (2.0, 2, True)
    assert (second.arrival_s, second.dropped) == (3.0, 0)


@given(st.lists(st.tuples(st.integers(1, 400), st.booleans()), max_size=60))
def test_every_packet_is_got_or_counted_and_bytes_are_bounded(packets):
    waiting = PacketQueue(1000)
    for number, (size, is_key) in enumerate(packets):
        waiting.put(packet(size, is_key=is_key), float(number))
    waiting.close()
    got = []
    while (arrived := waiting.get()) is not None:
        got.append(arrived)

    assert sum(arrived.packet.size for arrived in got) <= 1000
    assert len(got) + sum(arrived.dropped for arrived in got) + waiting.take_dropped() == len(packets)
    assert [arrived.arrival_s for arrived in got] == sorted(arrived.arrival_s for arrived in got)
