"""Usage records: what a question used of a memory, so that eviction keeps it longer.

store.note_uses(uses_of(question, answer, inspected, ends_s, at_s=time.time()))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

from ..memory.values import Moment, Span, Use
from .answer import Answer, Question

MAX_CITED = 8
MAX_INSPECTED = 4
MAX_SCOPES = 8
"""Limits for one question. What a question uses beyond them is not what it was about."""


def uses_of(
    question: Question,
    answer: Answer,
    inspected: Iterable[Moment],
    ends_s: Mapping[str, float],
    *,
    at_s: float,
) -> list[Use]:
    """The cited, inspected and asked spans. The evidence of an abstention is only nearest, so it is not used.

    Args:
        question: If it names a span, that span was asked about in each stream.
        answer: With its evidence.
        inspected: Moments whose pictures were inspected.
        ends_s: Where each stream in scope ends. Only needed if the question names a span.
        at_s: Unix seconds.
    """
    evidence = [] if answer.abstained else answer.evidence[:MAX_CITED]
    uses = [Use(cited.stream, cited.span, "cited", at_s) for cited in evidence]
    uses += [Use(moment.stream, moment.span, "looked", at_s) for moment in islice(inspected, MAX_INSPECTED)]
    if question.span is not None:
        clipped = (
            (stream, question.span.clipped_to(Span(0.0, max(0.0, end_s)))) for stream, end_s in ends_s.items()
        )
        spans = ((stream, span) for stream, span in clipped if span is not None)
        uses += [Use(stream, span, "asked", at_s) for stream, span in islice(spans, MAX_SCOPES)]
    return uses
