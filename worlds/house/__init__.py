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
