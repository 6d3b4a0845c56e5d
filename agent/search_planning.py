"""Search planning: turns a parsed question into queries and finding kinds, without a model.

plan = plan_searches(question, read_question(question.text))
plan.queries, plan.kinds, plan.order
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

from ..common.kind_registry import kind_of, names_for, names_with
from ..common.text import collapse_whitespace
from ..memory.query.word_stems import stem
from .answer import Question
from .attribute_matching import colours_for_kind
from .lexicon import GENERIC_WORDS, RELATED_TEXT, STOP_WORDS
from .question_parser import ParsedQuestion
from .reasoner import Order, Plan

MAX_LISTED = 100
"""This many moments of a kind are listed if each has to be checked for a colour or a side."""
ABBREVIATED_FROM = 8
"""Words from this length on are also searched for by their beginnings."""
ABBREVIATIONS = (4, 5, 6)
"""The lengths of those beginnings."""


def plan_searches(question: Question, parsed: ParsedQuestion) -> Plan:
    """Turn the question's words into queries, and its verbs into finding kinds to list."""
    kinds = _kinds(parsed)
    own_words = _query(parsed, question.options)
    lists_shots = parsed.about_shots and not _asks_amount(parsed)
    names_time = parsed.span is not None or parsed.last_s is not None
    order = _order(parsed)
    from_s, to_s = _window(parsed)
    return Plan(
        queries=tuple(filter(None, (own_words, *_observer_phrases(parsed, kinds)))),
        kinds=() if lists_shots else kinds,
        everything=lists_shots or names_time or not (kinds or own_words),
        order=order,
        ordered_queries=() if order == "any" or not parsed.content_words else (_ordered_query(parsed),),
        limit_per_kind=_limit_per_kind(parsed),
        uses_summaries=bool(kinds) and (_needs_all(parsed) or parsed.pick in ("last", "nth")),
        from_s=from_s,
        to_s=to_s,
        last_s=parsed.last_s,
        may_inspect=parsed.wants_text and not any(kind_of(kind).field == "speech" for kind in kinds),
    )


def asks_when_something_appears(parsed: ParsedQuestion) -> bool:
    """Whether the question asks when something is visible that no observer can recognise."""
    return (
        parsed.existence_only
        and bool(parsed.unobservable_words)
        and parsed.asks in ("when", "where", "yes_no")
    )


def _asks_amount(parsed: ParsedQuestion) -> bool:
    return parsed.asks in ("how_many", "how_long")


def _needs_all(parsed: ParsedQuestion) -> bool:
    """Whether every finding matters: for a number, a duration or an extreme."""
    return _asks_amount(parsed) or parsed.pick in ("longest", "shortest", "highest", "lowest")


def _window(parsed: ParsedQuestion) -> tuple[float | None, float | None]:
    """From and to, in seconds of stream time. None is an open end."""
    if parsed.span is None:
        return None, None
    return parsed.span.start_s, None if parsed.span.end_s == float("inf") else parsed.span.end_s


def _order(parsed: ParsedQuestion) -> Order:
    if parsed.pick in ("last", "newest") or parsed.at_end:
        return "last"
    if parsed.pick == "nth" or parsed.at_start:
        return "first"
    return "any"


def _limit_per_kind(parsed: ParsedQuestion) -> int:
    if _needs_all(parsed) and (parsed.colours or parsed.sides):
        return MAX_LISTED
    return max(8, min(50, 3 * parsed.nth + 4))


def _kinds(parsed: ParsedQuestion) -> tuple[str, ...]:
    """The finding kinds to list: those that the question mentions, or those that answer it in general."""
    if parsed.kinds:
        return parsed.kinds
    asks_about_people = parsed.mentions_people and not parsed.existence_only
    if asks_about_people and (parsed.asks in ("when", "who") or _asks_amount(parsed)):
        return names_for("people")
    if parsed.wants_text and not parsed.quoted and GENERIC_WORDS.issuperset(parsed.content_words):
        # "What text is to be read?" asks for all of it.
        return names_for("text")
    # Observers cannot recognise the thing, but they report when things appear.
    return names_for("appearance") if asks_when_something_appears(parsed) else ()


def _observer_phrases(parsed: ParsedQuestion, kinds: Sequence[str]) -> Iterator[str]:
    """What observers would have written about it, including colours."""
    for kind in kinds:
        if search_text := kind_of(kind).search_text:
            colours = " and ".join(colours_for_kind(parsed, kind))
            yield collapse_whitespace(search_text.format(colours))
    if parsed.worn_colours and not names_with("moving_shape").intersection(kinds):
        yield f"a tall {' and '.join(parsed.worn_colours)} shape is there"


def _ordered_query(parsed: ParsedQuestion) -> str:
    """The question's own words, and the words that pictures or captions have instead."""
    related = chain.from_iterable(map(_related, parsed.content_words))
    return " ".join(dict.fromkeys([*parsed.content_words, *related]))


def _related(word: str) -> tuple[str, ...]:
    """The words that pictures or captions have if a question has this word."""
    return RELATED_TEXT.get(word, RELATED_TEXT.get(stem(word), ()))


def _query(parsed: ParsedQuestion, options: Sequence[str]) -> str:
    """The words to search for: the question's own, related words, quotations and options."""
    tokens = [*parsed.content_words, *(first + second for first, second in pairwise(parsed.content_words))]
    for word in parsed.content_words:
        tokens += _related(word)
        if len(word) >= ABBREVIATED_FROM:
            # Commands and labels shorten long words: "init", "config", "admin".
            tokens += [word[:length] for length in ABBREVIATIONS]
    tokens += [word for phrase in parsed.quoted for word in phrase.split()]
    tokens += [word for option in options for word in option.lower().split() if word not in STOP_WORDS]
    return " ".join(dict.fromkeys(tokens))
