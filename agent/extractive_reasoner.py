"""Extractive reasoner: answers from observations, or abstains. It needs no model.

It parses the question by rule, ranks remembered text and findings, counts and orders where the observations allow it,
and cites the spans that support the answer. If only a video model could tell, it says so and offers the nearest
moments.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..memory.query.word_stems import words_of
from ..memory.values import Moment, Observation
from . import answer_wording
from .answer import Question, WhyAbstained
from .candidate_ranking import Candidate
from .evidence_weighing import WeighedEvidence, weigh_evidence
from .multiple_choice import OptionChoice, choose, choose_in_order
from .question_parser import ParsedQuestion, read_question
from .reasoner import ANSWERS_FROM, CitedSpan, DraftAnswer, Judgement, Pictures, Plan
from .search_planning import plan_searches

MAX_CITED = 8
MAX_INSPECTED = 2
INSPECT_FROM = 0.2
"""A moment's pictures are inspected if it has at least this share of the question's words."""
MAX_PICTURES = 4
"""Pictures that one inspection reads. Of a longer moment they are evenly spread."""
FULLY_READ_LINES = 12
"""A moment with more lines than this was read completely the first time."""
MAX_ABSTAINED_CONFIDENCE = 0.3


class ExtractiveReasoner:
    """Answers from observations alone. It is deterministic: the same memory and question give the same answer."""

    written_by = "extractive/1"

    def read(self, question: Question, overview: Sequence[Moment]) -> Plan:
        """Turn the question's words into queries, and its verbs into finding kinds to list."""
        return plan_searches(question, read_question(question.text))

    def look(self, question: Question, moment: Moment, pictures: Pictures) -> Observation | None:
        """Read the text in the moment's pictures at full resolution."""
        from ..perception.describing.inspection import read_closely  # noqa: PLC0415 - heavy, and few questions need it

        return read_closely(pictures(MAX_PICTURES), moment.span)

    def judge(
        self, question: Question, plan: Plan, overview: Sequence[Moment], moments: Sequence[Moment]
    ) -> Judgement:
        """Rank the found memories, and grade whether the best one answers the question."""
        parsed = read_question(question.text)
        weighed = weigh_evidence(parsed, plan, overview, moments)
        ranked, answers = weighed.ranked, weighed.sufficiency >= ANSWERS_FROM
        may_search_wider = bool(ranked) and (parsed.wants_text or parsed.relation is not None)
        return Judgement(
            sufficiency=weighed.sufficiency,
            cited=tuple(map(_cite, ranked[:MAX_CITED])),
            look_at=_worth_inspecting(ranked, moments) if plan.may_inspect and not answers else (),
            queries=() if answers else tuple(word for word in parsed.unobservable_words if len(word) > 2),
            wider=may_search_wider and not answers,
            missing=", ".join(ranked[0].missing if ranked else parsed.content_words),
        )

    def answer(
        self,
        question: Question,
        plan: Plan,
        judgement: Judgement,
        overview: Sequence[Moment],
        moments: Sequence[Moment],
    ) -> DraftAnswer:
        """Answer with observations and their times, or explain the abstention and cite the nearest moments."""
        if not overview:
            text = answer_wording.nothing_watched_text(question)
            return DraftAnswer(text=text, confidence=0.0, why="not_watched")
        parsed = read_question(question.text)
        weighed = weigh_evidence(parsed, plan, overview, moments)
        shown = {moment.id for moment in (*overview, *moments)}
        cited = tuple(_cite(c) for c in weighed.ranked[:MAX_CITED] if c.moment_id in shown)
        if question.options:
            draft = _choose_option(question, parsed, plan, moments, weighed, cited)
            if draft is not None:
                return draft
        return _answer_openly(question, parsed, plan, weighed, cited)


def _choose_option(
    question: Question,
    parsed: ParsedQuestion,
    plan: Plan,
    moments: Sequence[Moment],
    weighed: WeighedEvidence,
    cited: Sequence[CitedSpan],
) -> DraftAnswer | None:
    """The answer to a multiple choice question. None if a plain yes answers it."""
    in_order = choose_in_order(question.options, parsed, moments)
    if in_order is not None:
        choice, other_occurrences = in_order
        return _option_answer(question, choice, list(map(_cite, other_occurrences)))
    if _answers_yes(question, parsed, weighed):
        return None
    choice_by_evidence = choose(question.options, parsed, weighed.ranked, weighed.sufficiency)
    if choice_by_evidence is not None:
        return _option_answer(question, choice_by_evidence, cited)
    why: WhyAbstained = "unclear"
    if weighed.sufficiency < ANSWERS_FROM:
        why = _why_abstained(parsed, plan, weighed.ranked)
    return DraftAnswer(
        text=answer_wording.no_option_text(why, parsed, weighed.ranked),
        confidence=min(MAX_ABSTAINED_CONFIDENCE, weighed.sufficiency),
        why=why,
        cited=tuple(cited),
    )


def _answer_openly(
    question: Question,
    parsed: ParsedQuestion,
    plan: Plan,
    weighed: WeighedEvidence,
    cited: Sequence[CitedSpan],
) -> DraftAnswer:
    """The answer in words, with a plain yes as the option if that is what the question asks for."""
    if weighed.sufficiency >= ANSWERS_FROM:
        return DraftAnswer(
            text=answer_wording.answer_text(parsed, plan, weighed.ranked),
            confidence=min(0.95, weighed.sufficiency),
            choice=_yes_option(question.options) if parsed.asks == "yes_no" else None,
            cited=tuple(cited),
        )
    why = _why_abstained(parsed, plan, weighed.ranked)
    return DraftAnswer(
        text=answer_wording.abstention_text(why, parsed, weighed.ranked),
        confidence=min(MAX_ABSTAINED_CONFIDENCE, weighed.sufficiency),
        why=why,
        cited=tuple(cited),
    )


def _option_answer(question: Question, choice: OptionChoice, cited: Sequence[CitedSpan]) -> DraftAnswer:
    """An option as the answer. What supports it is cited first."""
    support = _cite(choice.support)
    rest = (span for span in cited if (span.moment_id, span.start_s) != (support.moment_id, support.start_s))
    return DraftAnswer(
        text=answer_wording.option_text(question.options[choice.index], choice.support),
        choice=choice.index,
        confidence=choice.confidence,
        cited=(support, *rest)[:MAX_CITED],
    )


def _answers_yes(question: Question, parsed: ParsedQuestion, weighed: WeighedEvidence) -> bool:
    """Whether the evidence supports a plain yes, and the question offers one."""
    is_offered = parsed.asks == "yes_no" and _yes_option(question.options) is not None
    return is_offered and weighed.sufficiency >= ANSWERS_FROM


def _yes_option(options: Sequence[str]) -> int | None:
    """The index of the option that is a plain yes."""
    return next((index for index, option in enumerate(options) if words_of(option) == ["yes"]), None)


def _worth_inspecting(ranked: Sequence[Candidate], moments: Sequence[Moment]) -> tuple[str, ...]:
    """Ids of the moments whose pictures may hold text that was not read yet.

    If none of the question's words was read at first, an inspection seldom finds them. A screen that was read line by
    line has nothing left to read.
    """
    line_counts = {moment.id: len(moment.of("visible_text")) for moment in moments}
    ids = dict.fromkeys(
        candidate.moment_id
        for candidate in ranked
        if candidate.coverage >= INSPECT_FROM and line_counts[candidate.moment_id] <= FULLY_READ_LINES
    )
    return tuple(ids)[:MAX_INSPECTED]


def _why_abstained(parsed: ParsedQuestion, plan: Plan, ranked: Sequence[Candidate]) -> WhyAbstained:
    if ranked and ranked[0].forgotten:
        return "forgotten"
    if parsed.quoted or (parsed.wants_text and not parsed.mentions_people):
        return "not_seen"
    was_listed = any(finding.kind in plan.kinds for candidate in ranked for finding in candidate.findings)
    if plan.kinds and not was_listed and not parsed.unobservable_words:
        return "not_seen"
    needs_model = parsed.unobservable_words or parsed.mentions_people or parsed.asks in ("who", "why")
    return "needs_model" if needs_model else "unclear"


def _cite(candidate: Candidate) -> CitedSpan:
    return CitedSpan(
        moment_id=candidate.moment_id,
        start_s=candidate.span.start_s,
        end_s=candidate.span.end_s,
        score=min(1.0, candidate.score),
        text=candidate.text,
    )
