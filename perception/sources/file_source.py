"""A video file as a source: every frame with its true time, from wherever it is asked to start.

    with closing(FileSource("kitchen.mp4", fps=4)) as source:
        for event in source.frames(from_s=60.0):
            ...

Times are what a player shows: presentation time counted from the start of the file, so sound
that begins first leaves the picture its offset. Reading from the middle gives the same frames,
times and samples as reading from the start. Damaged stretches are left out and told of.

A file is not trusted: only containers are opened (no playlists or scripts that name other
files), and nothing but the file itself is read.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from ..errors import NotAVideo
from .container import check_readable, opened
from .frame import Frame
from .frame_sampling import FrameSampler
from .picture_conversion import PictureConverter
from .source import Dropped, Event, Outage, SourceInfo

PICTURE_SIDE = 1920
"""The longer side of a whole picture is made no longer than this, in pixels."""

OUTAGE_S = 1.0
"""A damaged stretch at least this long is an outage; a shorter one only costs frames."""

_INDEXED = ("mov,mp4", "matroska")
"""Containers with an index of key frames, whose seeks can be trusted once checked."""

_DECLARES_DURATION = (*_INDEXED, "avi")
"""Containers that say how long they are, rather than being guessed at from their end or bit rate."""

_UNBROKEN = ("mpegts", "mpeg")
"""Containers whose encoders never pause, so that a pause is a hole even if no packet is broken."""

_REORDER = 16
"""The most frames a decoder holds back to put them in order (the H.264 and HEVC limit)."""

_MAX_READ_ERRORS = 10
"""After this many failed reads in a row the rest of the file counts as lost."""


class FileSource:
    """Reads a video file. It never drops a frame that can be decoded.

    Raises:
        SourceNotFound: there is no file at ``path``.
        NotAVideo: a folder, an empty file, text, sound only, or damaged beyond reading.

    """

    def __init__(self, path: str | Path, fps: float) -> None:
        FrameSampler(fps)  # refuses a senseless rate before anything is read
        self._path, self._fps = Path(path), fps
        self._stopped = False
        check_readable(self._path)
        with opened(self._path) as (container, stream):
            decoded = _decode(container, stream, _Clock(container, stream))
            first = next((event for event in decoded if isinstance(event, _Shown)), None)
            if first is None:
                raise NotAVideo(str(path), "none of its pictures can be decoded")
            width, height = PictureConverter(first.picture, stream.sample_aspect_ratio).size(first.picture)
            self._plain_info = SourceInfo(
                kind="file",
                source=str(path),
                content_id="",
                duration_s=_duration_s(container, stream),
                width=width,
                height=height,
                average_fps=float(stream.average_rate or 0),
                has_audio=bool(container.streams.audio),
                subtitle_tracks=len(container.streams.subtitles),
            )

    @cached_property
    def info(self) -> SourceInfo:
        """What is known of the file. The first call reads all of its bytes, for ``content_id``."""
        return replace(self._plain_info, content_id=content_id_of(self._path))

    def stop(self) -> None:
        """End the iterator after the frame at hand."""
        self._stopped = True

    def close(self) -> None:
        """Do no more than ``stop``: a file is closed when the iterator that reads it is."""
        self._stopped = True

    def frames(self, from_s: float = 0.0) -> Iterator[Event]:
        """Yield every frame at or after ``from_s``, in order, with outages and losses between."""
        seek_to, skip = _start(self._path, from_s)
        with opened(self._path) as (container, stream):
            if seek_to is not None:
                container.seek(seek_to, stream=stream)
            clock = _Clock(container, stream)
            sampler = FrameSampler(self._fps)
            losses = _Losses(from_s, clock.interval_s, container.format.name in _UNBROKEN)
            pictures: PictureConverter | None = None
            for event in _decode(container, stream, clock, skip):
                if isinstance(event, _Damage):
                    losses.add(event)
                    continue
                picture, time_s = event.picture, event.time_s
                sampled = sampler.takes(time_s)
                lost = losses.until(time_s)
                if time_s < from_s:
                    continue
                yield from lost
                pictures = pictures or PictureConverter(picture, stream.sample_aspect_ratio)
                yield Frame(
                    time_s=time_s,
                    pts=event.pts,
                    time_base=clock.time_base,
                    thumb=pictures.thumb(picture),
                    small=pictures.small(picture) if sampled else None,
                    read_picture=partial(pictures.whole, picture, PICTURE_SIDE) if sampled else None,
                    size=pictures.size(picture),
                )
                if self._stopped:
                    return
            yield from losses.at_end(_declared_end_s(container, stream))


def content_id_of(path: Path) -> str:
    """The identity of a file: a hash of its bytes, whatever its name.

    Two files with the same bytes are the same video, and a changed file is another one.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20))
    return "blake2b:" + digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Shown:
    """A picture as a player would show it."""

    picture: av.VideoFrame
    time_s: float
    pts: int


@dataclass(frozen=True, slots=True)
class _Damage:
    """A sign that something is missing near a time."""

    time_s: float
    count: int
    """How many frames are known to be lost by it; 0 where something was skipped, nobody knows what."""


class _Clock:
    """Gives each frame the time a player shows it at, always later than the frame before."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        assert stream.time_base is not None
        self.time_base = stream.time_base
        self.interval_s = 1 / float(stream.average_rate or 25)
        self._start_s = (container.start_time or 0) / av.time_base
        self._last_s = -math.inf
        # AVI and raw streams carry no presentation times. There the nth frame out of the
        # decoder is shown when the nth packet went in, whatever order they are stored in.
        self._in_order = container.format.name == "avi"
        self._went_in: deque[int | None] = deque(maxlen=_REORDER + 1)
        self._begun = False

    def seconds(self, pts: int) -> float:
        """Stream time of a presentation timestamp, before any repair."""
        return pts * self.time_base.numerator / self.time_base.denominator - self._start_s

    def goes_in(self, packet: Packet[VideoStream]) -> None:
        """A packet is about to be decoded."""
        if not self._begun:
            self._begun = True
            self._in_order = self._in_order or packet.pts is None
        if self._in_order and packet.size:
            self._went_in.append(packet.dts)

    def failed(self, packet: Packet[VideoStream]) -> float:
        """The packet that went in last gives no picture; say about when it would have been shown."""
        if self._in_order and self._went_in:
            self._went_in.pop()
        return self.now_s if packet.pts is None else self.seconds(packet.pts)

    @property
    def now_s(self) -> float:
        """The time given last."""
        return max(0.0, self._last_s)

    def comes_out(self, picture: av.VideoFrame) -> _Shown | _Damage:
        """Give the next picture out of the decoder its time, or say that it is broken."""
        pts = picture.pts
        if self._in_order:
            pts = self._went_in.popleft() if self._went_in else None
        time_s = None if pts is None else max(0.0, self.seconds(pts))
        if picture.is_corrupt:
            return _Damage(self.now_s if time_s is None else time_s, 1)
        if pts is None or time_s is None or time_s <= self._last_s:
            time_s = max(0.0, self._last_s + self.interval_s)
            pts = round((time_s + self._start_s) / self.time_base)
        self._last_s = time_s
        return _Shown(picture, time_s, pts)


def _decode(
    container: InputContainer, stream: VideoStream, clock: _Clock, skip: int = 0
) -> Iterator[_Shown | _Damage]:
    """Decode what lies ahead in ``container``, leaving out its first ``skip`` packets."""
    for packet in _packets(container, stream):
        if packet is None:
            yield _Damage(clock.now_s, 0)
            continue
        if skip > 0:
            skip -= 1
            continue
        clock.goes_in(packet)
        if packet.is_corrupt and packet.pts is not None:
            yield _Damage(clock.seconds(packet.pts), 0)
        try:
            pictures = packet.decode()
        except av.FFmpegError:
            yield _Damage(clock.failed(packet), 1)
            continue
        for picture in pictures:
            yield clock.comes_out(picture)


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream] | None]:
    """The packets ahead, the empty one that drains the decoder last; None for a failed read."""
    packets, failures = container.demux(stream), 0
    while failures < _MAX_READ_ERRORS:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.FFmpegError:
            failures += 1
            packets = container.demux(stream)
            yield None
        else:
            failures = 0
            yield packet


def _start(path: Path, from_s: float) -> tuple[int | None, int]:
    """Where to begin so that all from ``from_s`` on comes out as if read from the start.

    That is a key frame shown before ``from_s``, never at it: whether a frame is sampled depends
    on the one before. Returns a timestamp to seek to, or None, and how many packets to leave out.
    """
    if from_s <= 0:
        return None, 0
    with opened(path) as (container, stream):
        clock = _Clock(container, stream)
        if container.format.name.startswith(_INDEXED):
            # Indexes are in decoding order, so a seek may land on a key frame shown too late.
            for margin_s in (0.5, 5.0):
                target = math.floor((from_s - margin_s - clock.seconds(0)) / clock.time_base)
                try:
                    container.seek(target, stream=stream)
                    first = next(container.demux(stream), None)
                except av.FFmpegError:
                    continue
                if first is None or not first.is_keyframe or first.pts is None:
                    continue
                if clock.seconds(first.pts) < from_s:
                    return target, 0
    return None, _packets_before(path, from_s)


def _packets_before(path: Path, from_s: float) -> int:
    """How many packets lie before the last key frame shown before ``from_s``.

    Reads the packets without decoding them. Where their times are not all there and rising,
    what a frame's time is depends on all frames before it, and the answer is 0.
    """
    before, last_dts = 0, -math.inf
    with opened(path) as (container, stream):
        clock = _Clock(container, stream)
        for count, packet in enumerate(_packets(container, stream)):
            if packet is None:
                return 0
            if not packet.size:
                break
            if packet.pts is None or packet.dts is None or packet.dts <= last_dts or packet.is_corrupt:
                return 0
            last_dts = packet.dts
            if packet.is_keyframe and clock.seconds(packet.pts) < from_s:
                before = count
            if clock.seconds(packet.dts) >= from_s:
                break
        return 0 if container.format.name == "avi" else before


class _Losses:
    """Turns lost frames into drops, and into outages where nothing could be shown for long."""

    def __init__(self, from_s: float, interval_s: float, unbroken: bool) -> None:
        self._from_s, self._interval_s, self._unbroken = from_s, interval_s, unbroken
        self._pending: list[_Damage] = []
        self._shown_until_s = 0.0

    def add(self, damage: _Damage) -> None:
        """Take note of something lost."""
        self._pending.append(damage)

    def until(self, time_s: float) -> list[Dropped | Outage]:
        """Say what was lost before the good frame at ``time_s``."""
        start_s, self._shown_until_s = self._shown_until_s, time_s + self._interval_s
        if self._unbroken and start_s and time_s - start_s >= max(OUTAGE_S, 4 * self._interval_s):
            self._pending.append(_Damage(start_s, 0))
        if not self._pending:
            return []
        # Packets fail in decoding order, so some of the lost may belong after this frame.
        lost = [damage for damage in self._pending if damage.time_s < time_s]
        self._pending = [damage for damage in self._pending if damage.time_s >= time_s]
        return self._told(lost, start_s, time_s, "it could not be decoded") if lost else []

    def at_end(self, declared_end_s: float | None) -> list[Dropped | Outage]:
        """Say what the file, which gives no more, owes of what it declared."""
        end_s = max(self._shown_until_s, declared_end_s or 0.0)
        return self._told(self._pending, self._shown_until_s, end_s, "the file ends too early")

    def _told(self, lost: list[_Damage], start_s: float, end_s: float, why: str) -> list[Dropped | Outage]:
        # What lies before from_s was told to whoever read it then.
        count = sum(damage.count for damage in lost if damage.time_s >= self._from_s)
        start_s = max(start_s, self._from_s)
        told: list[Dropped | Outage] = [Dropped(count, "damaged", start_s)] if count else []
        if end_s - start_s >= OUTAGE_S:
            told.append(Outage(start_s, end_s, epoch=0, cause="damaged", detail=why))
        return told


def _duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    """How long the file lasts, as well as it says."""
    if container.duration:
        return container.duration / av.time_base
    return float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None


def _declared_end_s(container: InputContainer, stream: VideoStream) -> float | None:
    """Stream time at which the picture should end by the container's own word, if it gives one."""
    if not container.format.name.startswith(_DECLARES_DURATION):
        return None
    start_s = (container.start_time or 0) / av.time_base
    if stream.duration and stream.time_base:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base) - start_s
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")  # Matroska: 00:01:02.500000000
    minutes, _, seconds = rest.partition(":")
    try:
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds) - start_s
    except ValueError:
        pass
    # The whole file may be longer than its picture where there is sound.
    return container.duration / av.time_base if container.duration and not container.streams.audio else None
