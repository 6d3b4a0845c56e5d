"""Converts the memory's values to table rows and back. ``schema`` defines the columns.

>>> from ..values import Moment, Observation, Span
>>> seen = Observation("A red car.", (), "observers/1", written_at_s=1000.0)
>>> moment = Moment("m1", "yard", 0, Span(0.0, 5.0), (seen,))
>>> rows = observation_rows(moment)     # one row for each writer
>>> moments_from(parse_records(rows)) == [moment]
True
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ...common.text import collapse_whitespace
from ..values import (
    HOUR_S,
    RUNGS,
    Finding,
    FrameCounts,
    Gap,
    KeyFrame,
    Moment,
    Observation,
    Outline,
    Pending,
    Pin,
    ReducedSpan,
    Span,
    Stream,
    Tombstone,
    Use,
    make_id,
)
from ..watch_rate import WatchRate
from .digests import intact_rows
from .schema import (
    COUNT_COLUMNS,
    FRAME_VECTOR_COLUMNS,
    OBSERVATIONS,
    RECORDED,
    STREAMS,
    TEXT_VECTOR_COLUMNS,
    Row,
)

_STREAM_FIELDS = [name for name in STREAMS.names if name != "digest"]
_ROW_BYTES = 150
"""Estimated bytes of the columns of an observation that are not text. Text is estimated at half its length."""
_DEFAULTS: Row = {
    "epoch": 0,
    "shot": 0,
    "wall_start_s": None,
    "child_ids": [],
    "frame_ids": [],
    "caption": "",
    "findings": [],
    "base": False,
    "captured": 0,
    "stored": 0,
    "sampled_out": 0,
    "merged": 0,
    "dropped": "",
    "sameness": 0.0,
    "reduced": [],
}
"""The values that a record leaves out."""


def observation_rows(moment: Moment, frame_bytes: int = 0) -> list[Row]:
    """One row for each observation. Only the first, the base row, carries frames and counts.

    ``frame_bytes`` is the size of its pictures. Raises ``ValueError`` for a moment without observations, which
    has no time of writing.
    """
    if not moment.observations:
        raise ValueError(f"moment {moment.id} of {moment.stream!r} has no observation, so it cannot be dated")
    rows = [
        _observation_row(moment, observation, make_id(moment.id, observation.written_by), base=position == 0)
        for position, observation in enumerate(moment.observations)
    ]
    rows[0]["frame_bytes"] = frame_bytes
    return rows


def second_look_row(moment: Moment, observation: Observation) -> Row:
    """The row of a second look at a stored moment. The same look always has the same id."""
    digest = make_id(observation.caption, _json([_finding_json(finding) for finding in observation.findings]))
    return _observation_row(
        moment, observation, make_id(moment.id, observation.written_by, digest), base=False
    )


def description_row(moment: Moment, observation: Observation) -> Row:
    """The row of a description of a stored moment. Each writer has one."""
    return _observation_row(moment, observation, make_id(moment.id, observation.written_by), base=False)


def _observation_row(moment: Moment, observation: Observation, row_id: str, *, base: bool) -> Row:
    text = searchable_text(observation)
    fields = {
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
        "findings": [_finding_json(finding) for finding in observation.findings],
        "written_by": observation.written_by,
        "written_at_s": observation.written_at_s,
        "base": base,
        **_counts_row(moment.counts if base else FrameCounts()),
        "reduced": [_reduced_json(reduced) for reduced in moment.reduced] if base else [],
        "sameness": moment.sameness,
    }
    record = record_json(fields)
    return {
        **{name: fields[name] for name in OBSERVATIONS.names if name in fields},
        "start_hour": start_hour(moment.span.start_s),
        "text": text,
        "kinds": sorted({finding.kind for finding in observation.findings}),
        "bytes": _ROW_BYTES + (len(text) + len(record)) // 2,
        "frame_bytes": 0,
        "record": record,
    }


def record_json(fields: Mapping[str, Any]) -> str:
    """The record of an observation: JSON of the fields in ``RECORDED`` that differ from their defaults."""
    return _json(
        {name: fields[name] for name in RECORDED if name not in _DEFAULTS or fields[name] != _DEFAULTS[name]}
    )


def start_hour(start_s: float) -> int:
    """The hour of stream time that contains ``start_s``. Filters use it."""
    return math.floor(start_s / HOUR_S)


def searchable_text(observation: Observation) -> str:
    """The text of an observation for full-text search: caption and findings, each distinct text once."""
    texts: dict[str, str] = {}
    for text in (observation.caption, *(finding.text for finding in observation.findings)):
        if text.strip():
            texts.setdefault(collapse_whitespace(text.casefold()), text)
    return "\n".join(texts.values())


def parse_records(rows: Iterable[Row]) -> list[Row]:
    """The rows of the JSON records in these rows, with the defaults filled in. Damaged ones are left out."""
    return [parse_record(row["record"]) for row in intact_rows("observations", rows)]


def parse_record(record: str) -> Row:
    """The fields of a JSON record, with the defaults filled in."""
    fields: Row = _DEFAULTS | json.loads(record)
    return fields


def moments_from(rows: Iterable[Mapping[str, Any]]) -> list[Moment]:
    """The moments of these rows, each once, in time order.

    A row that is stored twice counts once. Observations are sorted base first, then oldest first. A moment without
    its base row is left out: that row was damaged.
    """
    by_moment: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        by_moment.setdefault(row["moment_id"], {})[row["id"]] = row
    moments = [
        _moment(list(by_id.values()))
        for by_id in by_moment.values()
        if any(row["base"] for row in by_id.values())
    ]
    return sorted(moments, key=lambda moment: (moment.stream, moment.span, moment.id))


def _moment(rows: list[Mapping[str, Any]]) -> Moment:
    rows = sorted(rows, key=lambda row: (not row["base"], row["written_at_s"], row["id"]))
    base = rows[0]
    return Moment(
        id=base["moment_id"],
        stream=base["stream"],
        epoch=base["epoch"],
        span=Span(base["start_s"], base["end_s"]),
        observations=tuple(
            Observation(row["caption"], _findings(row["findings"]), row["written_by"], row["written_at_s"])
            for row in rows
        ),
        rung=base["rung"],
        shot=base["shot"],
        child_ids=tuple(base["child_ids"]),
        frame_ids=tuple(base["frame_ids"]),
        wall_start_s=base["wall_start_s"],
        counts=counts_from(base),
        reduced=tuple(map(_reduced_from, base["reduced"])),
        sameness=round(base["sameness"], 4),
    )


def outlines_from(rows: Iterable[Mapping[str, Any]]) -> list[Outline]:
    """The outlines of the memories of these rows, in time order."""
    rows = list(rows)
    described = {row["moment_id"] for row in rows if not row["base"]}
    outlines = [
        Outline(
            id=row["moment_id"],
            rung=row["rung"],
            epoch=row["epoch"],
            span=Span(row["start_s"], row["end_s"]),
            written_at_s=row["written_at_s"],
            counts=counts_from(row),
            described=row["moment_id"] in described,
        )
        for row in rows
        if row["base"]
    ]
    return sorted(outlines, key=lambda outline: (outline.span, RUNGS.index(outline.rung)))


def _reduced_json(reduced: ReducedSpan) -> Row:
    return {"start_s": reduced.span.start_s, "end_s": reduced.span.end_s, **asdict(reduced.rate)}


def _reduced_from(row: Mapping[str, Any]) -> ReducedSpan:
    rate = WatchRate(row["fps"], row["reads_text"], row["key_frames_only"])
    return ReducedSpan(Span(row["start_s"], row["end_s"]), rate)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _finding_json(finding: Finding) -> Row:
    fields: Row = {
        "field": finding.field,
        "kind": finding.kind,
        "text": finding.text,
        "start_s": finding.span.start_s,
        "end_s": finding.span.end_s,
        "by": finding.written_by,
    }
    # Defaults are left out, because findings are most of the bytes of a memory.
    if finding.confidence != 1.0:
        fields["confidence"] = finding.confidence
    if finding.box is not None:
        fields["box"] = finding.box
    if finding.detail:
        fields["detail"] = dict(finding.detail)
    return fields


def _findings(rows: Iterable[Row]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            field=row["field"],
            kind=row["kind"],
            text=row["text"],
            span=Span(row["start_s"], row["end_s"]),
            written_by=row["by"],
            confidence=row.get("confidence", 1.0),
            box=tuple(row["box"]) if "box" in row else None,
            detail=row.get("detail", {}),
        )
        for row in rows
    )


def frame_row(frame: KeyFrame, written_at_s: float) -> Row:
    """The row of a picture, with the time of writing of its moment."""
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
        "bytes": len(frame.jpeg),
        "signature": frame.signature,
    }


def text_vector_row(observation: Row, vector: Any) -> Row:
    """The row of an observation's vector. ``observation`` is the observation's own row."""
    return {**{name: observation[name] for name in TEXT_VECTOR_COLUMNS}, "vector": vector}


def frame_vector_row(frame_id: str, observation: Row, vector: Any) -> Row:
    """The row of a picture's vector. ``observation`` is the base row of its moment."""
    copied = {name: observation[name] for name in FRAME_VECTOR_COLUMNS}
    return {"id": frame_id, **copied, "vector": vector}


def frames_from(rows: Iterable[Row]) -> list[KeyFrame]:
    """The pictures of these rows. Damaged rows are left out."""
    return [
        KeyFrame(
            id=row["id"],
            stream=row["stream"],
            time_s=row["time_s"],
            pts=row["pts"],
            time_base=row["time_base"],
            width=row["width"],
            height=row["height"],
            jpeg=row["jpeg"],
            signature=row["signature"],
        )
        for row in intact_rows("frames", rows)
    ]


def gap_row(gap: Gap, written_at_s: float) -> Row:
    """The row of a gap's revision of ``written_at_s``."""
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


WITHDRAWN = "withdrawn"
"""The cause in the last revision of a gap that does not exist any more: its file has grown."""


def gaps_from(rows: Iterable[Row]) -> list[Gap]:
    """The gaps of these rows, each in its newest revision, in time order.

    Damaged rows are left out, and gaps that were withdrawn.
    """
    newest: dict[str, Mapping[str, Any]] = {}
    for row in intact_rows("gaps", rows):
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
        if row["cause"] != WITHDRAWN
    ]
    return sorted(gaps, key=lambda gap: (gap.stream, gap.span, gap.id))


def stream_row(stream: Stream) -> Row:
    """The row of a stream."""
    return {name: getattr(stream, name) for name in _STREAM_FIELDS}


def streams_from(rows: Iterable[Row]) -> list[Stream]:
    """The streams of these rows, by name. Damaged rows are left out."""
    streams = [Stream(**{name: row[name] for name in _STREAM_FIELDS}) for row in intact_rows("streams", rows)]
    return sorted(streams, key=lambda stream: stream.name)


def tombstone_row(tombstone: Tombstone) -> Row:
    """The row of a tombstone."""
    columns = ("id", "stream", "epoch", "lost", "cause", "memories", "forgotten_at_s", "written_from_s")
    return {
        **{name: getattr(tombstone, name) for name in columns},
        "start_s": tombstone.span.start_s,
        "end_s": tombstone.span.end_s,
        **_counts_row(tombstone.counts),
    }


def tombstones_from(rows: Iterable[Row]) -> list[Tombstone]:
    """The tombstones of these rows, in time order.

    Damaged rows are left out, and gaps that were withdrawn.
    """
    tombstones = [
        Tombstone(
            id=row["id"],
            stream=row["stream"],
            epoch=row["epoch"],
            span=Span(row["start_s"], row["end_s"]),
            lost=row["lost"],
            cause=row["cause"],
            memories=row["memories"],
            forgotten_at_s=row["forgotten_at_s"],
            written_from_s=row["written_from_s"],
            counts=counts_from(row),
        )
        for row in intact_rows("tombstones", rows)
    ]
    return sorted(tombstones, key=lambda tombstone: (tombstone.stream, tombstone.span, tombstone.id))


def pin_row(pin: Pin) -> Row:
    """The row of a pin."""
    return {
        "id": pin.id,
        "stream": pin.stream,
        "start_s": pin.span.start_s,
        "end_s": pin.span.end_s,
        "note": pin.note,
        "pinned_at_s": pin.pinned_at_s,
    }


def pins_from(rows: Iterable[Mapping[str, Any]]) -> list[Pin]:
    """The pins of these rows, in time order."""
    pins = [
        Pin(row["id"], row["stream"], Span(row["start_s"], row["end_s"]), row["note"], row["pinned_at_s"])
        for row in rows
    ]
    return sorted(pins, key=lambda pin: (pin.stream, pin.span, pin.id))


def use_row(use: Use) -> Row:
    """The row of a use."""
    return {
        "stream": use.stream,
        "start_s": use.span.start_s,
        "end_s": use.span.end_s,
        "how": use.how,
        "at_s": use.at_s,
    }


def pending_row(item: Pending, failed_at_s: float | None = None) -> Row:
    """The row of a backlog item. ``failed_at_s`` is the time of its last failure, if any."""
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


def pending_from(row: Mapping[str, Any]) -> Pending:
    """The backlog item of a row."""
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


def counts_by_stream(rows: pa.Table) -> dict[str, FrameCounts]:
    """The sums of the frame counts of the moments in these rows, by stream. Each id counts once."""
    rows = rows.filter(pc.equal(rows["rung"], "moment"))
    distinct = rows.group_by(["stream", "id"]).aggregate([(name, "max") for name in COUNT_COLUMNS])
    numbers = [f"{name}_max" for name in COUNT_COLUMNS if name != "dropped"]
    sums = distinct.group_by("stream").aggregate([(name, "sum") for name in numbers])
    counts = {
        row["stream"]: FrameCounts(
            captured=row["captured_max_sum"],
            stored=row["stored_max_sum"],
            sampled_out=row["sampled_out_max_sum"],
            merged=row["merged_max_sum"],
        )
        for row in sums.to_pylist()
    }
    dropping = distinct.filter(pc.not_equal(distinct["dropped_max"], ""))
    for row in dropping.select(["stream", "dropped_max"]).to_pylist():
        counts[row["stream"]] += FrameCounts(dropped=json.loads(row["dropped_max"]))
    return counts


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
