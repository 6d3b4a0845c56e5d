"""Marking of answers about the house: whether an answer is right, and whether its evidence proves it.

answer_mark = mark(question, memory.ask(question.text, options=question.options))
answer_mark.verdict, answer_mark.grounded
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...agent.answer import Answer
from .house_questions import HouseQuestion

Verdict = Literal["right", "wrong", "abstained"]


@dataclass(frozen=True, slots=True)
class AnswerMark:
    """The mark of an answer."""

    verdict: Verdict
    grounded: bool
    """Whether any of its evidence overlaps a span that proves the true answer."""


def mark(question: HouseQuestion, answer: Answer) -> AnswerMark:
    """Mark an answer by its option, or by its text without options, or by its evidence if a time is asked."""
    grounded = any(evidence.span.overlaps(span) for evidence in answer.evidence for span in question.evidence)
    if answer.abstained:
        return AnswerMark("abstained", grounded)
    if question.options:
        right = question.choice is not None and answer.choice == chr(ord("A") + question.choice)
    elif question.gold:
        right = question.gold.lower() in answer.text.lower()
    else:
        right = bool(answer.evidence) and any(
            answer.evidence[0].span.overlaps(span) for span in question.evidence
        )
    return AnswerMark("right" if right else "wrong", grounded)
