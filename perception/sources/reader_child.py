"""The reader process of a live source: connects, decodes and sends frames to its parent.

    python -c "<BOOTSTRAP>"          # then, on its standard input: one line of JSON, a ``ReaderTask``

One thread receives packets and notes when each arrived. Another decodes them and sends a message for each frame
to standard output, until the connection ends or standard input is closed. The parent acknowledges each frame with
a byte on standard input. Where decoding or the parent is too slow, packets wait, and their age moves the stream
down the ``overload_ladder``. A decoder that hangs or crashes ends this process and nothing else. It knows nothing
of epochs, reconnecting or stream time, which belong to the parent (``live_source``).
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import av
import av.logging

from ...memory.watch_rate import WatchRate
from .frame_sampling import FrameSampler, SparseSampler
from .in_flight import InFlight
from .live_decoder import LiveDecoder
from .live_opening import LIVE_ERRORS, LiveInput, failure, open_live
from .overload_ladder import OverloadLadder
from .packet_queue import PacketQueue
from .packet_reports import reported_packets
from .picture_conversion import PictureConverter
from .reader_messages import ReaderTask, write_message

PICTURE_SIDE = 1280
"""The longest side of a whole picture, in pixels."""

FRAMES_IN_FLIGHT = 8
"""Frames that may be on their way to the parent. More of them would be memory, and time that nobody sees."""

_PACKET_BYTES = 64 << 20
"""Packets that may wait to be decoded: ten seconds of the largest pictures that cameras send."""

BOOTSTRAP = (
    "import sys, json; task = json.loads(sys.stdin.readline()); sys.path[:] = task.pop('path'); "
    f"from {__name__} import main; main(task)"
)
"""The program of the child's interpreter. Credentials come by standard input, where ``ps`` cannot see them."""

_Message = tuple[dict[str, Any], tuple[bytes, ...]]


class Outbox:
    """The messages for the parent. It waits where the parent is slow."""

    def __init__(self) -> None:
        self.in_flight = InFlight(FRAMES_IN_FLIGHT)
        self._messages: queue.SimpleQueue[_Message | None] = queue.SimpleQueue()

    def send_frame(self, message: _Message, arrival_s: float) -> None:
        """Send the message of a frame, once the parent has dealt with enough of those before."""
        self.in_flight.add(arrival_s)
        self._messages.put(message)

    def send(self, **message: Any) -> None:
        """Send a message without pictures."""
        self._messages.put((message, ()))

    def close(self) -> None:
        """Send nothing after the messages so far."""
        self._messages.put(None)

    def next_message(self) -> _Message | None:
        """The next message to write. None at the end."""
        return self._messages.get()


def main(task: dict[str, Any]) -> None:
    """Read the source of ``task`` until it ends, then exit the process. Never returns."""
    out = sys.stdout.buffer
    outbox = Outbox()

    def write() -> None:
        try:
            while (message := outbox.next_message()) is not None:
                write_message(out, *message)
        except OSError:
            pass  # the parent has ended
        os._exit(0)  # even if the decoder hangs

    def read_acknowledgements() -> None:
        while acknowledged := os.read(sys.stdin.fileno(), 1024):
            outbox.in_flight.acknowledge(len(acknowledged))
        outbox.close()

    threading.Thread(target=write, daemon=True).start()
    threading.Thread(target=read_acknowledgements, daemon=True).start()
    # To standard error, from which the parent reads reasons.
    av.logging.restore_default_callback()
    av.logging.set_libav_level(av.logging.ERROR)
    outbox.send(kind="started")
    try:
        end = read_source(ReaderTask(**task), outbox)
    except Exception as error:
        end = ended("crashed", f"{type(error).__name__} while reading")
    outbox.send(**end)
    outbox.close()
    threading.Event().wait()


def read_source(task: ReaderTask, outbox: Outbox) -> dict[str, Any]:
    """Send a message for each frame, and return the message of how the source ended."""
    is_open, lost = False, Counter[str]()
    cause, detail = "dropped", "the source closed the connection"
    try:
        with open_live(task) as source:
            is_open = True
            if source.is_recording and task.was_live:
                return ended("dropped", "the live stream has ended, and only its recording is offered")
            outbox.send(kind="opened", is_recording=source.is_recording)
            _send_frames(source, task, lost, outbox)
            if source.is_recording:
                cause, detail = "complete", "it was played to its end"
    except LIVE_ERRORS as error:
        cause, detail = failure(error, is_open=is_open)
    return ended(cause, detail, lost)


def ended(cause: str, detail: str, lost: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The message of how the source ended."""
    return {"kind": "ended", "cause": cause, "detail": detail, "lost": dict(lost or {})}


def _send_frames(source: LiveInput, task: ReaderTask, lost: Counter[str], outbox: Outbox) -> None:
    """Receive packets on a thread, decode them here, and send their frames. Raises what receiving raised."""
    packets = PacketQueue(_PACKET_BYTES, waits=source.is_recording)
    errors: list[Exception] = []

    def receive() -> None:
        try:
            for packet in reported_packets(source, task.stall_s, outbox.send):
                if packets.is_closed:
                    return
                packets.put(packet, time.monotonic())
        except Exception as error:  # raised again by the thread that decodes
            errors.append(error)
        finally:
            packets.close()

    receiver = threading.Thread(target=receive, daemon=True)
    receiver.start()
    decoder = LiveDecoder(source.codec_context, lost)
    sender = _FrameSender(source, task.fps, lost, outbox)
    ladder = OverloadLadder(task.fps)
    broken = 0
    try:
        while (arrived := packets.get()) is not None:
            broken, newly_broken = source.broken, source.broken - broken
            lost["damaged"] += newly_broken
            if not source.is_recording:
                now_s = time.monotonic()
                ladder.update(now_s, now_s - min(arrived.arrival_s, outbox.in_flight.oldest_s or now_s))
                if ladder.drops_waiting:
                    packets.drop_waiting()
                    decoder.skip()
                    continue
            for frame, arrival_s in decoder.frames(arrived, ladder.rate):
                sender.send(frame, arrival_s, ladder.rate)
    finally:
        packets.close()
        receiver.join()  # the container must not be closed while it is read
        lost["overload"] += packets.take_dropped()
    if errors:
        raise errors[0]


class _FrameSender:
    """Makes the messages of one connection's frames, and sends them."""

    def __init__(self, source: LiveInput, fps: float, lost: Counter[str], outbox: Outbox) -> None:
        self._source = source
        self._full_rate = WatchRate(fps)
        self._lost = lost
        self._outbox = outbox
        self._sampler = FrameSampler(fps)
        self._sparse_sampler = SparseSampler()
        self._converter: PictureConverter | None = None

    def send(self, frame: av.VideoFrame, arrival_s: float, rate: WatchRate) -> None:
        """Send a frame, with the number of those lost before it."""
        if frame.is_corrupt:
            # A source that is joined between two key frames is not damaged.
            self._lost["damaged"] += self._converter is not None
            return
        converter = self._converter = self._converter or PictureConverter(
            frame, self._source.sample_aspect_ratio
        )
        message: dict[str, Any] = {
            "kind": "frame",
            "pts": frame.pts,
            "time_base": None,
            "arrival_s": self._source.offered_s(arrival_s),
            "size": converter.size(frame),
            "rate": None if rate == self._full_rate else asdict(rate),
            "lost": dict(self._lost),
        }
        time_s = arrival_s
        if frame.pts is not None and frame.time_base is not None:
            message["time_base"] = [frame.time_base.numerator, frame.time_base.denominator]
            time_s = float(frame.pts * frame.time_base)
        blobs = [converter.thumb(frame).tobytes()]
        if self._takes(time_s, rate):
            small, whole = converter.small(frame), converter.whole(frame, PICTURE_SIDE)
            message |= {"small": small.shape[:2], "whole": whole.shape[:2]}
            blobs += [small.tobytes(), whole.tobytes()]
        self._lost.clear()
        self._outbox.send_frame((message, tuple(blobs)), arrival_s)

    def _takes(self, time_s: float, rate: WatchRate) -> bool:
        is_taken = self._sampler.takes(time_s)
        return is_taken if rate.fps == self._full_rate.fps else self._sparse_sampler.takes(time_s, rate.fps)
