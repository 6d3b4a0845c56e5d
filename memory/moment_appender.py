"""Moment appender: adds moments with their pictures and vectors to a memory in one commit, each of them once.

appender = MomentAppender(tables, committed, writes, encoder, backlog)
appender.append(moments, frames, waiting)
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from .budgeted_writes import BudgetedWrites
from .committed_tables import CommittedTables
from .encoder import Encoder
from .storage.backlog import Backlog
from .storage.rows import frame_row, observation_rows
from .storage.tables import Rows, Tables
from .storage.vectors import frame_vector_rows, moments_of_frames, text_vector_rows
from .values import KeyFrame, Moment, Pending, extents_of

_VECTOR_OVERHEAD_BYTES = 200


class MomentAppender:
    """Appends to one memory. Several threads may append to different streams."""

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
        self._settled: set[str] = set()
        """Streams whose last batch is known to be stored: new moments need no look-up."""

    def settle(self, stream: str) -> None:
        """Nothing of this stream is stored, so no part of a batch can be."""
        self._settled.add(stream)

    def unsettle(self, stream: str) -> None:
        """Look up which moments of this stream's next batch are stored."""
        self._settled.discard(stream)

    def append(
        self, moments: Sequence[Moment], frames: Sequence[KeyFrame], waiting: Sequence[Pending]
    ) -> None:
        """Append the moments that are not stored yet. See ``MemoryStore.append``."""
        stored = self._stored_of_unsettled(moments)
        moments = [moment for moment in moments if moment.id not in stored]
        owners = {frame_id: moment for moment in moments for frame_id in moment.frame_ids}
        frames = [frame for frame in frames if frame.id in owners or not stored]
        observations = _observation_rows(moments, frames)
        pictures = _frame_rows(frames, owners, observations)
        moment_of_frame = moments_of_frames(observations)
        owned = [
            (frame.id, frame.jpeg, moment_of_frame[frame.id])
            for frame in frames
            if frame.id in moment_of_frame
        ]
        frame_vectors = frame_vector_rows(self._encoder, owned)
        text_vectors = text_vector_rows(self._encoder, observations)
        stream_bytes: Counter[str] = Counter()
        for row in (*observations, *pictures):
            stream_bytes[row["stream"]] += row["bytes"]
        streams = set(stream_bytes)
        self._settled -= streams
        vector_bytes = self._vector_bytes(len(text_vectors) + len(frame_vectors))
        with self._writes.transaction(stream_bytes, vector_bytes) as change:
            change.append(self._tables.frames, pictures)
            change.append(self._tables.frame_vectors, frame_vectors)
            change.append(self._tables.text_vectors, text_vectors)
            change.append(self._tables.observations, observations)
            change.extents = extents_of(moments)
            # Last: the captioner reads the newest backlog, and must not find moments that are not stored yet.
            self._backlog.add(change, [item for item in waiting if item.moment_id not in stored])
        self._settled |= streams

    def _stored_of_unsettled(self, moments: Sequence[Moment]) -> set[str]:
        """The ids of those that are stored, of streams whose last batch is in doubt."""
        unsettled = {moment.id for moment in moments if moment.stream not in self._settled}
        return set(self._committed.rows_of(unsettled).values())

    def _vector_bytes(self, count: int) -> int:
        return 0 if self._encoder is None else count * (4 * self._encoder.dim + _VECTOR_OVERHEAD_BYTES)


def _observation_rows(moments: Sequence[Moment], frames: Sequence[KeyFrame]) -> Rows:
    """Rows of the moments. A moment's size counts the pictures it came with."""
    sizes = {frame.id: len(frame.jpeg) for frame in frames}
    rows: Rows = []
    for moment in moments:
        picture_bytes = sum(sizes.get(key, 0) for key in moment.frame_ids) if moment.rung == "moment" else 0
        rows += observation_rows(moment, picture_bytes)
    return rows


def _frame_rows(frames: Sequence[KeyFrame], owners: Mapping[str, Moment], observations: Rows) -> Rows:
    """Rows of the pictures, each written when its moment was."""
    latest_s = max((row["written_at_s"] for row in observations), default=time.time())
    written_at_s = {key: moment.observations[0].written_at_s for key, moment in owners.items()}
    return [frame_row(frame, written_at_s.get(frame.id, latest_s)) for frame in frames]
