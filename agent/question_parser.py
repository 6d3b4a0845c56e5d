"""Question parser: rules for English that say what a question asks for, about which time and in which order.

    parsed = read_question("When was the second box put down after 1:20?")
    parsed.asks, parsed.kinds, parsed.nth, parsed.span    # "when", ("placed",), 2, from 80 s on

No model is needed. Words that no rule understands stay in ``parsed.content_words`` and is searched for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from ..common.kind_registry import declared_kinds, kind_of, question_cues
from ..memory.query.word_stems import words_of
from ..memory.values import Span
from .lexicon import (
    COLOURS,
    EXISTENCE,
    GARMENTS,
    GENERIC_WORDS,
    IN_PICTURE,
    NUMBER_WORDS,
    PEOPLE,
    SIDES,
    STOP_WORDS,
    TEXT_CUES,
    THINGS,
)
from .question_times import parse_times

Asks = Literal["when", "how_many", "how_long", "what", "who", "where", "why", "yes_no", "describe"]
Pick = Literal["all", "nth", "last", "longest", "shortest", "highest", "lowest", "newest"]
Relation = Literal["after", "before"]

_ASKS_RULES: tuple[tuple[Asks, re.Pattern[str]], ...] = (
    ("how_many", re.compile(r"\bhow (many|often)\b|\bhow much (times|often)\b|\bcount\b|\bnumber of\b")),
    ("how_long", re.compile(r"\bhow long\b|\bwhat duration\b")),
    ("when", re.compile(r"\bwhen\b|\b(at )?what time\b")),
    (
        "describe",
        re.compile(
            r"\bdescribe\b|\bsummar\w+\b|\bwhat (happens|happened|is happening|is going on|goes on|went on)\b"
        ),
    ),
    ("who", re.compile(r"\bwho\b")),
    ("where", re.compile(r"\bwhere\b")),
    ("why", re.compile(r"\bwhy\b")),
    ("yes_no", re.compile(r"\A(is|are|was|were|does|do|did|has|have|can|could)\b")),
)
"""The first that matches the question in lower case says what it asks for. Anything else asks "what"."""

_NOW = re.compile(r"\b(right now|now|currently|at the moment|just happened)\b", re.I)
_PICK_RULES: tuple[tuple[Pick, re.Pattern[str]], ...] = (
    ("longest", re.compile(r"\b(longest|most time)\b")),
    ("shortest", re.compile(r"\b(shortest|least time|briefest)\b")),
    ("highest", re.compile(r"\b(bright(er|est)?|lightest|most (movement|motion)|busiest)\b")),
    ("lowest", re.compile(r"\b(darkest|dimmest|darker|dim|least (movement|motion)|quietest)\b")),
    ("newest", _NOW),
    ("last", re.compile(r"\b(last|final|latest|most recent)\b")),
)
"""The first that matches says which of several is meant. Ordinals come after these."""
_ORDINAL = re.compile(
    r"\b(?P<word>first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth)\b(?!\s+(?:of|half)\b)"
    r"|\b(?P<digits>\d+)(?:st|nd|rd|th)\b", re.I,
)  # fmt: skip
_ORDER_WORDS = frozenset(
    ["last", "final", "latest", "longest", "shortest", "brightest", "darkest", "now", "currently", "recent"]
)
"""Words that say which of several is meant, not what."""

_CUTS = re.compile(r"\bcuts?\b|\bscene changes?\b")
_SHOTS = re.compile(r"\b(shots?|scenes?)\b")

_QUOTED = re.compile(
    r"[\"“”«»]([^\"“”«»]{1,200})[\"“”«»]|(?<!\w)['‘]([^'’]{1,200})['’](?!\w)|\(([^\w\s]{1,3})\)"
)
_QUOTE = "\0"
"""Replaces each quotation while the rest of the question is parsed."""
_TITLE = re.compile(r"(?<=[a-z,] )((?:[A-Z][\w-]*)(?: (?:[A-Z][\w-]*|of|the))*(?<! of)(?<! the))")
_AT_END = re.compile(r"\bat the (very )?end\b|\bends with\b", re.I)
_AT_START = re.compile(r"\b(at|in) the (very )?(beginning|start)\b|\bstarts with\b|\bbegins with\b", re.I)
_RELATED = re.compile(r"\b(after|before|once|when|while)\b\s+(.+)$")


@dataclass(frozen=True, slots=True)
class ParsedQuestion:
    """What a question asks for, as far as rules can tell."""

    asks: Asks
    kinds: tuple[str, ...]
    """Finding kinds that it mentions."""
    pick: Pick
    """Which of several to take."""
    nth: int
    """The position in time order, from 1, if ``pick`` is ``nth``."""
    span: Span | None
    """The stream time that it names."""
    last_s: float | None
    """It asks about this many seconds before the end."""
    at_end: bool
    """It asks about the end ("at the end")."""
    at_start: bool
    about_shots: bool
    """It asks about the shots themselves, not about the cuts between them."""
    quoted: tuple[str, ...]
    """Quotations, which must be matched letter by letter."""
    content_words: tuple[str, ...]
    """Its content words, in order, lower case, without duplicates."""
    names: tuple[str, ...]
    """The content words that it quotes or capitalises like a name."""
    colours: tuple[str, ...]
    worn_colours: tuple[str, ...]
    """Colours of clothes: "the man in the blue coat"."""
    object_colours: tuple[str, ...]
    """Colours of anything else: "the blue cup"."""
    sides: tuple[str, ...]
    mentions_people: bool
    wants_text: bool
    """It asks for something that was read or heard."""
    text_in_picture: bool
    """The text it asks for is visible: on a sign, a page, a screen."""
    unobservable_words: tuple[str, ...]
    """Content words that no embedded observer can detect. Only text in the picture could contain them."""
    existence_only: bool
    """It only asks whether, or when, something is visible."""
    relation: Relation | None
    """How what is asked for lies to ``anchor`` in time."""
    anchor: tuple[str, ...]
    """The content words after "after" or "before"."""


def read_question(text: str) -> ParsedQuestion:
    """Parse a question by rule. Never raises: unknown words are kept as words to search for."""
    quotations = list(_QUOTED.finditer(text))
    quoted = tuple(next(group for group in match.groups() if group).strip() for match in quotations)
    titles = _titles(text)
    # Quoted words are searched for and follow no rule: "When did it last say 'first come, first served'?"
    times = parse_times(_QUOTED.sub(_QUOTE, text))
    lower = times.rest.lower()
    complete = _restore_quotations(times.rest, quotations)

    asks = _asks(lower)
    pick, nth = _pick(lower)
    kinds = _kinds(lower, asks, pick)
    relation, anchor = _relation(complete.lower())
    title_words = {word for title in (*titles, *quoted) for word in words_of(title)}
    content_words = _content_words(
        _restore_quotations(_without_stream_position(times.rest), quotations), title_words
    )
    worn_colours, object_colours = whose_colours(times.rest)
    observable = _kind_words(lower) | _OBSERVABLE_WORDS | (GARMENTS if worn_colours else frozenset())
    return ParsedQuestion(
        asks=asks,
        kinds=kinds,
        pick=pick,
        nth=nth,
        span=times.span,
        last_s=times.last_s,
        at_end=bool(_AT_END.search(lower)),
        at_start=bool(_AT_START.search(lower)),
        about_shots=bool(_SHOTS.search(lower)) and "cut" in kinds,
        quoted=tuple(dict.fromkeys(quoted)),
        content_words=content_words,
        names=_words_in(content_words, title_words),
        colours=_words_in(content_words, COLOURS),
        worn_colours=worn_colours,
        object_colours=object_colours,
        sides=_words_in(content_words, SIDES),
        mentions_people=any(word in PEOPLE for word in words_of(times.rest)),
        wants_text=bool(TEXT_CUES.search(lower) or quoted or titles),
        text_in_picture=bool(IN_PICTURE.search(lower)),
        unobservable_words=tuple(word for word in content_words if word not in observable),
        existence_only=bool(EXISTENCE.search(lower)) and not kinds,
        relation=relation,
        anchor=anchor,
    )


_OBSERVABLE_WORDS = frozenset({*COLOURS, *SIDES, *PEOPLE, *THINGS, *GENERIC_WORDS})
"""Words that need no recognition of objects."""


def whose_colours(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The colours of clothes, and the colours of anything else, each in order.

    whose_colours("Did the man in the blue coat take the red cup?")    # ("blue",), ("red",)
    """
    tokens = words_of(text)
    worn_colours: dict[str, None] = {}
    object_colours: dict[str, None] = {}
    for index, word in enumerate(tokens):
        if word in COLOURS:
            (worn_colours if _is_worn(tokens, index) else object_colours)[word] = None
    return tuple(worn_colours), tuple(object_colours)


def _is_worn(tokens: Sequence[str], index: int) -> bool:
    """Whether the colour at ``index`` belongs to clothes: "a red and white leather jacket", "the man in red"."""
    noun = index + 1
    while noun < len(tokens) - 1 and (
        tokens[noun] in COLOURS or (tokens[noun] == "and" and tokens[noun + 1] in COLOURS)
    ):
        noun += 1
    return any(token in GARMENTS for token in tokens[noun : noun + 2]) or (
        index >= 2 and tokens[index - 1] == "in" and tokens[index - 2] in PEOPLE
    )


def _asks(lower: str) -> Asks:
    return next((asks for asks, pattern in _ASKS_RULES if pattern.search(lower)), "what")


def _pick(lower: str) -> tuple[Pick, int]:
    for pick, pattern in _PICK_RULES:
        if pattern.search(lower):
            return pick, 1
    match = _ORDINAL.search(lower)
    if match:
        return "nth", int(match["digits"]) if match["digits"] else NUMBER_WORDS[match["word"]]
    return "all", 1


def _kinds(lower: str, asks: Asks, pick: Pick) -> tuple[str, ...]:
    """The finding kinds that the question asks for, in the order of their declarations."""
    names = _without_superseded(_combined(_cued_kinds(lower)))
    if pick == "all" and asks not in ("how_many", "how_long") and not _CUTS.search(lower):
        # "a closer shot of the singer" is about the singer. The shot is only where she is visible.
        return tuple(name for name in names if name != "cut")
    return names


def _cued_kinds(lower: str) -> tuple[str, ...]:
    """The kinds whose cues match the question."""
    names = (name for pattern, cued in question_cues() if pattern.search(lower) for name in cued)
    return tuple(dict.fromkeys(names))


def _combined(names: tuple[str, ...]) -> tuple[str, ...]:
    """Several kinds replaced by the one that combines them: an arrival and a departure make a visit."""
    for kind in declared_kinds():
        if kind.combines and set(names) >= set(kind.combines):
            rest = (name for name in names if name not in kind.combines)
            names = tuple(dict.fromkeys([kind.name, *rest]))
    return names


def _without_superseded(names: tuple[str, ...]) -> tuple[str, ...]:
    """Without the kinds that another of them supersedes: "the third visitor leaves" is about leaving."""
    superseded = {lesser for name in names for lesser in kind_of(name).supersedes}
    return tuple(name for name in names if name not in superseded)


def _kind_words(lower: str) -> frozenset[str]:
    """The words by which the question mentions finding kinds."""
    phrases = (match[0] for pattern, _ in question_cues() for match in pattern.finditer(lower))
    return frozenset(word for phrase in phrases for word in words_of(phrase))


def _relation(lower: str) -> tuple[Relation | None, tuple[str, ...]]:
    """Whether the question is about the time after or before something, and the content words of that."""
    match = _RELATED.search(lower)
    if not match or match.start() == 0 or match[1] not in ("after", "before"):
        return None, ()
    anchor = tuple(word for word in words_of(match[2]) if word not in STOP_WORDS)
    return ("after" if match[1] == "after" else "before"), anchor


def _titles(text: str) -> list[str]:
    """Phrases that are capitalised like a name, after the first word."""
    return [
        match[0]
        for match in _TITLE.finditer(text)
        if re.search(r"[A-Za-z]{2}", match[0]) and not re.search(r"\b[A-Z]-", match[0])
    ]


def _content_words(text: str, title_words: Collection[str]) -> tuple[str, ...]:
    """Words with a meaning of their own. A word of a title counts, however common it is."""
    return tuple(
        dict.fromkeys(
            word
            for word in words_of(text)
            if word in title_words or not (word in NUMBER_WORDS or word in STOP_WORDS or word in _ORDER_WORDS)
        )
    )


def _without_stream_position(text: str) -> str:
    """The text without "at the beginning", "at the end" and "now"."""
    for pattern in (_AT_START, _AT_END, _NOW):
        text = pattern.sub(" ", text)
    return text


def _restore_quotations(text: str, quotations: Sequence[re.Match[str]]) -> str:
    """Put the quotations back in their places."""
    for match in quotations:
        text = text.replace(_QUOTE, match[0], 1)
    return text


def _words_in(content_words: Sequence[str], vocabulary: Collection[str]) -> tuple[str, ...]:
    return tuple(word for word in content_words if word in vocabulary)
