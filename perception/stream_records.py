"""Stream records: which stream of a memory a source belongs to, and what a new stream is called.

    record = find_or_create_record(store, source.info, name=None, fps=4.0)
    record.name

A file is known by its content: its name and path do not matter. A live source is known by the name of its stream.
Its address is an attribute that may change, and of which the memory keeps no secret part. Without a name, a live
source is looked up by its address, if the stored part of that distinguishes it from every other camera.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..memory.store import MemoryStore
from ..memory.values import FrameCounts, Stream
from .errors import AlreadyWatched, StreamNameNeeded, StreamNameTaken, WatchedUnderAnotherName
from .sources.source import SourceInfo
from .sources.urls import default_name, hides_selection, redact
from .watch_events import WatchReport


def find_or_create_record(
    store: MemoryStore,
    info: SourceInfo,
    *,
    name: str | None,
    fps: float,
    address: str | None = None,
    watched: Mapping[str, str] | None = None,
) -> Stream:
    """The stream of a source: the one that the memory knows, or a new one under a free name.

    A stream that was watched before keeps its name and its rate: resuming it at another rate would mix two samplings.

    Args:
        store: The memory.
        info: Facts about the source.
        name: The name that the user gave. It is never ignored.
        fps: Sampled frames per second of a new stream.
        address: The whole address of a live source, secrets included. None if only the redacted one is known.
        watched: The streams that are being watched, with their content ids.

    Raises:
        AlreadyWatched: The stream is being watched.
        StreamNameTaken: The name belongs to another source.
        StreamNameNeeded: Several cameras may have the address of this one, as far as it is stored.
        WatchedUnderAnotherName: The file belongs to a stream of another name.
    """
    watched = watched or {}
    if name is not None and name in watched:
        raise AlreadyWatched(info.source, name)
    if info.kind == "live":
        stored = _live_stream(store, info, name, address or info.source, watched)
    else:
        stored = _file_stream(store, info, name)
    if stored is not None:
        if stored.name in watched:
            raise AlreadyWatched(info.source, stored.name)
        return stored
    if name is not None and (taken := store.stream(name)) is not None:
        raise StreamNameTaken(name, redact(taken.source) if taken.kind == "live" else taken.source)
    return Stream(
        name=_free_name(store, info, watched) if name is None else name,
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


def _live_stream(
    store: MemoryStore, info: SourceInfo, name: str | None, address: str, watched: Mapping[str, str]
) -> Stream | None:
    """The stream of a live source, with its present address. None if it is a new one."""
    if name is not None:
        named = store.stream(name)
        return (
            _with_present_address(store, named, info) if named is not None and named.kind == "live" else None
        )
    known = {stream.name: stream for stream in store.streams() if stream.content_id == info.content_id}
    names = {*known, *(name for name, content_id in watched.items() if content_id == info.content_id)}
    if len(names) > 1 or (names and hides_selection(address)):
        raise StreamNameNeeded(info.source, tuple(sorted(names)))
    if names - known.keys():
        raise AlreadyWatched(info.source, *names)
    return next(iter(known.values()), None)


def _with_present_address(store: MemoryStore, stream: Stream, info: SourceInfo) -> Stream:
    if (stream.source, stream.content_id) == (info.source, info.content_id):
        return stream
    stream = replace(stream, source=info.source, content_id=info.content_id)
    store.put_stream(stream)
    return stream


def _file_stream(store: MemoryStore, info: SourceInfo, name: str | None) -> Stream | None:
    """The stream of a file, with its present path if it was moved, so that inspection finds it. None if it is new."""
    stream = store.stream_with_content(info.content_id)
    if stream is None:
        return None
    if name is not None and name != stream.name:
        raise WatchedUnderAnotherName(info.source, stream.name, name)
    if not Path(stream.source).is_file():
        stream = replace(stream, source=str(Path(info.source).resolve()))
        store.put_stream(stream)
    return stream


def _free_name(store: MemoryStore, info: SourceInfo, watched: Mapping[str, str]) -> str:
    """A name from the path or address, with a part of the content id if another stream has that name."""
    name = Path(info.source).stem if info.kind == "file" else default_name(info.source)
    if name not in watched and store.stream(name) is None:
        return name
    return f"{name}-{info.content_id.partition(':')[2][:6]}"
