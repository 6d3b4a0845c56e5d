"""Unwatched spans: makes an answer admit which part of the asked time was not watched, or not closely enough.

    missed = missed_in(snapshot, {"door": Span(0.0, 3600.0)}, for_text=False)
    draft = admit_unwatched(draft, missed)

What was not found may have happened in a gap, or between the few pictures that an overloaded machine examined. This
holds for every reasoner. "Nothing moved" is a claim about all of the asked time, and so is a count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..common.clock_times import format_interval
from ..memory.query.snapshot import Snapshot
from ..memory.values import Span, merged_spans
from ..memory.watch_rate import WatchRate
from .reasoner import DraftAnswer

UNSURE = 0.5
"""The highest confidence of a claim about time that was not watched closely."""

_MAX_NAMED = 3
_SHORT_S = 1.0
"""A shorter stretch changes no answer."""


@dataclass(frozen=True, slots=True)
class MissedSpan:
    """A stretch of the asked time in which something may have been missed."""

    stream: str
    span: Span
    is_gap: bool
    """Nothing was seen of it. Otherwise it was watched at a reduced rate."""


def missed_in(snapshot: Snapshot, windows: Mapping[str, Span], *, for_text: bool) -> list[MissedSpan]:
    """The stretches of each stream's window that were not watched closely enough for the question.

    ``for_text``: the question asks for text in the picture, which a reduced rate does not read.
    """
    missed = []
    for stream, window in windows.items():
        coverage = snapshot.coverage(stream)
        gaps = [gap.span for gap in coverage.gaps]
        thin = [part.span for part in coverage.reduced if _is_thin(part.rate, for_text=for_text)]
        for spans, is_gap in ((gaps, True), (thin, False)):
            inside = [part for span in merged_spans(spans) if (part := span.clipped_to(window)) is not None]
            missed += [MissedSpan(stream, span, is_gap) for span in inside if span.duration_s > _SHORT_S]
    return sorted(missed, key=lambda part: (part.stream, part.span))


def _is_thin(rate: WatchRate, *, for_text: bool) -> bool:
    return not rate.shows_movement or (for_text and not rate.reads_text)


def admit_unwatched(
    draft: DraftAnswer, missed: Sequence[MissedSpan], *, is_about_all: bool, for_text: bool
) -> DraftAnswer:
    """A draft that names the missed stretches, where they might change it.

    Args:
        draft: What the reasoner says.
        missed: The stretches of the asked time in which something may have been missed.
        is_about_all: The answer is a claim about the whole asked time, such as a count, or that nothing moves.
        for_text: The question asks for text.
    """
    is_not_found = draft.why in ("not_seen", "unclear")
    if not missed or not (is_not_found or (draft.why is None and is_about_all)):
        return draft
    sentences = []
    if gaps := [part for part in missed if part.is_gap]:
        sentences.append(f"{_places(gaps)} was not watched.")
    if thin := [part for part in missed if not part.is_gap]:
        how = "no text was read" if for_text else "only few pictures were examined"
        sentences.append(f"At {_places(thin)} {how}, because the machine was overloaded.")
    if is_not_found:
        sentences.append("It may have been there.")
    return draft.model_copy(
        update={"text": " ".join([draft.text, *sentences]), "confidence": min(UNSURE, draft.confidence)}
    )


def _places(missed: Sequence[MissedSpan]) -> str:
    """The longest stretches, in time order."""
    longest = sorted(missed, key=lambda part: -part.span.duration_s)[:_MAX_NAMED]
    shown = [part for part in missed if part in longest]
    places = ", ".join(
        f"{format_interval(part.span.start_s, part.span.end_s)} in {part.stream}" for part in shown
    )
    more = len(missed) - len(shown)
    return f"{places} and {more} more stretch{'' if more == 1 else 'es'}" if more else places
