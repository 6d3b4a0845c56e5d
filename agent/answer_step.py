"""Answer step: the answer or the abstention, with evidence, coverage and cost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from langgraph.runtime import Runtime

from ..common.kind_registry import kind_of
from ..memory.values import Moment, Span
from .answer import Answer, Evidence, Question, QuestionUsage
from .evidence import coverage_of, evidence_of
from .forgotten_spans import admit_forgotten, lost_in, not_summarised
from .inspect_step import WRITE_ERRORS
from .limits import Spending
from .question_parser import read_question
from .reasoner import DraftAnswer, Judgement, Plan
from .state import AgentDependencies, AgentState
from .time_windows import spans_asked_about
from .unwatched_spans import admit_unwatched, missed_in
from .usage_records import uses_of

EVIDENCE_LIMIT = 8


def answer(state: AgentState, runtime: Runtime[AgentDependencies]) -> AgentState:
    """Answer or abstain, and record in the memory what the answer used.

    Reads the whole state and writes ``answer``.
    """
    deps = runtime.context
    question, plan = Question.model_validate(state["question"]), Plan.model_validate(state["plan"])
    best = Judgement.model_validate(state["best"])
    overview, moments = deps.moments(state["overview"]), deps.moments(state.get("found", []))
    draft = deps.reasoner.answer(question, plan, best, overview, moments)
    draft = _with_admission(deps, question, plan, draft, overview)
    result = Answer(
        text=draft.text,
        choice=None if draft.choice is None else chr(ord("A") + draft.choice),
        confidence=round(draft.confidence, 3),
        abstained=draft.why is not None,
        why=draft.why,
        evidence=_evidence(deps, draft, {moment.id: moment for moment in (*overview, *moments)}),
        coverage=[coverage_of(deps.snapshot, stream, question.span) for stream in deps.tools.streams()],
        as_of=deps.as_of,
        usage=_usage(deps.spending, rounds=state["round"]),
        stop_reason=state["stop_reason"],  # type: ignore[arg-type]
        trace_id=deps.trace_id,
        note=draft.note,
        reasoner=deps.reasoner.written_by,
    )
    with suppress(*WRITE_ERRORS):
        _record_uses(deps, question, result)
    return {"answer": result.model_dump(mode="json")}


def _evidence(deps: AgentDependencies, draft: DraftAnswer, shown: Mapping[str, Moment]) -> list[Evidence]:
    """The cited spans of moments that the reasoner was shown, without duplicates."""
    # A model may cite a moment that it was never shown, and several searches may find the same span.
    distinct = {
        (cited.moment_id, cited.start_s, cited.end_s): cited
        for cited in reversed(draft.cited)
        if cited.moment_id in shown
    }
    citations = sorted(distinct.values(), key=draft.cited.index)[:EVIDENCE_LIMIT]
    return [evidence_of(deps.snapshot, cited, shown[cited.moment_id]) for cited in citations]


def _usage(spending: Spending, *, rounds: int) -> QuestionUsage:
    return QuestionUsage(
        lmm_calls=spending.calls,
        tokens=spending.tokens,
        pictures=spending.pictures,
        seconds=round(spending.seconds, 3),
        rounds=rounds,
    )


def _record_uses(deps: AgentDependencies, question: Question, result: Answer) -> None:
    """Record what the question used, so that eviction keeps it longer."""
    inspected = deps.tools.get(list(deps.inspections)).values()
    streams = deps.tools.streams() if question.span is not None else ()
    ends_s = {stream: deps.tools.end_s(stream) for stream in streams}
    if uses := uses_of(question, result, inspected, ends_s, at_s=time.time()):
        deps.store.note_uses(uses)


def _with_admission(
    deps: AgentDependencies, question: Question, plan: Plan, draft: DraftAnswer, overview: Sequence[Moment]
) -> DraftAnswer:
    """The draft, which admits that part of the asked time was not watched closely, or is forgotten."""
    spans = spans_asked_about(deps, question, plan)
    draft = _with_missed(deps, question, plan, draft, spans)
    lost = lost_in(deps.snapshot, spans)
    if not lost:
        return draft
    uncounted = not_summarised(lost, overview) if plan.uses_summaries else ()
    all_gone = draft.why == "needs_model" and not _any_moment_left(deps, spans)
    return admit_forgotten(draft, lost, uncounted=uncounted, all_gone=all_gone)


def _with_missed(
    deps: AgentDependencies, question: Question, plan: Plan, draft: DraftAnswer, spans: Mapping[str, Span]
) -> DraftAnswer:
    for_text = read_question(question.text).wants_text
    missed = missed_in(deps.snapshot, spans, for_text=for_text)
    says_nothing_happens = any(kind_of(kind).caption_style == "if_quiet" for kind in plan.kinds)
    is_about_all = plan.uses_summaries or says_nothing_happens
    return admit_unwatched(draft, missed, is_about_all=is_about_all, for_text=for_text)


def _any_moment_left(deps: AgentDependencies, spans: Mapping[str, Span]) -> bool:
    return any(deps.snapshot.timeline(stream, span, limit=1) for stream, span in spans.items())
