"""Sequences of pictures: which files a folder or pattern names, in which order, and what identifies their content.

    names_pictures("frames/")                        # True
    picture_paths(Path("frames/"))                   # all pictures in a folder
    picture_paths(Path("frames/*.jpg"))              # those of a pattern
    picture_paths(Path("frames/%05d.png"))           # numbered ones

``image-2.jpg`` comes before ``image-10.jpg``. Pictures that are added later continue a stream, if they come last in
the order. No picture is decoded here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path

from ..errors import NotAVideo, SourceNotFound
from .content_identity import Identity, Relation

_PICTURE_SUFFIXES = frozenset([".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff"])
_VIDEO_SUFFIXES = frozenset(
    [
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
    ]
)
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
        return [_digest(path) for path in self._paths]

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


def picture_paths(source: Path) -> list[Path]:
    """The pictures of a folder or pattern, in their natural order.

    Raises:
        SourceNotFound: No file fits the pattern.
        NotAVideo: The folder holds videos, or no pictures.
    """
    if source.is_dir():
        paths = [path for path in source.iterdir() if path.is_file()]
        videos = [path for path in paths if path.suffix.lower() in _VIDEO_SUFFIXES]
        pictures = [path for path in paths if path.suffix.lower() in _PICTURE_SUFFIXES]
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


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=20)).digest()
