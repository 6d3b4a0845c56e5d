"""The reasoner that thinks with a video LMM.

    reasoner = LmmReasoner(lmm, Spending(Budget()))

It plans searches, looks at pictures with the question in mind, and judges what was found; each is one
call. The answer is worded while judging, so that it costs none of its own; a small memory is judged
without a plan, and what is to be seen now is looked at before anything else: the median question costs
three calls. Where the model fails, or the budget ends, the
extractive reasoner goes on with what is there, and the answer says so.

What is remembered enters a prompt as quoted data under short names, never as instructions.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal, TypeVar

from pydantic import BaseModel, Field

from ..errors import LmmError
from ..memory.values import Finding, Moment, Observation
from ..perception.frame import Picture
from ..perception.lmm import Clip, Lmm, Part, Prompt, Reply, Words, as_data
from ..perception.lmm import Picture as Shown
from ..perception.lmm.templates import load_template
from ..times import between
from .answer import Question, WhyAbstained
from .budget import Spending
from .extractive import ExtractiveReasoner
from .reading import read_question
from .reasoner import Cited, Draft, Judgement, Pictures, Plan

ANSWERS_FROM = 0.5
"""From this sufficiency on it answers; below, it abstains and offers the nearest moments."""
SHOWN = 12
"""Moments shown to the model when it judges. Fewer are not planned for: all of them are shown."""
SHOWN_ABOVE = 6
"""Memories above the moments shown, as an overview."""
MOMENT_CHARS = 600
"""What is said of one moment is cut to so many characters."""
MAX_PICTURES = 8
"""Pictures shown in one look."""
PICTURE_SIDE = 640
"""The longer side of a picture shown, in pixels."""
LOOKS = 2
QUERIES = 4
MAX_TOKENS = {"plan": 256, "judge": 512, "look": 512}
"""How long a reply to each prompt may be."""

Grade = Literal["none", "little", "half", "most", "all"]
SUFFICIENCY: dict[Grade, float] = {"none": 0.0, "little": 0.25, "half": 0.5, "most": 0.75, "all": 0.95}
"""What a grade is worth."""


class Planned(BaseModel):
    """What ``plan.md`` asks for."""

    queries: list[str] = Field(max_length=QUERIES)
    from_s: float | None
    to_s: float | None
    order: Literal["any", "first", "last", "every"]


class Judged(BaseModel):
    """What ``judge.md`` asks for."""

    cites: list[str] = Field(max_length=SHOWN)
    answer: str
    choice: str | None
    sufficiency: Grade
    missing: str
    look_at: list[str] = Field(max_length=LOOKS)
    queries: list[str] = Field(max_length=2)


class Looked(BaseModel):
    """What ``look.md`` asks for."""

    seen: str
    visible_text: list[str] = Field(max_length=12)
    answer: str
    choice: str | None
    sufficiency: Grade


_Asked = TypeVar("_Asked", bound=BaseModel)


class LmmReasoner:
    """Thinks about one question with a model; make one for each.

    Args:
        lmm: The model.
        spending: What the question may cost; every call is added to it.
    """

    def __init__(self, lmm: Lmm, spending: Spending) -> None:
        self._lmm = lmm
        self._spending = spending
        self._failure: LmmError | None = None
        self._answered = False
        self._looks: dict[str, Looked] = {}
        self._fresh: list[str] = []
        self._known: dict[str, bool] = {}
        """The moments found by the last judgement, and whether they have been shown."""
        self._cited: list[str] = []

    @cached_property
    def _rules(self) -> ExtractiveReasoner:
        return ExtractiveReasoner()

    @property
    def written_by(self) -> str:
        """``lmm:`` and the model, as long as the model has answered anything; else the extractive reasoner."""
        return f"lmm:{self._lmm.name}" if self._answered else self._rules.written_by

    def read(self, question: Question, overview: Sequence[Moment]) -> Plan:
        """Plan the searches; without a call where all there is can be shown at once."""
        plan = self._rules.read(question, overview).model_copy(update={"looks": True})
        if _asks_of_now(question):
            return plan.model_copy(
                update={"queries": (), "everything": True, "newest_first": True, "each": 2}
            )
        if len(overview) <= SHOWN and all(tile.rung == "moment" for tile in overview):
            return plan.model_copy(update={"everything": True, "each": SHOWN})
        replied = self._ask(plan_prompt(question, overview), Planned)
        if replied is None:
            return plan
        planned = replied.value
        queries = [query for query in map(_tidy, planned.queries) if query]
        from_s, to_s = _stretch(planned)
        return plan.model_copy(
            update={
                "queries": tuple(dict.fromkeys([*queries, *plan.queries]))[:QUERIES],
                "from_s": plan.from_s if from_s is None else from_s,
                "to_s": plan.to_s if to_s is None else to_s,
                "newest_first": plan.newest_first or planned.order == "last",
                "tallies": plan.tallies or (planned.order == "every" and bool(plan.kinds)),
            }
        )

    def look(self, question: Question, moment: Moment, pictures: Pictures) -> Observation | None:
        """Look at the pictures with the question in mind; they are read closely where the model cannot."""
        if not self._may_ask:
            return self._rules.look(question, moment, pictures)
        prompt = look_prompt(question, moment, pictures(MAX_PICTURES))
        if prompt is None:
            return None
        replied = self._ask(prompt, Looked)
        if replied is None:
            return self._rules.look(question, moment, pictures)
        looked, by = replied.value, replied.written_by
        self._looks[moment.id] = looked
        self._fresh.append(moment.id)
        seen = [Finding("attribute", "seen", looked.seen, moment.span, by, confidence=0.8)]
        seen += [
            Finding("visible_text", "read", text, moment.span, by, confidence=0.8)
            for text in map(_tidy, looked.visible_text)
            if text
        ]
        return Observation(looked.seen, tuple(seen), by, time.time())

    def judge(
        self, question: Question, plan: Plan, overview: Sequence[Moment], moments: Sequence[Moment]
    ) -> Judgement:
        """Grade what was found; a look that settled the question needs no call."""
        settled = self._settled(question, moments)
        if settled is not None:
            return settled
        if _asks_of_now(question) and moments and not self._looks and self._may_ask:
            newest = max(moments, key=lambda moment: moment.span.end_s)
            return Judgement(
                sufficiency=0.0, cited=(_cite(newest, 0.0, newest.caption),), look_at=(newest.id,)
            )
        if not (moments or overview):
            return self._rules.judge(question, plan, overview, moments)
        names = named(self._next(moments))
        replied = self._ask(judge_prompt(question, overview, names), Judged)
        if replied is None:
            return self._rules.judge(question, plan, overview, moments)
        judged = replied.value
        cited = [_cited(names[name], judged) for name in map(_tidy, judged.cites) if name in names]
        self._known |= {moment.id: True for moment in names.values()}
        self._cited = [each.moment_id for each in cited]
        # What rests on no moment can be checked by nobody.
        sufficiency = SUFFICIENCY[judged.sufficiency] if cited else 0.0
        wanted = [names[name] for name in map(_tidy, judged.look_at) if name in names]
        wanted += [names[name] for name in map(_tidy, judged.cites) if name in names]
        look_at = [moment.id for moment in wanted if moment.id not in self._looks]
        return Judgement(
            sufficiency=sufficiency,
            cited=tuple(cited),
            look_at=tuple(dict.fromkeys(look_at))[:LOOKS],
            queries=tuple(query for query in map(_tidy, judged.queries) if query),
            wider=sufficiency < ANSWERS_FROM,
            unread=not all(self._known.values()),
            missing=_tidy(judged.missing),
            text=_tidy(judged.answer),
            choice=option_index(judged.choice, question, judged.answer),
            written_by=replied.written_by,
        )

    def answer(
        self,
        question: Question,
        plan: Plan,
        judgement: Judgement,
        overview: Sequence[Moment],
        moments: Sequence[Moment],
    ) -> Draft:
        """Say what the model said while judging, or abstain; by rule where it was not the model that judged."""
        if not judgement.written_by:
            draft = self._rules.answer(question, plan, judgement, overview, moments)
        elif judgement.sufficiency < ANSWERS_FROM or (question.options and judgement.choice is None):
            draft = _abstention(judgement)
        else:
            chosen = "" if judgement.choice is None else question.options[judgement.choice]
            draft = Draft(
                text=judgement.text or chosen or judgement.cited[0].text,
                confidence=judgement.sufficiency,
                choice=judgement.choice,
                cited=judgement.cited,
            )
        return draft.model_copy(update={"note": self._note})

    def _next(self, moments: Sequence[Moment]) -> list[Moment]:
        """The moments in the order in which the model should see them; there is room for the first few.

        What was looked at or cited before stays; then comes what was found since, then what there was no
        room for, and last what has been judged already.
        """
        found = {moment.id: moment for moment in moments if moment.rung == "moment"}
        kept = [key for key in (*self._looks, *self._cited) if key in found]
        new = [key for key in found if key not in self._known]
        unread = [key for key in found if not self._known.get(key, True)]
        self._known |= dict.fromkeys(new, False)
        return [found[key] for key in dict.fromkeys([*kept, *new, *unread, *found])]

    @property
    def _may_ask(self) -> bool:
        return self._failure is None and self._spending.may_call

    @property
    def _note(self) -> str:
        if self._failure is None:
            return ""
        return f"The model failed in the middle of this question, and the rest was done without it: {self._failure}"

    def _ask(self, prompt: Prompt, reply: type[_Asked]) -> Reply[_Asked] | None:
        """One call; None where none may be made any more, or it failed."""
        if not self._may_ask:
            return None
        try:
            replied = self._lmm.ask_now(
                prompt, reply, deadline_s=self._spending.left_s, max_tokens=MAX_TOKENS[prompt.name]
            )
        except LmmError as error:
            self._failure = error
            self._spending.add(error.calls, error.tokens)
            return None
        self._spending.add(replied.usage.calls, replied.usage.tokens)
        self._answered = True
        return replied

    def _settled(self, question: Question, moments: Sequence[Moment]) -> Judgement | None:
        """What the looks since the last judgement settled, if one of them did."""
        fresh, self._fresh = self._fresh, []
        known = {moment.id: moment for moment in moments}
        for moment_id in fresh:
            looked = self._looks[moment_id]
            choice = option_index(looked.choice, question, looked.answer)
            answers = _tidy(looked.answer) if not question.options else choice is not None
            if SUFFICIENCY[looked.sufficiency] > ANSWERS_FROM and answers and moment_id in known:
                return Judgement(
                    sufficiency=SUFFICIENCY[looked.sufficiency],
                    cited=(_cite(known[moment_id], SUFFICIENCY[looked.sufficiency], looked.seen),),
                    text=_tidy(looked.answer),
                    choice=choice,
                    written_by=self.written_by,
                )
        return None


def _asks_of_now(question: Question) -> bool:
    return read_question(question.text).pick == "newest"


def plan_prompt(question: Question, overview: Sequence[Moment]) -> Prompt:
    """Ask what to search for; the reply is ``Planned``."""
    return load_template(__package__, "plan").prompt(Words(_asked(question)), *_overview(overview))


def judge_prompt(question: Question, overview: Sequence[Moment], moments: Mapping[str, Moment]) -> Prompt:
    """Ask what moments, by the names they are shown under, say to a question; the reply is ``Judged``."""
    told = [_told(name, moment) for name, moment in moments.items()]
    return load_template(__package__, "judge").prompt(Words(_asked(question)), *_overview(overview), *told)


def look_prompt(
    question: Question, moment: Moment, pictures: Sequence[tuple[float, Picture]]
) -> Prompt | None:
    """Ask what pictures of a moment show; the reply is ``Looked``. None where there are no pictures.

    Args:
        question: What is asked.
        moment: What is remembered of them.
        pictures: With their times, in stream seconds, in order.

    """
    shown = _shown(moment, pictures)
    if shown is None:
        return None
    parts = (Words(_asked(question)), shown, _told("moment", moment))
    return load_template(__package__, "look").prompt(*parts)


def _asked(question: Question) -> str:
    """The question and its options, as the user put them."""
    lines = [f"Question: {question.text}"]
    lines += [f"{chr(ord('A') + number)}. {option}" for number, option in enumerate(question.options)]
    return "\n".join(lines)


def _overview(overview: Sequence[Moment]) -> list[Words]:
    """The newest of the memories above the moments."""
    above = [tile for tile in overview if tile.rung != "moment"][-SHOWN_ABOVE:]
    return [_told(f"O{number}", tile) for number, tile in enumerate(above, 1)]


def named(moments: Sequence[Moment]) -> dict[str, Moment]:
    """The first of some moments, by the names they are shown under; in order of time they read as what happened."""
    chosen = sorted(moments[:SHOWN], key=lambda moment: (moment.stream, moment.span))
    return {f"M{number}": moment for number, moment in enumerate(chosen, 1)}


def _told(name: str, moment: Moment) -> Words:
    """What is remembered of a moment, as data."""
    lines = [f"{moment.stream}, {between(moment.span.start_s, moment.span.end_s)}"]
    lines += dict.fromkeys(observation.caption for observation in reversed(moment.observations))
    for field, verb in (("visible_text", "read in the picture"), ("speech", "heard")):
        texts = dict.fromkeys(finding.text for finding in moment.of(field))  # type: ignore[arg-type]
        if texts:
            lines.append(f"{verb}: {' | '.join(texts)}")
    text = "\n".join(lines)
    return Words(as_data(name, text if len(text) <= MOMENT_CHARS else text[: MOMENT_CHARS - 1] + "…"))


def _shown(moment: Moment, pictures: Sequence[tuple[float, Picture]]) -> Part | None:
    """Pictures as a model is shown them: several as a clip. Times count from the moment's start."""
    from ..perception.keyframes import encode_jpeg  # noqa: PLC0415 - heavy, and only looks need it

    jpegs = [
        (max(0.0, time_s - moment.span.start_s), encode_jpeg(picture, PICTURE_SIDE)[0])
        for time_s, picture in pictures
    ]
    if len(jpegs) < 2:
        return Shown(jpegs[0][1], jpegs[0][0]) if jpegs else None
    return Clip(tuple(jpeg for _, jpeg in jpegs), tuple(time_s for time_s, _ in jpegs))


def _cited(moment: Moment, judged: Judged) -> Cited:
    return _cite(moment, SUFFICIENCY[judged.sufficiency], moment.caption)


def _cite(moment: Moment, score: float, text: str) -> Cited:
    return Cited(
        moment_id=moment.id,
        start_s=moment.span.start_s,
        end_s=moment.span.end_s,
        score=score,
        text=_tidy(text),
    )


def _stretch(planned: Planned) -> tuple[float | None, float | None]:
    """The time planned for; none of it where it makes no sense."""
    from_s, to_s = planned.from_s, planned.to_s
    if (from_s is not None and from_s < 0) or (from_s is not None and to_s is not None and from_s >= to_s):
        return None, None
    return from_s, to_s if to_s is None or to_s > 0 else None


def option_index(letter: str | None, question: Question, answer: str = "") -> int | None:
    """Which option is meant: the one that the answer's words name, if no other; else the letter's, if it has one.

    Models that find the answer do not always find its letter.
    """
    left, named = f" {_plain(answer)} ", []
    # The longest first: "the red box and key" is not "the red box".
    for option in sorted(question.options, key=len, reverse=True):
        if (words := f" {_plain(option)} ") in left:
            named.append(option)
            left = left.replace(words, " | ")
    if len(named) == 1:
        return question.options.index(named[0])
    letter = (letter or "").strip().rstrip(".").upper()
    index = ord(letter) - ord("A") if len(letter) == 1 else -1
    return index if 0 <= index < len(question.options) else None


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _abstention(judgement: Judgement) -> Draft:
    why: WhyAbstained = "unclear" if judgement.cited else "not_seen"
    missing = judgement.missing or "what is remembered does not settle it"
    text = f"I cannot tell: {missing.rstrip('.')}."
    if judgement.cited:
        text += " The nearest moments are cited."
    return Draft(text=text, confidence=min(0.3, judgement.sufficiency), why=why, cited=judgement.cited)


def _tidy(text: str) -> str:
    return " ".join(text.split())
