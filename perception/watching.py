"""Watching: one source is watched into a memory until it ends.

    report = watch(Path("recollect.lance"), "kitchen.mp4", options=WatchOptions(ocr=False), lmm=lmm)

For several sources at once, see ``writer_session``. The video LMM describes the moments at the same time, if
there is one.
"""

from __future__ import annotations

from pathlib import Path

from ..memory.encoder import Encoder
from .lmm import Lmm
from .sources.source import Source
from .watch_events import OnEvent, WatchReport
from .watch_options import WatchOptions
from .writer_session import WriterSession, WriterSettings, find_source


def watch(
    path: Path,
    source: str | Path | Source,
    *,
    stream: str | None = None,
    options: WatchOptions | None = None,
    encoder: Encoder | None = None,
    lmm: Lmm | None = None,
    budget_bytes: int | None = None,
    on_event: OnEvent | None = None,
) -> WatchReport:
    """Watch ``source`` into the memory at ``path`` until it ends.

    A source that is open already is watched as a file is, at the rate it was opened with, and closed. With ``lmm``
    the backlog is described at the same time. ``budget_bytes`` is what the memory may take on the disk from
    now on. None leaves it as it is.

    Raises:
        SourceError: The source does not exist or is no video.
        MemoryStoreError: The memory is in use, full, or newer than this Recollect.
        EncoderError: The encoder's model cannot be used.
    """
    options = options or WatchOptions()
    found_source = find_source(source, options)
    settings = WriterSettings(encoder=encoder, lmm=lmm, budget_bytes=budget_bytes)
    session = WriterSession(path, settings)
    try:
        handle = session.start(found_source, stream=stream, options=options, on_event=on_event)
    finally:
        session.release()
    try:
        return handle.wait()
    finally:
        handle.stop()
        handle.join()
