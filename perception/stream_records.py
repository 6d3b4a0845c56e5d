"""Stream records: which stream of a memory a source belongs to, and what a new stream is called.

    record = find_or_create_record(store, source.info, name=None, fps=4.0)
    record.name

A file is known by its content and a live source by its address. Names do not matter.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from ..memory.store import MemoryStore
from ..memory.values import FrameCounts, Stream
from .errors import AlreadyWatched, StreamNameTaken
from .sources.source import SourceInfo
from .sources.urls import default_name, redact
from .watch_events import WatchReport


def find_or_create_record(
    store: MemoryStore, info: SourceInfo, *, name: str | None, fps: float, watched: Collection[str] = ()
) -> Stream:
    """The stream of a source: the one that the memory knows by its content, or a new one under a free name.

    Streams named in ``watched`` are being watched. A stream that was watched before keeps its name and its rate:
    resuming it at another rate would mix two samplings.
    Raises ``AlreadyWatched``, or ``StreamNameTaken`` if another source has the name that is asked for.
    """
    stored = _with_present_path(store, _stored_stream(store, info, name), info)
    if stored is not None:
        if stored.name in watched:
            raise AlreadyWatched(info.source, stored.name)
        return stored
    if name is None:
        name = _free_name(store, info, watched)
    elif name in watched:
        raise AlreadyWatched(info.source, name)
    elif (taken := store.stream(name)) is not None:
        raise StreamNameTaken(name, redact(taken.source) if taken.kind == "live" else taken.source)
    return Stream(
        name=name,
        kind=info.kind,
        source=str(Path(info.source).resolve()) if info.kind == "file" else info.source,
        content_id=info.content_id,
        state="watching",
        fps=fps,
        duration_s=info.duration_s,
        origin_wall_s=time.time() if info.kind == "live" else None,
    )


def already_done_report(store: MemoryStore, stream: Stream) -> WatchReport:
    """The report for a file that was watched to its end before."""
    point = store.resume(stream.name)
    return WatchReport(
        stream=stream.name,
        state="done",
        already_done=True,
        resumed_at_s=None,
        until_s=0.0 if point is None else point.end_s,
        moments=0,
        gaps=0,
        counts=FrameCounts(),
        seconds=0.0,
    )


def _stored_stream(store: MemoryStore, info: SourceInfo, name: str | None) -> Stream | None:
    """The stream in which the source was watched before, or None.

    Two cameras of a server may differ in a masked part of their URLs alone. A name distinguishes them.
    """
    if info.kind == "live" and name is not None:
        named = store.stream(name)
        return named if named is not None and named.content_id == info.content_id else None
    return store.stream_with_content(info.content_id)


def _with_present_path(store: MemoryStore, stream: Stream | None, info: SourceInfo) -> Stream | None:
    """The known stream, with its new path if its file was moved, so that inspection finds it."""
    if stream is None or stream.kind != "file" or Path(stream.source).is_file():
        return stream
    stream = replace(stream, source=str(Path(info.source).resolve()))
    store.put_stream(stream)
    return stream


def _free_name(store: MemoryStore, info: SourceInfo, watched: Collection[str]) -> str:
    """A name from the path or address, with a part of the content id if another stream has that name."""
    name = Path(info.source).stem if info.kind == "file" else default_name(info.source)
    if name not in watched and store.stream(name) is None:
        return name
    return f"{name}-{info.content_id.partition(':')[2][:6]}"
