"""A house of a few rooms, in which everything that happens is known, and asked about.

    house = furnish(seed=7, lasts_s=600.0)
    render(house.timeline, Path("house.mp4"))          # of evals.world
    house.happenings[0].act.clause     # "the woman in the red coat comes in from the left"
    ask_about(house, limit=20)     # questions with options, answers and the spans that prove them

People are told apart by what they wear, things by colour and kind (``words``); what they do is a script
(``script``) that can be drawn at any time (``drawing``), told from what some pictures of it show
(``telling``), and asked about (``questions``). The same seed gives the same house.
"""

from __future__ import annotations

from .marking import Mark, Verdict, mark
from .questions import Asked, ask_about
from .script import Happening, House, RoomScene, furnish
from .telling import Seen, tell
from .words import COLOURS, PEOPLE, ROOMS, THINGS, Act, Person, Room, Thing

__all__ = [
    "COLOURS",
    "PEOPLE",
    "ROOMS",
    "THINGS",
    "Act",
    "Asked",
    "Happening",
    "House",
    "Mark",
    "Person",
    "Room",
    "RoomScene",
    "Seen",
    "Thing",
    "Verdict",
    "ask_about",
    "furnish",
    "mark",
    "tell",
]
