"""Toolbox: the five read-only tools that an agent has for a memory.

    tools = Toolbox(snapshot, Scope(streams=("kitchen",), span=Span(0, 3600)))
    tools.search(SearchArgs(query="kettle", limit=5))

The tools are overview, search, timeline, neighbours and inspect. The scope is enforced here, in code: no argument of a
reasoner, and no text that was read in a picture, can make a tool return anything outside the scope or change
anything. What an inspection saw is returned as a value, and the agent writes it to the store.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..memory.query.hybrid_search import SEARCH_MODES
from ..memory.query.snapshot import Hit, Snapshot
from ..memory.values import RUNGS, Moment, Observation, Rung, Span
from .temporal_search import SEARCH_LIMIT, first_or_last

Limit = Annotated[int, Field(ge=1, le=100)]


class TryAgain(Exception):
    """The tool refuses the arguments, but would accept others. The message says which."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a question may see of a memory."""

    streams: tuple[str, ...] = ()
    """Names. Empty means every stream of the memory."""
    span: Span | None = None
    """Stream time. None means all of it."""


class _Args(BaseModel):
    """Arguments of a tool."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OverviewArgs(_Args):
    """The fewest memories that tile a window of a stream."""

    stream: str
    from_s: float | None = None
    to_s: float | None = None


class SearchArgs(_Args):
    """The moments that match a query: the best, or the first or last ones that match about as well."""

    query: Annotated[str, Field(max_length=4000)]
    streams: tuple[str, ...] = ()
    from_s: float | None = None
    to_s: float | None = None
    rungs: tuple[Rung, ...] = ()
    order: Literal["best", "first", "last"] = "best"
    limit: Limit = 20


class TimelineArgs(_Args):
    """The moments of a stream in time order, all of them or those with findings of certain kinds.

    Forgotten moments are represented by the summaries above them.
    """

    stream: str
    from_s: float | None = None
    to_s: float | None = None
    rung: Rung = "moment"
    kinds: tuple[str, ...] = ()
    newest_first: bool = False
    limit: Limit = 20


class NeighboursArgs(_Args):
    """The moments just before and after a moment."""

    moment_id: str
    before: Annotated[int, Field(ge=0, le=20)] = 1
    after: Annotated[int, Field(ge=0, le=20)] = 1


class InspectArgs(_Args):
    """A closer look at the pictures of a moment."""

    moment_id: str


Inspector = Callable[[Moment], Observation | None]
"""Inspects the pictures of a moment. None if no pictures are left."""


class Toolbox:
    """The tools, bound to one snapshot of a memory and one scope."""

    def __init__(self, snapshot: Snapshot, scope: Scope, inspector: Inspector | None = None) -> None:
        self._snapshot = snapshot
        self._scope = scope
        self._inspector = inspector
        # The snapshot never changes, so nothing is read twice.
        self._cache: dict[str, Moment] = {}
        self._representatives: dict[str, set[str]] = {}
        """By stream, the ids of the summaries that represent forgotten moments."""

    def streams(self) -> tuple[str, ...]:
        """The names of the streams in scope, sorted."""
        return self._names

    @cached_property
    def _names(self) -> tuple[str, ...]:
        names = sorted(stream.name for stream in self._snapshot.streams())
        return tuple(name for name in names if not self._scope.streams or name in self._scope.streams)

    def overview(self, args: OverviewArgs) -> list[Moment]:
        """The fewest memories that tile the span, of the highest rungs, in time order."""
        span = self._span(args.from_s, args.to_s)
        if span == _NOTHING:
            return []
        tiles = self._snapshot.cover(self._stream(args.stream), span)
        # Summaries that represent forgotten moments at the edges may reach beyond the scope.
        return self._cached([tile for tile in tiles if self._in_scope(tile)])

    def search(self, args: SearchArgs) -> list[Hit]:
        """The moments that match the query best, best first.

        With another ``order``, the first or last moments of each stream that have about as many of the query's words
        as the best one, that end first. Forgotten moments are represented by the summaries above them.
        """
        streams = tuple(self._stream(name) for name in args.streams) or self.streams()
        span = self._span(args.from_s, args.to_s)
        if not streams or span == _NOTHING:
            return []
        if args.order == "best":
            return self._best_hits(args, streams, args.limit, span)
        hits: list[Hit] = []
        for stream in streams:
            watched = Span(0.0, max(self.end_s(stream), 0.001))
            searched = watched if span is None else span.clipped_to(watched)
            if searched is not None:
                ordered = first_or_last(
                    partial(self._best_hits, args, (stream,), SEARCH_LIMIT),
                    args.query,
                    searched,
                    order=args.order,
                    limit=args.limit,
                    is_wanted=self.is_leaf,
                )
                hits += ordered[: args.limit]
        return hits

    def _best_hits(
        self, args: SearchArgs, streams: Sequence[str], limit: int, span: Span | None
    ) -> list[Hit]:
        hits = self._snapshot.search(
            args.query,
            streams=streams,
            span=span,
            rungs=args.rungs or None,
            # For the first or last of many, the words decide what matches.
            modes=SEARCH_MODES if args.order == "best" else ("words",),
            limit=limit,
        )
        self._cached([hit.moment for hit in hits])
        return [hit for hit in hits if self._in_scope(hit.moment)]

    def end_s(self, stream: str) -> float:
        """The end of the watched part of a stream, forgotten or not."""
        ends_s = [moment.span.end_s for moment in self._snapshot.latest(stream, 1)]
        ends_s += [tombstone.span.end_s for tombstone in self._snapshot.tombstones(stream)]
        return max(ends_s, default=0.0)

    def timeline(self, args: TimelineArgs) -> list[Moment]:
        """The first ``limit`` moments in time order, or with ``newest_first`` the last ones.

        Forgotten moments are represented by the summaries above them.
        """
        span = self._span(args.from_s, args.to_s)
        if span == _NOTHING:
            return []
        moments = self._listed(args, args.rung, span)
        if args.rung == "moment":
            # A summary is listed only if it represents forgotten moments. Otherwise its children are listed. So the
            # first few of each rung are enough for the first few of all.
            lost = {tombstone.lost for tombstone in self._snapshot.tombstones(args.stream, span)}
            for below, above in pairwise(RUNGS):
                if below in lost:
                    summaries = self._listed(args, above, span)
                    moments += [summary for summary in summaries if self.is_leaf(summary)]
            moments.sort(key=lambda moment: (moment.span, moment.id))
        moments = [moment for moment in moments if self._in_scope(moment)]
        return self._cached(moments[-args.limit :] if args.newest_first else moments[: args.limit])

    def at(self, stream: str, times_s: Iterable[float]) -> dict[float, Moment]:
        """The moment at each of these times, or the summary that represents it if it is forgotten.

        Times without a memory, or out of scope, are left out.
        """
        ordered_s = sorted(set(times_s))
        moments = self._snapshot.moments_at(self._stream(stream), ordered_s)
        moments = self._cached([moment for moment in moments if self._in_scope(moment)])
        starts_s = [moment.span.start_s for moment in moments]
        by_time: dict[float, Moment] = {}
        for time_s in ordered_s:
            end = bisect_right(starts_s, time_s)
            hits = [moment for moment in moments[end - 1 : end] if moment.span.contains(time_s)]
            hits = hits or self.timeline(
                TimelineArgs(stream=stream, from_s=time_s, to_s=time_s + 0.001, limit=1)
            )
            if hits:
                by_time[time_s] = hits[0]
        return by_time

    def is_leaf(self, moment: Moment) -> bool:
        """Whether nothing below it has more detail: it is a moment, or represents forgotten moments."""
        if moment.stream not in self._representatives:
            self._representatives[moment.stream] = {
                tombstone.id
                for tombstone in self._snapshot.tombstones(moment.stream)
                if tombstone.lost != "frame"
            }
        return moment.rung == "moment" or moment.id in self._representatives[moment.stream]

    def _listed(self, args: TimelineArgs, rung: Rung, span: Span | None) -> list[Moment]:
        return self._snapshot.timeline(
            self._stream(args.stream),
            span,
            rung=rung,
            kinds=args.kinds or None,
            limit=args.limit,
            newest_first=args.newest_first,
        )

    def neighbours(self, args: NeighboursArgs) -> list[Moment]:
        """The moments before and after a moment, in time order, without the moment itself."""
        moment = self.get([args.moment_id]).get(args.moment_id)
        if moment is None:
            raise TryAgain(f"there is no moment {args.moment_id!r} in scope; use an id that a tool returned")
        neighbours = self._snapshot.neighbours(moment, args.before, args.after)
        return self._cached(
            [neighbour for neighbour in neighbours if self._in_scope(neighbour) and neighbour.id != moment.id]
        )

    def inspect(self, args: InspectArgs) -> Observation | None:
        """What a closer look at the moment's pictures saw. None if no pictures are left."""
        moment = self.get([args.moment_id]).get(args.moment_id)
        if moment is None:
            raise TryAgain(f"there is no moment {args.moment_id!r} in scope; use an id that a tool returned")
        return self._inspector(moment) if self._inspector else None

    def get(self, ids: Sequence[str]) -> dict[str, Moment]:
        """Moments by id. Those out of scope are left out."""
        distinct_ids = list(dict.fromkeys(ids))
        self._cache |= self._snapshot.get([key for key in distinct_ids if key not in self._cache])
        moments = {key: self._cache[key] for key in distinct_ids if key in self._cache}
        return {key: moment for key, moment in moments.items() if self._in_scope(moment)}

    def _cached(self, moments: list[Moment]) -> list[Moment]:
        self._cache |= {moment.id: moment for moment in moments}
        return moments

    def _in_scope(self, moment: Moment) -> bool:
        span = self._scope.span
        if self._scope.streams and moment.stream not in self._scope.streams:
            return False
        if span is None or moment.rung == "moment":
            return span is None or moment.span.overlaps(span)
        # What a summary reports happened anywhere in its span, so all of the span must be in scope.
        return moment.span.clipped_to(span) == moment.span

    def _stream(self, name: str) -> str:
        if name not in self.streams():
            raise TryAgain(
                f"there is no stream {name!r} in scope; the streams are {', '.join(self.streams())}"
            )
        return name

    def _span(self, from_s: float | None, to_s: float | None) -> Span | None:
        """The asked span inside the scope. ``_NOTHING`` if they do not overlap."""
        if from_s is None and to_s is None:
            return self._scope.span
        start_s, end_s = max(0.0, from_s or 0.0), float("inf") if to_s is None else to_s
        if start_s >= end_s:
            raise TryAgain(f"`to_s` ({end_s:g}) is not after `from_s` ({start_s:g})")
        span = Span(start_s, end_s)
        return span if self._scope.span is None else span.clipped_to(self._scope.span) or _NOTHING


_NOTHING = Span(0.0, 0.0)
