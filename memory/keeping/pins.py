"""Stretches of streams that are never forgotten for want of room, within a quota of their own.

    pins = Pins(folder, tables, commits, budget_bytes=20_000_000_000)
    pins.add("door", Span(80.0, 95.0), note="the parcel")     # raises PinsFull, NothingToPin

What a pin keeps is every event that it touches, whole: its moments, its pictures, and what stands above it. Pins
together may keep a tenth of the budget; one that does not fit is refused, and never pushes out another.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow.compute as pc

from ..errors import NothingToPin, PinsFull
from ..query.hybrid_search import overlap_filter
from ..storage.commits import Commits
from ..storage.rows import pin_row, pins_from
from ..storage.tables import Tables, all_of, latest_view, one_of, quoted, select, select_arrow
from ..values import Pin, Span, make_id, merged_spans
from .maintenance import maintenance_lock

PIN_SHARE = 0.1
"""Of the budget, for all pins together."""


class Pins:
    """The pins of one memory. Needs no writer's lock: something may be pinned while a stream is watched."""

    def __init__(self, folder: Path, opened: Tables, commits: Commits, budget_bytes: int) -> None:
        self._folder, self._tables, self._commits = folder, opened, commits
        self.quota_bytes = int(PIN_SHARE * budget_bytes)
        """What all pins together may keep, before it is compressed."""

    def all(self) -> list[Pin]:
        """Every pin, by stream and time."""
        return pins_from(select(latest_view(self._tables.pins)))

    def add(self, stream: str, span: Span, note: str = "") -> Pin:
        """Pin a stretch of a stream; the same stretch again changes the note.

        Raises ``NothingToPin`` where nothing is remembered there, and ``PinsFull`` where it does not fit.
        """
        # Nothing is forgotten between looking and pinning.
        with maintenance_lock(self._folder), self._commits.commit() as change:
            kept = self._kept(stream, [span])
            if not kept:
                raise NothingToPin(stream, span.start_s, span.end_s)
            clipped = span.clipped_to(Span(kept[0].start_s, kept[-1].end_s)) or kept[0]
            pin = Pin(
                make_id(stream, "pin", round(clipped.start_s * 1000), round(clipped.end_s * 1000)),
                stream,
                clipped,
                note,
                time.time(),
            )
            used_bytes = self.used_bytes([one for one in self.all() if one.id != pin.id])
            needed_bytes = self.used_bytes([*self.all(), pin])
            if needed_bytes > self.quota_bytes:
                raise PinsFull(self._folder, needed_bytes - used_bytes, used_bytes, self.quota_bytes)
            change.upsert(self._tables.pins, "id", [pin_row(pin)])
        return pin

    def remove(self, pin_id: str) -> bool:
        """Take a pin away; whether there was one. What it kept is forgotten like anything else from now on."""
        with self._commits.commit() as change:
            there = any(pin.id == pin_id for pin in self.all())
            change.delete(self._tables.pins, one_of("id", [pin_id]))
        return there

    def used_bytes(self, pins: Iterable[Pin] | None = None) -> int:
        """What pins keep, before it is compressed; all that there are, where none are given."""
        of_stream: dict[str, list[Span]] = {}
        for pin in self.all() if pins is None else pins:
            of_stream.setdefault(pin.stream, []).append(pin.span)
        return sum(self._bytes(stream, self._kept(stream, spans)) for stream, spans in of_stream.items())

    def _kept(self, stream: str, spans: Sequence[Span]) -> list[Span]:
        """The events that these touch, and moments that are in none, as stretches in time order."""
        rows = select(
            latest_view(self._tables.observations),
            where=all_of(
                f"stream = {quoted(stream)}",
                "base AND rung IN ('moment', 'event')",
                " OR ".join(f"({overlap_filter(span)})" for span in spans),
            ),
            columns=["start_s", "end_s"],
        )
        return merged_spans(Span(row["start_s"], row["end_s"]) for row in rows)

    def _bytes(self, stream: str, kept: Sequence[Span]) -> int:
        of_stream = f"stream = {quoted(stream)}"
        total = 0
        for table, start, end in (
            (self._tables.observations, "start_s", "end_s"),
            (self._tables.frames, "time_s", "time_s"),
        ):
            for span in kept:
                inside = f"{start} < {span.end_s!r} AND {end} >= {span.start_s!r}"
                sizes = select_arrow(latest_view(table), where=all_of(of_stream, inside), columns=["bytes"])[
                    "bytes"
                ]
                total += int(pc.sum(sizes).as_py() or 0)
        return total
