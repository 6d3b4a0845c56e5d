"""House questions: questions about what happens in the drawn house, with their answers and evidence.

    questions = ask_about(house, seed=1, limit=20)
    questions[0].text, questions[0].options, questions[0].gold
    # "Who put the blue box on the table?", (…, "the man in the red coat", …), "the man in the red coat"

A question is about an act that happens once, or has one answer. The wrong options are other people, things, places and
codes, most of them from the same house.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ...memory.values import Span
from .script import House
from .vocabulary_words import DIGITS, LETTERS, PEOPLE, ROOMS, THINGS, Act

OPTIONS = 4


_FORMS: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "puts": (
        ("who", "{who}", "Who puts {what} on the {where}?", "Who put {what} on the {where}?"),
        ("what", "{what}", "What does {who} put on the {where}?", "What did {who} put on the {where}?"),
        ("where", "on the {where}", "Where does {who} put {what}?", "Where did {who} put {what}?"),
        (
            "when",
            "",
            "When does {who} put {what} on the {where}?",
            "When did {who} put {what} on the {where}?",
        ),
    ),
    "takes": (
        ("who", "{who}", "Who takes {what} from the {where}?", "Who took {what} from the {where}?"),
        ("what", "{what}", "What does {who} take from the {where}?", "What did {who} take from the {where}?"),
        (
            "where",
            "from the {where}",
            "From where does {who} take {what}?",
            "From where did {who} take {what}?",
        ),
        (
            "when",
            "",
            "When does {who} take {what} from the {where}?",
            "When did {who} take {what} from the {where}?",
        ),
    ),
    "gives": (
        ("who", "{who}", "Who gives {what} to {to}?", "Who gave {what} to {to}?"),
        ("to", "{to}", "Who does {who} give {what} to?", "Who did {who} give {what} to?"),
        ("what", "{what}", "What does {who} give to {to}?", "What did {who} give to {to}?"),
        ("when", "", "When does {who} give {what} to {to}?", "When did {who} give {what} to {to}?"),
    ),
    "opens": (
        ("who", "{who}", "Who opens the {where}?", "Who opened the {where}?"),
        ("where", "the {where}", "What does {who} open?", "What did {who} open?"),
        ("when", "", "When does {who} open the {where}?", "When did {who} open the {where}?"),
    ),
    "closes": (
        ("who", "{who}", "Who closes the {where}?", "Who closed the {where}?"),
        ("where", "the {where}", "What does {who} close?", "What did {who} close?"),
        ("when", "", "When does {who} close the {where}?", "When did {who} close the {where}?"),
    ),
    "carries": (
        ("who", "{who}", "Who carries {what}?", "Who carried {what}?"),
        ("what", "{what}", "What does {who} carry?", "What did {who} carry?"),
    ),
    "comes": (
        (
            "where",
            "from the {where}",
            "From which side does {who} come in?",
            "From which side did {who} come in?",
        ),
        ("when", "", "When does {who} come in?", "When did {who} come in?"),
    ),
    "leaves": (
        ("where", "to the {where}", "To which side does {who} leave?", "To which side did {who} leave?"),
        ("when", "", "When does {who} leave?", "When did {who} leave?"),
    ),
    "shows": (
        ("where", "{where}", "What does the sign in {room} say?", "What did the sign in {room} say?"),
        (
            "room",
            "{room}",
            "In which room does the sign say {where}?",
            "In which room did the sign say {where}?",
        ),
        ("when", "", "When does the sign say {where}?", "When did the sign say {where}?"),
    ),
    "is": (
        ("where", "on the {where}", "Where is {what}?", "Where was {what}?"),
        ("what", "{what}", "What is on the {where}?", "What was on the {where}?"),
    ),
}
"""By kind of act: the part that is asked for, its text in the answer, and the question in the present and the past."""


@dataclass(frozen=True, slots=True)
class QuestionForm:
    """One way to ask about an act: the part that is asked for, and the wording."""

    part: str
    """``who``, ``what``, ``where``, ``to``, ``room`` or ``when``."""
    texts: tuple[str, ...]
    """Wordings of the same question."""
    gold: str
    """The text of the part in the answer. Empty for a time."""


@dataclass(frozen=True, slots=True)
class HouseQuestion:
    """A question with its answer and evidence."""

    act: Act
    form: QuestionForm
    text: str
    options: tuple[str, ...]
    """The options. Empty for an open question."""
    evidence: tuple[Span, ...] = ()
    """The spans that prove the answer. Empty if they are not known."""

    @property
    def gold(self) -> str:
        """The text that the answer must contain. Empty if the answer is a time."""
        return self.form.gold

    @property
    def choice(self) -> int | None:
        """The index of the right option. None without options."""
        return self.options.index(self.gold) if self.gold in self.options else None

    @property
    def answer(self) -> str:
        """A sentence that answers the question. It does not state a time."""
        return f"In {self.act.room}, {self.act.clause}."

    @property
    def known(self) -> str:
        """The parts of the act that the question states: its clause without the part that is asked for."""
        act, part = self.act, self.form.part
        if part == "when" and act.kind in {"comes", "leaves"}:
            return replace(act, where="").clause
        if act.kind == "shows" and part == "where":
            return f"In {act.room}, the sign says"
        return " ".join(act.clause.replace(self.gold, "", 1).split())


def forms_of(act: Act) -> list[QuestionForm]:
    """The ways to ask about an act."""
    parts = {"who": act.who, "what": act.what, "where": act.where, "to": act.to, "room": act.room}
    side_unknown = act.kind in {"comes", "leaves"} and not act.where
    return [
        QuestionForm(part, tuple(text.format(**parts) for text in texts), gold.format(**parts))
        for part, gold, *texts in _FORMS.get(act.kind, ())
        if part != "where" or not side_unknown
    ]


def answers(act: Act, target: Act, part: str) -> bool:
    """Whether an act answers the question about a part of ``target``: all other parts are equal."""
    return stated_parts(act, part) == stated_parts(target, part)


def stated_parts(act: Act, part: str) -> tuple[object, ...]:
    """The parts of an act that a question for ``part`` states. Acts with equal ones answer the same question."""
    if part == "when":
        part = "where" if act.kind in {"comes", "leaves"} else ""
    slots = tuple(getattr(act, name) for name in ("who", "what", "where", "to") if name != part)
    return act.kind, slots, act.room if part != "room" and act.kind == "shows" else None


def pose(
    act: Act,
    form: QuestionForm,
    rng: random.Random,
    *,
    text: str | None = None,
    likely_acts: Iterable[Act] = (),
    open_share: float = 0.0,
) -> HouseQuestion:
    """Make a question, with its options in random order.

    Args:
        act: The act to ask about.
        form: The form of the question.
        rng: Chooses the wording and the options.
        text: The wording. None chooses one of the form's.
        likely_acts: Acts whose parts are likely options.
        open_share: The share of questions without options.

    """
    text = text or rng.choice(form.texts)
    if not form.gold or rng.random() < open_share:
        return HouseQuestion(act, form, text, ())
    likely = [
        other_form.gold
        for other_act in likely_acts
        if other_act.kind == act.kind or form.part != "where"
        for other_form in forms_of(other_act)
        if other_form.part == form.part
    ]
    pool = [gold for gold in dict.fromkeys(likely) if gold != form.gold]
    rng.shuffle(pool)
    wrong = pool[: OPTIONS - 1]
    anything = [gold for gold in _anything(act, form, rng) if gold not in {form.gold, *wrong}]
    wrong += rng.sample(anything, min(len(anything), OPTIONS - 1 - len(wrong)))
    options = [form.gold, *wrong]
    rng.shuffle(options)
    return HouseQuestion(act, form, text, tuple(options))


def _anything(act: Act, form: QuestionForm, rng: random.Random) -> Sequence[str]:
    """All other possible values of the part."""
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
            # There are only two sides.
            preposition = form.gold.rsplit(maxsplit=1)[0]
            return [f"{preposition} left", f"{preposition} right"]
        case _:
            preposition = form.gold.split()[0]
            return [f"{preposition} the {place}" for room in ROOMS for place in room.places]


def ask_about(house: House, *, seed: int = 0, limit: int = 20) -> list[HouseQuestion]:
    """Draw up to ``limit`` questions about a house, each with the spans that prove its answer."""
    rng = random.Random(f"questions {house.seed} {seed}")
    acts = [happening.act for happening in house.happenings]
    candidates = [(act, form) for act in dict.fromkeys(acts) for form in forms_of(act)]
    rng.shuffle(candidates)
    # The questions are drawn in turn from each part, so that no part dominates.
    of_part: dict[str, list[tuple[Act, QuestionForm]]] = {}
    spans: dict[tuple[str, tuple[object, ...]], list[Span]] = {}
    for part in {form.part for _, form in candidates}:
        for happening in house.happenings:
            spans.setdefault((part, stated_parts(happening.act, part)), []).append(happening.span)
    for act, form in candidates:
        if len(spans[form.part, stated_parts(act, form.part)]) == 1:
            of_part.setdefault(form.part, []).append((act, form))
    questions: list[HouseQuestion] = []
    while len(questions) < limit and any(of_part.values()):
        for forms in of_part.values():
            if forms and len(questions) < limit:
                act, form = forms.pop()
                question = pose(act, form, rng, text=form.texts[-1], likely_acts=acts)
                evidence = tuple(spans[form.part, stated_parts(act, form.part)])
                questions.append(replace(question, evidence=evidence))
    return questions
