"""Answer wording: puts answers and abstentions into plain sentences that say no more than was observed."""

from __future__ import annotations

from collections.abc import Sequence

from ..common.clock_times import format_interval
from ..memory.values import Tombstone
from .answer import Question, WhyAbstained
from .candidate_ranking import Candidate
from .question_parser import ParsedQuestion
from .reasoner import Plan
from .summary_counts import format_count

MAX_QUOTED = 3
MAX_SPANS = 3
"""The number of forgotten spans that an answer names."""
MAX_DESCRIBED = 6
MAX_COUNTS = 3
ALTERNATIVE_FROM = 0.9
"""Another stream is offered as an alternative from this share of the best score on."""


def place_and_time(candidate: Candidate) -> str:
    """Where and when a candidate is: ``0:06.0–0:20.1 in lobby``."""
    return f"{format_interval(candidate.span.start_s, candidate.span.end_s)} in {candidate.stream}"


def answer_text(parsed: ParsedQuestion, plan: Plan, ranked: Sequence[Candidate]) -> str:
    """The answer that the best candidates give."""
    best = ranked[0]
    if parsed.asks == "describe":
        return " ".join(f"{place_and_time(c)}: {_sentence(c.text)}" for c in ranked[:MAX_DESCRIBED])
    if parsed.asks == "how_many" and plan.kinds and best.text[:1].isdigit():
        return " ".join(_sentence(f"{c.text}, {place_and_time(c)}") for c in ranked[:MAX_COUNTS])
    if parsed.asks == "how_long" and plan.kinds:
        length = f"About {best.span.duration_s:.1f} s: {_reported(best)}, {place_and_time(best)}."
        return length + _caveat(parsed)
    if parsed.asks == "yes_no":
        return f"Yes: {_reported(best)}, {place_and_time(best)}.{_caveat(parsed)}"
    text = f"At {place_and_time(best)}: {_reported(best)}."
    alternative = next((c for c in ranked[1:] if c.stream != best.stream), None)
    if alternative is not None and alternative.score >= ALTERNATIVE_FROM * best.score:
        text += f" Or {place_and_time(alternative)}: {_reported(alternative)}."
    return text + _caveat(parsed)


def abstention_text(why: WhyAbstained, parsed: ParsedQuestion, ranked: Sequence[Candidate]) -> str:
    """Why the question is not answered, and the nearest moments."""
    if why == "not_seen":
        searched = " and ".join(f"“{phrase}”" for phrase in parsed.quoted) or "what is asked for"
        reason = f"I looked for {searched} in what was read, heard and observed, and did not find it."
    elif why == "needs_model":
        named = ", ".join(f"“{word}”" for word in parsed.unobservable_words[:4]) or "who or what is seen"
        reason = f"I cannot tell: no observer here recognises {named}; that needs a video model."
    elif why == "forgotten":
        reason = "I cannot tell any more: of what was observed, only a summary is left."
    else:
        reason = "What was observed does not settle it."
    if not ranked:
        return reason
    nearest = "; ".join(f"{place_and_time(c)} ({_reported(c)})" for c in ranked[:2])
    return f"{reason} Nearest: {nearest}."


def no_option_text(why: WhyAbstained, parsed: ParsedQuestion, ranked: Sequence[Candidate]) -> str:
    """Why no option is chosen."""
    return "Nothing observed speaks for one option over the others. " + abstention_text(why, parsed, ranked)


def option_text(option: str, support: Candidate) -> str:
    """The chosen option and what supports it."""
    return f"{option} — {place_and_time(support)}: {_reported(support)}."


def nothing_watched_text(question: Question) -> str:
    """The answer if the scope holds nothing at all."""
    when = "yet" if question.as_of_s is None else "by then"
    scope = "in the time asked about" if question.span else when
    return f"Nothing was watched {scope}, so there is nothing to answer from."


def maybe_forgotten_text(forgotten: Sequence[Tombstone]) -> str:
    """Added if something was not found, but part of the searched time is forgotten."""
    return f"But what was seen at {_places(forgotten)} is forgotten: it may have been there."


def forgotten_text(forgotten: Sequence[Tombstone]) -> str:
    """Added if only a summary is left of what would answer the question."""
    return f"What was seen at {_places(forgotten)} is forgotten."


def nothing_left_text(forgotten: Sequence[Tombstone]) -> str:
    """The answer if the scope was watched, and all of it is forgotten."""
    return f"What was seen at {_places(forgotten)} is forgotten, so there is nothing left to answer from."


def not_counted_text(forgotten: Sequence[Tombstone]) -> str:
    """Added if a count or an extreme leaves out forgotten spans."""
    return f"What was seen at {_places(forgotten)} is forgotten, and is not taken into account."


def _places(forgotten: Sequence[Tombstone]) -> str:
    """The longest forgotten spans, in time order."""
    longest = sorted(forgotten, key=lambda tombstone: -tombstone.span.duration_s)[:MAX_SPANS]
    shown = [tombstone for tombstone in forgotten if tombstone in longest]
    places = ", ".join(
        f"{format_interval(tombstone.span.start_s, tombstone.span.end_s)} in {tombstone.stream}"
        for tombstone in shown
    )
    more = len(forgotten) - len(shown)
    return f"{places} and {more} more stretch{'' if more == 1 else 'es'}" if more > 0 else places


def count_of(kind: str, count: int, parsed: ParsedQuestion) -> str:
    """A count in words. The number of shots is one more than the number of cuts between them."""
    if kind == "cut" and any(word.startswith(("shot", "scene")) for word in parsed.content_words):
        return f"{count + 1} shots"
    return format_count(kind, count)


def _reported(candidate: Candidate) -> str:
    """The candidate's text, or a quotation if it was read or heard."""
    lines = [f for f in candidate.findings if f.field in ("visible_text", "speech")]
    if not lines:
        return candidate.text.rstrip(".")
    is_speech = all(line.field == "speech" for line in lines)
    quoted = " / ".join(dict.fromkeys(f"“{line.text}”" for line in lines[:MAX_QUOTED]))
    return f"{'the words' if is_speech else 'the text'} {quoted}"


def _caveat(parsed: ParsedQuestion) -> str:
    """What the answer cannot confirm."""
    if not parsed.unobservable_words or parsed.wants_text:
        return ""
    named = " or ".join(f"“{word}”" for word in parsed.unobservable_words[:3])
    return f" (That it is {named}, I cannot tell without a video model.)"


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?", "”")) else text + "."
