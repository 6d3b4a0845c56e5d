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

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from ..errors import NotAVideo
from .avi_index import AviIndex
from .container import check_readable, open_video
from .container_bytes import ContainerBytes, container_bytes
from .content_identity import content_id_of
from .file_bytes import FileLocation, location_of
from .file_clock import FileClock
from .file_coverage import OUTAGE_S, Damage, FileCoverage, FileEnd, TimedPicture
from .file_decoding import DecodedPicture, FileDecoder
from .file_packets import FilePackets, start_s
from .file_start import find_start
from .followed_file import FollowedFile
from .frame import Frame, Thumb
from .frame_sampling import FrameSampler
from .picture_conversion import PictureConverter
from .source import Event, SourceInfo

PICTURE_SIDE = 1920
"""The longest side of a whole picture, in pixels."""

_CONTINUOUS = ("mpegts", "mpeg")
"""Containers whose encoders never pause, so that a stretch without a picture holds none."""

_MAY_JUMP = (*_CONTINUOUS, "flv", "live_flv")
"""Containers that recorders cut and join without new timestamps, so that the clock may jump."""


class FileSource:
    """Reads a video file, and drops no frame that can be decoded.

    Raises:
        SourceNotFound: There is no file at ``path``.
        NotAVideo: It is a folder, an empty file, text, sound only, or too damaged to read.
        ValueError: ``fps`` is not above 0.

    """

    def __init__(
        self,
        path: str | Path,
        fps: float,
        *,
        info: SourceInfo | None = None,
        follow_idle_s: float | None = None,
    ) -> None:
        """Open a file at a path or URL.

        ``info`` are the facts that an earlier source of the file found. They are not read again. With
        ``follow_idle_s``, a file at a path is read until it has not grown for so long.
        """
        FrameSampler(fps)  # refuses an invalid rate before anything is read
        self._source, self._path, self._fps = path, location_of(path), fps
        self._follow_idle_s = follow_idle_s
        self._stopped = False
        if info is not None:
            self.info_without_id = info
            return
        check_readable(self._path)
        with open_video(self._path) as (container, stream):
            reading = _Reading(self._path, container, stream, from_s=0.0, from_start=True)
            first = next((item for item in reading.decoded() if isinstance(item, DecodedPicture)), None)
            if first is None:
                raise NotAVideo(str(self._path), "none of its pictures can be decoded")
            width, height = PictureConverter(first.picture, stream.sample_aspect_ratio).size(first.picture)
            self.info_without_id = SourceInfo(
                kind="file",
                source=str(self._path),
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
        return replace(self.info_without_id, content_id=content_id_of(self._source))

    def stop(self) -> None:
        """End the iterator after the current frame."""
        self._stopped = True

    def close(self) -> None:
        """Do the same as ``stop``: closing the iterator closes the file."""
        self._stopped = True

    def frames(self, from_s: float = 0.0) -> Iterator[Event]:
        """Yield every frame at or after ``from_s``, in order, and between them outages and losses."""
        start = find_start(self._path, from_s, can_seek=self._follow_idle_s is None)
        location: FileLocation = self._path
        if self._follow_idle_s is not None and isinstance(self._path, Path):
            location = FollowedFile(self._path, self._follow_idle_s)
        with open_video(location) as (container, stream):
            if start.seek_to is not None:
                container.seek(start.seek_to, stream=stream)
            reading = _Reading(self._path, container, stream, from_s=from_s, from_start=start.is_file_start)
            sampler = FrameSampler(self._fps)
            for time_s, (decoded, converter, thumb) in reading.timed(start.skipped_packets):
                shown_s = reading.shown_s(time_s, decoded)
                is_sampled = sampler.takes(time_s)
                events = reading.coverage.until(TimedPicture(time_s, shown_s, decoded.offset))
                if time_s < from_s:
                    continue
                yield from events
                picture = decoded.picture
                yield Frame(
                    time_s=time_s,
                    pts=reading.timestamp(time_s),
                    time_base=reading.time_base,
                    thumb=thumb,
                    duration_s=shown_s,
                    small=converter.small(picture) if is_sampled else None,
                    read_picture=partial(converter.whole, picture, PICTURE_SIDE) if is_sampled else None,
                    size=converter.size(picture),
                )
                if self._stopped:
                    return
            yield from reading.coverage.at_end(reading.end())


class _UpcomingPicture(NamedTuple):
    """A picture that waits until its time is known."""

    decoded: DecodedPicture
    converter: PictureConverter
    thumb: Thumb
    """Made as soon as the picture is decoded, because its pixels are still in the processor's cache then."""


class _Reading:
    """One pass over a file: its packets, pictures and times, and what was lost."""

    def __init__(
        self,
        path: FileLocation,
        container: InputContainer,
        stream: VideoStream,
        *,
        from_s: float,
        from_start: bool,
    ) -> None:
        assert stream.time_base is not None
        kind = container.format.name
        self._container, self._stream = container, stream
        self._size_bytes = path.stat().st_size
        self._avi_index = AviIndex.of(stream, path) if kind == "avi" else None
        self._structure: ContainerBytes | None = container_bytes(path, kind)
        self._is_continuous = kind in _CONTINUOUS
        self._aspect = stream.sample_aspect_ratio
        self._decoded_aspect = stream.codec_context.sample_aspect_ratio
        self.time_base, self.start_s = stream.time_base, start_s(container)
        self._numerator, self._denominator = stream.time_base.numerator, stream.time_base.denominator
        self._declared_end_s = self._declared()
        may_jump = kind in _MAY_JUMP
        self._packets = FilePackets(
            container, stream, self._size_bytes, from_start=from_start, may_jump=may_jump
        )
        self._converter: PictureConverter | None = None
        self._clock = FileClock[_UpcomingPicture](
            from_start=from_start,
            step_s=1 / float(stream.average_rate or 25),
            may_jump=may_jump,
            declared_end_s=self._declared_end_s,
        )
        self.coverage = FileCoverage(
            from_s, from_start=from_start, is_continuous=self._is_continuous, has_lost=self._has_lost
        )

    def decoded(self, skipped_packets: int = 0) -> Iterator[DecodedPicture]:
        """The pictures in the order of presentation. Losses are noted in ``coverage``."""
        decoder = FileDecoder(self._container, self._stream, self._avi_index)
        packets = iter(self._packets)
        for _ in range(skipped_packets):
            next(packets, None)
        for item in decoder.pictures(packets):
            if isinstance(item, DecodedPicture):
                yield item
            else:
                self.coverage.note_damage(Damage(self._clock.stream_time(item.timestamp_s), item.count))

    def timed(self, skipped_packets: int) -> Iterator[tuple[float, _UpcomingPicture]]:
        """The pictures with their stream times."""
        for decoded in self.decoded(skipped_packets):
            picture = decoded.picture
            aspect = self._sample_aspect(picture)
            converter = (self._converter or PictureConverter(picture, aspect)).fitting(picture, aspect)
            self._converter = converter
            upcoming = _UpcomingPicture(decoded, converter, converter.thumb(picture))
            yield from self._clock.push(decoded.timestamp_s, upcoming)
        yield from self._clock.finish()

    def _sample_aspect(self, picture: av.VideoFrame) -> Fraction | None:
        """The shape of the pixels: as the container says, until a key frame changes it.

        The decoder is some pictures ahead, so that what it says holds from the next key frame on.
        """
        if picture.key_frame:
            decoded = self._stream.codec_context.sample_aspect_ratio
            if decoded != self._decoded_aspect:
                self._aspect = self._decoded_aspect = decoded
        return self._aspect

    def timestamp(self, time_s: float) -> int:
        """The timestamp that means a stream time, in units of the time base."""
        return round((time_s + self.start_s) * self._denominator / self._numerator)

    def shown_s(self, time_s: float, decoded: DecodedPicture) -> float:
        """How long a picture is shown at least, as far as the file says."""
        shown_s = decoded.declared_s or min(self._clock.step_s, 1.0)
        if self._declared_end_s is None or shown_s <= 1.0:
            return shown_s
        # A duration beyond the end that the file declares is not believed.
        return max(min(shown_s, self._declared_end_s - time_s), min(self._clock.step_s, 1.0))

    def end(self) -> FileEnd:
        """What is known of the end, when all was read."""
        end_s = max(self._packets.others_end_s, self._declared_end_s or 0.0)
        if not self._is_continuous:
            return FileEnd(self._picture_end_s(), end_s)
        # The bytes after the last packet that was read may go on as those before.
        reached_s = max(end_s, self.coverage.shown_until_s)
        estimated_s = reached_s * self._size_bytes / max(1, self._packets.read_until)
        if estimated_s - reached_s < OUTAGE_S:
            return FileEnd(None, end_s)
        return FileEnd(None if self._packets.ends_in_later_track else estimated_s, estimated_s)

    def _picture_end_s(self) -> float | None:
        """The end of the picture that the container declares. None if it declares none."""
        stream, kind = self._stream, self._container.format.name
        if self._avi_index is not None and self._avi_index.end:
            return self._avi_index.end * float(self.time_base) - self.start_s
        if kind.startswith(("mov", "avi")) and stream.duration:
            return float(((stream.start_time or 0) + stream.duration) * self.time_base) - self.start_s
        # If nothing else lasts as long as the whole file, the picture does.
        is_longest = (self._declared_end_s or 0.0) - self._packets.others_end_s >= OUTAGE_S
        return self._declared_end_s if is_longest else None

    def _declared(self) -> float | None:
        """The stream time at which the container says that it ends. What FFmpeg estimates does not count."""
        duration_s = None if self._structure is None else self._structure.declared_duration_s()
        if duration_s is not None:
            # Some writers count from the first picture, others from 0.
            return duration_s - self.start_s if duration_s > self.start_s else duration_s
        duration = self._container.duration
        # The last page of an Ogg file holds its end.
        is_declared = self._container.format.name.startswith(("mov", "avi", "gif", "ogg"))
        return duration / av.time_base if duration and is_declared else None

    def _has_lost(self, before: TimedPicture, after: TimedPicture) -> bool:
        if before.offset is None or after.offset is None:
            return False
        if self._avi_index is not None:
            return self._avi_index.has_lost(before.offset, after.offset)
        if self._container.format.name.startswith("mov"):
            return False  # Its index lists all packets, so that those lost failed to decode.
        if self._structure is not None and before.offset <= after.offset:
            return not self._structure.is_intact(before.offset, after.offset)
        return self._packets.has_unread(before.offset, after.offset)


def _duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    """The duration that the file declares or FFmpeg estimates. None without either."""
    if container.duration:
        return container.duration / av.time_base
    return float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None
