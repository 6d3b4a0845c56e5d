"""The reasoner that thinks with a video LMM.

    reasoner = LmmReasoner(lmm, Spending(Budget()))

It plans searches, looks at pictures with the question in mind, and judges what was found; each is one
call. The answer is worded while judging, so that it costs none of its own; a small memory is judged
without a plan, and what is to be seen now is looked at before anything else: the median question costs
three calls. Where the model fails, or the budget ends, the extractive reasoner goes on with what is
there, and the answer says so. ``asking`` has the prompts.

What a description alone is said to settle is looked at before it is answered with, once: a second look
saw it already, or does now. Where the pictures do not show it, what else was found is judged anew.
What was heard needs no look.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TypeVar

from pydantic import BaseModel

from ..common.text import collapse_whitespace
from ..memory.query.word_stems import words_of
from ..memory.values import Finding, Moment, Observation
from ..perception.errors import LmmError
from ..perception.lmm import Lmm, LmmReply, Prompt
from .answer import Question, WhyAbstained
from .extractive_reasoner import ExtractiveReasoner
from .lexicon import STOP_WORDS
from .limits import Spending
from .prompt_building import (
    LOOKS,
    MAX_PICTURES,
    MAX_TOKENS,
    QUERIES,
    SUFFICIENCY,
    JudgeReply,
    LookReply,
    PlanReply,
    judge_prompt,
    look_prompt,
    named,
    option_index,
    plain,
    plan_prompt,
)
from .question_parser import read_question
from .reasoner import ANSWERS_FROM, ENOUGH, CitedSpan, DraftAnswer, Judgement, Pictures, Plan

SEEN = "seen"
"""The kind of what a second look saw as a whole."""
UNCONFIRMED = 0.65
"""What a judgement counts for until a look has confirmed it: enough to answer with, not enough to stop at."""

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
        self._looks: dict[str, LookReply] = {}
        self._fresh: list[str] = []
        self._known: dict[str, bool] = {}
        """The moments found by the last judgement, and whether they have been shown."""
        self._cited: list[str] = []
        self._shown: list[str] = []
        """The moments that were judged from last."""
        self._unconfirmed: Judgement | None = None
        self._looked_now = False
        """Whether a look at the newest moment was asked for."""

    @cached_property
    def _rules(self) -> ExtractiveReasoner:
        return ExtractiveReasoner()

    @property
    def written_by(self) -> str:
        """``lmm:`` and the model, as long as the model has answered anything; else the extractive reasoner."""
        return f"lmm:{self._lmm.name}" if self._answered else self._rules.written_by

    def read(self, question: Question, overview: Sequence[Moment]) -> Plan:
        """Plan the searches; without a call where all there is can be shown at once."""
        plan = self._rules.read(question, overview).model_copy(update={"may_inspect": True})
        if _asks_of_now(question):
            return plan.model_copy(update={"queries": (), "everything": True, "limit_per_kind": 2})
        if not overview:
            return plan
        if len(overview) <= self._lmm.moments and all(tile.rung == "moment" for tile in overview):
            return plan.model_copy(update={"everything": True, "limit_per_kind": self._lmm.moments})
        replied = self._ask(plan_prompt(question, overview), PlanReply)
        if replied is None:
            return plan
        planned = replied.value
        queries = [query for query in map(collapse_whitespace, planned.queries) if query]
        from_s, to_s = _stretch(planned)
        order = planned.order if planned.order in ("first", "last") else plan.order
        sought = [" ".join(word for word in words_of(query) if word not in STOP_WORDS) for query in queries]
        return plan.model_copy(
            update={
                "queries": tuple(dict.fromkeys([*queries, *plan.queries]))[:QUERIES],
                "from_s": plan.from_s if from_s is None else from_s,
                "to_s": plan.to_s if to_s is None else to_s,
                "order": order,
                "ordered_queries": tuple(dict.fromkeys(filter(None, [*sought, *plan.ordered_queries]))),
                "uses_summaries": plan.uses_summaries or (planned.order == "every" and bool(plan.kinds)),
            }
        )

    def look(self, question: Question, moment: Moment, pictures: Pictures) -> Observation | None:
        """Look at the pictures with the question in mind; they are read closely where the model cannot."""
        if not self._may_ask:
            return self._rules.look(question, moment, pictures)
        prompt = look_prompt(question, moment, pictures(MAX_PICTURES))
        if prompt is None:
            return None
        replied = self._ask(prompt, LookReply)
        if replied is None:
            return self._rules.look(question, moment, pictures)
        looked, by = replied.value, replied.written_by
        self._looks[moment.id] = looked
        self._fresh.append(moment.id)
        seen = [Finding("attribute", SEEN, looked.seen, moment.span, by, confidence=0.8)]
        seen += [
            Finding("visible_text", "read", text, moment.span, by, confidence=0.8)
            for text in map(collapse_whitespace, looked.visible_text)
            if text
        ]
        return Observation(looked.seen, tuple(seen), by, time.time())

    def judge(
        self, question: Question, plan: Plan, overview: Sequence[Moment], moments: Sequence[Moment]
    ) -> Judgement:
        """Grade what was found; a look that settled the question needs no call."""
        unconfirmed, self._unconfirmed = self._unconfirmed, None
        settled = self._settled(question, moments, unconfirmed)
        if settled is not None:
            return settled
        newest = max(moments, key=lambda moment: moment.span.end_s, default=None)
        if (
            newest is not None
            and newest.rung == "moment"
            and _asks_of_now(question)
            and not self._looked_now
            and self._may_ask
        ):
            # Where no pictures are left of it, it is judged by its words in the next round.
            self._looked_now = True
            return Judgement(
                sufficiency=0.0, cited=(_cite(newest, 0.0, newest.caption),), look_at=(newest.id,)
            )
        if not (moments or overview):
            return self._rules.judge(question, plan, overview, moments)
        if unconfirmed is not None:
            self._refute(unconfirmed)
        names = named(self._next(moments), self._lmm.moments)
        replied = self._ask(judge_prompt(question, overview, names), JudgeReply)
        if replied is None:
            by_rules = self._rules.judge(question, plan, overview, moments)
            return by_rules.model_copy(update={"overrules": unconfirmed is not None})
        judged = replied.value
        cited = [
            _cited(names[name], judged) for name in map(collapse_whitespace, judged.cites) if name in names
        ]
        self._shown = [moment.id for moment in names.values()]
        self._known |= dict.fromkeys(self._shown, True)
        # What rests on no moment can be checked by nobody.
        sufficiency = SUFFICIENCY[judged.sufficiency] if cited else 0.0
        self._cited = [each.moment_id for each in cited if sufficiency >= ANSWERS_FROM]
        wanted = [names[name] for name in map(collapse_whitespace, judged.look_at) if name in names]
        wanted += [names[name] for name in map(collapse_whitespace, judged.cites) if name in names]
        look_at = [moment.id for moment in wanted if moment.id not in self._looks]
        judgement = Judgement(
            sufficiency=sufficiency,
            cited=tuple(cited),
            look_at=tuple(dict.fromkeys(look_at))[:LOOKS],
            queries=tuple(query for query in map(collapse_whitespace, judged.queries) if query),
            wider=sufficiency < ANSWERS_FROM,
            unread=not all(self._known.values()),
            missing=collapse_whitespace(judged.missing),
            text=collapse_whitespace(judged.answer),
            choice=option_index(judged.choice, question, judged.answer),
            written_by=replied.written_by,
            overrules=unconfirmed is not None,
        )
        if not self._wants_a_look(judgement, plan, moments):
            return judgement
        self._unconfirmed = judgement
        first = judgement.cited[0].moment_id
        return judgement.model_copy(update={"sufficiency": UNCONFIRMED, "look_at": (first,)})

    def answer(
        self,
        question: Question,
        plan: Plan,
        judgement: Judgement,
        overview: Sequence[Moment],
        moments: Sequence[Moment],
    ) -> DraftAnswer:
        """Say what the model said while judging, or abstain; by rule where it was not the model that judged."""
        if not judgement.written_by:
            draft = self._rules.answer(question, plan, judgement, overview, moments)
        elif judgement.sufficiency < ANSWERS_FROM or (question.options and judgement.choice is None):
            draft = _abstention(judgement)
        else:
            chosen = "" if judgement.choice is None else question.options[judgement.choice]
            draft = DraftAnswer(
                text=judgement.text or chosen or judgement.cited[0].text,
                confidence=judgement.sufficiency,
                choice=judgement.choice,
                cited=judgement.cited,
            )
        return draft.model_copy(update={"note": self._note})

    def _next(self, moments: Sequence[Moment]) -> list[Moment]:
        """The moments in the order in which the model should see them; there is room for the first few.

        What brought it nearer to an answer stays, whether looked at or cited; then comes what was not shown
        yet, the latest finds first, and last what has been judged already.
        """
        found = {moment.id: moment for moment in moments}
        told = [key for key, looked in self._looks.items() if SUFFICIENCY[looked.sufficiency] > 0]
        kept = [key for key in (*told, *self._cited) if key in found]
        self._known = dict.fromkeys(found, False) | self._known
        unread = [key for key in found if not self._known[key]]
        return [found[key] for key in dict.fromkeys([*kept, *unread, *found])]

    def _wants_a_look(self, judgement: Judgement, plan: Plan, moments: Sequence[Moment]) -> bool:
        """Whether it would be answered with, and rests on what nobody has looked at closely yet."""
        if judgement.sufficiency < ENOUGH or plan.uses_summaries or not self._may_ask:
            return False
        first = next(moment for moment in moments if moment.id == judgement.cited[0].moment_id)
        if first.rung != "moment":
            return False  # the few pictures of so long a stretch refute nothing
        # What was heard, no picture confirms.
        known = first.of("speech") or any(finding.kind == SEEN for finding in first.findings)
        return not known and len(self._looks) < self._spending.limits.looks

    def _refute(self, judgement: Judgement) -> None:
        """Have what it was made from judged again, without what it rests on if that is one moment alone."""
        wrong = judgement.cited[0].moment_id if len(judgement.cited) == 1 else ""
        self._known |= {key: False for key in self._shown if key != wrong}
        self._cited = [key for key in self._cited if key != wrong]

    @property
    def _may_ask(self) -> bool:
        return self._failure is None and self._spending.may_call

    @property
    def _note(self) -> str:
        if self._failure is None:
            return ""
        return f"The model failed in the middle of this question, and the rest was done without it: {self._failure}"

    def _ask(self, prompt: Prompt, reply: type[_Asked]) -> LmmReply[_Asked] | None:
        """One call; None where none may be made any more, or it failed."""
        if not self._may_ask:
            return None
        try:
            replied = self._send(prompt, reply)
        except LmmError as error:
            self._failure = error
            self._spending.add(error.calls, error.tokens, error.calls * prompt.pictures)
            return None
        usage = replied.usage
        self._spending.add(usage.calls, usage.tokens, usage.calls * prompt.pictures)
        self._answered = True
        return replied

    def _send(self, prompt: Prompt, reply: type[_Asked]) -> LmmReply[_Asked]:
        left_s, max_tokens = self._spending.left_s, MAX_TOKENS[prompt.name]
        if self._spending.cancellation is None:
            return self._lmm.ask_now(prompt, reply, deadline_s=left_s, max_tokens=max_tokens)
        return self._spending.cancellation.run(
            self._lmm.ask(prompt, reply, deadline_s=left_s, max_tokens=max_tokens)
        )

    def _settled(
        self, question: Question, moments: Sequence[Moment], unconfirmed: Judgement | None
    ) -> Judgement | None:
        """What the looks since the last judgement settled or confirmed, if one of them did."""
        fresh, self._fresh = self._fresh, []
        if unconfirmed is not None and not fresh:
            return unconfirmed  # there is nothing left to look at
        known = {moment.id: moment for moment in moments}
        for moment_id in fresh:
            looked = self._looks[moment_id]
            sufficiency = SUFFICIENCY[looked.sufficiency]
            choice = option_index(looked.choice, question, looked.answer)
            answers = choice is not None if question.options else bool(collapse_whitespace(looked.answer))
            settles = sufficiency > ANSWERS_FROM and answers and moment_id in known
            if unconfirmed is not None and sufficiency >= ANSWERS_FROM:
                # Without options, words that differ may be the same answer or another: the pictures' are taken.
                same = f" {plain(looked.answer)} " in f" {plain(unconfirmed.text)} " or not settles
                if choice == unconfirmed.choice and (same or question.options):
                    return unconfirmed
            if settles:
                return Judgement(
                    sufficiency=sufficiency,
                    cited=(_cite(known[moment_id], sufficiency, looked.seen),),
                    text=collapse_whitespace(looked.answer),
                    choice=choice,
                    written_by=self.written_by,
                )
        return None


def _asks_of_now(question: Question) -> bool:
    return read_question(question.text).pick == "newest"


def _cited(moment: Moment, judged: JudgeReply) -> CitedSpan:
    return _cite(moment, SUFFICIENCY[judged.sufficiency], moment.caption)


def _cite(moment: Moment, score: float, text: str) -> CitedSpan:
    return CitedSpan(
        moment_id=moment.id,
        start_s=moment.span.start_s,
        end_s=moment.span.end_s,
        score=score,
        text=collapse_whitespace(text),
    )


def _stretch(planned: PlanReply) -> tuple[float | None, float | None]:
    """The time planned for; none of it where it makes no sense."""
    from_s, to_s = planned.from_s, planned.to_s
    if (from_s is not None and from_s < 0) or (from_s is not None and to_s is not None and from_s >= to_s):
        return None, None
    return from_s, to_s if to_s is None or to_s > 0 else None


def _abstention(judgement: Judgement) -> DraftAnswer:
    why: WhyAbstained = "unclear" if judgement.cited else "not_seen"
    missing = judgement.missing or "what is remembered does not settle it"
    text = f"I cannot tell: {missing.rstrip('.')}."
    if judgement.cited:
        text += " The nearest moments are cited."
    return DraftAnswer(text=text, confidence=min(0.3, judgement.sufficiency), why=why, cited=judgement.cited)
