"""The steps of the agent. Each is a plain function from state to what it changes.

    survey -> read -> recall -> inspect -> judge -> (recall | answer)

``survey`` and ``read`` run once; the rest is a round. No round or look starts once the budget is
spent, so an answer comes even when time runs out in the middle.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product, zip_longest
from typing import Literal

from langgraph.runtime import Runtime
from pydantic import ValidationError

from ..memory.errors import MemoryStoreError
from ..memory.query.ranking import Position, best_first, fuse_rankings, position_of
from ..memory.query.snapshot import Hit
from ..memory.values import Moment, Observation, Span
from ..tools.toolbox import InspectArgs, NeighboursArgs, OverviewArgs, SearchArgs, TimelineArgs, TryAgain
from .answer import Answer, Question, QuestionUsage, StopReason
from .evidence import coverage_of, evidence_of
from .forgotten_spans import admitted, lost_in, without_a_trace
from .reasoner import ENOUGH, DraftAnswer, Judgement, Plan
from .state import AgentDependencies, AgentState
from .usage_records import uses_of

SEARCH_LIMIT = 40
ZOOMS = 3
"""How many rungs above are followed down in one search."""
ZOOM_LIMIT = 4
EVIDENCE_LIMIT = 8
UNFIT = (TryAgain, ValidationError)
"""A reasoner asked a tool for what makes no sense: it is brought nothing, and the question goes on."""
UNWRITTEN = (MemoryStoreError, OSError, RuntimeError)
"""A full disk or a memory that may only be read costs later questions something, and never this one its answer."""


def survey(state: AgentState, runtime: Runtime[AgentDependencies]) -> AgentState:
    """Take in the whole scope first: the highest rungs that tile it.

    Reads ``question``; writes ``overview``.
    """
    tools = runtime.context.tools
    question = Question.model_validate(state["question"])
    scope = dict.fromkeys(tools.streams(), (question.from_s, question.to_s))
    return {"overview": _tiles(runtime.context, scope), "round": 0}


def read(state: AgentState, runtime: Runtime[AgentDependencies]) -> AgentState:
    """Work out what to look for.

    Reads ``question``, ``overview``; writes ``plan``.
    """
    deps = runtime.context
    question = Question.model_validate(state["question"])
    plan = deps.reasoner.read(question, _moments(deps, state["overview"]))
    return {"plan": plan.model_dump()}


def recall(state: AgentState, runtime: Runtime[AgentDependencies]) -> AgentState:
    """Find what is remembered: words over all rungs at once, kinds along the timeline, the first or the last of it.

    A later round looks for what the judge missed; where that finds nothing new it goes wider, to the
    neighbours of what fits best, one stride further each round. Reads ``plan``, ``judgement``; writes ``found``, ``asked``, ``new``.
    """
    deps, tools = runtime.context, runtime.context.tools
    plan = Plan.model_validate(state["plan"])
    round_number = state.get("round", 0) + 1
    asked: list[str] = []
    found: list[str] = []

    def once(key: str) -> bool:
        """Whether this has not been asked before; notes that it now is."""
        if key in state.get("asked", []) or key in asked:
            return False
        asked.append(key)
        return True

    windows = _windows(deps, plan)
    queries = plan.queries if round_number == 1 else Judgement.model_validate(state["judgement"]).queries
    rankings: list[dict[str, float]] = []
    places: dict[str, Position] = {}
    for query in queries:
        for stream, (from_s, to_s) in (
            windows.items() if plan.last_s is not None else [("", (plan.from_s, plan.to_s))]
        ):
            if once(f"search:{stream}:{query}"):
                with suppress(*UNFIT):
                    args = SearchArgs(
                        query=query,
                        streams=(stream,) if stream else (),
                        from_s=from_s,
                        to_s=to_s,
                        limit=SEARCH_LIMIT,
                    )
                    hits = _leaves(deps, query, tools.search(args))
                    rankings.append({hit.moment.id: hit.score for hit in hits})
                    places |= {hit.moment.id: position_of(hit.moment) for hit in hits}
    at_end = _at_end(deps, plan, windows) if round_number == 1 else []
    # What fits best of all may lie elsewhere: each has its turn.
    found += _in_turn([*at_end, best_first(fuse_rankings(rankings), places)])
    if round_number == 1 and (plan.kinds or plan.everything):
        for stream, (from_s, to_s) in windows.items():
            # Kinds are listed one by one: a common one must not crowd out a rare one.
            for kind in (*plan.kinds, *([""] if plan.everything else [])):
                if once(f"timeline:{stream}:{kind}"):
                    with suppress(*UNFIT):
                        moments = tools.timeline(
                            TimelineArgs(
                                stream=stream,
                                from_s=from_s,
                                to_s=to_s,
                                kinds=(kind,) if kind else (),
                                newest_first=plan.order == "last",
                                limit=plan.each,
                            )
                        )
                        found += [moment.id for moment in moments]
        if plan.tallies:
            tiles = state["overview"]
            if any(stretch != (None, None) for stretch in windows.values()):
                tiles = _tiles(deps, windows)
                found += tiles
            found += _extremes(deps, plan, _moments(deps, tiles))
    if round_number > 1 and set(found) <= set(state.get("found", [])):
        judgement = Judgement.model_validate(state["judgement"])
        for cited in judgement.cited[: 2 if judgement.wider else 0]:
            stride = 2 ** (round_number - 2)
            if once(f"near:{cited.moment_id}:{stride}"):
                with suppress(*UNFIT):
                    near = tools.neighbours(
                        NeighboursArgs(moment_id=cited.moment_id, before=stride, after=stride)
                    )
                    found += [moment.id for moment in near if tools.is_leaf(moment)]
    new = len(set(found) - set(state.get("found", [])))
    return {"found": found, "asked": asked, "new": new, "round": round_number}


def inspect(state: AgentState, runtime: Runtime[AgentDependencies]) -> AgentState:
    """Look again at the pixels of what fits best, where the judge asked for it; write down what was seen.

    Reads ``judgement``; writes ``visited``, ``new``.
    """
    deps = runtime.context
    if "judgement" not in state:
        return {}
    visited: list[str] = []
    seen = 0
    for moment_id in Judgement.model_validate(state["judgement"]).look_at:
        done = len(state.get("visited", [])) + len(visited)
        if done >= deps.spending.budget.looks or deps.spending.exhausted:
            break
        if moment_id in state.get("visited", []):
            continue
        visited.append(moment_id)
        observation = None
        with suppress(*UNFIT):
            observation = deps.tools.inspect(InspectArgs(moment_id=moment_id))
        if observation is not None and observation.findings:
            moment = deps.tools.get([moment_id])[moment_id]
            with suppress(*UNWRITTEN):
                deps.store.write_back(moment, observation)
            deps.looked[moment_id] = observation
            seen += 1
    return {"visited": visited, "new": state.get("new", 0) + seen}


def judge(state: AgentState, runtime: Runtime[AgentDependencies]) -> AgentState:
    """Grade what was found, and decide whether to go on.

    Reads ``plan``, ``overview``, ``found``; writes ``judgement``, ``best``, ``stop_reason``.
    """
    deps = runtime.context
    question, plan = Question.model_validate(state["question"]), Plan.model_validate(state["plan"])
    overview, moments = _moments(deps, state["overview"]), _moments(deps, state.get("found", []))
    judgement = deps.reasoner.judge(question, plan, overview, moments)
    best = Judgement.model_validate(state["best"]) if "best" in state else None
    # What was judged later knows more, but an abstention had better cite something.
    worth = (judgement.sufficiency, bool(judgement.cited))
    if best is None or judgement.overrules or worth >= (best.sufficiency, bool(best.cited)):
        best = judgement
    to_look = [key for key in judgement.look_at if key not in state.get("visited", [])]
    may_look = bool(to_look) and len(state.get("visited", [])) < deps.spending.budget.looks
    stop: StopReason | Literal[""] = ""
    if not moments and not overview:
        stop = "nothing_remembered"
    elif best.sufficiency >= ENOUGH:
        stop = "sufficient"
    elif deps.spending.exhausted:
        stop = "budget"
    elif state["round"] >= deps.spending.budget.rounds:
        stop = "rounds"
    elif not (may_look or judgement.unread) and (
        not judgement.wider or (state["round"] > 1 and not state.get("new"))
    ):
        stop = "nothing_new"
    return {"judgement": judgement.model_dump(), "best": best.model_dump(), "stop_reason": stop}


def enough(state: AgentState) -> Literal["answer", "recall"]:
    """Answer once there is a reason to stop; else another round."""
    return "answer" if state["stop_reason"] else "recall"


def answer(state: AgentState, runtime: Runtime[AgentDependencies]) -> AgentState:
    """Answer or abstain, with evidence, coverage and cost; note in the memory what of it served.

    Reads everything; writes ``answer``.
    """
    deps = runtime.context
    question, plan = Question.model_validate(state["question"]), Plan.model_validate(state["plan"])
    best = Judgement.model_validate(state["best"])
    overview, moments = _moments(deps, state["overview"]), _moments(deps, state.get("found", []))
    draft = deps.reasoner.answer(question, plan, best, overview, moments)
    draft = _admitted(deps, question, plan, draft, overview)
    known = {moment.id: moment for moment in (*overview, *moments)}
    # A model may name a moment that it was never shown, and a stretch may be found by several ways.
    distinct = {
        (cited.moment_id, cited.start_s, cited.end_s): cited
        for cited in reversed(draft.cited)
        if cited.moment_id in known
    }
    cited = sorted(distinct.values(), key=draft.cited.index)
    result = Answer(
        text=draft.text,
        choice=None if draft.choice is None else chr(ord("A") + draft.choice),
        confidence=round(draft.confidence, 3),
        abstained=draft.why is not None,
        why=draft.why,
        evidence=[evidence_of(deps.snapshot, one, known[one.moment_id]) for one in cited[:EVIDENCE_LIMIT]],
        coverage=[coverage_of(deps.snapshot, stream, question.span) for stream in deps.tools.streams()],
        as_of=deps.as_of,
        usage=QuestionUsage(
            lmm_calls=deps.spending.calls,
            tokens=deps.spending.tokens,
            pictures=deps.spending.pictures,
            seconds=round(deps.spending.seconds, 3),
            rounds=state["round"],
        ),
        stop_reason=state["stop_reason"],  # type: ignore[arg-type]
        trace_id=deps.trace_id,
        note=draft.note,
        reasoner=deps.reasoner.written_by,
    )
    with suppress(*UNWRITTEN):
        looked = deps.tools.get(list(deps.looked)).values()
        streams = deps.tools.streams() if question.span is not None else ()
        ends_s = {stream: deps.tools.end_s(stream) for stream in streams}
        if uses := uses_of(question, result, looked, ends_s, at_s=time.time()):
            deps.store.note_uses(uses)
    return {"answer": result.model_dump(mode="json")}


def _moments(deps: AgentDependencies, ids: Sequence[str]) -> list[Moment]:
    """Moments by id in the given order, with what this run's second looks saw in them."""
    found = deps.tools.get(ids)
    moments = []
    for key in dict.fromkeys(ids):
        if key not in found:
            continue
        moment = found[key]
        look: Observation | None = deps.looked.get(key)
        moments.append(moment if look is None else replace(moment, observations=(*moment.observations, look)))
    return moments


def _at_end(
    deps: AgentDependencies, plan: Plan, windows: Mapping[str, tuple[float | None, float | None]]
) -> list[list[str]]:
    """The ids of the first or the last of what is sought, that end first; a list for each words and stream."""
    if plan.order == "any":
        return []
    found: list[list[str]] = []
    for sought, (stream, (from_s, to_s)) in product(plan.sought, windows.items()):
        with suppress(*UNFIT):
            args = SearchArgs(
                query=sought, streams=(stream,), from_s=from_s, to_s=to_s, order=plan.order, limit=plan.each
            )
            found.append([hit.moment.id for hit in deps.tools.search(args)])
    return found


def _in_turn(lists: Sequence[Sequence[str]]) -> list[str]:
    """The first of each list, then the second of each, and so on; each once."""
    turns = zip_longest(*lists)
    return list(dict.fromkeys(key for turn in turns for key in turn if key is not None))


def _windows(deps: AgentDependencies, plan: Plan) -> dict[str, tuple[float | None, float | None]]:
    """The stretch of each stream in scope that the plan asks about."""
    windows: dict[str, tuple[float | None, float | None]] = {}
    for stream in deps.tools.streams():
        from_s, to_s = plan.from_s, plan.to_s
        if plan.last_s is not None:
            from_s, to_s = max(0.0, deps.tools.end_s(stream) - plan.last_s), None
        windows[stream] = (from_s, to_s)
    return windows


def _tiles(deps: AgentDependencies, windows: Mapping[str, tuple[float | None, float | None]]) -> list[str]:
    """The ids of the fewest memories that tell a stretch of each stream."""
    tiles: list[str] = []
    for stream, (from_s, to_s) in windows.items():
        with suppress(*UNFIT):
            args = OverviewArgs(stream=stream, from_s=from_s, to_s=to_s)
            tiles += [moment.id for moment in deps.tools.overview(args)]
    return tiles


def _asked_spans(deps: AgentDependencies, question: Question, plan: Plan) -> dict[str, Span | None]:
    """The stretch of each stream that is asked about, by the question's scope and by its words."""
    spans: dict[str, Span | None] = {}
    for stream, (from_s, to_s) in _windows(deps, plan).items():
        start_s, end_s = max(0.0, from_s or 0.0), float("inf") if to_s is None else to_s
        # A plan that makes no sense leaves all of the scope in question.
        named = Span(start_s, end_s) if start_s < end_s else Span(0.0, float("inf"))
        span = named if question.span is None else named.clipped_to(question.span)
        if span is not None:
            spans[stream] = span
    return spans


def _admitted(
    deps: AgentDependencies, question: Question, plan: Plan, draft: DraftAnswer, overview: Sequence[Moment]
) -> DraftAnswer:
    """The draft, with what it owes to the fact that memories are forgotten."""
    spans = _asked_spans(deps, question, plan)
    lost = lost_in(deps.snapshot, spans)
    if not lost:
        return draft
    uncounted = without_a_trace(lost, overview) if plan.tallies else ()
    all_gone = False
    if draft.why == "needs_model":
        left = (
            moment
            for stream, span in spans.items()
            for moment in deps.snapshot.timeline(stream, span, limit=1)
        )
        all_gone = next(left, None) is None
    return admitted(draft, lost, uncounted=uncounted, all_gone=all_gone)


def _leaves(deps: AgentDependencies, query: str, hits: Sequence[Hit]) -> list[Hit]:
    """The moments among the hits, and what stands for moments that are forgotten.

    Any other rung above, where it is the only hit, is searched inside.
    """
    leaves = [hit for hit in hits if deps.tools.is_leaf(hit.moment)]
    moments = [hit.moment for hit in leaves]
    parents = [
        hit.moment
        for hit in hits
        if hit.moment.rung == "event"
        and not deps.tools.is_leaf(hit.moment)
        and not any(m.stream == hit.moment.stream and m.span.overlaps(hit.moment.span) for m in moments)
    ]
    for parent in parents[:ZOOMS]:
        args = SearchArgs(
            query=query,
            streams=(parent.stream,),
            from_s=parent.span.start_s,
            to_s=parent.span.end_s,
            rungs=("moment",),
            limit=ZOOM_LIMIT,
        )
        leaves += deps.tools.search(args)
    return leaves


def _extremes(deps: AgentDependencies, plan: Plan, overview: Sequence[Moment]) -> list[str]:
    """The ids of the moments where the overview's tallies have their first, last, longest and extreme values.

    Where such a moment is forgotten, the tally itself is all that tells of it.
    """
    told = {
        tile.id: [
            float(at_s)
            for finding in tile.findings
            if finding.kind in plan.kinds
            for name in ("first_s", "last_s", "longest_at_s", "max_s", "min_s")
            if isinstance(at_s := finding.detail.get(name), int | float)
        ]
        for tile in overview
        if tile.rung != "moment"
    }
    there = {
        stream: deps.tools.at(
            stream, {at_s for tile in overview if tile.stream == stream for at_s in told.get(tile.id, ())}
        )
        for stream in dict.fromkeys(tile.stream for tile in overview)
    }
    ids: list[str] = []
    for tile in overview:
        if tile.rung == "moment":
            if not plan.kinds or any(finding.kind in plan.kinds for finding in tile.findings):
                ids.append(tile.id)
            continue
        for at_s in told[tile.id]:
            if moment := there[tile.stream].get(at_s):
                ids += [moment.id] if moment.rung == "moment" else [moment.id, tile.id]
    return ids
