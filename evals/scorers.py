"""Scorers: how good an answer is, from 0 to 1, by the kind of the answer.

    >>> parse_answer("choice", "B", options=4)
    'B'
    >>> parse_answer("choice", "The answer is B.", options=4) is None
    True
    >>> iou((0.0, 10.0), (5.0, 15.0)) > IOU
    False

This is the strict score. A reply must have the agreed form: a reply that cannot be parsed, an error and an abstention
score 0, so that every question counts for every system. A benchmark's own parser and score belong to its suite.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from string import ascii_uppercase
from typing import cast

from ..memory.values import Span
from .records import Kind, Prediction, Sample, Value

IOU = 0.5
"""A span is correct if its intersection over union with a gold span is at least this."""
ALERT_S = 10.0
"""An alert is in time if it comes no later than this after the gold time."""
_NUMBER = r"\d+(?:\.\d+)?"


def parse_answer(kind: Kind, reply: str, *, options: int = 0) -> Value | None:
    """A reply as an answer of this kind. None if it does not have the agreed form."""
    reply = reply.strip()
    if kind == "choice":
        return reply if reply in ascii_uppercase[:options] and len(reply) == 1 else None
    return _PARSERS[kind](reply)


def _parse_yes_no(reply: str) -> Value | None:
    return reply.lower() if reply.lower() in ("yes", "no") else None


def _parse_number(reply: str) -> Value | None:
    return float(reply) if re.fullmatch(rf"-?{_NUMBER}", reply) else None


def _parse_list(reply: str) -> Value | None:
    return tuple(part.strip() for part in reply.split(";") if part.strip()) or None


def _parse_spans(reply: str) -> Value | None:
    spans = re.findall(rf"({_NUMBER})\s*-\s*({_NUMBER})", reply)
    return tuple((float(start_s), float(end_s)) for start_s, end_s in spans) or None


_PARSERS: Mapping[Kind, Callable[[str], Value | None]] = {
    "yes_no": _parse_yes_no,
    "number": _parse_number,
    "text": lambda reply: reply or None,
    "order": _parse_list,
    "checklist": _parse_list,
    "span": _parse_spans,
    "alerts": lambda reply: tuple(map(float, re.findall(_NUMBER, reply))),
}


def reply_text(prediction: Prediction) -> str:
    """The parsed answer in the form that benchmarks ask for. Empty if there is no answer."""
    match prediction.answer:
        case None:
            return ""
        case "yes" | "no" as word:
            return word.capitalize()
        case float(number):
            return f"{number:g}"
        case str(text):
            return text
        case _:
            return prediction.said


def score(sample: Sample, prediction: Prediction) -> float:
    """The score of a prediction, 0 to 1. 0 if it has no answer. Raises ``ValueError`` if the sample has no gold answer."""
    if sample.gold is None:
        raise ValueError(
            f"the correct answer of {sample.id} is not known, so only the makers of the benchmark can score it"
        )
    if prediction.answer is None:
        return 0.0
    return _SCORERS[sample.kind](sample, prediction.answer)


def evidence_recall(sample: Sample, spans: Sequence[tuple[float, float]]) -> float | None:
    """The share of the evidence spans that overlap any of ``spans``. None if the evidence is not known."""
    if not sample.evidence:
        return None
    candidates = [Span(start_s, end_s) for start_s, end_s in spans]
    hits = sum(any(span.overlaps(candidate) for candidate in candidates) for span in sample.spans)
    return hits / len(sample.spans)


def _score_exact(sample: Sample, answer: Value) -> float:
    return float(answer == sample.gold)


def _score_text(sample: Sample, answer: Value) -> float:
    accepted = {_normalized(str(sample.gold)), *map(_normalized, sample.accepted)}
    return float(_normalized(str(answer)) in accepted)


def _normalized(text: str) -> str:
    """The words of a text without case, accents, articles and punctuation."""
    text = "".join(
        character
        for character in unicodedata.normalize("NFKD", text.casefold())
        if not unicodedata.combining(character)
    )
    return " ".join(word for word in re.findall(r"\w+", text) if word not in ("a", "an", "the"))


def _score_order(sample: Sample, answer: Value) -> float:
    """Kendall's tau-b of two orders of the same items, scaled to 0 (reversed) to 1. 0 for different items."""
    gold = cast(tuple[str, ...], sample.gold)
    if not isinstance(answer, tuple) or sorted(map(str, answer)) != sorted(gold) or len(gold) < 2:
        return float(answer == gold)
    position = {item: index for index, item in enumerate(cast(tuple[str, ...], answer))}
    pairs = list(combinations(gold, 2))
    return sum(position[first] < position[second] for first, second in pairs) / len(pairs)


def _score_span(sample: Sample, answer: Value) -> float:
    """1 if the first span of the answer matches any gold span, else 0."""
    gold = cast(tuple[tuple[float, float], ...], sample.gold)
    if not isinstance(answer, tuple) or not answer or not isinstance(answer[0], tuple):
        return 0.0
    start_s, end_s = answer[0]
    return float(any(iou((start_s, end_s), span) >= IOU for span in gold))


def iou(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Intersection over union of two spans of time, both as (start, end) in seconds."""
    intersection_s = min(first[1], second[1]) - max(first[0], second[0])
    union_s = max(first[1], second[1]) - min(first[0], second[0])
    return max(0.0, intersection_s) / union_s if union_s > 0 else float(first == second)


def _score_alerts(sample: Sample, answer: Value) -> float:
    """F1 of the alerts. Each gold alert matches at most one alert of the answer."""
    gold = sorted(float(gold_s) for gold_s in cast(tuple[float, ...], sample.gold))
    alerts = sorted(float(alert_s) for alert_s in cast(tuple[float, ...], answer))
    if not gold or not alerts:
        return float(not gold and not alerts)
    unmatched, hits = list(gold), 0
    for alert_s in alerts:
        match_s = next((gold_s for gold_s in unmatched if 0.0 <= alert_s - gold_s <= ALERT_S), None)
        if match_s is not None:
            unmatched.remove(match_s)
            hits += 1
    return _f1(hits / len(alerts), hits / len(gold))


def _score_checklist(sample: Sample, answer: Value) -> float:
    """F1 of the facts."""
    gold = {_normalized(str(fact)) for fact in cast(tuple[str, ...], sample.gold)}
    facts = {_normalized(str(fact)) for fact in cast(tuple[str, ...], answer)}
    if not gold or not facts:
        return float(gold == facts)
    hits = len(gold & facts)
    return _f1(hits / len(facts), hits / len(gold))


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


_SCORERS: Mapping[Kind, Callable[[Sample, Value], float]] = {
    "choice": _score_exact,
    "yes_no": _score_exact,
    "number": _score_exact,
    "text": _score_text,
    "order": _score_order,
    "span": _score_span,
    "alerts": _score_alerts,
    "checklist": _score_checklist,
}
