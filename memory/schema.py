"""How the memory's values lie in tables, and how they come back.

    rows = observation_rows(moment)          # one for each writer
    moments_from(rows)                       # [moment]

Four tables: ``observations`` (a row for each moment and writer), ``frames`` (the pictures, apart, so
that compacting the memories does not rewrite them), ``gaps`` (a row for each time a gap was written,
so that "as of" sees it as it then was) and ``streams``; a fifth, of what is still to be done, is in
``backlog``. Findings travel as JSON in one column; what is searched or filtered has a column of its own.

With an encoder there are two more: ``text_vectors`` (a row for each observation) and
``frame_vectors`` (a row for each picture of a moment), each with the columns its searches filter by.
They stand apart because they alone are replaced when the encoder is: a column in ``frames`` would
have every picture written anew, ten times a vector's size. A vector can also outlive its picture.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .values import Finding, FrameCounts, Gap, KeyFrame, Moment, Observation, Span, Stream, make_id

SCHEMA_VERSION = 1
"""Raised by every change of the tables that an older Recollect would misread."""

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
        pa.field("shot", pa.int64()),
        pa.field("start_s", pa.float64()),
        pa.field("end_s", pa.float64()),
        pa.field("wall_start_s", pa.float64()),
        pa.field("child_ids", pa.list_(pa.string())),
        pa.field("frame_ids", pa.list_(pa.string())),
        pa.field("caption", pa.string()),
        pa.field("text", pa.string()),
        pa.field("kinds", pa.list_(pa.string())),
        pa.field("findings", pa.string()),
        pa.field("written_by", pa.string()),
        pa.field("written_at_s", pa.float64()),
        pa.field("base", pa.bool_()),
        *_COUNTS,
    ]
)

MOMENT_COLUMNS = [name for name in OBSERVATIONS.names if name not in ("text", "kinds")]
"""What is needed to make moments of rows: all but what only search looks at."""

_FRAME_VECTOR_COLUMNS = ("moment_id", "stream", "start_s", "end_s", "written_at_s")
TEXT_VECTOR_COLUMNS = ("id", *_FRAME_VECTOR_COLUMNS, "rung", "kinds", "written_by")
"""What a search filters by, and the observation's id; copied, as an observation never changes."""


def text_vectors_schema(dim: int) -> pa.Schema:
    """The columns of ``text_vectors``: of each observation, a vector of its words."""
    return pa.schema([*map(OBSERVATIONS.field, TEXT_VECTOR_COLUMNS), _vector(dim)])


def frame_vectors_schema(dim: int) -> pa.Schema:
    """The columns of ``frame_vectors``: the picture's id, the span and time of writing of its moment."""
    columns = map(OBSERVATIONS.field, _FRAME_VECTOR_COLUMNS)
    return pa.schema([FRAMES.field("id"), *columns, _vector(dim)])


def _vector(dim: int) -> pa.Field:
    return pa.field("vector", pa.list_(pa.float32(), dim))


def observation_rows(moment: Moment) -> list[Row]:
    """One row for each observation; the first is the base row and alone carries frames and counts.

    Raises ``ValueError`` where nobody observed anything: such a moment has no time of writing.
    """
    if not moment.observations:
        raise ValueError(f"moment {moment.id} of {moment.stream!r} has no observation, so it cannot be dated")
    return [
        _observation_row(moment, observation, make_id(moment.id, observation.written_by), base=position == 0)
        for position, observation in enumerate(moment.observations)
    ]


def second_look_row(moment: Moment, observation: Observation) -> Row:
    """The row of a look taken after the moment was stored; the same look always has the same id."""
    digest = make_id(observation.caption, _dump_findings(observation.findings))
    return _observation_row(
        moment, observation, make_id(moment.id, observation.written_by, digest), base=False
    )


def description_row(moment: Moment, observation: Observation) -> Row:
    """The row of a description made after the moment was stored: one for each writer."""
    return _observation_row(moment, observation, make_id(moment.id, observation.written_by), base=False)


def _observation_row(moment: Moment, observation: Observation, row_id: str, *, base: bool) -> Row:
    return {
        "id": row_id,
        "moment_id": moment.id,
        "rung": moment.rung,
        "stream": moment.stream,
        "epoch": moment.epoch,
        "shot": moment.shot,
        "start_s": moment.span.start_s,
        "end_s": moment.span.end_s,
        "wall_start_s": moment.wall_start_s,
        "child_ids": list(moment.child_ids) if base else [],
        "frame_ids": list(moment.frame_ids) if base else [],
        "caption": observation.caption,
        "text": document(observation),
        "kinds": sorted({finding.kind for finding in observation.findings}),
        "findings": _dump_findings(observation.findings),
        "written_by": observation.written_by,
        "written_at_s": observation.written_at_s,
        "base": base,
        **_counts_row(moment.counts if base else FrameCounts()),
    }


def document(observation: Observation) -> str:
    """All the words of an observation, each distinct text once: what full-text search reads."""
    texts: dict[str, str] = {}
    for text in (observation.caption, *(finding.text for finding in observation.findings)):
        if text.strip():
            texts.setdefault(" ".join(text.casefold().split()), text)
    return "\n".join(texts.values())


def moments_from(rows: Iterable[Mapping[str, Any]]) -> list[Moment]:
    """The moments whose rows these are, each once, in time order.

    A row stored twice counts once. Observations come base first, then oldest first.
    """
    by_moment: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        by_moment.setdefault(row["moment_id"], {})[row["id"]] = row
    moments = [_moment(list(written.values())) for written in by_moment.values()]
    return sorted(moments, key=lambda m: (m.stream, m.span, m.id))


def _moment(rows: list[Mapping[str, Any]]) -> Moment:
    rows = sorted(rows, key=lambda row: (not row["base"], row["written_at_s"], row["id"]))
    base = rows[0]
    return Moment(
        id=base["moment_id"],
        stream=base["stream"],
        epoch=base["epoch"],
        span=Span(base["start_s"], base["end_s"]),
        observations=tuple(
            Observation(
                row["caption"], _load_findings(row["findings"]), row["written_by"], row["written_at_s"]
            )
            for row in rows
        ),
        rung=base["rung"],
        shot=base["shot"],
        child_ids=tuple(base["child_ids"]),
        frame_ids=tuple(base["frame_ids"]),
        wall_start_s=base["wall_start_s"],
        counts=counts_from(base),
    )


def _dump_findings(findings: Sequence[Finding]) -> str:
    written = [_finding_json(finding) for finding in findings]
    return json.dumps(written, ensure_ascii=False, separators=(",", ":"))


def _finding_json(finding: Finding) -> Row:
    written: Row = {
        "field": finding.field,
        "kind": finding.kind,
        "text": finding.text,
        "start_s": finding.span.start_s,
        "end_s": finding.span.end_s,
        "by": finding.written_by,
    }
    # What has its usual value is left out: findings are most of the bytes of a memory.
    if finding.confidence != 1.0:
        written["confidence"] = finding.confidence
    if finding.box is not None:
        written["box"] = finding.box
    if finding.detail:
        written["detail"] = dict(finding.detail)
    return written


def _load_findings(written: str) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            field=one["field"],
            kind=one["kind"],
            text=one["text"],
            span=Span(one["start_s"], one["end_s"]),
            written_by=one["by"],
            confidence=one.get("confidence", 1.0),
            box=tuple(one["box"]) if "box" in one else None,
            detail=one.get("detail", {}),
        )
        for one in json.loads(written)
    )


def frame_row(frame: KeyFrame, written_at_s: float) -> Row:
    """The row of a picture, dated as the moment that names it."""
    return {
        "id": frame.id,
        "stream": frame.stream,
        "time_s": frame.time_s,
        "pts": frame.pts,
        "time_base": frame.time_base,
        "width": frame.width,
        "height": frame.height,
        "written_at_s": written_at_s,
        "jpeg": frame.jpeg,
    }


def text_vector_row(observation: Row, vector: Any) -> Row:
    """The row of an observation's vector, from the observation's own row."""
    return {**{name: observation[name] for name in TEXT_VECTOR_COLUMNS}, "vector": vector}


def frame_vector_row(frame_id: str, observation: Row, vector: Any) -> Row:
    """The row of a picture's vector, from the base row of the moment that names it."""
    facts = {name: observation[name] for name in _FRAME_VECTOR_COLUMNS}
    return {"id": frame_id, **facts, "vector": vector}


def frame_from(row: Mapping[str, Any]) -> KeyFrame:
    """The picture of a row."""
    return KeyFrame(
        id=row["id"],
        stream=row["stream"],
        time_s=row["time_s"],
        pts=row["pts"],
        time_base=row["time_base"],
        width=row["width"],
        height=row["height"],
        jpeg=row["jpeg"],
    )


def gap_row(gap: Gap, written_at_s: float) -> Row:
    """A gap as it stood at ``written_at_s``."""
    return {
        "revision_id": make_id(gap.id, round(written_at_s * 1000)),
        "id": gap.id,
        "stream": gap.stream,
        "epoch": gap.epoch,
        "start_s": gap.span.start_s,
        "end_s": gap.span.end_s,
        "cause": gap.cause,
        "detail": gap.detail,
        "attempts": gap.attempts,
        "wall_start_s": gap.wall_start_s,
        "written_at_s": written_at_s,
        **_counts_row(gap.counts),
    }


def gaps_from(rows: Iterable[Mapping[str, Any]]) -> list[Gap]:
    """The gaps of these rows, each as it was last written, in time order."""
    newest: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        if row["id"] not in newest or newest[row["id"]]["written_at_s"] <= row["written_at_s"]:
            newest[row["id"]] = row
    gaps = [
        Gap(
            id=row["id"],
            stream=row["stream"],
            epoch=row["epoch"],
            span=Span(row["start_s"], row["end_s"]),
            cause=row["cause"],
            detail=row["detail"],
            attempts=row["attempts"],
            wall_start_s=row["wall_start_s"],
            counts=counts_from(row),
        )
        for row in newest.values()
    ]
    return sorted(gaps, key=lambda gap: (gap.stream, gap.span, gap.id))


def stream_row(stream: Stream) -> Row:
    """The row of a stream."""
    return {name: getattr(stream, name) for name in STREAMS.names}


def stream_from(row: Mapping[str, Any]) -> Stream:
    """The stream of a row."""
    return Stream(**{name: row[name] for name in STREAMS.names})


def summed_counts(rows: pa.Table) -> FrameCounts:
    """The sum of the frame counts of many rows, each id counted once."""
    once = rows.group_by("id").aggregate([(name, "max") for name in COUNT_COLUMNS])
    captured, stored, sampled_out, merged = (
        int(pc.sum(once[f"{name}_max"]).as_py() or 0) for name in COUNT_COLUMNS if name != "dropped"
    )
    dropped = once.filter(pc.not_equal(once["dropped_max"], ""))["dropped_max"].to_pylist()
    return sum(
        (FrameCounts(dropped=json.loads(causes)) for causes in dropped),
        FrameCounts(captured, stored, sampled_out, merged),
    )


def _counts_row(counts: FrameCounts) -> Row:
    return {
        "captured": counts.captured,
        "stored": counts.stored,
        "sampled_out": counts.sampled_out,
        "merged": counts.merged,
        "dropped": json.dumps(dict(counts.dropped)) if counts.dropped else "",
    }


def counts_from(row: Mapping[str, Any]) -> FrameCounts:
    """The frame counts of a row."""
    return FrameCounts(
        captured=row["captured"],
        stored=row["stored"],
        sampled_out=row["sampled_out"],
        merged=row["merged"],
        dropped=json.loads(row["dropped"]) if row["dropped"] else {},
    )
