"""Questions about what happens in the house, with their answers and what proves them.

    asked = ask_about(house, seed=1, limit=20)
    asked[0].text, asked[0].options, asked[0].gold
    # "Who put the blue box on the table?", (…, "the man in the red coat", …), "the man in the red coat"

What is asked happens once, or has one answer; the other options are people, things, places and codes
that could as well have been it, most of them from the same house.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ...memory.values import Span
from .script import House
from .vocabulary_words import DIGITS, LETTERS, PEOPLE, ROOMS, THINGS, Act

OPTIONS = 4


@dataclass(frozen=True, slots=True)
class QuestionForm:
    """One way to ask about an act: which part of it is asked for, and the words."""

    part: str
    """``who``, ``what``, ``where``, ``to``, ``room`` or ``when``."""
    texts: tuple[str, ...]
    """The same question in other words."""
    gold: str
    """The part, as it is said; empty for a time."""


@dataclass(frozen=True, slots=True)
class HouseQuestion:
    """A question with its answer."""

    act: Act
    form: QuestionForm
    text: str
    options: tuple[str, ...]
    """Empty where it is asked openly."""
    evidence: tuple[Span, ...] = ()
    """When what proves it can be seen; empty where that is not known here."""

    @property
    def gold(self) -> str:
        """What the answer must say; empty where it is a time."""
        return self.form.gold

    @property
    def choice(self) -> int | None:
        """Which option is right."""
        return self.options.index(self.gold) if self.gold in self.options else None

    @property
    def answer(self) -> str:
        """A sentence that answers it; what is asked when is told without its time."""
        return f"In {self.act.room}, {self.act.clause}."

    @property
    def known(self) -> str:
        """What the question says of the act: the clause without what is asked for."""
        act, part = self.act, self.form.part
        if part == "when" and act.kind in {"comes", "leaves"}:
            return replace(act, where="").clause
        if act.kind == "shows" and part == "where":
            return f"In {act.room}, the sign says"
        return " ".join(act.clause.replace(self.gold, "", 1).split())


def forms_of(act: Act) -> list[QuestionForm]:
    """The ways to ask about an act."""
    who, what, where, to = act.who, act.what, act.where, act.to
    found: list[QuestionForm] = []

    def add(part: str, gold: str, *texts: str) -> None:
        found.append(QuestionForm(part, texts, gold))

    match act.kind:
        case "puts":
            add("who", f"{who}", f"Who puts {what} on the {where}?", f"Who put {what} on the {where}?")
            add(
                "what",
                f"{what}",
                f"What does {who} put on the {where}?",
                f"What did {who} put on the {where}?",
            )
            add("where", f"on the {where}", f"Where does {who} put {what}?", f"Where did {who} put {what}?")
            add(
                "when",
                "",
                f"When does {who} put {what} on the {where}?",
                f"When did {who} put {what} on the {where}?",
            )
        case "takes":
            add("who", f"{who}", f"Who takes {what} from the {where}?", f"Who took {what} from the {where}?")
            add(
                "what",
                f"{what}",
                f"What does {who} take from the {where}?",
                f"What did {who} take from the {where}?",
            )
            add(
                "where",
                f"from the {where}",
                f"From where does {who} take {what}?",
                f"From where did {who} take {what}?",
            )
            add(
                "when",
                "",
                f"When does {who} take {what} from the {where}?",
                f"When did {who} take {what} from the {where}?",
            )
        case "gives":
            add("who", f"{who}", f"Who gives {what} to {to}?", f"Who gave {what} to {to}?")
            add("to", f"{to}", f"Who does {who} give {what} to?", f"Who did {who} give {what} to?")
            add("what", f"{what}", f"What does {who} give to {to}?", f"What did {who} give to {to}?")
            add("when", "", f"When does {who} give {what} to {to}?", f"When did {who} give {what} to {to}?")
        case "opens" | "closes":
            verb = act.kind[:-1]
            past = "opened" if act.kind == "opens" else "closed"
            add("who", f"{who}", f"Who {act.kind} the {where}?", f"Who {past} the {where}?")
            add("where", f"the {where}", f"What does {who} {verb}?", f"What did {who} {verb}?")
            add("when", "", f"When does {who} {verb} the {where}?", f"When did {who} {verb} the {where}?")
        case "carries":
            add("who", f"{who}", f"Who carries {what}?", f"Who carried {what}?")
            add("what", f"{what}", f"What does {who} carry?", f"What did {who} carry?")
        case "comes":
            if where:
                add(
                    "where",
                    f"from the {where}",
                    f"From which side does {who} come in?",
                    f"From which side did {who} come in?",
                )
            add("when", "", f"When does {who} come in?", f"When did {who} come in?")
        case "leaves":
            if where:
                add(
                    "where",
                    f"to the {where}",
                    f"To which side does {who} leave?",
                    f"To which side did {who} leave?",
                )
            add("when", "", f"When does {who} leave?", f"When did {who} leave?")
        case "shows":
            add(
                "where",
                where,
                f"What does the sign in {act.room} say?",
                f"What did the sign in {act.room} say?",
            )
            add(
                "room",
                f"{act.room}",
                f"In which room does the sign say {where}?",
                f"In which room did the sign say {where}?",
            )
            add("when", "", f"When does the sign say {where}?", f"When did the sign say {where}?")
        case "is":
            add("where", f"on the {where}", f"Where is {what}?", f"Where was {what}?")
            add("what", f"{what}", f"What is on the {where}?", f"What was on the {where}?")
    return found


def answers(act: Act, asked: Act, part: str) -> bool:
    """Whether an act is one that the question about ``asked`` speaks of, whatever the part asked for is."""
    return spoken_of(act, part) == spoken_of(asked, part)


def spoken_of(act: Act, part: str) -> tuple[object, ...]:
    """What a question about an act says of it, where it asks for a part: acts of which it says the same answer it."""
    if part == "when":
        part = "where" if act.kind in {"comes", "leaves"} else ""
    said = tuple(getattr(act, name) for name in ("who", "what", "where", "to") if name != part)
    return act.kind, said, act.room if part != "room" and act.kind == "shows" else None


def pose(
    act: Act,
    form: QuestionForm,
    rng: random.Random,
    *,
    text: str | None = None,
    others: Iterable[Act] = (),
    open_share: float = 0.0,
) -> HouseQuestion:
    """Ask it, with options mixed.

    Args:
        act: What is asked about.
        form: How.
        rng: Chooses words and options.
        text: The words; None takes one of the form's.
        others: Acts whose parts are likely options.
        open_share: How often it is asked without options.

    """
    text = text or rng.choice(form.texts)
    if not form.gold or rng.random() < open_share:
        return HouseQuestion(act, form, text, ())
    there = [
        each.gold
        for other in others
        if other.kind == act.kind or form.part != "where"
        for each in forms_of(other)
        if each.part == form.part
    ]
    pool = [gold for gold in dict.fromkeys(there) if gold != form.gold]
    rng.shuffle(pool)
    wrong = pool[: OPTIONS - 1]
    anything = [gold for gold in _anything(act, form, rng) if gold not in {form.gold, *wrong}]
    wrong += rng.sample(anything, min(len(anything), OPTIONS - 1 - len(wrong)))
    options = [form.gold, *wrong]
    rng.shuffle(options)
    return HouseQuestion(act, form, text, tuple(options))


def _anything(act: Act, form: QuestionForm, rng: random.Random) -> Sequence[str]:
    """What else it could be."""
    match form.part, act.kind:
        case (("who" | "to"), _):
            return [str(person) for person in PEOPLE]
        case "what", _:
            return [str(thing) for thing in THINGS]
        case "room", _:
            return [str(room) for room in ROOMS]
        case _, "shows":
            return [rng.choice(LETTERS) + rng.choice(DIGITS) + rng.choice(LETTERS) for _ in range(OPTIONS)]
        case _, ("opens" | "closes"):
            return [f"the {room.opens}" for room in ROOMS]
        case _, ("comes" | "leaves"):
            # Two are all there are.
            preposition = form.gold.rsplit(maxsplit=1)[0]
            return [f"{preposition} left", f"{preposition} right"]
        case _:
            preposition = form.gold.split()[0]
            return [f"{preposition} the {place}" for room in ROOMS for place in room.places]


def ask_about(house: House, *, seed: int = 0, limit: int = 20) -> list[HouseQuestion]:
    """Questions about a house, each with the spans that prove it; fewer than ``limit`` where there are not so many."""
    rng = random.Random(f"questions {house.seed} {seed}")
    acts = [happening.act for happening in house.happenings]
    candidates = [(act, form) for act in dict.fromkeys(acts) for form in forms_of(act)]
    rng.shuffle(candidates)
    # As many of each part as there are, so that none outweighs the others.
    of_part: dict[str, list[tuple[Act, QuestionForm]]] = {}
    spans: dict[tuple[str, tuple[object, ...]], list[Span]] = {}
    for part in {form.part for _, form in candidates}:
        for happening in house.happenings:
            spans.setdefault((part, spoken_of(happening.act, part)), []).append(happening.span)
    for act, form in candidates:
        if len(spans[form.part, spoken_of(act, form.part)]) == 1:
            of_part.setdefault(form.part, []).append((act, form))
    found: list[HouseQuestion] = []
    while len(found) < limit and any(of_part.values()):
        for each in of_part.values():
            if each and len(found) < limit:
                act, form = each.pop()
                asked = pose(act, form, rng, text=form.texts[-1], others=acts)
                evidence = tuple(spans[form.part, spoken_of(act, form.part)])
                found.append(replace(asked, evidence=evidence))
    return found
