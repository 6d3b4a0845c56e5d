"""A video file as a source: yields every frame with its true time, from any start time.

    with closing(FileSource("kitchen.mp4", fps=4)) as source:
        for event in source.frames(from_s=60.0):
            ...

Times are those that a player shows: presentation time from the start of the file. If sound begins before
the picture, the picture keeps its offset. Reading from the middle gives the same frames, times and samples
as reading from the start. Damaged stretches are skipped and reported.

A file is not trusted. Only containers are opened (no playlists or scripts that name other files), and only
the file itself is read.
"""

from __future__ import annotations

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
from .container import check_readable, open_video
from .content_identity import content_id_of
from .frame import Frame
from .frame_sampling import FrameSampler
from .picture_conversion import PictureConverter
from .source import Dropped, Event, Outage, SourceInfo

PICTURE_SIDE = 1920
"""The longest side of a whole picture, in pixels."""

OUTAGE_S = 1.0
"""A damaged stretch of at least this length is an outage. A shorter one is reported as dropped frames."""

_INDEXED = ("mov,mp4", "matroska")
"""Containers with an index of key frames. Their seeks can be used after a check."""

_DECLARES_DURATION = (*_INDEXED, "avi")
"""Containers that declare their duration. For others, FFmpeg estimates it from the end or the bit rate."""

_CONTINUOUS = ("mpegts", "mpeg")
"""Containers whose encoders never pause, so that a pause is a loss even if no packet is corrupt."""

_REORDER = 16
"""The most frames that a decoder holds back to reorder them (the limit of H.264 and HEVC)."""

_MAX_READ_ERRORS = 10
"""After this many failed reads in a row, the rest of the file counts as lost."""


class FileSource:
    """Reads a video file, and drops no frame that can be decoded.

    Raises:
        SourceNotFound: There is no file at ``path``.
        NotAVideo: It is a folder, an empty file, text, sound only, or too damaged to read.
        ValueError: ``fps`` is not above 0.

    """

    def __init__(self, path: str | Path, fps: float) -> None:
        FrameSampler(fps)  # refuses an invalid rate before anything is read
        self._path, self._fps = Path(path), fps
        self._stopped = False
        check_readable(self._path)
        with open_video(self._path) as (container, stream):
            decoded = _decode(container, stream, _Clock(container, stream))
            first = next((event for event in decoded if isinstance(event, _TimedPicture)), None)
            if first is None:
                raise NotAVideo(str(path), "none of its pictures can be decoded")
            width, height = PictureConverter(first.picture, stream.sample_aspect_ratio).size(first.picture)
            self._info_without_id = SourceInfo(
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
        """Facts about the file. The first access reads all of its bytes, for ``content_id``."""
        return replace(self._info_without_id, content_id=content_id_of(self._path))

    def stop(self) -> None:
        """End the iterator after the current frame."""
        self._stopped = True

    def close(self) -> None:
        """Do the same as ``stop``: closing the iterator closes the file."""
        self._stopped = True

    def frames(self, from_s: float = 0.0) -> Iterator[Event]:
        """Yield every frame at or after ``from_s``, in order, and between them outages and losses."""
        seek_to, skip = _find_start(self._path, from_s)
        with open_video(self._path) as (container, stream):
            if seek_to is not None:
                container.seek(seek_to, stream=stream)
            clock = _Clock(container, stream)
            sampler = FrameSampler(self._fps)
            losses = _Losses(from_s, clock.interval_s, container.format.name in _CONTINUOUS)
            converter: PictureConverter | None = None
            for event in _decode(container, stream, clock, skip):
                if isinstance(event, _Damage):
                    losses.add(event)
                    continue
                picture, time_s = event.picture, event.time_s
                is_sampled = sampler.takes(time_s)
                loss_events = losses.until(time_s)
                if time_s < from_s:
                    continue
                yield from loss_events
                converter = converter or PictureConverter(picture, stream.sample_aspect_ratio)
                yield Frame(
                    time_s=time_s,
                    pts=event.pts,
                    time_base=clock.time_base,
                    thumb=converter.thumb(picture),
                    small=converter.small(picture) if is_sampled else None,
                    read_picture=partial(converter.whole, picture, PICTURE_SIDE) if is_sampled else None,
                    size=converter.size(picture),
                )
                if self._stopped:
                    return
            yield from losses.at_end(_declared_end_s(container, stream))


@dataclass(frozen=True, slots=True)
class _TimedPicture:
    """A decoded picture and the time at which a player shows it."""

    picture: av.VideoFrame
    time_s: float
    pts: int


@dataclass(frozen=True, slots=True)
class _Damage:
    """A loss near a time."""

    time_s: float
    count: int
    """Number of lost frames. 0 where data was skipped and the number is unknown."""


class _Clock:
    """Gives each frame the time at which a player shows it, always later than the frame before."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        assert stream.time_base is not None
        self.time_base = stream.time_base
        self.interval_s = 1 / float(stream.average_rate or 25)
        self._start_s = (container.start_time or 0) / av.time_base
        self._last_s = -math.inf
        # AVI and raw streams carry no presentation times. There the nth frame out of the decoder is shown
        # at the time of the nth packet that entered it, in any order of storage.
        self._uses_packet_times = container.format.name == "avi"
        self._packet_times: deque[int | None] = deque(maxlen=_REORDER + 1)
        self._has_begun = False

    def seconds(self, pts: int) -> float:
        """Stream time of a presentation timestamp, before any correction."""
        return pts * self.time_base.numerator / self.time_base.denominator - self._start_s

    def note_packet(self, packet: Packet[VideoStream]) -> None:
        """Note a packet that is about to be decoded."""
        if not self._has_begun:
            self._has_begun = True
            self._uses_packet_times = self._uses_packet_times or packet.pts is None
        if self._uses_packet_times and packet.size:
            self._packet_times.append(packet.dts)

    def note_failure(self, packet: Packet[VideoStream]) -> float:
        """Note that the newest packet gives no picture, and return the time it was for, approximately."""
        if self._uses_packet_times and self._packet_times:
            self._packet_times.pop()
        return self.now_s if packet.pts is None else self.seconds(packet.pts)

    @property
    def now_s(self) -> float:
        """The time of the newest frame."""
        return max(0.0, self._last_s)

    def note_picture(self, picture: av.VideoFrame) -> _TimedPicture | _Damage:
        """Give the next decoded picture its time, or report that it is corrupt."""
        pts = picture.pts
        if self._uses_packet_times:
            pts = self._packet_times.popleft() if self._packet_times else None
        time_s = None if pts is None else max(0.0, self.seconds(pts))
        if picture.is_corrupt:
            return _Damage(self.now_s if time_s is None else time_s, 1)
        if pts is None or time_s is None or time_s <= self._last_s:
            time_s = max(0.0, self._last_s + self.interval_s)
            pts = round((time_s + self._start_s) / self.time_base)
        self._last_s = time_s
        return _TimedPicture(picture, time_s, pts)


def _decode(
    container: InputContainer, stream: VideoStream, clock: _Clock, skip: int = 0
) -> Iterator[_TimedPicture | _Damage]:
    """Decode the rest of ``container`` without its first ``skip`` packets."""
    for packet in _packets(container, stream):
        if packet is None:
            yield _Damage(clock.now_s, 0)
            continue
        if skip > 0:
            skip -= 1
            continue
        clock.note_packet(packet)
        if packet.is_corrupt and packet.pts is not None:
            yield _Damage(clock.seconds(packet.pts), 0)
        try:
            pictures = packet.decode()
        except av.FFmpegError:
            yield _Damage(clock.note_failure(packet), 1)
            continue
        for picture in pictures:
            yield clock.note_picture(picture)


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream] | None]:
    """The remaining packets, with None for each failed read. The last one is empty and drains the decoder."""
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


def _find_start(path: Path, from_s: float) -> tuple[int | None, int]:
    """Find the position from which all frames from ``from_s`` on are as if read from the start.

    It is a key frame shown before ``from_s``, never at it, because sampling a frame depends on the frame
    before. Returns a timestamp to seek to, or None, and the number of packets to skip.
    """
    if from_s <= 0:
        return None, 0
    with open_video(path) as (container, stream):
        clock = _Clock(container, stream)
        if container.format.name.startswith(_INDEXED):
            # Indexes are in decoding order, so a seek may find a key frame that is shown too late.
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
    """The number of packets before the last key frame shown before ``from_s``.

    Reads the packets without decoding them. If some times are missing or do not rise, a frame's time
    depends on all frames before it, and the result is 0.
    """
    before, last_dts = 0, -math.inf
    with open_video(path) as (container, stream):
        clock = _Clock(container, stream)
        for count, packet in enumerate(_packets(container, stream)):
            if packet is not None and not packet.size:
                break
            if packet is None or packet.pts is None or packet.dts is None or packet.is_corrupt:
                return 0
            if packet.dts <= last_dts:
                return 0
            last_dts = packet.dts
            if packet.is_keyframe and clock.seconds(packet.pts) < from_s:
                before = count
            if clock.seconds(packet.dts) >= from_s:
                break
        return 0 if container.format.name == "avi" else before


class _Losses:
    """Turns losses into ``Dropped`` events, and into outages for long stretches without a frame."""

    def __init__(self, from_s: float, interval_s: float, continuous: bool) -> None:
        self._from_s, self._interval_s, self._continuous = from_s, interval_s, continuous
        self._pending: list[_Damage] = []
        self._shown_until_s = 0.0

    def add(self, damage: _Damage) -> None:
        """Note a loss."""
        self._pending.append(damage)

    def until(self, time_s: float) -> list[Dropped | Outage]:
        """The losses before the good frame at ``time_s``, as events."""
        start_s, self._shown_until_s = self._shown_until_s, time_s + self._interval_s
        if self._continuous and start_s and time_s - start_s >= max(OUTAGE_S, 4 * self._interval_s):
            self._pending.append(_Damage(start_s, 0))
        if not self._pending:
            return []
        # Packets fail in decoding order, so some losses may belong after this frame.
        earlier = [damage for damage in self._pending if damage.time_s < time_s]
        self._pending = [damage for damage in self._pending if damage.time_s >= time_s]
        return self._events(earlier, start_s, time_s, "it could not be decoded") if earlier else []

    def at_end(self, declared_end_s: float | None) -> list[Dropped | Outage]:
        """The losses between the last frame and the end that the file declares, as events."""
        end_s = max(self._shown_until_s, declared_end_s or 0.0)
        return self._events(self._pending, self._shown_until_s, end_s, "the file ends too early")

    def _events(
        self, losses: list[_Damage], start_s: float, end_s: float, why: str
    ) -> list[Dropped | Outage]:
        # Losses before from_s were reported by an earlier run.
        count = sum(damage.count for damage in losses if damage.time_s >= self._from_s)
        start_s = max(start_s, self._from_s)
        events: list[Dropped | Outage] = [Dropped(count, "damaged", start_s)] if count else []
        if end_s - start_s >= OUTAGE_S:
            events.append(Outage(start_s, end_s, epoch=0, cause="damaged", detail=why))
        return events


def _duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    """The duration that the file declares or FFmpeg estimates. None without either."""
    if container.duration:
        return container.duration / av.time_base
    return float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None


def _declared_end_s(container: InputContainer, stream: VideoStream) -> float | None:
    """Stream time at which the picture ends according to the container. None if it declares no end."""
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
    # With sound, the file may be longer than its picture.
    return container.duration / av.time_base if container.duration and not container.streams.audio else None
