"""Simulated moments: days in front of a camera, as perception would write them, without video.

    moments = list(simulated_moments(seed=0, hours=24.0, stream="shop"))
    needles = [f for m in moments for f in m.of("visible_text") if f.detail.get("rare")]

For benchmarks and tests that need long streams in a short time. The rate of visitors depends on the hour, offers
change, the light follows the sun, and a few lines of text are shown only once ("rare"), as targets of searches. The
same arguments give the same moments. A longer stream begins like a shorter one. Storage is not part of this module.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from ..common.clock_times import format_interval
from ..memory.values import Field, Finding, FrameCounts, Moment, Observation, Span, moment_id

_Detail = dict[str, str | float]

MOMENT_S = 5.0
FPS = 25
WALL_START_S = 1_767_592_800.0
"""Unix seconds at the start of every stream: 6:00 UTC on 5 January 2026."""

_WRITTEN_BY = "lives/1"
_VISITS_AN_HOUR = (0, 0, 0, 0, 0, 1, 4, 10, 18, 22, 26, 30, 34, 28, 24, 22, 26, 30, 20, 12, 6, 3, 1, 0)
"""Visits an hour, by hour of the day."""
_COLOURS = ("grey", "black", "blue", "white", "red", "green", "brown", "yellow", "orange", "purple")
_COLOUR_WEIGHTS = (30, 22, 14, 12, 7, 4, 5, 3, 2, 1)
_SHAPES = ("tall", "tall", "tall", "tall", "compact", "wide")
_SIDES = ("left", "left", "right", "right", "bottom")
_PLACES = ("on the left", "in the middle", "on the right")
_GOODS = (
    *("bread", "milk", "coffee", "tea", "apples", "rice", "soap", "paper"),
    *("batteries", "flowers", "cheese", "honey", "pasta", "salt", "candles"),
)
_OFFERS = ("{} 2 FOR 1", "NEW: {}", "FRESH {}", "{} SOLD OUT", "{} 20% OFF", "ASK FOR {}")
_RARE_EVERY_S = 1800.0
_OFFER_EVERY_S = 1200.0
_CUT_EVERY_S = 900.0
_BRIGHTNESS = ((0.1, "very dark"), (0.25, "dark"), (0.42, "dim"), (0.75, "bright"), (1.1, "very bright"))
"""Descriptions of light levels, each with its upper bound."""


@dataclass(frozen=True, slots=True)
class _Visit:
    track: int
    span: Span
    colour: str
    shape: str
    came_from: str
    goes_to: str
    place: str

    @property
    def name(self) -> str:
        return f"{self.shape} {self.colour} shape"


def simulated_moments(seed: int, hours: float, stream: str) -> Iterator[Moment]:
    """The moments of ``hours``, 5 s each, in order. Stream time 0 is 6 in the morning."""
    visits = _visits(random.Random(f"{seed} visits"))
    texts = random.Random(f"{seed} texts")
    present: list[_Visit] = []
    coming = next(visits)
    offer, offer_since_s = _offer(texts), 0.0
    shot = 0
    for number in range(math.ceil(hours * 3600 / MOMENT_S)):
        span = Span(number * MOMENT_S, (number + 1) * MOMENT_S)
        findings: list[Finding] = []
        if number and texts.random() < MOMENT_S / _CUT_EVERY_S:
            shot += 1
            cut_span = Span(span.start_s, span.start_s + 1 / FPS)
            findings.append(_find("action", "cut", "the picture cuts to another", cut_span))
        findings += _light(span, texts)
        while coming.span.start_s < span.end_s:
            present.append(coming)
            coming = next(visits)
        for visit in present:
            findings += _seen_of(visit, span)
        present = [visit for visit in present if visit.span.end_s > span.end_s]
        findings += _movement(findings, span)
        if texts.random() < MOMENT_S / _OFFER_EVERY_S:
            offer, offer_since_s = _offer(texts), span.start_s
        findings.append(_find("visible_text", "line", offer, span, {"first_s": offer_since_s}))
        if texts.random() < MOMENT_S / _RARE_EVERY_S:
            shown = Span(span.start_s + 1.0, span.start_s + 4.0)
            mark: _Detail = {"first_s": shown.start_s, "rare": 1.0}
            findings.append(_find("visible_text", "line", _rare(texts), shown, mark))
        yield _moment(stream, span, shot, tuple(sorted(findings, key=lambda finding: finding.span)))


def _visits(rng: random.Random) -> Iterator[_Visit]:
    """An endless sequence of visits, in order of time."""
    time_s, track = 0.0, 0
    while True:
        # Thinning: arrivals at the rate of the busiest hour, of which each hour keeps its own share.
        time_s += rng.expovariate(max(_VISITS_AN_HOUR) / 3600)
        if rng.random() * max(_VISITS_AN_HOUR) >= _VISITS_AN_HOUR[_hour(time_s)]:
            continue
        track += 1
        stays_s = min(240.0, rng.lognormvariate(2.7, 0.8))
        came_from = rng.choice(_SIDES)
        yield _Visit(
            track=track,
            span=Span(round(time_s, 2), round(time_s + stays_s, 2)),
            colour=rng.choices(_COLOURS, _COLOUR_WEIGHTS)[0],
            shape=rng.choice(_SHAPES),
            came_from=came_from,
            goes_to=rng.choice(_SIDES),
            place=rng.choice(_PLACES),
        )


def _seen_of(visit: _Visit, span: Span) -> list[Finding]:
    """The findings about a visit in one moment."""
    overlap = visit.span.clipped_to(span)
    if overlap is None:
        return []
    comes, goes = visit.span.start_s >= span.start_s, visit.span.end_s <= span.end_s
    identity: _Detail = {"track": float(visit.track), "colour": visit.colour, "shape": visit.shape}
    origin: _Detail = {"from": visit.came_from}
    destination: _Detail = {"to": visit.goes_to}
    times: _Detail = {"start_s": overlap.start_s, "end_s": overlap.end_s}
    findings = [_find("actor", "shape", f"a {visit.name}", overlap, identity | times)]
    if comes:
        text = f"a {visit.name} enters from the {visit.came_from}"
        findings.append(_find("action", "enters", text, _second(overlap.start_s, span), identity | origin))
    if not comes and not goes:
        text = f"a {visit.name} stays {visit.place}"
        findings.append(_find("action", "stays", text, overlap, identity | {"place": visit.place}))
    if goes:
        text = f"the {visit.name} leaves to the {visit.goes_to}"
        findings.append(
            _find("action", "leaves", text, _second(overlap.end_s - 1.0, span), identity | destination)
        )
        text = f"a {visit.name} is there {format_interval(visit.span.start_s, visit.span.end_s)}"
        lasted: _Detail = {"value": round(visit.span.duration_s, 2), "complete": 1.0}
        findings.append(_find("action", "visit", text, visit.span, identity | origin | destination | lasted))
    return findings


def _second(start_s: float, span: Span) -> Span:
    """The second that starts at ``start_s``, clipped to ``span``."""
    start_s = max(start_s, span.start_s)
    return Span(start_s, min(start_s + 1.0, span.end_s))


def _light(span: Span, rng: random.Random) -> list[Finding]:
    """The brightness of the hour, and the colours of the background."""
    hour = (WALL_START_S + span.middle_s) / 3600 % 24
    level = 0.06 + 0.5 * max(0.0, math.sin((hour - 6) / 14 * math.pi)) + rng.uniform(-0.02, 0.02)
    description = next(word for edge, word in _BRIGHTNESS if level < edge)
    grey = round(rng.uniform(0.4, 0.5), 2)
    shares: _Detail = {"grey": grey, "brown": round(0.8 - grey, 2)}
    return [
        _find("attribute", "brightness", description, span, {"value": round(level, 3)}),
        _find("attribute", "colour", "mostly grey and brown", span, shares),
    ]


def _movement(findings: list[Finding], span: Span) -> list[Finding]:
    """Whether anything moves, by the other findings."""
    actors = sum(finding.field == "actor" for finding in findings)
    if not actors:
        return [_find("attribute", "empty", "nothing moves and nothing new is in the picture", span)]
    detail: _Detail = {"value": min(0.6, 0.06 * actors), "place": "middle"}
    return [_find("attribute", "moving", "movement, mostly in the middle", span, detail)]


def _offer(rng: random.Random) -> str:
    return rng.choice(_OFFERS).format(rng.choice(_GOODS).upper())


def _rare(rng: random.Random) -> str:
    """A line that is almost certainly shown only once."""
    code = "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=6))
    return f"{rng.choice(('PARCEL', 'TICKET', 'LOCKER', 'ORDER', 'TRUCK'))} {code}"


def _hour(time_s: float) -> int:
    return int((WALL_START_S + time_s) // 3600 % 24)


def _find(field: Field, kind: str, text: str, span: Span, detail: _Detail | None = None) -> Finding:
    return Finding(field, kind, text, span, written_by=_WRITTEN_BY, confidence=0.9, detail=detail or {})


def _moment(stream: str, span: Span, shot: int, findings: tuple[Finding, ...]) -> Moment:
    texts = [f.text for f in findings if f.field == "action" and f.kind != "cut"]
    texts += [f'text: "{f.text}"' for f in findings if f.field == "visible_text"]
    caption = "; ".join(texts) + "."
    frames, looked_at = round(MOMENT_S * FPS), round(MOMENT_S * 2)
    return Moment(
        id=moment_id(stream, 0, "moment", span.start_s),
        stream=stream,
        epoch=0,
        span=span,
        observations=(Observation(caption, findings, _WRITTEN_BY, WALL_START_S + span.end_s + 1.0),),
        shot=shot,
        wall_start_s=WALL_START_S + span.start_s,
        counts=FrameCounts(captured=frames, sampled_out=frames - looked_at, merged=looked_at),
    )
