"""Opens a video file, or says in plain words why it is none.

    with opened(path) as (container, stream):
        for packet in container.demux(stream): ...

A file is not trusted: only containers are opened, no playlists or scripts that name other
files, and nothing but the file itself is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from ..errors import NotAVideo, SourceNotFound
from .urls import redact

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,avi,flv,live_flv,asf,ogg,wtv,mxf,nut,rm,dv,"
    "gxf,ivf,obu,av1,h261,h263,h264,hevc,vvc,m4v,mjpeg,yuv4mpegpipe,gif,swf,dirac,vc1,bink,smk,"
    "wav,mp3,flac,aac,ac3,eac3,aiff,au,caf,amr"
)
"""Containers and raw streams a file may be. Sound is opened only to say that it is sound."""


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and choose its video stream, or say why there is none."""
    try:
        # "file:" keeps a name such as "a:b.mp4" from being taken for another protocol.
        container = av.open(
            f"file:{path}", options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
        )
    except av.FileNotFoundError:
        raise SourceNotFound(redact(str(path))) from None
    except av.FFmpegError as error:
        raise NotAVideo(str(path), _why_not(path)) from error
    with container:
        yield container, _video_stream(container, path)


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not videos:
        if container.streams.audio:
            raise NotAVideo(str(path), "it holds sound, but no moving picture")
        raise NotAVideo(
            str(path), _why_not(path) if not len(container.streams) else "there is no picture in it"
        )
    known = [s for s in videos if s.codec_context is not None]
    if not known:
        raise NotAVideo(str(path), "its pictures are in a coding that cannot be decoded here")
    stream = max(known, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height))
    # Threads spend more CPU per frame; streams are what runs side by side.
    stream.thread_type = ThreadType.NONE
    return stream


def check_readable(path: Path) -> None:
    """Refuse what needs no decoder to be told from a video.

    Raises:
        SourceNotFound, NotAVideo: as ``FileSource`` says.

    """
    try:
        if path.is_dir():
            raise NotAVideo(str(path), "it is a folder")
        if not path.exists():
            # A URL without its scheme is taken for a path.
            raise SourceNotFound(redact(str(path)))
        if not path.is_file():
            raise NotAVideo(str(path), "it is not an ordinary file")
        with path.open("rb") as file:
            empty = not file.read(1)
    except PermissionError as error:
        raise NotAVideo(str(path), "there is no permission to read it") from error
    except OSError as error:
        raise NotAVideo(str(path), f"it cannot be read ({error.strerror})") from error
    if empty:
        raise NotAVideo(str(path), "the file is empty")


def _why_not(path: Path) -> str:
    """Say in a few words why a file could not be opened as a video."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head[4:8] in _BOXES and b"moov" not in _boxes(path):
        return "it is an MP4 that was cut off before its index was written"
    if b"\0" not in head:
        try:
            head[: head.rfind(b"\n") + 1 or None].decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            return "it holds text"
    return "no kind of video is recognised in it"


_BOXES = (b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip")
"""What an MP4 or QuickTime file may begin with."""


def _boxes(path: Path) -> set[bytes]:
    """The kinds of the whole boxes an MP4 file is made of; one that was cut off does not count."""
    kinds, at, size = set(), 0, path.stat().st_size
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            header = file.read(16)
            length = int.from_bytes(header[:4], "big")
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            if length < 8:  # 0 means that the box goes on to the end of the file
                break
            at += length
            if at <= size:
                kinds.add(header[4:8])
    return kinds
