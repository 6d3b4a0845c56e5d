"""Pictures in a folder as a source: each is shown for the same time, in the natural order of their names.

    with closing(PictureSource("frames/", fps=4, image_fps=1)) as source: ...     # all pictures in a folder
    PictureSource("frames/*.jpg", fps=4, image_fps=25)                            # those of a pattern
    PictureSource("frames/%05d.png", fps=4, image_fps=25)                         # numbered ones

``image-2.jpg`` comes before ``image-10.jpg``. A picture that cannot be decoded is a loss of its time. Pictures that
are added later continue the stream, if they come last in the order.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

from ..errors import NotAVideo, SourceNotFound
from .content_identity import Identity, Relation
from .file_coverage import OUTAGE_S
from .frame import Frame, Picture
from .frame_sampling import FrameSampler
from .picture_conversion import PictureConverter
from .source import Dropped, Event, Outage, SourceInfo

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_VIDEO_SUFFIXES = frozenset(
    {
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".ts",
        ".mts",
        ".m2ts",
        ".mpg",
        ".mpeg",
        ".flv",
        ".wmv",
        ".ogv",
    }
)
_MAX_PIXELS = 100_000_000
"""Larger pictures are not decoded."""
_PICTURE_SIDE = 1920
"""The longest side of a whole picture, in pixels."""

_NUMBER = re.compile(r"%(0(\d+))?d")
_DIGITS = re.compile(r"(\d+)")


def names_pictures(source: str | Path) -> bool:
    """Whether a source is a folder, or a pattern of names. A file that has the name of the pattern goes first."""
    path = Path(source)
    return path.is_dir() or (
        not path.exists() and (_NUMBER.search(path.name) or _is_glob(path.name)) is not None
    )


class PictureContent:
    """The content of a sequence of pictures, to compare with stored content ids. Reading it may raise ``OSError``."""

    def __init__(self, paths: Sequence[Path], image_fps: float) -> None:
        self._paths, self._image_fps = paths, image_fps

    @cached_property
    def _digests(self) -> list[bytes]:
        return [hashlib.blake2b(path.read_bytes(), digest_size=20).digest() for path in self._paths]

    @property
    def version(self) -> tuple[tuple[str, int, int], ...]:
        """What changes when a picture changes, without reading any."""
        stats = ((path.name, path.stat()) for path in self._paths)
        return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)

    @property
    def content_id(self) -> str:
        """The hash of all pictures, their number and their rate: at another rate, they are another stream."""
        return self._id_of_first(len(self._paths))

    def relation(self, stored_id: str) -> Relation:
        """What the pictures are to a stored content id."""
        count = int(_marks(stored_id).get("pictures", "0"))
        if not 0 < count <= len(self._paths) or self._id_of_first(count) != stored_id:
            return "other"
        return "same" if count == len(self._paths) else "grown"

    def _id_of_first(self, count: int) -> str:
        digest = hashlib.blake2b(b"".join(self._digests[:count]), digest_size=20).hexdigest()
        return f"{Identity(content_hash=digest)} pictures:{count} rate:{self._image_fps:g}"


def image_fps_of(content_id: str) -> float | None:
    """The rate at which the pictures of a content id were watched. None if it is not one of pictures."""
    rate = _marks(content_id).get("rate")
    return None if rate is None else float(rate)


def _marks(content_id: str) -> dict[str, str]:
    return dict(part.partition(":")[::2] for part in content_id.split(" "))


class PictureSource:
    """Reads the pictures of a folder or pattern, each shown for ``1 / image_fps`` seconds.

    Raises:
        SourceNotFound: No file matches the pattern.
        NotAVideo: The folder holds videos or no pictures, or the first picture cannot be decoded.
    """

    def __init__(self, source: str | Path, fps: float, *, image_fps: float) -> None:
        FrameSampler(fps)  # refuses an invalid rate before anything is read
        self._fps, self._interval = fps, 1 / Fraction(image_fps).limit_denominator(100_000)
        self._stopped = False
        self._paths = _pictures(Path(source))
        self.content = PictureContent(self._paths, image_fps)
        first = _decode(self._paths[0])
        if first is None:
            raise NotAVideo(str(self._paths[0]), "the picture cannot be decoded")
        width, height = first.width, first.height
        self._info_without_id = SourceInfo(
            kind="file",
            source=str(source),
            content_id="",
            duration_s=float(len(self._paths) * self._interval),
            width=width,
            height=height,
            average_fps=image_fps,
        )

    @cached_property
    def info(self) -> SourceInfo:
        """Facts about the pictures. The first access reads all of them, for ``content_id``."""
        return replace(self._info_without_id, content_id=self.content.content_id)

    def stop(self) -> None:
        """End the iterator after the current picture."""
        self._stopped = True

    def close(self) -> None:
        """Do the same as ``stop``: no file stays open."""
        self._stopped = True

    def frames(self, from_s: float = 0.0) -> Iterator[Event]:
        """Yield every picture at or after ``from_s``, and between them the losses."""
        sampler = FrameSampler(self._fps)
        lost_from: int | None = None
        for number, path in enumerate(self._paths):
            time_s = float(number * self._interval)
            # Whether a picture is sampled depends on the one before.
            is_sampled = sampler.takes(time_s)
            if time_s < from_s - float(self._interval) / 2:
                continue
            frame = _decode(path)
            if frame is None:
                lost_from = number if lost_from is None else lost_from
                continue
            if lost_from is not None:
                yield from self._losses(lost_from, number)
                lost_from = None
            yield self._frame(frame, number, is_sampled=is_sampled)
            if self._stopped:
                return
        if lost_from is not None:
            yield from self._losses(lost_from, len(self._paths))

    def _frame(self, frame: av.VideoFrame, number: int, *, is_sampled: bool) -> Frame:
        converter = PictureConverter(frame, None)
        return Frame(
            time_s=float(number * self._interval),
            pts=number,
            time_base=self._interval,
            thumb=converter.thumb(frame),
            duration_s=float(self._interval),
            small=converter.small(frame) if is_sampled else None,
            read_picture=partial(converter.whole, frame, _PICTURE_SIDE) if is_sampled else None,
            size=converter.size(frame),
        )

    def _losses(self, first: int, end: int) -> Iterator[Dropped | Outage]:
        """Pictures that could not be decoded, from ``first`` on and before ``end``."""
        start_s, end_s = float(first * self._interval), float(end * self._interval)
        yield Dropped(end - first, "damaged", start_s)
        if end_s - start_s >= OUTAGE_S:
            yield Outage(start_s, end_s, epoch=0, cause="damaged", detail="the pictures could not be decoded")


def _pictures(source: Path) -> list[Path]:
    """The pictures of a folder or pattern, in their natural order."""
    if source.is_dir():
        paths = [path for path in source.iterdir() if path.is_file()]
        videos = [path for path in paths if path.suffix.lower() in _VIDEO_SUFFIXES]
        pictures = [path for path in paths if path.suffix.lower() in PICTURE_SUFFIXES]
        if videos:
            raise NotAVideo(
                str(source),
                f"it is a folder with videos, such as {videos[0].name!r}. Name the files themselves",
            )
        if not pictures:
            raise NotAVideo(str(source), "it is a folder without pictures")
        return sorted(pictures, key=_natural_order)
    number = _NUMBER.search(source.name)
    if number is None:
        pictures = [path for path in source.parent.glob(source.name) if path.is_file()]
    else:
        digits = rf"\d{{{number[2]},}}" if number[2] else r"\d+"
        name = re.compile(
            re.escape(source.name[: number.start()]) + digits + re.escape(source.name[number.end() :])
        )
        folder = source.parent.iterdir() if source.parent.is_dir() else ()
        pictures = [path for path in folder if name.fullmatch(path.name) and path.is_file()]
    if not pictures:
        raise SourceNotFound(str(source), is_pattern=True)
    return sorted(pictures, key=_natural_order)


def _natural_order(path: Path) -> list[tuple[int, str]]:
    """Numbers in a name compare as numbers."""
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in _DIGITS.split(path.name)]


def _is_glob(name: str) -> re.Match[str] | None:
    return re.search(r"[*?]|\[.+\]", name)


def _decode(path: Path) -> av.VideoFrame | None:
    """The upright picture in a file. None if it cannot be decoded."""
    try:
        with Image.open(path) as header:
            if header.width * header.height > _MAX_PIXELS:
                return None
        decoded = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, ValueError, SyntaxError, cv2.error, Image.DecompressionBombError):
        return None
    if decoded is None:
        return None
    picture: Picture = np.ascontiguousarray(decoded, np.uint8)
    return av.VideoFrame.from_ndarray(picture, format="bgr24")
