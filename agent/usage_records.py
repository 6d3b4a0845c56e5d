"""What a question used of a memory, so that it is kept longer.

store.note_uses(uses_of(question, answer, looked_at, ends_s, at_s=time.time()))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

from ..memory.values import Moment, Span, Use
from .answer import Answer, Question

MOST_CITED = 8
MOST_LOOKED = 4
MOST_ASKED = 8
"""Of one question; what serves more than that is not what the question was about."""


def uses_of(
    question: Question, answer: Answer, looked: Iterable[Moment], ends_s: Mapping[str, float], *, at_s: float
) -> list[Use]:
    """What was cited, looked at again and asked about. An abstention cites nothing: what is nearest is not used.

    Args:
        question: A stretch that it names was asked about, in each stream.
        answer: With its evidence.
        looked: Moments whose pixels were looked at again.
        ends_s: Where each stream in scope ends; only looked at where the question names a stretch.
        at_s: Unix seconds.
    """
    evidence = [] if answer.abstained else answer.evidence[:MOST_CITED]
    uses = [Use(one.stream, one.span, "cited", at_s) for one in evidence]
    uses += [Use(one.stream, one.span, "looked", at_s) for one in islice(looked, MOST_LOOKED)]
    if question.span is not None:
        asked = {
            stream: question.span.clipped_to(Span(0.0, max(0.0, end_s))) for stream, end_s in ends_s.items()
        }
        spans = ((stream, span) for stream, span in asked.items() if span is not None)
        uses += [Use(stream, span, "asked", at_s) for stream, span in islice(spans, MOST_ASKED)]
    return uses
