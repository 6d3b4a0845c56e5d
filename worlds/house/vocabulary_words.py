"""Vocabulary of the drawn house: its people, things, rooms and acts, with one name for each look."""

from __future__ import annotations

from dataclasses import dataclass

from ..scenes import Colour

COLOURS: dict[str, Colour] = {
    "red": (42, 38, 206),
    "blue": (206, 96, 28),
    "green": (56, 156, 40),
    "yellow": (40, 210, 240),
    "white": (240, 242, 242),
    "black": (34, 30, 30),
}
KINDS = ("box", "cup", "bag", "ball", "key", "book")
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
DIGITS = "23456789"
"""A code is a letter, a digit and a letter. Characters that look alike are left out."""


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing that can be carried, put down and taken."""

    colour: str
    kind: str

    def __str__(self) -> str:
        return f"the {self.colour} {self.kind}"


@dataclass(frozen=True, slots=True)
class Person:
    """A person, identified by clothes."""

    kind: str
    """``woman`` or ``man``."""
    coat: str
    hat: bool

    def __str__(self) -> str:
        return f"the {self.kind} in the {self.coat} coat" + (" and hat" if self.hat else "")


@dataclass(frozen=True, slots=True)
class Room:
    """A room with its own look, two places for things, and an opener such as a door."""

    name: str
    places: tuple[str, str]
    """From left to right."""
    opens: str
    places_x: tuple[int, int]
    """The columns of the places' middles, in pixels of the full picture."""
    opens_x: int
    sign_x: int
    wall: Colour
    floor: Colour
    wood: Colour

    @property
    def stand_x(self) -> tuple[int, int]:
        """Where a person stands to handle a thing at each place: right of the first, left of the second."""
        return self.places_x[0] + _ARM_PX, self.places_x[1] - _ARM_PX

    @property
    def opener_x(self) -> int:
        """Where a person stands to open or close the opener."""
        return self.opens_x + _ARM_PX if self.opens_x < _ARM_PX * 2 else self.opens_x - _ARM_PX

    def __str__(self) -> str:
        return f"the {self.name}"


THINGS = tuple(Thing(colour, kind) for kind in KINDS for colour in COLOURS)
PEOPLE = tuple(
    Person(kind, coat, hat) for kind in ("woman", "man") for coat in COLOURS for hat in (False, True)
)
_ARM_PX = 78
ROOMS = (
    Room(
        *("kitchen", ("table", "counter"), "fridge", (150, 412), 566, 320),
        *((168, 206, 222), (120, 140, 150), (92, 132, 176)),
    ),
    Room(
        *("hall", ("bench", "dresser"), "door", (240, 500), 74, 448),
        *((150, 132, 176), (92, 78, 110), (60, 70, 120)),
    ),
    Room(
        *("office", ("desk", "shelf"), "cupboard", (110, 540), 330, 192),
        *((196, 178, 150), (128, 112, 96), (110, 120, 130)),
    ),
    Room(
        *("garden", ("wall", "barrel"), "gate", (260, 560), 80, 192),
        *((222, 190, 140), (72, 136, 92), (96, 110, 120)),
    ),
    Room(
        *("workshop", ("bin", "rack"), "locker", (86, 350), 566, 448),
        *((128, 140, 140), (84, 88, 90), (70, 96, 140)),
    ),
)


@dataclass(frozen=True, slots=True)
class Act:
    """An act or a state, by its parts: ``the man in the blue coat opens the fridge``."""

    kind: str
    """People do ``comes``, ``leaves``, ``puts``, ``takes``, ``opens``, ``closes``, ``gives`` and ``carries``. A sign
    ``shows`` a code. A thing ``is`` on a place."""
    room: Room
    who: Person | None = None
    what: Thing | None = None
    where: str = ""
    """A side, a place, an opener, or the code of a sign."""
    to: Person | None = None
    """The person who is given the thing."""

    @property
    def deed(self) -> str:
        """The act without its subject: ``puts the blue box on the table``."""
        match self.kind:
            case "comes":
                return f"comes in from the {self.where}" if self.where else "comes in"
            case "leaves":
                return f"leaves to the {self.where}" if self.where else "leaves"
            case "puts":
                return f"puts {self.what} on the {self.where}"
            case "takes":
                return f"takes {self.what} from the {self.where}"
            case "gives":
                return f"gives {self.what} to {self.to}"
            case "carries":
                return f"carries {self.what}"
            case "shows":
                return f"says {self.where}"
            case "is":
                return f"is on the {self.where}"
            case _:
                return f"{self.kind} the {self.where}"

    @property
    def subject(self) -> str:
        """The subject of the clause."""
        return "the sign" if self.kind == "shows" else str(self.what if self.kind == "is" else self.who)

    @property
    def clause(self) -> str:
        """The act as a clause."""
        return f"{self.subject} {self.deed}"
