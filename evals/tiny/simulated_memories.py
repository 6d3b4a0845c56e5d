"""Simulated memories of the drawn house: moments as observers and a model would write them, and search results.

moment = moment_of(rng, window, "house", facts=[window.seen])
windows = recalled(rng, "the red box on the table", windows, limit=8)
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ...common.clock_times import format_interval
from ...memory.ladder import summaries
from ...memory.values import Finding, Moment, Observation, Rung, Span, moment_id
from ...perception.describing.rule_captions import compose_caption
from ...worlds.house import PictureFacts
from ...worlds.house.vocabulary_words import DIGITS, LETTERS
from .moment_windows import Window, WindowedLife
from .target_replies import summary_reply

STREAMS = ("house", "demo", "camera 1", "home", "cam", "stream", "video")
BY_OBSERVERS, BY_LMM = "observers/1", "lmm:tiny/caption.1"

_SHADES = ("red", "blue", "green", "yellow", "white", "black", "grey", "brown", "beige")
_SHAPES = ("tall", "tall", "compact", "wide")
_UNSURE = 1.0
"""The noise of a ranking: about the weight of a word that every second moment has."""


def moment_of(
    rng: random.Random,
    window: Window,
    stream: str,
    *,
    observed: bool = True,
    facts: Sequence[PictureFacts] = (),
) -> Moment:
    """A moment of the memory, with the observations of observers and of a model."""
    span = window.stream_span
    findings = findings_of(rng, window)
    observations = [Observation(compose_caption(findings), findings, BY_OBSERVERS, 0.0)] if observed else []
    for description in facts:
        read = [Finding("visible_text", "read", text, span, BY_LMM) for text in description.visible_text]
        observations.append(Observation(description.caption, tuple(read), BY_LMM, 0.0))
    return remembered(stream, "moment", span, observations)


def remembered(stream: str, rung: Rung, span: Span, observations: Sequence[Observation]) -> Moment:
    """A moment or summary with these observations."""
    identity = moment_id(stream, 0, rung, span.start_s)
    return Moment(identity, stream, 0, span, tuple(observations), rung=rung)


def findings_of(rng: random.Random, window: Window) -> tuple[Finding, ...]:
    """The findings of embedded observers: shapes, their movements, and text, with some errors."""
    span, views, facts = window.stream_span, window.views, window.seen
    findings = []

    def find(field: Any, kind: str, text: str, detail: dict[str, str | float] | None = None) -> None:
        findings.append(Finding(field, kind, text, span, BY_OBSERVERS, detail=detail or {}))

    for person in dict.fromkeys(figure.person for view in views for figure in view.figures):
        accent = rng.choice((f"{person.coat} and {rng.choice(_SHADES)}", person.coat))
        name = f"{rng.choice(_SHAPES)} {accent} shape"
        side = rng.choice(("left", "right"))
        place = rng.choice(("on the left", "in the middle", "on the right"))
        actions = (
            ("enters", f"a {name} enters from the {side}"),
            ("moves", f"a {name} moves {side}"),
            ("stays", f"a {name} stays {place}"),
            ("leaves", f"the {name} leaves to the {side}"),
        )
        for kind, text in rng.sample(actions, rng.choice((1, 1, 2))):
            find("action", kind, text)
        if rng.random() < 0.3:
            since_s = max(0.0, span.start_s - rng.uniform(0, 9))
            find("action", "visit", f"a {name} is there {format_interval(since_s, span.end_s)}")
    if any(act.kind in {"puts", "takes"} for act in facts.acts) and rng.random() < 0.7:
        kind, deed = rng.choice((("placed", "is put down"), ("removed", "is taken away")))
        position = rng.choice(("on the left", "in the middle", "on the right"))
        position = position if kind == "placed" else f"from {position.split()[-2]} {position.split()[-1]}"
        shades = " and ".join(rng.sample(_SHADES, 2))
        find("action", kind, f"something {rng.choice(('', 'small '))}{shades} {deed} {position}")
    for code in facts.visible_text:
        if rng.random() < 0.9:
            find("visible_text", "line", code)
    if not facts.actors:
        find("attribute", "empty", "nothing moves and nothing new is in the picture")
    first, second, third = rng.sample(_SHADES, 3)
    mostly = rng.choice(
        (f"mostly {first}, with some {second} and {third}", f"mostly {first} and {second}, with some {third}")
    )
    find("attribute", "colour", mostly, {first: 0.5, second: 0.2, third: 0.1})
    find("attribute", "brightness", rng.choice(("bright", "dim")))
    return tuple(findings)


def overview_of(rng: random.Random, life: WindowedLife) -> list[Moment]:
    """One to three events with summaries, by counting and by a model."""
    events, windows = [], life.windows
    for _ in range(rng.choice((1, 1, 2, 3))):
        first = rng.randrange(len(windows))
        group = windows[first : first + rng.choice((3, 6, 12, len(windows)))]
        span = Span(group[0].stream_span.start_s, group[-1].stream_span.end_s)
        children = [moment_of(rng, window, life.stream) for window in group]
        if rng.random() < 0.4:
            children.append(_with_codes(rng, life.stream, span))
        counted = summaries.summarise(children, span)
        summary = Observation(summary_reply([window.seen for window in group]).caption, (), BY_LMM, 0.0)
        events.append(remembered(life.stream, "event", span, [counted, summary]))
    return sorted(events, key=lambda event: event.span)


def recalled(rng: random.Random, query: str, windows: Sequence[Window], limit: int) -> list[Window]:
    """Approximate results of a text search, best first: captions that share the most words, weighted by rarity."""
    query_words = set(_words(query))
    captions = [set(_words(window.seen.caption)) & query_words for window in windows]
    in_captions = Counter(word for caption in captions for word in caption)
    worth = {word: math.log(1 + len(windows) / count) for word, count in in_captions.items()}
    scores = [sum(worth[word] for word in caption) + rng.gauss(0, _UNSURE) for caption in captions]
    return [
        windows[index] for index in sorted(range(len(windows)), key=scores.__getitem__, reverse=True)[:limit]
    ]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _with_codes(rng: random.Random, stream: str, span: Span) -> Moment:
    """A moment with as many codes as an hour has."""
    codes = {
        rng.choice(LETTERS) + rng.choice(DIGITS) + rng.choice(LETTERS) for _ in range(rng.randint(3, 30))
    }
    findings = tuple(Finding("visible_text", "line", code, span, BY_OBSERVERS) for code in sorted(codes))
    return remembered(stream, "moment", span, [Observation("", findings, BY_OBSERVERS, 0.0)])
