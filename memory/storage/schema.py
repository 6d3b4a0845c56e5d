"""The schema of a memory: the columns of each table. ``rows`` turns values into rows and back.

- ``observations`` has a row for each moment and writer.
- ``frames`` holds the pictures. They have a table of their own, so that compacting memories does not rewrite them.
- ``gaps`` has a row for each revision of a gap, so that "as of" a time sees the gap as it was then.
- ``tombstones`` records evictions and erasures.
- ``streams``, ``pins``, ``uses`` (uses of spans in answers) and ``backlog`` (memories to describe) hold the rest.

Rows that answers rest on have a ``digest``, by which a damaged row is told from an intact one (see ``digests``).

Findings are stored as JSON in one column. Everything that is searched, filtered or summed has its own column.

With an encoder there are two more tables: ``text_vectors`` has a row for each observation, ``frame_vectors`` for
each picture of a moment. Both copy the columns that searches filter by. Vectors have their own tables because
only they are replaced with the encoder. As a column of ``frames``, they would rewrite every picture, at ten times
the size of a vector. A vector can also outlive its picture.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

SCHEMA_VERSION = 4
"""The version of the schema. Increase it with every change that an older Recollect would misread. See ``migrations``."""

Row = dict[str, Any]

_DIGEST = pa.field("digest", pa.binary())
"""See ``digests``. Null in rows of before schema 4."""

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
        _DIGEST,
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
        _DIGEST,
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
        pa.field("boot_id", pa.string()),
        pa.field("boot_origin_s", pa.float64()),
        _DIGEST,
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
        _DIGEST,
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
        _DIGEST,
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
"""Every table except the vector tables, which depend on the encoder."""

RECORDED = (
    *("id", "moment_id", "rung", "stream", "epoch", "shot", "start_s", "end_s", "wall_start_s"),
    *("child_ids", "frame_ids", "caption", "findings", "written_by", "written_at_s", "base"),
    *COUNT_COLUMNS,
    *("sameness", "reduced"),
)
"""The fields of a record, which holds everything needed to build moments from rows."""

FRAME_VECTOR_COLUMNS = ("moment_id", "stream", "start_s", "start_hour", "end_s", "written_at_s")
TEXT_VECTOR_COLUMNS = ("id", *FRAME_VECTOR_COLUMNS, "rung", "kinds", "written_by")
"""The columns that searches filter by, and the observation's id. An observation never changes, so copies stay valid."""


def text_vectors_schema(dim: int) -> pa.Schema:
    """The columns of ``text_vectors``, with vectors of length ``dim``."""
    return pa.schema([*map(OBSERVATIONS.field, TEXT_VECTOR_COLUMNS), _vector(dim)])


def frame_vectors_schema(dim: int) -> pa.Schema:
    """The columns of ``frame_vectors``, with vectors of length ``dim``."""
    columns = map(OBSERVATIONS.field, FRAME_VECTOR_COLUMNS)
    return pa.schema([FRAMES.field("id"), *columns, _vector(dim)])


def _vector(dim: int) -> pa.Field:
    return pa.field("vector", pa.list_(pa.float32(), dim))
