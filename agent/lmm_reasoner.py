"""LMM reasoner: plans, inspects and judges with a video LMM.

    reasoner = LmmReasoner(lmm, Spending(Limits()))

Planning, inspecting and judging take one call each. The model words the answer while it judges, so the answer needs
no call of its own. A small memory is judged without a plan, and for a question about now the newest moment is
inspected first, so that the median question takes three calls. If the model fails or the limits are spent, the
extractive reasoner continues from the same evidence, and the answer says so. ``prompt_building`` has the prompts.

Before it answers from descriptions alone, the reasoner checks the pictures once. If the pictures do not confirm the
answer, the other moments are judged again. Speech needs no check.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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
from .shown_moments import ShownMoments

SEEN = "seen"
"""The finding kind of what an inspection saw as a whole."""
UNCONFIRMED = 0.65
"""The sufficiency of a judgement until the pictures confirm it: enough to answer with, not enough to stop at."""
MODEL_CONFIDENCE = 0.8
"""The confidence of findings that an inspection reports."""
NOW_MOMENTS = 2
"""This many of the newest moments are listed for a question about now."""

_Reply = TypeVar("_Reply", bound=BaseModel)


class LmmReasoner:
    """Answers one question with a model. Make a new one for each question.

    Args:
        lmm: The model.
        spending: What the question may cost. Every call is added to it.
    """

    def __init__(self, lmm: Lmm, spending: Spending) -> None:
        self._lmm = lmm
        self._spending = spending
        self._failure: LmmError | None = None
        self._has_replied = False
        self._inspections: dict[str, LookReply] = {}
        """By moment id."""
        self._new_inspections: list[str] = []
        """Moment ids of the inspections since the last judgement."""
        self._shown = ShownMoments()
        self._unconfirmed: Judgement | None = None
        """The judgement that the requested inspection is to confirm."""
        self._requested_newest = False
        """Whether an inspection of the newest moment was requested."""

    @cached_property
    def _rules(self) -> ExtractiveReasoner:
        return ExtractiveReasoner()

    @property
    def written_by(self) -> str:
        """``lmm:`` and the model's name if the model has replied, else the extractive reasoner."""
        return f"lmm:{self._lmm.name}" if self._has_replied else self._rules.written_by

    def read(self, question: Question, overview: Sequence[Moment]) -> Plan:
        """Plan the searches. No call is made if the whole memory can be shown at once."""
        plan = self._rules.read(question, overview).model_copy(update={"may_inspect": True})
        if _asks_about_now(question):
            return plan.model_copy(update={"queries": (), "everything": True, "limit_per_kind": NOW_MOMENTS})
        if not overview:
            return plan
        if len(overview) <= self._lmm.moments and all(tile.rung == "moment" for tile in overview):
            return plan.model_copy(update={"everything": True, "limit_per_kind": self._lmm.moments})
        replied = self._call(plan_prompt(question, overview), PlanReply)
        return plan if replied is None else _refined_plan(plan, replied.value)

    def look(self, question: Question, moment: Moment, pictures: Pictures) -> Observation | None:
        """Inspect the pictures with the question in mind. If the model cannot, only their text is read."""
        if not self._may_call:
            return self._rules.look(question, moment, pictures)
        prompt = look_prompt(question, moment, pictures(MAX_PICTURES))
        if prompt is None:
            return None
        replied = self._call(prompt, LookReply)
        if replied is None:
            return self._rules.look(question, moment, pictures)
        self._inspections[moment.id] = replied.value
        self._new_inspections.append(moment.id)
        return _observation(moment, replied)

    def judge(
        self, question: Question, plan: Plan, overview: Sequence[Moment], moments: Sequence[Moment]
    ) -> Judgement:
        """Grade the found memories. An inspection that answered the question needs no call."""
        unconfirmed, self._unconfirmed = self._unconfirmed, None
        settled = self._settled_by_inspection(question, moments, unconfirmed)
        if settled is not None:
            return settled
        newest = self._newest_to_inspect(question, moments)
        if newest is not None:
            # If it has no pictures left, the next round judges it by its descriptions.
            self._requested_newest = True
            return Judgement(
                sufficiency=0.0, cited=(_cite(newest, 0.0, newest.caption),), look_at=(newest.id,)
            )
        if not (moments or overview):
            return self._rules.judge(question, plan, overview, moments)
        if unconfirmed is not None:
            refuted = unconfirmed.cited[0].moment_id if len(unconfirmed.cited) == 1 else ""
            self._shown.judge_again(without=refuted)
        judgement = self._judge_by_model(question, overview, moments)
        if judgement is None:
            judgement = self._rules.judge(question, plan, overview, moments)
            return judgement.model_copy(update={"overrules": unconfirmed is not None})
        judgement = judgement.model_copy(update={"overrules": unconfirmed is not None})
        if not self._needs_confirmation(judgement, plan, moments):
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
        """Answer as the model worded it while judging, or abstain. If rules judged, rules answer."""
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

    def _judge_by_model(
        self, question: Question, overview: Sequence[Moment], moments: Sequence[Moment]
    ) -> Judgement | None:
        """What the model judges from as many moments as it is shown. None if it cannot be called."""
        helpful = [key for key, reply in self._inspections.items() if SUFFICIENCY[reply.sufficiency] > 0]
        by_name = named(self._shown.in_order(moments, helpful), self._lmm.moments)
        replied = self._call(judge_prompt(question, overview, by_name), JudgeReply)
        if replied is None:
            return None
        reply = replied.value
        cited_moments = _by_names(reply.cites, by_name)
        # An answer that cites no moment cannot be checked.
        sufficiency = SUFFICIENCY[reply.sufficiency] if cited_moments else 0.0
        answers = sufficiency >= ANSWERS_FROM
        self._shown.record(
            shown=[moment.id for moment in by_name.values()],
            cited=[moment.id for moment in cited_moments if answers],
        )
        to_inspect = dict.fromkeys(
            moment.id
            for moment in (*_by_names(reply.look_at, by_name), *cited_moments)
            if moment.id not in self._inspections
        )
        return Judgement(
            sufficiency=sufficiency,
            cited=tuple(
                _cite(moment, SUFFICIENCY[reply.sufficiency], moment.caption) for moment in cited_moments
            ),
            look_at=tuple(to_inspect)[:LOOKS],
            queries=tuple(filter(None, map(collapse_whitespace, reply.queries))),
            wider=not answers,
            unread=not self._shown.all_judged,
            missing=collapse_whitespace(reply.missing),
            text=collapse_whitespace(reply.answer),
            choice=option_index(reply.choice, question, reply.answer),
            written_by=replied.written_by,
        )

    def _newest_to_inspect(self, question: Question, moments: Sequence[Moment]) -> Moment | None:
        """The newest moment, if the question is about now and its pictures can still be inspected."""
        newest = max(moments, key=lambda moment: moment.span.end_s, default=None)
        if newest is None or newest.rung != "moment" or self._requested_newest:
            return None
        return newest if _asks_about_now(question) and self._may_call else None

    def _needs_confirmation(self, judgement: Judgement, plan: Plan, moments: Sequence[Moment]) -> bool:
        """Whether the judgement would answer the question, but its first citation is not inspected yet."""
        if judgement.sufficiency < ENOUGH or plan.uses_summaries or not self._may_call:
            return False
        first = next(moment for moment in moments if moment.id == judgement.cited[0].moment_id)
        if first.rung != "moment":
            return False  # the few pictures of such a long span refute nothing
        # No picture can confirm speech.
        is_checked = first.of("speech") or any(finding.kind == SEEN for finding in first.findings)
        return not is_checked and len(self._inspections) < self._spending.limits.looks

    @property
    def _may_call(self) -> bool:
        return self._failure is None and self._spending.may_call

    @property
    def _note(self) -> str:
        if self._failure is None:
            return ""
        return f"The model failed in the middle of this question, and the rest was done without it: {self._failure}"

    def _call(self, prompt: Prompt, reply: type[_Reply]) -> LmmReply[_Reply] | None:
        """Call the model. None if no call may be made any more, or if it failed."""
        if not self._may_call:
            return None
        try:
            replied = self._send(prompt, reply)
        except LmmError as error:
            self._failure = error
            self._spending.add(error.calls, error.tokens, error.calls * prompt.pictures)
            return None
        usage = replied.usage
        self._spending.add(usage.calls, usage.tokens, usage.calls * prompt.pictures)
        self._has_replied = True
        return replied

    def _send(self, prompt: Prompt, reply: type[_Reply]) -> LmmReply[_Reply]:
        left_s, max_tokens = self._spending.left_s, MAX_TOKENS[prompt.name]
        if self._spending.cancellation is None:
            return self._lmm.ask_now(prompt, reply, deadline_s=left_s, max_tokens=max_tokens)
        return self._spending.cancellation.run(
            self._lmm.ask(prompt, reply, deadline_s=left_s, max_tokens=max_tokens)
        )

    def _settled_by_inspection(
        self, question: Question, moments: Sequence[Moment], unconfirmed: Judgement | None
    ) -> Judgement | None:
        """The judgement that an inspection since the last one gave or confirmed."""
        new_inspections, self._new_inspections = self._new_inspections, []
        if unconfirmed is not None and not new_inspections:
            return unconfirmed  # no pictures are left to inspect
        by_id = {moment.id: moment for moment in moments}
        for moment_id in new_inspections:
            reply = self._inspections[moment_id]
            settled = self._judge_by_inspection(question, by_id.get(moment_id), reply)
            if unconfirmed is not None and _confirms(question, reply, unconfirmed, settled):
                return unconfirmed
            if settled is not None:
                return settled
        return None

    def _judge_by_inspection(
        self, question: Question, moment: Moment | None, reply: LookReply
    ) -> Judgement | None:
        """The judgement that an inspection gives by itself. None if it does not answer the question."""
        sufficiency = SUFFICIENCY[reply.sufficiency]
        choice = option_index(reply.choice, question, reply.answer)
        answers = choice is not None if question.options else bool(collapse_whitespace(reply.answer))
        if moment is None or not answers or sufficiency <= ANSWERS_FROM:
            return None
        return Judgement(
            sufficiency=sufficiency,
            cited=(_cite(moment, sufficiency, reply.seen),),
            text=collapse_whitespace(reply.answer),
            choice=choice,
            written_by=self.written_by,
        )


def _confirms(
    question: Question, reply: LookReply, unconfirmed: Judgement, settled: Judgement | None
) -> bool:
    """Whether an inspection confirms a judgement. ``settled`` is what the inspection gives by itself."""
    if SUFFICIENCY[reply.sufficiency] < ANSWERS_FROM:
        return False
    if option_index(reply.choice, question, reply.answer) != unconfirmed.choice:
        return False
    # Without options, other words may mean the same or another answer. Then the inspection's own answer is taken.
    is_same_text = f" {plain(reply.answer)} " in f" {plain(unconfirmed.text)} "
    return bool(question.options) or is_same_text or settled is None


def _asks_about_now(question: Question) -> bool:
    return read_question(question.text).pick == "newest"


def _refined_plan(plan: Plan, reply: PlanReply) -> Plan:
    """The rule-made plan with what the model adds to it."""
    queries = list(filter(None, map(collapse_whitespace, reply.queries)))
    ordered_queries = [
        " ".join(word for word in words_of(query) if word not in STOP_WORDS) for query in queries
    ]
    from_s, to_s = _valid_window(reply)
    return plan.model_copy(
        update={
            "queries": tuple(dict.fromkeys([*queries, *plan.queries]))[:QUERIES],
            "from_s": plan.from_s if from_s is None else from_s,
            "to_s": plan.to_s if to_s is None else to_s,
            "order": reply.order if reply.order in ("first", "last") else plan.order,
            "ordered_queries": tuple(dict.fromkeys(filter(None, [*ordered_queries, *plan.ordered_queries]))),
            "uses_summaries": plan.uses_summaries or (reply.order == "every" and bool(plan.kinds)),
        }
    )


def _valid_window(reply: PlanReply) -> tuple[float | None, float | None]:
    """The stream time that the model plans for, without impossible values."""
    from_s, to_s = reply.from_s, reply.to_s
    if from_s is not None and (from_s < 0 or (to_s is not None and from_s >= to_s)):
        return None, None
    return from_s, to_s if to_s is None or to_s > 0 else None


def _observation(moment: Moment, replied: LmmReply[LookReply]) -> Observation:
    """What an inspection saw, as findings."""
    reply, written_by = replied.value, replied.written_by
    findings = [Finding("attribute", SEEN, reply.seen, moment.span, written_by, confidence=MODEL_CONFIDENCE)]
    findings += [
        Finding("visible_text", "read", text, moment.span, written_by, confidence=MODEL_CONFIDENCE)
        for text in map(collapse_whitespace, reply.visible_text)
        if text
    ]
    return Observation(reply.seen, tuple(findings), written_by, time.time())


def _by_names(names: Sequence[str], by_name: Mapping[str, Moment]) -> list[Moment]:
    """The moments that a reply names. Names that were not shown are left out."""
    return [by_name[name] for name in map(collapse_whitespace, names) if name in by_name]


def _cite(moment: Moment, score: float, text: str) -> CitedSpan:
    return CitedSpan(
        moment_id=moment.id,
        start_s=moment.span.start_s,
        end_s=moment.span.end_s,
        score=score,
        text=collapse_whitespace(text),
    )


def _abstention(judgement: Judgement) -> DraftAnswer:
    why: WhyAbstained = "unclear" if judgement.cited else "not_seen"
    missing = judgement.missing or "what is remembered does not settle it"
    text = f"I cannot tell: {missing.rstrip('.')}."
    if judgement.cited:
        text += " The nearest moments are cited."
    return DraftAnswer(text=text, confidence=min(0.3, judgement.sufficiency), why=why, cited=judgement.cited)
