"""What waits to be described, kept on disk so that no crash forgets it.

    backlog = Backlog(tables.backlog)
    with commits.commit() as change:
        backlog.add(change, [Pending(moment.id, "kitchen", "moment", moment.span, change=0.5, queued_at_s=now)])
    backlog.ready(limit=16)        # the next to describe

The newest minute of queueing goes first, and in it the most eventful; what has failed before goes
last. An event, hour or day is not ready while anything that it is made of waits. Who describes, and
how, is not known here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..values import RUNGS, BacklogCounts, Pending
from .commits import Transaction
from .rows import pending_from, pending_row
from .tables import Table, all_of, latest_view, one_of, quoted, select_arrow

MAX_ATTEMPTS = 3
"""What failed so often waits no longer; its error stays."""
_MINUTE_S = 60.0
_IDS_A_QUERY = 500


class Backlog:
    """The table of what waits. May be used from several threads."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, change: Transaction, items: Sequence[Pending]) -> None:
        """Put new items in the queue."""
        change.append(self._table, [pending_row(item) for item in items])

    def put(self, change: Transaction, items: Sequence[Pending]) -> None:
        """Put items in the queue, in the place of those of the same moments where there are any."""
        change.upsert(self._table, "moment_id", [pending_row(item) for item in items])

    def remove(self, change: Transaction, moment_ids: Iterable[str]) -> None:
        """They wait no longer."""
        ids = sorted(set(moment_ids))
        for at in range(0, len(ids), _IDS_A_QUERY):
            change.delete(self._table, one_of("moment_id", ids[at : at + _IDS_A_QUERY]))

    def failed(self, change: Transaction, item: Pending, error: str) -> None:
        """It was tried in vain once more."""
        again = replace(item, attempts=item.attempts + 1, error=error)
        change.upsert(self._table, "moment_id", [pending_row(again, failed_at_s=time.time())])

    def ready(self, *, limit: int, stream: str | None = None) -> list[Pending]:
        """The first ``limit`` that can be described now, the next first."""
        waiting = select_arrow(latest_view(self._table), where=_waiting(stream))
        order = _order(waiting)
        order = order[_nothing_below_waits(waiting)[order]]
        return [pending_from(row) for row in waiting.take(pa.array(order[:limit])).to_pylist()]

    def ids(self, stream: str | None = None) -> pa.ChunkedArray:
        """The ids of the moments that wait."""
        return select_arrow(latest_view(self._table), where=_waiting(stream), columns=["moment_id"])[
            "moment_id"
        ]

    def counts(self) -> dict[str, BacklogCounts]:
        """How much waits and was given up, by stream; streams without either are left out."""
        columns = ["stream", "attempts", "queued_at_s", "failed_at_s", "error"]
        rows = select_arrow(latest_view(self._table), columns=columns).to_pylist()
        counts = {}
        for name in sorted({row["stream"] for row in rows}):
            here = [row for row in rows if row["stream"] == name]
            queued = [row["queued_at_s"] for row in here if row["attempts"] < MAX_ATTEMPTS]
            failed = [row for row in here if row["failed_at_s"] is not None]
            counts[name] = BacklogCounts(
                waiting=len(queued),
                oldest_queued_at_s=min(queued, default=None),
                given_up=len(here) - len(queued),
                last_error=max(failed, key=lambda row: row["failed_at_s"])["error"] if failed else "",
            )
        return counts


def _waiting(stream: str | None) -> str | None:
    """A filter that keeps what waits, of one stream or of all."""
    of_stream = None if stream is None else f"stream = {quoted(stream)}"
    return all_of(f"attempts < {MAX_ATTEMPTS}", of_stream)


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
