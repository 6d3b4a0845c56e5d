"""What can be asked about a house, as data; ``wording`` says it in words, ``oracle`` and ``replay`` answer it.

    last = ChainSpec((ChainLink(Pattern("puts", what=CUP), "who", which=-1),))
    # "The last time that somebody put the green cup down, who was it?"

A chain goes from act to act: each link's act gives a slot of the next one's pattern.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..house import Person, Room, Thing
from .event_log import Pattern, Slot, Subject

NOT_SEEN = "this was not seen"
NOTHING = "nothing"
CARRIED_OFF = "nowhere: it was carried away"


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One act of a chain, and which part of it counts."""

    pattern: Pattern
    part: Slot
    which: int = 0
    """Of those that fit: 1 the first, 2 the second, -1 the last, -2 the last but one; 0 where there is but one."""
    bind: Slot | None = None
    """The slot that takes what the link before gave."""
    when: Literal["", "after", "before", "during"] = ""
    """Where it lies to the link before; ``during`` is for what a sign of that room said then."""


@dataclass(frozen=True, slots=True)
class ChainSpec:
    """A part of an act, found over others."""

    links: tuple[ChainLink, ...]


@dataclass(frozen=True, slots=True)
class StateSpec:
    """How something is or was, as far as it was seen."""

    subject: Subject | Thing
    """Of a thing, where it lies."""
    back: int = 0
    """1: what was there before; what was empty is passed over."""
    at_s: float | None = None
    """At that time of the video; None: now."""


@dataclass(frozen=True, slots=True)
class HappenedSpec:
    """Whether there was such an act."""

    pattern: Pattern


@dataclass(frozen=True, slots=True)
class AgainSpec:
    """Whether who did one thing had done another before."""

    first: ChainLink
    pattern: Pattern
    lasts_s: float
    """How far back it counts."""


@dataclass(frozen=True, slots=True)
class CountSpec:
    """How many such acts there were, or how many different fillers they had in a slot."""

    pattern: Pattern
    lasts_s: float
    """How far back they count."""
    distinct: Slot | None = None


@dataclass(frozen=True, slots=True)
class OrderSpec:
    """In which order acts came, each of which there was once."""

    patterns: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class StaySpec:
    """How long somebody was in a room the last time, in seconds, as the nearest of ``STAYS_S``."""

    person: Person
    room: Room


@dataclass(frozen=True, slots=True)
class LongestSpec:
    """Who of some people stayed in a room longest, each the last time."""

    people: tuple[Person, ...]
    room: Room


@dataclass(frozen=True, slots=True)
class WhenSpec:
    """When such acts happened."""

    pattern: Pattern


@dataclass(frozen=True, slots=True)
class UsualSpec:
    """What most acts of a kind have in a slot."""

    pattern: Pattern
    part: Slot


@dataclass(frozen=True, slots=True)
class CompanySpec:
    """Who was in a room together with somebody, the first (1) or the last (-1) time."""

    person: Person
    which: int


@dataclass(frozen=True, slots=True)
class AlertsSpec:
    """When somebody who waits for an act is to be told, from now on."""

    pattern: Pattern
    lasts_s: float
    every: int = 0
    """Every so many times; 0: the next time alone."""


@dataclass(frozen=True, slots=True)
class ListingSpec:
    """What people did with things and doors in a room between two times."""

    room: Room
    from_s: float
    to_s: float


Spec: TypeAlias = (
    ChainSpec
    | StateSpec
    | HappenedSpec
    | AgainSpec
    | CountSpec
    | OrderSpec
    | StaySpec
    | LongestSpec
    | WhenSpec
    | UsualSpec
    | CompanySpec
    | AlertsSpec
    | ListingSpec
)

DEEDS = ("puts", "takes", "gives", "opens", "closes")
"""What is done with things and with what opens."""
STAYS_S = (5.0, 7.5, 11.0, 16.0, 24.0)
"""Stays are told by the nearest of these, and asked about only where that is near."""
NEAR = 0.1
"""So near, as a share."""
MARGIN = 2
"""By so many the usual is ahead of anything else."""
LONGER = 1.25
"""The longest of some stays is at least so many times the next."""
