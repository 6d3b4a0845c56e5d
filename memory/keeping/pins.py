"""Pins: spans of streams that are never evicted, within a quota of their own.

    pins = Pins(folder, tables, commits, budget_bytes=20_000_000_000)
    pins.add("door", Span(80.0, 95.0), note="the parcel")     # raises PinsFull, NothingToPin

A pin keeps every event that it overlaps, complete with its moments, its pictures and its parents. All pins
together may keep a tenth of the disk budget. A pin that does not fit is refused, and never replaces another.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow.compute as pc

from ..errors import NothingToPin, PinsFull
from ..query.filters import overlap_filter
from ..storage.commits import Commits
from ..storage.rows import pin_row, pins_from
from ..storage.tables import Tables, all_of, latest_view, one_of, quoted, select, select_arrow
from ..values import Pin, Span, make_id, merged_spans
from .maintenance_lock import maintenance_lock

PIN_SHARE = 0.1
"""The quota of all pins together, as a share of the disk budget."""


class Pins:
    """The pins of one memory. Needs no writer lock, so a span can be pinned while its stream is watched."""

    def __init__(self, folder: Path, opened: Tables, commits: Commits, budget_bytes: int) -> None:
        self._folder, self._tables, self._commits = folder, opened, commits
        self.quota_bytes = int(PIN_SHARE * budget_bytes)
        """Most uncompressed bytes that all pins together may keep."""

    def all(self) -> list[Pin]:
        """Every pin, by stream and time."""
        return pins_from(select(latest_view(self._tables.pins)))

    def add(self, stream: str, span: Span, note: str = "") -> Pin:
        """Pin a span of a stream. Pinning the same span again replaces the note.

        Raises ``NothingToPin`` if the span has no memories, and ``PinsFull`` if they do not fit the quota.
        """
        # Nothing is evicted between the check and the commit.
        with maintenance_lock(self._folder), self._commits.commit() as change:
            kept = self._kept_spans(stream, [span])
            if not kept:
                raise NothingToPin(stream, span.start_s, span.end_s)
            clipped = span.clipped_to(Span(kept[0].start_s, kept[-1].end_s)) or kept[0]
            pin = Pin(make_pin_id(stream, clipped), stream, clipped, note, time.time())
            used_bytes = self.used_bytes([earlier for earlier in self.all() if earlier.id != pin.id])
            needed_bytes = self.used_bytes([*self.all(), pin])
            if needed_bytes > self.quota_bytes:
                raise PinsFull(self._folder, needed_bytes - used_bytes, used_bytes, self.quota_bytes)
            change.upsert(self._tables.pins, "id", [pin_row(pin)])
        return pin

    def remove(self, pin_id: str) -> bool:
        """Remove a pin. Its memories can be evicted from now on. Returns whether it existed."""
        with self._commits.commit() as change:
            exists = any(pin.id == pin_id for pin in self.all())
            change.delete(self._tables.pins, one_of("id", [pin_id]))
        return exists

    def used_bytes(self, pins: Iterable[Pin] | None = None) -> int:
        """Uncompressed bytes that these pins keep, or that all stored pins keep."""
        spans_by_stream: dict[str, list[Span]] = {}
        for pin in self.all() if pins is None else pins:
            spans_by_stream.setdefault(pin.stream, []).append(pin.span)
        return sum(
            self._row_bytes(stream, self._kept_spans(stream, spans))
            for stream, spans in spans_by_stream.items()
        )

    def _kept_spans(self, stream: str, spans: Sequence[Span]) -> list[Span]:
        """The spans of the events that overlap these spans, and of moments without an event, in time order."""
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

    def _row_bytes(self, stream: str, spans: Sequence[Span]) -> int:
        of_stream = f"stream = {quoted(stream)}"
        total_bytes = 0
        for table, start, end in (
            (self._tables.observations, "start_s", "end_s"),
            (self._tables.frames, "time_s", "time_s"),
        ):
            for span in spans:
                inside = f"{start} < {span.end_s!r} AND {end} >= {span.start_s!r}"
                rows = select_arrow(latest_view(table), where=all_of(of_stream, inside), columns=["bytes"])
                total_bytes += int(pc.sum(rows["bytes"]).as_py() or 0)
        return total_bytes


def make_pin_id(stream: str, span: Span) -> str:
    """The id of the pin of this span."""
    return make_id(stream, "pin", round(span.start_s * 1000), round(span.end_s * 1000))
