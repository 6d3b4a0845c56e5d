"""Stream catalog: the streams of a memory, their gaps, and where each is to be resumed.

catalog = StreamCatalog(tables, committed, writes)
catalog.put_stream(stream)
catalog.resume("kitchen")        # ResumePoint(end_s=1260.0, epoch=0, shot=12, moments=131)
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from .budgeted_writes import BudgetedWrites
from .committed_tables import CommittedTables
from .storage.rows import gap_row, gaps_from, parse_records, stream_row, streams_from, tombstones_from
from .storage.tables import Tables, View, count_rows, quoted, select
from .values import Gap, Stream


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where the memory of a stream ends."""

    end_s: float
    """End of its last moment or gap, whichever is later, in stream time."""
    epoch: int
    """The last moment's epoch."""
    shot: int
    """The last moment's shot."""
    moments: int
    """How many moments it holds."""
    origin_wall_s: float | None = None
    """Unix seconds at stream time 0, as the wall clock was set at the end. None without a wall clock."""


class StreamCatalog:
    """The streams of one memory. May be used from several threads."""

    def __init__(self, opened: Tables, committed: CommittedTables, writes: BudgetedWrites) -> None:
        self._tables, self._committed, self._writes = opened, committed, writes

    def put_stream(self, stream: Stream) -> None:
        """Add a stream, or overwrite the one of that name."""
        with self._writes.transaction() as change:
            change.upsert(self._tables.streams, "name", [stream_row(stream)])

    def put_gap(self, gap: Gap, written_at_s: float | None) -> None:
        """Add a gap, or what became of it since."""
        row = gap_row(gap, time.time() if written_at_s is None else written_at_s)
        with self._writes.transaction() as change:
            change.upsert(self._tables.gaps, "revision_id", [row])

    def streams(self) -> list[Stream]:
        """Every stream, by name."""
        return streams_from(select(self._committed.view(self._tables.streams)))

    def stream(self, name: str) -> Stream | None:
        """The stream of that name, or None."""
        rows = select(self._committed.view(self._tables.streams), where=f"name = {quoted(name)}")
        return next(iter(streams_from(rows)), None)

    def resume(self, name: str) -> ResumePoint | None:
        """Where to resume watching a stream. None if nothing of it is remembered."""
        of_stream = f"stream = {quoted(name)}"
        moments = f"{of_stream} AND base AND rung = 'moment'"
        observations = self._committed.view(self._tables.observations)
        # The last moment, or the memory above it if the moment was evicted.
        last = _last_record(observations, moments) + _last_record(observations, f"{of_stream} AND base")
        gaps = gaps_from(select(self._committed.view(self._tables.gaps), where=of_stream))
        tombstones = tombstones_from(select(self._committed.view(self._tables.tombstones), where=of_stream))
        others = [(gap.span.end_s, gap.epoch) for gap in gaps]
        others += [(tombstone.span.end_s, tombstone.epoch) for tombstone in tombstones]
        ends = [(record["end_s"], record["epoch"]) for record in last]
        starts = [(gap.span.end_s, gap.span.start_s, gap.wall_start_s) for gap in gaps]
        starts += [(record["end_s"], record["start_s"], record["wall_start_s"]) for record in last]
        newest = max((start for start in starts if start[2] is not None), default=None)
        if not ends and not others:
            return None
        return ResumePoint(
            end_s=max(end_s for end_s, _ in (*ends, *others)),
            epoch=max(epoch for _, epoch in ends or others),
            shot=last[0]["shot"] if last else 0,
            moments=count_rows(observations, moments),
            origin_wall_s=None if newest is None or newest[2] is None else newest[2] - newest[1],
        )


def _last_record(observations: View, where: str) -> list[Any]:
    """The record of the last memory that ``where`` keeps, if any."""
    rows = select(
        observations,
        where=where,
        columns=["record", "digest", "end_s"],
        order_by=["end_s"],
        descending=True,
        limit=1,
    )
    return list(parse_records(rows))
