"""Printing of answers, moments, sizes and waiting descriptions, shared by the commands."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..common.clock_times import format_interval, format_time
from ..common.terminal import print_block, print_line
from ..common.text import shortened

if TYPE_CHECKING:
    from ..agent.answer import Answer, StreamCoverage
    from ..memory.values import ForgottenLevel, Moment

LEVEL_NOUNS: dict[ForgottenLevel, str] = {
    "frame": "pictures",
    "moment": "moments",
    "event": "events",
    "hour": "hours",
    "day": "days",
}
"""Plural nouns of what can be evicted or erased."""
_TOMBSTONE_CAUSES = {"budget": "evicted", "asked": "erased on request"}
_MOST_EVIDENCE = 5
_MOST_GAPS = 3


def print_answer(answer: Answer) -> None:
    """Print an answer for people: the text, how sure it is, and the evidence to check it by."""
    print_block(f"({answer.choice}) {answer.text}" if answer.choice else answer.text)
    print_line(f"  [{_outcome(answer)}; stopped: {answer.stop_reason.replace('_', ' ')}; {_cost(answer)}]")
    if answer.note:
        print_line(f"  {answer.note}")
    for evidence in answer.evidence[:_MOST_EVIDENCE]:
        times = format_interval(evidence.span.start_s, evidence.span.end_s)
        pictures = plural(len(evidence.frame_ids), "picture")
        print_line(f"  {times}  {evidence.stream}  {shortened(evidence.text, 90)}  ({pictures})")
    for coverage in answer.coverage:
        _print_coverage(coverage)


def _outcome(answer: Answer) -> str:
    if answer.abstained:
        return f"abstained: {(answer.why or 'unclear').replace('_', ' ')}"
    return f"confidence {answer.confidence:.2f}"


def _cost(answer: Answer) -> str:
    usage = answer.usage
    parts = [plural(usage.rounds, "round")]
    if usage.lmm_calls:
        parts += [f"{plural(usage.lmm_calls, 'call')} of the model", f"{usage.tokens:,} tokens"]
        if usage.pictures:
            parts.append(plural(usage.pictures, "picture"))
    parts.append(f"{usage.seconds:.2f} s; trace {answer.trace_id}")
    return ", ".join(parts)


def _print_coverage(coverage: StreamCoverage) -> None:
    for gap in coverage.gaps[:_MOST_GAPS]:
        print_line(
            f"  not seen: {format_time(gap.start_s)}–{format_time(gap.end_s)} of {coverage.stream} ({gap.cause})"
        )
    for reduced in coverage.reduced[:_MOST_GAPS]:
        times = f"{format_time(reduced.start_s)}–{format_time(reduced.end_s)}"
        print_line(f"  overloaded: {times} of {coverage.stream} ({reduced})")
    for span in coverage.forgotten[:_MOST_GAPS]:
        cause = _TOMBSTONE_CAUSES.get(span.cause, span.cause)
        print_line(
            f"  no longer stored: {format_time(span.start_s)}–{format_time(span.end_s)} of {coverage.stream} "
            f"({LEVEL_NOUNS[span.lost]}, {cause})"
        )


def moment_line(moment: Moment) -> str:
    """One line about a moment."""
    span = moment.span
    rate = f"  [{moment.reduced[0].rate}]" if moment.rung == "moment" and moment.reduced else ""
    times = f"{format_time(span.start_s)}–{format_time(span.end_s)}"
    return f"{times}  {moment.stream}  {shortened(moment.caption, 160)}{rate}"


def plural(count: int, noun: str) -> str:
    """A count with its noun: ``1 picture``, ``2 pictures``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def waiting_hint(count: int) -> str:
    """How many descriptions wait, and the command that continues them."""
    return f"{count} wait{'s' if count == 1 else ''} for the video LMM; continue with: recollect caption"


def format_size(size_bytes: int) -> str:
    """A number of bytes for people: ``412.4 MB``."""
    if size_bytes >= sys.maxsize:
        return "unbounded"
    for unit, unit_bytes in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= unit_bytes:
            return f"{size_bytes / unit_bytes:.1f} {unit}"
    return f"{size_bytes} bytes"


def one_line(error: Exception) -> str:
    """The message of an error on one line."""
    return " ".join(str(error).split()) or type(error).__name__
