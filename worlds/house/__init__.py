"""The drawn house: a synthetic house of five rooms with a known script, and simple questions about it.

    house = furnish(seed=7, lasts_s=600.0)
    render(house.timeline, Path("house.mp4"))          # of worlds.demo_video
    house.happenings[0].act.clause     # "the woman in the red coat comes in from the left"
    ask_about(house, limit=20)     # questions with options, answers and evidence

Clothes tell people apart, colour and kind tell things apart (``vocabulary_words``). Their acts are a ``script`` that
can be drawn at any time (``drawing``), described from some pictures (``picture_facts``), and asked about
(``house_questions``). The same seed gives the same house.
"""

from __future__ import annotations

from .answer_marking import AnswerMark, Verdict, mark
from .house_questions import HouseQuestion, ask_about
from .picture_facts import PictureFacts, facts_in
from .script import Happening, House, RoomScene, furnish
from .vocabulary_words import COLOURS, PEOPLE, ROOMS, THINGS, Act, Person, Room, Thing

__all__ = [
    "COLOURS",
    "PEOPLE",
    "ROOMS",
    "THINGS",
    "Act",
    "AnswerMark",
    "Happening",
    "House",
    "HouseQuestion",
    "Person",
    "PictureFacts",
    "Room",
    "RoomScene",
    "Thing",
    "Verdict",
    "ask_about",
    "facts_in",
    "furnish",
    "mark",
]
