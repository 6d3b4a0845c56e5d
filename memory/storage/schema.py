"""How the memory's values lie in tables: their columns. ``rows`` turns values into rows and back.

``observations`` has a row for each moment and writer; ``frames`` the pictures, apart, so that compacting
the memories does not rewrite them; ``gaps`` a row for each time a gap was written, so that "as of" sees it
as it then was; ``tombstones`` what was forgotten; ``streams``, ``pins``, ``uses`` (who was served by which
stretch of a stream) and ``backlog`` (what waits to be described) the rest. Findings travel as JSON in one
column; what is searched, filtered or added up has a column of its own.

With an encoder there are two more: ``text_vectors`` (a row for each observation) and
``frame_vectors`` (a row for each picture of a moment), each with the columns its searches filter by.
They stand apart because they alone are replaced when the encoder is: a column in ``frames`` would
have every picture written anew, ten times a vector's size. A vector can also outlive its picture.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

SCHEMA_VERSION = 3
"""Raised by every change of the tables that an older Recollect would misread; ``migrations`` has the steps."""

Row = dict[str, Any]

_COUNTS = [
    pa.field("captured", pa.int64()),
    pa.field("stored", pa.int64()),
    pa.field("sampled_out", pa.int64()),
    pa.field("merged", pa.int64()),
    pa.field("dropped", pa.string()),
]
COUNT_COLUMNS = [field.name for field in _COUNTS]

FRAMES = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("stream", pa.string()),
        pa.field("time_s", pa.float64()),
        pa.field("pts", pa.int64()),
        pa.field("time_base", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("written_at_s", pa.float64()),
        pa.field("jpeg", pa.binary()),
        pa.field("bytes", pa.int64()),
        pa.field("signature", pa.binary()),
    ]
)

GAPS = pa.schema(
    [
        pa.field("revision_id", pa.string()),
        pa.field("id", pa.string()),
        pa.field("stream", pa.string()),
        pa.field("epoch", pa.int64()),
        pa.field("start_s", pa.float64()),
        pa.field("end_s", pa.float64()),
        pa.field("cause", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("attempts", pa.int64()),
        pa.field("wall_start_s", pa.float64()),
        pa.field("written_at_s", pa.float64()),
        *_COUNTS,
    ]
)

STREAMS = pa.schema(
    [
        pa.field("name", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("source", pa.string()),
        pa.field("content_id", pa.string()),
        pa.field("state", pa.string()),
        pa.field("fps", pa.float64()),
        pa.field("duration_s", pa.float64()),
        pa.field("origin_wall_s", pa.float64()),
        pa.field("error", pa.string()),
    ]
)


OBSERVATIONS = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("moment_id", pa.string()),
        pa.field("rung", pa.string()),
        pa.field("stream", pa.string()),
        pa.field("epoch", pa.int64()),
        pa.field("start_s", pa.float64()),
        pa.field("start_hour", pa.int32()),
        pa.field("end_s", pa.float64()),
        pa.field("frame_ids", pa.list_(pa.string())),
        pa.field("text", pa.string()),
        pa.field("kinds", pa.list_(pa.string())),
        pa.field("written_by", pa.string()),
        pa.field("written_at_s", pa.float64()),
        pa.field("base", pa.bool_()),
        *_COUNTS,
        pa.field("sameness", pa.float32()),
        pa.field("bytes", pa.int64()),
        pa.field("frame_bytes", pa.int64()),
        pa.field("record", pa.string()),
    ]
)

TOMBSTONES = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("stream", pa.string()),
        pa.field("epoch", pa.int64()),
        pa.field("start_s", pa.float64()),
        pa.field("end_s", pa.float64()),
        pa.field("lost", pa.string()),
        pa.field("cause", pa.string()),
        pa.field("memories", pa.int64()),
        pa.field("forgotten_at_s", pa.float64()),
        pa.field("written_from_s", pa.float64()),
        *_COUNTS,
    ]
)

PINS = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("stream", pa.string()),
        pa.field("start_s", pa.float64()),
        pa.field("end_s", pa.float64()),
        pa.field("note", pa.string()),
        pa.field("pinned_at_s", pa.float64()),
    ]
)

USES = pa.schema(
    [
        pa.field("stream", pa.string()),
        pa.field("start_s", pa.float64()),
        pa.field("end_s", pa.float64()),
        pa.field("how", pa.string()),
        pa.field("at_s", pa.float64()),
    ]
)

BACKLOG = pa.schema(
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

TABLES = {
    "observations": OBSERVATIONS,
    "frames": FRAMES,
    "gaps": GAPS,
    "tombstones": TOMBSTONES,
    "streams": STREAMS,
    "backlog": BACKLOG,
    "pins": PINS,
    "uses": USES,
}
"""Every table but those of vectors, which depend on the encoder."""

RECORDED = (
    *("id", "moment_id", "rung", "stream", "epoch", "shot", "start_s", "end_s", "wall_start_s"),
    *("child_ids", "frame_ids", "caption", "findings", "written_by", "written_at_s", "base"),
    *COUNT_COLUMNS,
    "sameness",
)
"""What a record holds: all that is needed to make moments of rows."""

FRAME_VECTOR_COLUMNS = ("moment_id", "stream", "start_s", "start_hour", "end_s", "written_at_s")
TEXT_VECTOR_COLUMNS = ("id", *FRAME_VECTOR_COLUMNS, "rung", "kinds", "written_by")
"""What a search filters by, and the observation's id; copied, as an observation never changes."""


def text_vectors_schema(dim: int) -> pa.Schema:
    """The columns of ``text_vectors``: of each observation, a vector of its words."""
    return pa.schema([*map(OBSERVATIONS.field, TEXT_VECTOR_COLUMNS), _vector(dim)])


def frame_vectors_schema(dim: int) -> pa.Schema:
    """The columns of ``frame_vectors``: the picture's id, the span and time of writing of its moment."""
    columns = map(OBSERVATIONS.field, FRAME_VECTOR_COLUMNS)
    return pa.schema([FRAMES.field("id"), *columns, _vector(dim)])


def _vector(dim: int) -> pa.Field:
    return pa.field("vector", pa.list_(pa.float32(), dim))
