"""Question specs: the questions about a house as data.

    last = ChainSpec((ChainLink(Pattern("puts", what=CUP), "who", position=-1),))
    # "The last time that somebody put the green cup down, who was it?"

``question_wording`` turns them into text. ``oracle`` and ``replay_solver`` answer them. A chain goes from act to act:
the act of each link fills a slot of the next link's pattern.
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
    """One act of a chain, and the part of it that counts."""

    pattern: Pattern
    part: Slot
    position: int = 0
    """Which of the acts that fit: 1 the first, 2 the second, -1 the last, -2 the last but one, 0 the only one."""
    bind: Slot | None = None
    """The slot that the part of the link before fills."""
    when: Literal["", "after", "before", "during"] = ""
    """Its time relative to the link before. ``during`` is for the code that the sign of that room showed."""


@dataclass(frozen=True, slots=True)
class ChainSpec:
    """Which value a slot of an act has. The act is found by a chain of acts."""

    links: tuple[ChainLink, ...]


@dataclass(frozen=True, slots=True)
class StateSpec:
    """The state of a subject, or the place of a thing, as it was last seen."""

    subject: Subject | Thing
    back: int = 0
    """0 is the latest state, 1 the one before. Empty states do not count."""
    at_s: float | None = None
    """The time of the video. None is the time of the question."""


@dataclass(frozen=True, slots=True)
class HappenedSpec:
    """Whether an act happened."""

    pattern: Pattern


@dataclass(frozen=True, slots=True)
class AgainSpec:
    """Whether the person of one act had done another act before."""

    first: ChainLink
    pattern: Pattern
    lasts_s: float
    """How far before the first act the other one counts."""


@dataclass(frozen=True, slots=True)
class CountSpec:
    """The number of acts, or of different values that they have in a slot."""

    pattern: Pattern
    lasts_s: float
    """How far before the question they count."""
    distinct: Slot | None = None


@dataclass(frozen=True, slots=True)
class OrderSpec:
    """The order of acts that happened once each."""

    patterns: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class StaySpec:
    """The length of a person's last stay in a room, as the nearest of ``STAYS_S``."""

    person: Person
    room: Room


@dataclass(frozen=True, slots=True)
class LongestSpec:
    """The person whose last stay in a room was the longest."""

    people: tuple[Person, ...]
    room: Room


@dataclass(frozen=True, slots=True)
class WhenSpec:
    """When acts happened."""

    pattern: Pattern


@dataclass(frozen=True, slots=True)
class UsualSpec:
    """The most frequent value of a slot."""

    pattern: Pattern
    part: Slot


@dataclass(frozen=True, slots=True)
class CompanySpec:
    """The person who was in a room together with another one, the first (1) or the last (-1) time."""

    person: Person
    position: int


@dataclass(frozen=True, slots=True)
class AlertsSpec:
    """The times at which an alert about an act is due, from the time of the question on."""

    pattern: Pattern
    lasts_s: float
    every: int = 0
    """Alert at every n-th act. 0 is the next act only."""


@dataclass(frozen=True, slots=True)
class ListingSpec:
    """Everything people did with things and openers in a room between two times."""

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
"""The kinds of act that people do with things and openers."""
STAYS_S = (5.0, 7.5, 11.0, 16.0, 24.0)
"""The lengths of stays that answers use."""
NEAR = 0.1
"""The greatest relative difference between a stay and its length in ``STAYS_S``."""
MARGIN = 2
"""By how many acts the most frequent value is ahead of the next."""
LONGER = 1.25
"""The least ratio between the longest stay and the next."""
