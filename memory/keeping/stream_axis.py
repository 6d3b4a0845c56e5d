"""Stream axis: maps the times of all streams to one line of numbers, for comparisons with NumPy.

axis = StreamAxis()
starts, ends = axis.positions(parents, "start_s"), axis.positions(parents, "end_s")
containing_index(starts, ends, axis.positions(frames, "time_s"))      # the parent of each frame, or -1
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..values import Span

Floats = NDArray[np.float64]
Indexes = NDArray[np.int64]


class StreamAxis:
    """All streams one after the other on one line."""

    _STREAM_S = 4e9
    """The length of each stream's part of the line, in seconds."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def origin(self, stream: str) -> float:
        """The position of a stream's time 0."""
        return self._STREAM_S * self._numbers.setdefault(stream, len(self._numbers))

    def positions(self, rows: pa.Table, column: str) -> Floats:
        """The positions of rows, by their ``stream`` and a column of times. Shape ``(rows,)``."""
        if not len(rows):
            return np.zeros(0)
        names = rows["stream"].combine_chunks().dictionary_encode()
        origins = np.array([self.origin(name) for name in names.dictionary.to_pylist()])
        positions: Floats = origins[names.indices.to_numpy()] + to_floats(rows[column])
        return positions

    def interval(self, stream: str, span: Span) -> tuple[float, float]:
        """The positions of the start and the end of a span."""
        origin = self.origin(stream)
        return origin + span.start_s, origin + min(span.end_s, self._STREAM_S - 1)


def containing_index(starts: Floats, ends: Floats, positions: Floats) -> Indexes:
    """For each position, the index of the interval that contains it, or -1. The intervals are sorted and disjoint."""
    if not len(starts):
        return np.full(len(positions), -1, np.int64)
    indexes = np.searchsorted(starts, positions, side="right") - 1
    return np.where((indexes >= 0) & (positions < ends[indexes]), indexes, -1)


def to_floats(column: pa.ChunkedArray) -> Floats:
    """A numeric Arrow column as a NumPy array."""
    floats: Floats = column.to_numpy().astype(np.float64)
    return floats
