"""What waits to be described, kept on disk so that no crash forgets it.

    backlog = Backlog(folder, create=True)
    backlog.add([Pending(moment.id, "kitchen", "moment", moment.span, change=0.5, queued_at_s=now)])
    backlog.ready(limit=16)        # the next to describe
    backlog.remove([moment.id])

The newest minute of queueing goes first, and in it the most eventful; what has failed before goes
last. An event, hour or day is not ready while anything that it is made of waits. Who describes, and
how, is not known here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from . import schema, tables
from .tables import all_of, one_of, quoted, select_arrow
from .values import RUNGS, BacklogCounts, Pending, Span

MOST_ATTEMPTS = 3
"""What failed so often waits no longer; its error stays."""
_COLUMNS = pa.schema(
    [
        pa.field("moment_id", pa.string()),
        pa.field("stream", pa.string()),
        pa.field("rung", pa.string()),
        pa.field("start_s", pa.float64()),
        pa.field("end_s", pa.float64()),
        pa.field("change", pa.float64()),
        pa.field("queued_at_s", pa.float64()),
        pa.field("attempts", pa.int64()),
        pa.field("error", pa.string()),
        pa.field("failed_at_s", pa.float64()),
    ]
)
_MINUTE_S = 60.0
_IDS_A_QUERY = 500


class Backlog:
    """The table of what waits. May be used from several threads."""

    def __init__(self, folder: Path, *, create: bool) -> None:
        self._folder = folder
        self._found = tables.open_table(folder, "backlog", _COLUMNS, create=create)
        # Whatever rewrites rows may collide with another rewrite; it takes milliseconds, so one at a time.
        self._writing = threading.Lock()

    def add(self, items: Sequence[Pending]) -> None:
        """Put new items in the queue."""
        if items:
            with self._writing:
                tables.append(self._table, [_row(item) for item in items])

    def put(self, items: Sequence[Pending]) -> None:
        """Put items in the queue, in the place of those of the same moments where there are any."""
        if items:
            with self._writing:
                rows = [_row(item) for item in items]
                tables.upsert(self._table, "moment_id", rows, replace=True)

    def remove(self, moment_ids: Iterable[str]) -> None:
        """They wait no longer."""
        ids = sorted(set(moment_ids))
        with self._writing:
            for at in range(0, len(ids), _IDS_A_QUERY):
                self._table.delete(one_of("moment_id", ids[at : at + _IDS_A_QUERY]))

    def failed(self, item: Pending, error: str) -> None:
        """It was tried in vain once more."""
        again = replace(item, attempts=item.attempts + 1, error=error)
        with self._writing:
            row = _row(again, failed_at_s=time.time())
            tables.upsert(self._table, "moment_id", [row], replace=True)

    def ready(self, *, limit: int, stream: str | None = None) -> list[Pending]:
        """The first ``limit`` that can be described now, the next first."""
        if (table := self._looked_for()) is None:
            return []
        waiting = _each_once(select_arrow(table, where=_waiting(stream)))
        order = _order(waiting)
        order = order[_nothing_below_waits(waiting)[order]]
        return [_pending(row) for row in waiting.take(pa.array(order[:limit])).to_pylist()]

    def ids(self, stream: str | None = None) -> pa.ChunkedArray:
        """The ids of the moments that wait, each once."""
        if (table := self._looked_for()) is None:
            return pa.chunked_array([], pa.string())
        return pc.unique(select_arrow(table, where=_waiting(stream), columns=["moment_id"])["moment_id"])

    def counts(self) -> dict[str, BacklogCounts]:
        """How much waits and was given up, by stream; streams without either are left out."""
        if (table := self._looked_for()) is None:
            return {}
        columns = ["moment_id", "stream", "attempts", "queued_at_s", "failed_at_s", "error"]
        rows = _each_once(select_arrow(table, columns=columns)).to_pylist()
        counts = {}
        for name in sorted({row["stream"] for row in rows}):
            here = [row for row in rows if row["stream"] == name]
            queued = [row["queued_at_s"] for row in here if row["attempts"] < MOST_ATTEMPTS]
            failed = [row for row in here if row["failed_at_s"] is not None]
            counts[name] = BacklogCounts(
                waiting=len(queued),
                oldest_queued_at_s=min(queued, default=None),
                given_up=len(here) - len(queued),
                last_error=max(failed, key=lambda row: row["failed_at_s"])["error"] if failed else "",
            )
        return counts

    def tidy(self, *, needed_since_s: float, thorough: bool) -> None:
        """Merge fragments, and delete versions that nobody needs who began to read at ``needed_since_s``."""
        with self._writing:
            if (table := self._looked_for()) is not None:
                tables.tidy(table, needed_since_s=needed_since_s, thorough=thorough)

    @property
    def _table(self) -> tables.Table:
        if (table := self._looked_for()) is None:
            raise RuntimeError(f"{self._folder} has no backlog; it must be opened for writing once")
        return table

    def _looked_for(self) -> tables.Table | None:
        """The table; None in a memory of an early version that nobody has opened for writing since."""
        if self._found is None:
            self._found = tables.open_table(self._folder, "backlog", _COLUMNS, create=False)
        return self._found


def _waiting(stream: str | None) -> str | None:
    """A filter that keeps what waits, of one stream or of all."""
    of_stream = None if stream is None else f"stream = {quoted(stream)}"
    return all_of(f"attempts < {MOST_ATTEMPTS}", of_stream)


def _each_once(rows: pa.Table) -> pa.Table:
    """Without what was queued a second time, after a crash between queueing and remembering."""
    if pc.count_distinct(rows["moment_id"]).as_py() == len(rows):
        return rows
    _, first = np.unique(rows["moment_id"].to_numpy(), return_index=True)
    return rows.take(pa.array(np.sort(first)))


def _order(waiting: pa.Table) -> NDArray[np.int64]:
    """The rows' places, the next to describe first."""
    numbers = {name: waiting[name].to_numpy() for name in ("attempts", "queued_at_s", "change", "start_s")}
    minutes = numbers["queued_at_s"] // _MINUTE_S
    # The last key counts most.
    return np.lexsort((-numbers["start_s"], -numbers["change"], -minutes, numbers["attempts"]))


def _nothing_below_waits(waiting: pa.Table) -> NDArray[np.bool_]:
    """For each row, whether no row of a lower rung of its stream overlaps it."""
    streams = waiting["stream"].to_numpy()
    rungs = np.array([RUNGS.index(rung) for rung in waiting["rung"].to_pylist()], np.int64)
    starts, ends = waiting["start_s"].to_numpy(), waiting["end_s"].to_numpy()
    free = np.ones(len(waiting), np.bool_)
    for stream in np.unique(streams[rungs > 0]):
        for rung in range(1, len(RUNGS)):
            above = (streams == stream) & (rungs == rung)
            below = np.flatnonzero((streams == stream) & (rungs < rung))
            if not above.any() or not len(below):
                continue
            below = below[np.argsort(starts[below])]
            # Of all that begin before the row ends, the one that lasts longest decides.
            reach = np.concatenate(([-np.inf], np.maximum.accumulate(ends[below])))
            begun = np.searchsorted(starts[below], ends[above], side="left")
            free[above] = reach[begun] <= starts[above]
    return free


def _row(item: Pending, failed_at_s: float | None = None) -> schema.Row:
    """The row of something that waits; ``failed_at_s`` where describing it has just failed."""
    return {
        "moment_id": item.moment_id,
        "stream": item.stream,
        "rung": item.rung,
        "start_s": item.span.start_s,
        "end_s": item.span.end_s,
        "change": item.change,
        "queued_at_s": item.queued_at_s,
        "attempts": item.attempts,
        "error": item.error,
        "failed_at_s": failed_at_s,
    }


def _pending(row: Mapping[str, Any]) -> Pending:
    """What waits, of a row."""
    return Pending(
        moment_id=row["moment_id"],
        stream=row["stream"],
        rung=row["rung"],
        span=Span(row["start_s"], row["end_s"]),
        change=row["change"],
        queued_at_s=row["queued_at_s"],
        attempts=row["attempts"],
        error=row["error"],
    )
