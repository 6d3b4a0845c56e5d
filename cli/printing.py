"""What several commands print: answers and moments."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..common.clock_times import between, clock
from ..common.terminal import print_block, print_line

if TYPE_CHECKING:
    from ..agent.answer import Answer


_LOST = {"frame": "pictures", "moment": "moments", "event": "events", "hour": "hours", "day": "days"}
_CAUSES = {"budget": "no room", "asked": "on request"}


def print_answer(answer: Answer) -> None:
    """Print an answer for people: what, how sure, and the evidence to check it by."""
    if answer.choice:
        print_block(f"({answer.choice}) {answer.text}")
    else:
        print_block(answer.text)
    told = (
        f"abstained: {(answer.why or 'unclear').replace('_', ' ')}"
        if answer.abstained
        else f"confidence {answer.confidence:.2f}"
    )
    rounds = f"{answer.usage.rounds} round{'' if answer.usage.rounds == 1 else 's'}"
    if answer.usage.lmm_calls:
        calls = f"{answer.usage.lmm_calls} call{'' if answer.usage.lmm_calls == 1 else 's'}"
        rounds += f", {calls} of the model, {answer.usage.tokens:,} tokens"
        if answer.usage.pictures:
            rounds += f", {answer.usage.pictures} picture{'' if answer.usage.pictures == 1 else 's'}"
    print_line(
        f"  [{told}; stopped: {answer.stop_reason.replace('_', ' ')}; {rounds}, {answer.usage.seconds:.2f} s;"
        f" trace {answer.trace_id}]"
    )
    if answer.note:
        print_line(f"  {answer.note}")
    for evidence in answer.evidence[:5]:
        span = evidence.span
        times = between(span.start_s, span.end_s)
        print_line(
            f"  {times}  {evidence.stream}  "
            f"{shortened(evidence.text)}  ({len(evidence.frame_ids)} picture{'' if len(evidence.frame_ids) == 1 else 's'})"
        )
    for coverage in answer.coverage:
        for gap in coverage.gaps[:3]:
            print_line(
                f"  not seen: {clock(gap.start_s)}–{clock(gap.end_s)} of {coverage.stream} ({gap.cause})"
            )
        for gone in coverage.forgotten[:3]:
            print_line(
                f"  forgotten: {clock(gone.start_s)}–{clock(gone.end_s)} of {coverage.stream} "
                f"({_LOST[gone.lost]}; {_CAUSES.get(gone.cause, gone.cause)})"
            )


def moment_dict(moment: Any) -> dict[str, Any]:
    """A moment as plain data."""
    return {
        "id": moment.id,
        "stream": moment.stream,
        "rung": moment.rung,
        "epoch": moment.epoch,
        "shot": moment.shot,
        "start_s": round(moment.span.start_s, 3),
        "end_s": round(moment.span.end_s, 3),
        "wall_start_s": moment.wall_start_s,
        "caption": moment.caption,
        "findings": [
            {
                "field": finding.field,
                "kind": finding.kind,
                "text": finding.text,
                "start_s": round(finding.span.start_s, 3),
                "end_s": round(finding.span.end_s, 3),
                "written_by": finding.written_by,
                "confidence": finding.confidence,
            }
            for finding in moment.findings
        ],
        "frame_ids": list(moment.frame_ids),
    }


def moment_line(moment: Any) -> str:
    """A moment in a line."""
    return f"{clock(moment.span.start_s)}–{clock(moment.span.end_s)}  {moment.stream}  {shortened(moment.caption, 160)}"


def shortened(text: str, limit: int = 90) -> str:
    """One line of at most so many characters."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def waiting_words(count: int) -> str:
    """How to go on with what is not described yet."""
    return f"{count} wait{'s' if count == 1 else ''} for the video LMM; go on with: recollect caption"


def size(size_bytes: int) -> str:
    """A number of bytes for people: ``412.4 MB``."""
    if size_bytes >= sys.maxsize:
        return "no bound"
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= least:
            return f"{size_bytes / least:.1f} {unit}"
    return f"{size_bytes} bytes"


def one_line(error: Exception) -> str:
    """What went wrong, in a line."""
    return " ".join(str(error).split()) or type(error).__name__
