"""Chooses the video stream of a container, for files and for live sources alike.

    stream = choose_video(container)      # None if nothing in it can be decoded as a moving picture

Cover art and attached pictures are not the video, however large they are.
"""

from __future__ import annotations

from av.codec.context import ThreadType
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream


def moving_pictures(container: InputContainer) -> list[VideoStream]:
    """The video streams without cover art and attached pictures. Some may have no decoder."""
    return [video for video in container.streams.video if not video.disposition & Disposition.attached_pic]


def choose_video(container: InputContainer) -> VideoStream | None:
    """The default video stream, else the one with the largest picture. None if none can be decoded."""
    decodable = [video for video in moving_pictures(container) if video.codec_context is not None]
    if not decodable:
        return None
    stream = max(
        decodable,
        key=lambda video: (bool(video.disposition & Disposition.default), video.width * video.height),
    )
    # Many streams run side by side. Threads would spend more CPU on each frame.
    stream.thread_type = ThreadType.NONE
    # The filter smooths the edges of blocks. Left out where no other frame refers to the result, it costs nothing that
    # observers see, and watching saves 4 to 10 %.
    stream.codec_context.options = {"skip_loop_filter": "noref"}
    return stream
