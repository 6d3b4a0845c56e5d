"""Whether an answer about the house is right, and rests on what proves it.

marked = mark(asked, memory.ask(asked.text, options=asked.options))
marked.verdict, marked.grounded
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...agent.answer import Answer
from .house_questions import HouseQuestion

Verdict = Literal["right", "wrong", "abstained"]


@dataclass(frozen=True, slots=True)
class AnswerMark:
    """What an answer is worth."""

    verdict: Verdict
    grounded: bool
    """Whether any of its evidence overlaps the time in which the truth can be seen."""


def mark(asked: HouseQuestion, answer: Answer) -> AnswerMark:
    """Mark an answer: by its option where there were some, else by its words; where a time is asked, by its evidence."""
    grounded = any(evidence.span.overlaps(span) for evidence in answer.evidence for span in asked.evidence)
    if answer.abstained:
        return AnswerMark("abstained", grounded)
    if asked.options:
        right = asked.choice is not None and answer.choice == chr(ord("A") + asked.choice)
    elif asked.gold:
        right = asked.gold.lower() in answer.text.lower()
    else:
        right = bool(answer.evidence) and any(
            answer.evidence[0].span.overlaps(span) for span in asked.evidence
        )
    return AnswerMark("right" if right else "wrong", grounded)
