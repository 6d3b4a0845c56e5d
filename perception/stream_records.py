"""Stream records: which stream of a memory a source belongs to, and what a new stream is called.

    record = find_or_create_record(store, source.info, name=None, fps=4.0)
    record.name

A file is known by its content, also after it has grown: its name and path do not matter. A live source is known by the name of its stream.
Its address is an attribute that may change, and of which the memory keeps no secret part. Without a name, a live
source is looked up by its address, if the stored part of that distinguishes it from every other camera.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from ..common.file_names import path_from, storable_name, storable_path
from ..memory.storage.rows import WITHDRAWN
from ..memory.store import MemoryStore
from ..memory.values import FrameCounts, Span, Stream, StreamState
from .errors import (
    AlreadyWatched,
    SourceUnreachable,
    StreamNameNeeded,
    StreamNameTaken,
    WatchedUnderAnotherName,
)
from .sources.content_identity import Relation
from .sources.file_bytes import is_url
from .sources.source import SourceInfo
from .sources.urls import default_name, hides_selection, redact
from .watch_events import WatchReport


class Content(Protocol):
    """The content of a file, to compare with what is stored of other files."""

    def relation(self, stored_id: str) -> Relation:
        """What the file is to the one of a stored content id."""


def find_or_create_record(
    store: MemoryStore,
    info: SourceInfo,
    *,
    name: str | None,
    fps: float,
    address: str | None = None,
    content: Content | None = None,
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
        content: The content of a file. None if it is known by its content id alone.
        watched: The streams that are being watched, with their content ids.

    Raises:
        AlreadyWatched: The stream is being watched.
        SourceUnreachable: A file with this URL was watched, and its server does not serve it now.
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
        stored = _file_stream(store, info, name, content)
    if stored is not None:
        if stored.name in watched:
            raise AlreadyWatched(info.source, stored.name)
        return stored
    if name is not None and (taken := store.stream(name)) is not None:
        raise StreamNameTaken(name, redact(taken.source) if taken.kind == "live" else taken.source)
    return Stream(
        name=_free_name(store, info, watched) if name is None else name,
        kind=info.kind,
        source=_stored_source(info),
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
    for stream in store.streams():
        if stream.kind == "file" and stream.source == info.source:
            raise SourceUnreachable(
                info.source, f"the file of the stream {stream.name!r} is not served there now", 1
            )
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


def _file_stream(
    store: MemoryStore, info: SourceInfo, name: str | None, content: Content | None
) -> Stream | None:
    """The stream of a file, with its present path and content. None if it is new.

    A file that has grown since goes on with its stream, also if that was done.
    """
    match = _find_content(store, info.content_id, content)
    if match is None:
        return None
    known, relation = match
    if name is not None and name != known.name:
        raise WatchedUnderAnotherName(info.source, known.name, name)
    stream = known
    if relation == "grown":
        _withdraw_last_gap(store, stream.name)
        state: StreamState = "stopped" if stream.state == "done" else stream.state
        stream = replace(stream, state=state, duration_s=info.duration_s)
    if relation == "grown" or not path_from(stream.source).is_file():
        # Looking again must find the file.
        stream = replace(stream, source=_stored_source(info))
    if len(info.content_id) >= len(stream.content_id) or relation == "grown":
        stream = replace(stream, content_id=info.content_id)
    if stream != known:
        store.put_stream(stream)
    return stream


def _find_content(
    store: MemoryStore, content_id: str, content: Content | None
) -> tuple[Stream, Relation] | None:
    """The stream of a file, or else the one that reaches furthest of those that its first bytes are known of."""
    files = [stream for stream in store.streams() if stream.kind == "file"]
    for stream in files:
        if stream.content_id == content_id:
            return stream, "same"
    relations = [] if content is None else [(stream, content.relation(stream.content_id)) for stream in files]
    for stream, relation in relations:
        if relation == "same":
            return stream, relation
    grown = [stream for stream, relation in relations if relation == "grown"]
    return (max(grown, key=lambda stream: _reached_s(store, stream)), "grown") if grown else None


def _reached_s(store: MemoryStore, stream: Stream) -> float:
    point = store.resume(stream.name)
    return 0.0 if point is None else point.end_s


def _withdraw_last_gap(store: MemoryStore, name: str) -> None:
    """Withdraw the gap at the end of a file that has grown: its frames may be there now."""
    point, gaps = store.resume(name), store.snapshot().gaps(name)
    last = max(gaps, key=lambda gap: gap.span.end_s, default=None)
    if point is not None and last is not None and last.span.end_s >= point.end_s:
        span = Span(last.span.start_s, last.span.start_s)
        store.put_gap(replace(last, span=span, cause=WITHDRAWN, counts=FrameCounts()))


def _stored_source(info: SourceInfo) -> str:
    """The path or address under which a source is stored."""
    if info.kind == "live" or is_url(info.source):
        return info.source
    return storable_path(Path(info.source).resolve())


def _free_name(store: MemoryStore, info: SourceInfo, watched: Mapping[str, str]) -> str:
    """A name from the path or address, with a part of the content id if another stream has that name."""
    if info.kind == "live":
        name = default_name(info.source)
    else:
        path = unquote(urlsplit(info.source).path) if is_url(info.source) else info.source
        name = storable_name(Path(path).stem) or default_name(info.source)
    if name not in watched and store.stream(name) is None:
        return name
    return f"{name}-{info.content_id.partition(':')[2][:6]}"
