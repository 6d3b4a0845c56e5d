"""Recall step: searches the memory by words, by finding kinds and along the timeline.

The first round follows the plan. Each later round searches for what the judgement missed. If that finds nothing new,
it goes wider: to the neighbours of the best matches, with a stride that doubles each round.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import product, zip_longest

from langgraph.runtime import Runtime

from ..memory.query.ranking import Position, best_first, fuse_rankings, position_of
from ..memory.query.snapshot import Hit
from ..memory.values import Moment
from ..tools.toolbox import NeighboursArgs, SearchArgs, TimelineArgs
from .reasoner import CitedSpan, Judgement, Plan
from .state import AgentDependencies, AgentState
from .time_windows import TOOL_ERRORS, Window, tile_ids, time_windows

SEARCH_LIMIT = 40
MAX_ZOOMS = 3
"""How many events are searched inside for each query."""
ZOOM_LIMIT = 4
NEIGHBOURS_OF = 2
"""The neighbours of this many cited moments are fetched."""
_SUMMARY_TIMES = ("first_s", "last_s", "longest_at_s", "max_s", "min_s")
"""Details of a summary that say when its first, last, longest and extreme finding was."""


def recall(state: AgentState, runtime: Runtime[AgentDependencies]) -> AgentState:
    """Find what the memory holds about the question.

    Reads ``plan``, ``overview`` and ``judgement``. Writes ``found``, ``asked``, ``new`` and ``round``.
    """
    plan = Plan.model_validate(state["plan"])
    earlier = set(state.get("found", []))
    round_number = state.get("round", 0) + 1
    searcher = _Recall(runtime.context, plan, state.get("asked", []))
    if round_number == 1:
        ids = searcher.first_round(state["overview"])
    else:
        judgement = Judgement.model_validate(state["judgement"])
        ids = searcher.search(judgement.queries)
        if judgement.wider and earlier.issuperset(ids):
            ids += searcher.neighbours(judgement.cited[:NEIGHBOURS_OF], stride=2 ** (round_number - 2))
    return {
        "found": ids,
        "asked": searcher.new_calls,
        "new": len(set(ids) - earlier),
        "round": round_number,
    }


class _Recall:
    """The tool calls of one round. Skips those that an earlier round made."""

    def __init__(self, deps: AgentDependencies, plan: Plan, earlier_calls: Iterable[str]) -> None:
        self._deps, self._tools, self._plan = deps, deps.tools, plan
        self._earlier_calls = frozenset(earlier_calls)
        self._windows = time_windows(deps, plan)
        self.new_calls: list[str] = []
        """Keys of the calls that this round made."""

    def first_round(self, overview: Sequence[str]) -> list[str]:
        """What the plan asks for: the best matches, the first or last ones, and the listed kinds."""
        # The best match may lie far from the end, so the lists take turns.
        ids = _interleave([*self._at_end(), self.search(self._plan.queries)])
        if self._plan.kinds or self._plan.everything:
            ids += self._listed()
            if self._plan.uses_summaries:
                ids += self._summarised(overview)
        return ids

    def search(self, queries: Sequence[str]) -> list[str]:
        """The moments that match the queries best, of all rungs, fused into one ranking."""
        rankings: list[dict[str, float]] = []
        positions: dict[str, Position] = {}
        windows: Iterable[tuple[str, Window]] = [("", (self._plan.from_s, self._plan.to_s))]
        if self._plan.last_s is not None:
            windows = self._windows.items()
        for query, (stream, (from_s, to_s)) in product(queries, windows):
            if not self._is_new(f"search:{stream}:{query}"):
                continue
            with suppress(*TOOL_ERRORS):
                args = SearchArgs(
                    query=query,
                    streams=(stream,) if stream else (),
                    from_s=from_s,
                    to_s=to_s,
                    limit=SEARCH_LIMIT,
                )
                hits = self._leaves(query, self._tools.search(args))
                rankings.append({hit.moment.id: hit.score for hit in hits})
                positions |= {hit.moment.id: position_of(hit.moment) for hit in hits}
        return best_first(fuse_rankings(rankings), positions)

    def neighbours(self, cited: Iterable[CitedSpan], *, stride: int) -> list[str]:
        """The moments within ``stride`` moments before and after the cited ones."""
        ids: list[str] = []
        for citation in cited:
            if not self._is_new(f"near:{citation.moment_id}:{stride}"):
                continue
            with suppress(*TOOL_ERRORS):
                args = NeighboursArgs(moment_id=citation.moment_id, before=stride, after=stride)
                ids += [moment.id for moment in self._tools.neighbours(args) if self._tools.is_leaf(moment)]
        return ids

    def _is_new(self, call: str) -> bool:
        """Whether no round has made this call. Records that it is made now."""
        if call in self._earlier_calls or call in self.new_calls:
            return False
        self.new_calls.append(call)
        return True

    def _at_end(self) -> list[list[str]]:
        """The first or the last matches, from that end: a list for each query and stream."""
        if self._plan.order == "any":
            return []
        lists: list[list[str]] = []
        for query, (stream, (from_s, to_s)) in product(self._plan.ordered_queries, self._windows.items()):
            with suppress(*TOOL_ERRORS):
                args = SearchArgs(
                    query=query,
                    streams=(stream,),
                    from_s=from_s,
                    to_s=to_s,
                    order=self._plan.order,
                    limit=self._plan.limit_per_kind,
                )
                lists.append([hit.moment.id for hit in self._tools.search(args)])
        return lists

    def _listed(self) -> list[str]:
        """The moments with findings of the planned kinds, along the timeline of each stream."""
        ids: list[str] = []
        # Each kind is listed by itself, so that a common one does not crowd out a rare one.
        kinds = (*self._plan.kinds, *([""] if self._plan.everything else []))
        for (stream, (from_s, to_s)), kind in product(self._windows.items(), kinds):
            if not self._is_new(f"timeline:{stream}:{kind}"):
                continue
            with suppress(*TOOL_ERRORS):
                args = TimelineArgs(
                    stream=stream,
                    from_s=from_s,
                    to_s=to_s,
                    kinds=(kind,) if kind else (),
                    newest_first=self._plan.order == "last",
                    limit=self._plan.limit_per_kind,
                )
                ids += [moment.id for moment in self._tools.timeline(args)]
        return ids

    def _summarised(self, overview: Sequence[str]) -> list[str]:
        """The tiles of the plan's windows, and the moments at the extremes that their summaries name."""
        if all(window == (None, None) for window in self._windows.values()):
            return self._extremes(self._deps.moments(overview))
        tiles = tile_ids(self._deps, self._windows)
        return tiles + self._extremes(self._deps.moments(tiles))

    def _extremes(self, tiles: Sequence[Moment]) -> list[str]:
        """The ids of the moments where the tiles' summaries have their first, last, longest and extreme findings.

        If such a moment is forgotten, its summary is all that is left and comes with it.
        """
        times_s = {tile.id: _summary_times_s(tile, self._plan.kinds) for tile in tiles}
        moments = {
            stream: self._tools.at(
                stream, {time_s for tile in tiles if tile.stream == stream for time_s in times_s[tile.id]}
            )
            for stream in dict.fromkeys(tile.stream for tile in tiles)
        }
        ids: list[str] = []
        for tile in tiles:
            if tile.rung == "moment":
                ids += [tile.id] if _has_kind(tile, self._plan.kinds) else []
                continue
            for time_s in times_s[tile.id]:
                if moment := moments[tile.stream].get(time_s):
                    ids += [moment.id] if moment.rung == "moment" else [moment.id, tile.id]
        return ids

    def _leaves(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        """The moments among the hits, and the summaries that represent forgotten moments.

        An event without a hit inside it is searched for moments that match.
        """
        leaves = [hit for hit in hits if self._tools.is_leaf(hit.moment)]
        moments = [hit.moment for hit in leaves]
        events = [
            hit.moment
            for hit in hits
            if hit.moment.rung == "event"
            and not self._tools.is_leaf(hit.moment)
            and not any(
                moment.stream == hit.moment.stream and moment.span.overlaps(hit.moment.span)
                for moment in moments
            )
        ]
        for event in events[:MAX_ZOOMS]:
            args = SearchArgs(
                query=query,
                streams=(event.stream,),
                from_s=event.span.start_s,
                to_s=event.span.end_s,
                rungs=("moment",),
                limit=ZOOM_LIMIT,
            )
            leaves += self._tools.search(args)
        return leaves


def _summary_times_s(tile: Moment, kinds: Sequence[str]) -> list[float]:
    """When the first, last, longest and extreme findings of these kinds were, as a summary says. None of a moment."""
    if tile.rung == "moment":
        return []
    return [
        float(time_s)
        for finding in tile.findings
        if finding.kind in kinds
        for name in _SUMMARY_TIMES
        if isinstance(time_s := finding.detail.get(name), int | float)
    ]


def _has_kind(moment: Moment, kinds: Sequence[str]) -> bool:
    return not kinds or any(finding.kind in kinds for finding in moment.findings)


def _interleave(lists: Sequence[Sequence[str]]) -> list[str]:
    """The first of each list, then the second of each, and so on, without duplicates."""
    turns = zip_longest(*lists)
    return list(dict.fromkeys(key for turn in turns for key in turn if key is not None))
