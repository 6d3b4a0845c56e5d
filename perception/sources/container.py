"""Opens the container of a video file and chooses its video stream, or says why it is not a video.

    with open_video(path) as (container, stream):
        for packet in container.demux(stream): ...

A file is not trusted. Only containers are opened, no playlists or scripts that name other files, and only
the file itself is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from ..errors import NotAVideo, SourceNotFound
from .decoder_limits import MAX_PIXELS
from .file_bytes import FileLocation
from .urls import redact
from .video_choice import choose_video, moving_pictures

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,avi,flv,live_flv,asf,ogg,wtv,mxf,nut,rm,dv,"
    "gxf,ivf,obu,av1,h261,h263,h264,hevc,vvc,m4v,mjpeg,yuv4mpegpipe,gif,swf,dirac,vc1,bink,smk,"
    "wav,mp3,flac,aac,ac3,eac3,aiff,au,caf,amr"
)
"""The containers and raw streams that are opened. Sound is opened only for a clear error message."""


@contextmanager
def open_video(location: FileLocation) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and choose its video stream.

    Raises:
        SourceNotFound: There is no file at the path.
        SourceUnreachable: The file's server is gone.
        NotAVideo: The file holds no video that can be decoded.
    """
    with ExitStack() as opened:
        # Without "file:", the name "a:b.mp4" would name a protocol. FFmpeg opens no URL by itself.
        file: Any = f"file:{location}"
        if not isinstance(location, Path):
            file = opened.enter_context(location.open("rb"))
        try:
            container = av.open(
                file,
                "r",
                options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"},
                metadata_errors="replace",  # Tags may hold any bytes.
            )
        except av.FileNotFoundError:
            raise SourceNotFound(redact(str(location))) from None
        except av.FFmpegError as error:
            raise NotAVideo(str(location), _why_not(location)) from error
        opened.enter_context(container)
        yield container, _video_stream(container, location)


def _video_stream(container: InputContainer, path: FileLocation) -> VideoStream:
    stream = choose_video(container)
    if stream is not None:
        if stream.width * stream.height > MAX_PIXELS:
            why = f"its pictures are {stream.width}×{stream.height}, and at most {MAX_PIXELS:,} pixels are decoded"
            raise NotAVideo(str(path), why)
        # A picture in the middle may be larger than the file declares.
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        return stream
    if moving_pictures(container):
        raise NotAVideo(str(path), "no decoder for its pictures is installed")
    if container.streams.audio:
        raise NotAVideo(str(path), "it holds sound, but no moving picture")
    raise NotAVideo(str(path), "it holds no picture" if len(container.streams) else _why_not(path))


def check_readable(path: FileLocation) -> None:
    """Check that a path is a readable file that is not empty. A URL is one.

    Raises:
        SourceNotFound: There is no file at the path.
        NotAVideo: It is a folder or another special file, it is empty, or it cannot be read.

    """
    if not isinstance(path, Path):
        path.stat()
        return
    try:
        if path.is_dir():
            raise NotAVideo(str(path), "it is a folder")
        if not path.exists():
            # A URL without its scheme looks like a path, and may hold credentials.
            raise SourceNotFound(redact(str(path)))
        if not path.is_file():
            raise NotAVideo(str(path), "it is not an ordinary file")
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except PermissionError as error:
        raise NotAVideo(str(path), "reading it is not permitted") from error
    except OSError as error:
        raise NotAVideo(str(path), f"it cannot be read ({error.strerror})") from error
    if is_empty:
        raise NotAVideo(str(path), "the file is empty")


def _why_not(path: FileLocation) -> str:
    """The reason why a file could not be opened as a video, in a few words."""
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
"""The kinds of box with which an MP4 or QuickTime file may begin."""


def _boxes(path: FileLocation) -> set[bytes]:
    """The kinds of the boxes in an MP4 file. A box that was cut off does not count."""
    kinds, offset, size = set(), 0, path.stat().st_size
    with path.open("rb") as file:
        while offset + 8 <= size:
            file.seek(offset)
            header = file.read(16)
            length = int.from_bytes(header[:4], "big")
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            if length < 8:  # 0 means that the box extends to the end of the file
                break
            offset += length
            if offset <= size:
                kinds.add(header[4:8])
    return kinds
