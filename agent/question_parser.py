"""Reads a question without a model: what it asks for, of when, and in which order.

    reading = read_question("When was the second box put down after 1:20?")
    reading.asks, reading.kinds, reading.nth, reading.span    # "when", ("placed",), 2, from 80 s on

Rules for English. What the rules do not understand stays in ``reading.words`` and is searched for.
"""

from __future__ import annotations

import re
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

Asks = Literal["when", "how_many", "how_long", "what", "who", "where", "why", "yes_no", "describe"]
Pick = Literal["all", "nth", "last", "longest", "shortest", "highest", "lowest", "newest"]

_TIME = r"(?:(?P<{0}h>\d+):)?(?P<{0}m>\d{{1,3}}):(?P<{0}s>\d{{2}}(?:\.\d+)?)|(?P<{0}n>\d+(?:\.\d+)?)\s*(?P<{0}u>seconds?|secs?|s|minutes?|mins?|m|hours?|h)\b"
_AT = re.compile(r"\b(?:at|around|about)\s+(?:" + _TIME.format("a") + ")", re.I)
_BETWEEN = re.compile(
    r"\b(?:between|from)\s+(?:" + _TIME.format("a") + r"|(?P<bare>\d+(?:\.\d+)?))\s*(?:and|to|until|-|–)\s*(?:"
    + _TIME.format("b") + ")", re.I,
)  # fmt: skip
_AFTER = re.compile(r"\b(?:after|since|from)\s+(?:" + _TIME.format("a") + ")", re.I)
_BEFORE = re.compile(r"\b(?:before|until|by)\s+(?:" + _TIME.format("a") + ")", re.I)
_FIRST_STRETCH = re.compile(r"\bin the first\s+(?:" + _TIME.format("a") + ")", re.I)
_LAST_STRETCH = re.compile(
    r"\b(?:in|within|over|during) the (?:last|past)\s+(?:" + _TIME.format("a") + ")", re.I
)
_QUOTED = re.compile(
    r"[\"“”«»]([^\"“”«»]{1,200})[\"“”«»]|(?<!\w)['‘]([^'’]{1,200})['’](?!\w)|\(([^\w\s]{1,3})\)"
)
_QUOTE = "\0"
"""Stands for something quoted while the rest is read."""
_ORDINAL = re.compile(
    r"\b(?P<word>first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth)\b(?!\s+(?:of|half)\b)"
    r"|\b(?P<digits>\d+)(?:st|nd|rd|th)\b", re.I,
)  # fmt: skip
_LAST = re.compile(r"\b(last|final|latest|most recent)\b", re.I)
_NOW = re.compile(r"\b(right now|now|currently|at the moment|just happened)\b", re.I)
_TITLE = re.compile(r"(?<=[a-z,] )((?:[A-Z][\w-]*)(?: (?:[A-Z][\w-]*|of|the))*(?<! of)(?<! the))")
_AT_END = re.compile(r"\bat the (very )?end\b|\bends with\b", re.I)
_AT_START = re.compile(r"\b(at|in) the (very )?(beginning|start)\b|\bstarts with\b|\bbegins with\b", re.I)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_ORDER_WORDS = frozenset(
    ["last", "final", "latest", "longest", "shortest", "brightest", "darkest", "now", "currently", "recent"]
)
"""Words that say which of several is meant, not what."""
AT_MARGIN_S = 2.0
"""How far around "at 1:20" is meant, in seconds."""


@dataclass(frozen=True, slots=True)
class ParsedQuestion:
    """What a question asks for, as far as rules can tell."""

    asks: Asks
    kinds: tuple[str, ...]
    """Kinds of finding it speaks of."""
    pick: Pick
    """Which of several to take."""
    nth: int
    """Which in order, from 1, where ``pick`` is ``nth``."""
    span: Span | None
    """The stream time it names."""
    last_s: float | None
    """It asks about this many seconds before the end."""
    at_end: bool
    """It asks about the end ("at the end")."""
    at_start: bool
    shots: bool
    """It speaks of the shots themselves, not of the cuts between them."""
    quoted: tuple[str, ...]
    """What must be found letter by letter."""
    words: tuple[str, ...]
    """Its content words, in order, lower case, each once."""
    names: tuple[str, ...]
    """Those of them that it writes as a name or in capitals."""
    colours: tuple[str, ...]
    worn: tuple[str, ...]
    """Those of the colours that somebody wears: "the man in the blue coat"."""
    held: tuple[str, ...]
    """Those that anything else has: "the blue cup"."""
    sides: tuple[str, ...]
    people: bool
    """It speaks of people."""
    wants_text: bool
    """It asks for something to be read or heard."""
    in_picture: bool
    """The text it asks for stands in the picture: on a sign, a page, a screen."""
    unknown: tuple[str, ...]
    """Content words that no embedded observer can see; only text in the picture could hold them."""
    existence: bool
    """All it asks is whether, or when, something is there."""
    relation: Literal["after", "before"] | None
    """How the asked thing lies to ``anchor`` in time."""
    anchor: tuple[str, ...]
    """The content words of what it is related to."""


def _seconds(match: re.Match[str], prefix: str) -> float | None:
    """The time a ``_TIME`` group holds, in seconds."""
    groups = match.groupdict()
    if groups.get(prefix + "s"):
        return (
            float(groups[prefix + "h"] or 0) * 3600
            + float(groups[prefix + "m"]) * 60
            + float(groups[prefix + "s"])
        )
    if groups.get(prefix + "n"):
        return float(groups[prefix + "n"]) * _UNITS[groups[prefix + "u"][0].lower()]
    return None


def _read_times(text: str) -> tuple[Span | None, float | None, str]:
    """The span a question names, the seconds before the end it names, and the question without them."""
    if match := _BETWEEN.search(text):
        end_s = _seconds(match, "b")
        start_s = _seconds(match, "a")
        if start_s is None and match["bare"] and end_s is not None:
            # "between 1.5 and 3.6 seconds": the unit stands behind the second number only.
            unit = (match["bu"] or "s")[0].lower()
            start_s = float(match["bare"]) * _UNITS[unit]
        if start_s is not None and end_s is not None and start_s < end_s:
            return Span(start_s, end_s), None, text.replace(match[0], " ")
    for pattern, before_s, after_s in (
        (_FIRST_STRETCH, float("inf"), 0.0),
        (_AT, AT_MARGIN_S, AT_MARGIN_S),
        (_AFTER, 0.0, float("inf")),
        (_BEFORE, float("inf"), 0.0),
    ):
        match = pattern.search(text)
        if match and (time_s := _seconds(match, "a")) is not None:
            return Span(max(0.0, time_s - before_s), time_s + after_s), None, text.replace(match[0], " ")
    match = _LAST_STRETCH.search(text)
    if match and (time_s := _seconds(match, "a")) is not None:
        return None, time_s, text.replace(match[0], " ")
    return None, None, text


def _asks(text: str) -> Asks:
    lower = text.lower()
    if re.search(r"\bhow (many|often)\b|\bhow much (times|often)\b|\bcount\b|\bnumber of\b", lower):
        return "how_many"
    if re.search(r"\bhow long\b|\bwhat duration\b", lower):
        return "how_long"
    if re.search(r"\bwhen\b|\b(at )?what time\b", lower):
        return "when"
    if re.search(
        r"\bdescribe\b|\bsummar\w+\b|\bwhat (happens|happened|is happening|is going on|goes on|went on)\b",
        lower,
    ):
        return "describe"
    for word, asks in (("who", "who"), ("where", "where"), ("why", "why")):
        if re.search(rf"\b{word}\b", lower):
            return asks  # type: ignore[return-value]
    if re.match(r"(is|are|was|were|does|do|did|has|have|can|could)\b", lower):
        return "yes_no"
    return "what"


def _pick(text: str) -> tuple[Pick, int]:
    lower = text.lower()
    if re.search(r"\b(longest|most time)\b", lower):
        return "longest", 1
    if re.search(r"\b(shortest|least time|briefest)\b", lower):
        return "shortest", 1
    if re.search(r"\b(bright(er|est)?|lightest|most (movement|motion)|busiest)\b", lower):
        return "highest", 1
    if re.search(r"\b(darkest|dimmest|darker|dim|least (movement|motion)|quietest)\b", lower):
        return "lowest", 1
    if _NOW.search(lower):
        return "newest", 1
    if _LAST.search(lower):
        return "last", 1
    match = _ORDINAL.search(lower)
    if match:
        return "nth", int(match["digits"]) if match["digits"] else NUMBER_WORDS[match["word"]]
    return "all", 1


def whose_colours(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The colours that somebody wears, and those that anything else has, each in order.

    whose_colours("Did the man in the blue coat take the red cup?")    # ("blue",), ("red",)
    """
    words = words_of(text)
    worn: list[str] = []
    held: list[str] = []
    for index, word in enumerate(words):
        if word not in COLOURS:
            continue
        noun = index + 1
        while noun < len(words) - 1 and (
            words[noun] in COLOURS or (words[noun] == "and" and words[noun + 1] in COLOURS)
        ):
            noun += 1
        # "a leather jacket", "in red"
        is_worn = any(near in GARMENTS for near in words[noun : noun + 2]) or (
            index >= 2 and words[index - 1] == "in" and words[index - 2] in PEOPLE
        )
        (worn if is_worn else held).append(word)
    return tuple(dict.fromkeys(worn)), tuple(dict.fromkeys(held))


def _kinds_asked_for(lower: str) -> tuple[str, ...]:
    """The kinds of finding that a question in lower case asks for, in the order of their declarations."""
    names = dict.fromkeys(
        name for pattern, asked_for in question_cues() if pattern.search(lower) for name in asked_for
    )
    for kind in declared_kinds():
        # Somebody comes and goes: that is one visit.
        if kind.combines and names.keys() >= set(kind.combines):
            rest = [name for name in names if name not in kind.combines]
            names = dict.fromkeys([kind.name, *rest])
    superseded = {other for name in names for other in kind_of(name).supersedes}
    return tuple(name for name in names if name not in superseded)


def read_question(text: str) -> ParsedQuestion:
    """Read a question by rule. Never raises: what is not understood is left as words to search for."""
    quoted = [next(group for group in match.groups() if group).strip() for match in _QUOTED.finditer(text)]
    titles = [
        match[0]
        for match in _TITLE.finditer(text)
        if re.search(r"[A-Za-z]{2}", match[0]) and not re.search(r"\b[A-Z]-", match[0])
    ]
    # What is quoted is sought, whatever it would ask for: "When did it last say 'first come, first served'?"
    span, last_s, asked = _read_times(_QUOTED.sub(_QUOTE, text))

    def whole(asked: str) -> str:
        """With what is quoted, in its place again."""
        for match in _QUOTED.finditer(text):
            asked = asked.replace(_QUOTE, match[0], 1)
        return asked

    lower = asked.lower()
    kinds = _kinds_asked_for(lower)
    pick, nth = _pick(asked)
    asks = _asks(asked)
    speaks_of_cuts = bool(re.search(r"\bcuts?\b|\bscene changes?\b", lower))
    if pick == "all" and asks not in ("how_many", "how_long") and not speaks_of_cuts:
        # "a closer shot of the singer" is about the singer; the shot is only where she is seen.
        kinds = tuple(kind for kind in kinds if kind != "cut")
    relation: Literal["after", "before"] | None = None
    anchor: tuple[str, ...] = ()
    related = re.search(r"\b(after|before|once|when|while)\b\s+(.+)$", whole(asked).lower())
    if related and related.start() > 0 and related[1] in ("after", "before"):
        relation = "after" if related[1] == "after" else "before"
        anchor = tuple(word for word in words_of(related[2]) if word not in STOP_WORDS)

    kind_words = {
        word
        for pattern, _ in question_cues()
        for match in pattern.finditer(lower)
        for word in words_of(match[0])
    }
    title_words = {word for title in (*titles, *quoted) for word in words_of(title)}
    at_end = bool(_AT_END.search(lower))
    at_start = bool(_AT_START.search(lower))
    words: list[str] = []
    for word in words_of(whole(_NOW.sub(" ", _AT_END.sub(" ", _AT_START.sub(" ", asked))))):
        ordinal = word in NUMBER_WORDS and word not in title_words
        if word in words or ordinal or (word in STOP_WORDS and word not in title_words):
            continue
        if word in _ORDER_WORDS and word not in title_words:
            continue
        words.append(word)
    worn, held = whose_colours(asked)
    known = {*kind_words, *COLOURS, *SIDES, *PEOPLE, *THINGS, *GENERIC_WORDS, *(GARMENTS if worn else ())}
    return ParsedQuestion(
        asks=asks,
        kinds=kinds,
        pick=pick,
        nth=nth,
        span=span,
        last_s=last_s,
        at_end=at_end,
        at_start=at_start,
        shots=bool(re.search(r"\b(shots?|scenes?)\b", lower)) and "cut" in kinds,
        quoted=tuple(dict.fromkeys(quoted)),
        words=tuple(words),
        names=tuple(word for word in words if word in title_words),
        colours=tuple(word for word in words if word in COLOURS),
        worn=worn,
        held=held,
        sides=tuple(word for word in words if word in SIDES),
        people=any(word in PEOPLE for word in words_of(asked)),
        wants_text=bool(TEXT_CUES.search(lower)) or bool(quoted) or bool(titles),
        in_picture=bool(IN_PICTURE.search(lower)),
        unknown=tuple(word for word in words if word not in known),
        existence=bool(EXISTENCE.search(lower)) and not kinds,
        relation=relation,
        anchor=anchor,
    )
