"""How answers are put into words. Plain and hedged: what was observed, never more."""

from __future__ import annotations

from collections.abc import Sequence

from ..common.clock_times import between
from ..memory.values import Tombstone
from .answer import Question, WhyAbstained
from .candidates import Candidate
from .question_parser import ParsedQuestion
from .reasoner import Plan
from .summary_counts import counted

MAX_QUOTED = 3
MAX_STRETCHES = 3


def stretch(candidate: Candidate) -> str:
    """Where a candidate lies: ``0:06.0–0:20.1 in lobby``."""
    return f"{between(candidate.span.start_s, candidate.span.end_s)} in {candidate.stream}"


def answer(parsed: ParsedQuestion, plan: Plan, ranked: Sequence[Candidate]) -> str:
    """The answer the best candidates give."""
    best = ranked[0]
    if parsed.asks == "describe":
        return " ".join(f"{stretch(candidate)}: {_sentence(candidate.text)}" for candidate in ranked[:6])
    if parsed.asks == "how_many" and plan.kinds and best.text[:1].isdigit():
        return " ".join(f"{_sentence(f'{candidate.text}, {stretch(candidate)}')}" for candidate in ranked[:3])
    if parsed.asks == "how_long" and plan.kinds:
        length = f"About {best.span.duration_s:.1f} s: {_told(best)}, {stretch(best)}."
        return length + _caveat(parsed)
    if parsed.asks == "yes_no":
        return f"Yes: {_told(best)}, {stretch(best)}.{_caveat(parsed)}"
    text = f"At {stretch(best)}: {_told(best)}."
    other = next((candidate for candidate in ranked[1:] if candidate.stream != best.stream), None)
    if other is not None and other.score >= 0.9 * best.score:
        text += f" Or {stretch(other)}: {_told(other)}."
    return text + _caveat(parsed)


def abstention(why: WhyAbstained, parsed: ParsedQuestion, ranked: Sequence[Candidate]) -> str:
    """Why there is no answer, and what is nearest."""
    if why == "not_seen":
        wanted = " and ".join(f"“{phrase}”" for phrase in parsed.quoted) or "what is asked for"
        reason = f"I looked for {wanted} in what was read, heard and observed, and did not find it."
    elif why == "needs_model":
        named = ", ".join(f"“{word}”" for word in parsed.unobservable_words[:4]) or "who or what is seen"
        reason = f"I cannot tell: no observer here recognises {named}; that needs a video model."
    elif why == "forgotten":
        reason = "I cannot tell any more: of what was observed, only a summary is left."
    else:
        reason = "What was observed does not settle it."
    if not ranked:
        return reason
    return f"{reason} Nearest: " + "; ".join(f"{stretch(c)} ({_told(c)})" for c in ranked[:2]) + "."


def no_option(why: WhyAbstained, parsed: ParsedQuestion, ranked: Sequence[Candidate]) -> str:
    """Why none of the options is chosen."""
    return "Nothing observed speaks for one option over the others. " + abstention(why, parsed, ranked)


def option(text: str, support: Candidate) -> str:
    """The chosen option with what speaks for it."""
    return f"{text} — {stretch(support)}: {_told(support)}."


def nothing_watched(question: Question) -> str:
    """Said where the scope holds nothing at all."""
    when = "yet" if question.as_of_s is None else "by then"
    where = "in the time asked about" if question.span else when
    return f"Nothing was watched {where}, so there is nothing to answer from."


def may_have_been(lost: Sequence[Tombstone]) -> str:
    """Said where something was not found, but not all is left of where it was looked for."""
    return f"But what was seen at {_places(lost)} is forgotten: it may have been there."


def is_forgotten(lost: Sequence[Tombstone]) -> str:
    """Said where a summary alone is left of what would tell."""
    return f"What was seen at {_places(lost)} is forgotten."


def nothing_left(lost: Sequence[Tombstone]) -> str:
    """Said where the scope was watched, and holds nothing any more."""
    return f"What was seen at {_places(lost)} is forgotten, so there is nothing left to answer from."


def not_counted(lost: Sequence[Tombstone]) -> str:
    """Said where a count or an extreme is told of what is left."""
    return f"What was seen at {_places(lost)} is forgotten, and is not taken into account."


def _places(lost: Sequence[Tombstone]) -> str:
    """Where memories are gone: the longest stretches, in time order."""
    longest = sorted(lost, key=lambda one: -one.span.duration_s)[:MAX_STRETCHES]
    shown = [one for one in lost if one in longest]
    told = ", ".join(f"{between(one.span.start_s, one.span.end_s)} in {one.stream}" for one in shown)
    more = len(lost) - len(shown)
    return f"{told} and {more} more stretch{'' if more == 1 else 'es'}" if more > 0 else told


def count_of(kind: str, count: int, parsed: ParsedQuestion) -> str:
    """A count in words; shots are one more than the cuts between them."""
    if kind == "cut" and any(word.startswith(("shot", "scene")) for word in parsed.content_words):
        return f"{count + 1} shots"
    return counted(kind, count)


def _told(candidate: Candidate) -> str:
    """What was seen, quoting what was read or heard."""
    texts = [f for f in candidate.findings if f.field in ("visible_text", "speech")]
    if not texts:
        return candidate.text.rstrip(".")
    heard = all(f.field == "speech" for f in texts)
    quoted = " / ".join(dict.fromkeys(f"“{f.text}”" for f in texts[:MAX_QUOTED]))
    return f"{'the words' if heard else 'the text'} {quoted}"


def _caveat(parsed: ParsedQuestion) -> str:
    """What the answer cannot vouch for."""
    if not parsed.unobservable_words or parsed.wants_text:
        return ""
    named = " or ".join(f"“{word}”" for word in parsed.unobservable_words[:3])
    return f" (That it is {named}, I cannot tell without a video model.)"


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?", "”")) else text + "."
