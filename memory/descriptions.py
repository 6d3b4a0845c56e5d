"""Descriptions: the backlog of memories, and the descriptions by video LMMs.

descriptions = Descriptions(tables, committed, writes, encoder, backlog)
for item in descriptions.ready(limit=16):
    ...
descriptions.add([(moment, observation)])     # and they wait no longer
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from .budgeted_writes import BudgetedWrites
from .committed_tables import CommittedTables
from .encoder import Encoder
from .storage.backlog import Backlog
from .storage.rows import description_row
from .storage.tables import Tables, all_of, quoted, select_arrow
from .storage.vectors import text_vector_rows
from .values import Moment, Observation, Pending, Rung


class Descriptions:
    """The descriptions of one memory. May be used from several threads."""

    def __init__(
        self,
        opened: Tables,
        committed: CommittedTables,
        writes: BudgetedWrites,
        encoder: Encoder | None,
        backlog: Backlog,
    ) -> None:
        self._tables, self._committed, self._writes = opened, committed, writes
        self._encoder, self._backlog = encoder, backlog

    def enqueue(self, items: Sequence[Pending]) -> None:
        """Queue stored memories. One that was given up is tried again."""
        with self._writes.transaction() as change:
            self._backlog.put(change, items)

    def add(self, results: Sequence[tuple[Moment, Observation]]) -> None:
        """Add descriptions. See ``MemoryStore.described``."""
        rows = [description_row(moment, observation) for moment, observation in results]
        described = {row["id"]: row for row in rows}
        vectors = text_vector_rows(self._encoder, list(described.values()))
        stream_bytes = {row["stream"]: row["bytes"] for row in described.values()}
        with self._writes.transaction(stream_bytes) as change:
            stored = self._committed.rows_of({moment.id for moment, _ in results})
            remembered = set(stored.values())
            new = {
                key: row
                for key, row in described.items()
                if key not in stored and row["moment_id"] in remembered
            }
            change.append(self._tables.text_vectors, [row for row in vectors if row["id"] in new])
            change.append(self._tables.observations, list(new.values()))
            self._backlog.remove(change, (moment.id for moment, _ in results))

    def note_failure(self, item: Pending, error: str, *, is_charged: bool) -> None:
        """Keep the error, and count a failed attempt if it ``is_charged``: after ``MAX_ATTEMPTS`` it is given up."""
        with self._writes.transaction() as change:
            self._backlog.failed(change, item, error, is_charged=is_charged)

    def remove(self, moment_ids: Collection[str]) -> None:
        """These memories wait no longer."""
        with self._writes.transaction() as change:
            self._backlog.remove(change, moment_ids)

    def not_described(self, written_by: Mapping[Rung, str], stream: str | None) -> list[str]:
        """The memories that neither wait nor were described by the writer named for their rung."""
        of_stream = None if stream is None else f"stream = {quoted(stream)}"
        by_writer = " OR ".join(
            f"rung = {quoted(rung)} AND written_by = {quoted(writer)}" for rung, writer in written_by.items()
        )
        described = {*self._moment_ids(of_stream, by_writer), *self._backlog.ids(stream).to_pylist()}
        return [moment_id for moment_id in self._moment_ids(of_stream, "base") if moment_id not in described]

    def _moment_ids(self, of_stream: str | None, where: str) -> list[str]:
        view = self._committed.view(self._tables.observations)
        rows = select_arrow(view, where=all_of(of_stream, where), columns=["moment_id"])
        moment_ids: list[str] = rows["moment_id"].to_pylist()
        return moment_ids
