"""What the agent may do to a memory: five things, all of them reading.

    tools = Toolbox(snapshot, Scope(streams=("kitchen",), span=Span(0, 3600)))
    tools.search(SearchArgs(query="kettle", limit=5))

The scope is enforced here, in code: whatever arguments a reasoner comes up with, and whatever text
it has read in a picture, nothing outside the scope is returned and nothing is changed. What a second
look saw is handed back as a value; only the agent's door to the store may write it down.
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
from .temporal_search import SEARCHED, nearest

Limit = Annotated[int, Field(ge=1, le=100)]


class TryAgain(Exception):
    """The arguments make no sense here; other arguments could. The text says which."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a question may see."""

    streams: tuple[str, ...] = ()
    """Names; empty for every stream of the memory."""
    span: Span | None = None
    """Stream time; None for all of it."""


class _Args(BaseModel):
    """Arguments of a tool."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OverviewArgs(_Args):
    """Ask what happened in a stream from start to end, in as few memories as tell it."""

    stream: str
    from_s: float | None = None
    to_s: float | None = None


class SearchArgs(_Args):
    """Ask for the moments that fit some words: the best, or the first or the last that fit about as well."""

    query: Annotated[str, Field(max_length=4000)]
    streams: tuple[str, ...] = ()
    from_s: float | None = None
    to_s: float | None = None
    rungs: tuple[Rung, ...] = ()
    order: Literal["best", "first", "last"] = "best"
    limit: Limit = 20


class TimelineArgs(_Args):
    """Ask for the moments of a stream in time order, all of them or those with certain findings.

    Where moments are forgotten, what stands for them comes in their place.
    """

    stream: str
    from_s: float | None = None
    to_s: float | None = None
    rung: Rung = "moment"
    kinds: tuple[str, ...] = ()
    newest_first: bool = False
    limit: Limit = 20


class NeighboursArgs(_Args):
    """Ask for what came just before and after a moment."""

    moment_id: str
    before: Annotated[int, Field(ge=0, le=20)] = 1
    after: Annotated[int, Field(ge=0, le=20)] = 1


class InspectArgs(_Args):
    """Look again, and closer, at the pixels of a moment."""

    moment_id: str


Inspector = Callable[[Moment], Observation | None]
"""Looks at the pixels of a moment again; None where there are none left to look at."""


class Toolbox:
    """The tools, bound to one snapshot of a memory and one scope."""

    def __init__(self, snapshot: Snapshot, scope: Scope, inspector: Inspector | None = None) -> None:
        self._snapshot = snapshot
        self._scope = scope
        self._inspector = inspector
        # The snapshot never changes, so what was read once need not be read again.
        self._read: dict[str, Moment] = {}
        self._standing: dict[str, set[str]] = {}

    def streams(self) -> tuple[str, ...]:
        """The names of the streams in scope, sorted."""
        return self._names

    @cached_property
    def _names(self) -> tuple[str, ...]:
        names = sorted(stream.name for stream in self._snapshot.streams())
        return tuple(name for name in names if not self._scope.streams or name in self._scope.streams)

    def overview(self, args: OverviewArgs) -> list[Moment]:
        """The fewest memories that tile the span, highest rungs first, in time order."""
        span = self._span(args.from_s, args.to_s)
        if span == _NOTHING:
            return []
        tiles = self._snapshot.cover(self._stream(args.stream), span)
        # What stands for forgotten moments at the edges may reach beyond the scope.
        return self._noted([tile for tile in tiles if self._in_scope(tile)])

    def search(self, args: SearchArgs) -> list[Hit]:
        """The moments that fit the words best, best first.

        In another ``order``, the first or the last in each stream of those that have about as many of the words as
        the best, that end first; or what stands for them, where they are forgotten.
        """
        wanted = tuple(self._stream(name) for name in args.streams) or self.streams()
        span = self._span(args.from_s, args.to_s)
        if not wanted or span == _NOTHING:
            return []
        if args.order == "best":
            return self._found(args, wanted, args.limit, span)
        hits: list[Hit] = []
        for stream in wanted:
            to_end = Span(0.0, max(self.end_s(stream), 0.001))
            if within := to_end if span is None else span.clipped_to(to_end):
                ordered = nearest(
                    partial(self._found, args, (stream,), SEARCHED),
                    args.query,
                    within,
                    order=args.order,
                    wanted=args.limit,
                    counts=self.is_leaf,
                )
                hits += ordered[: args.limit]
        return hits

    def _found(self, args: SearchArgs, streams: Sequence[str], limit: int, span: Span | None) -> list[Hit]:
        hits = self._snapshot.search(
            args.query,
            streams=streams,
            span=span,
            rungs=args.rungs or None,
            # Of many, what fits as well as the best is told by its words.
            modes=SEARCH_MODES if args.order == "best" else ("words",),
            limit=limit,
        )
        self._noted([hit.moment for hit in hits])
        return [hit for hit in hits if self._in_scope(hit.moment)]

    def end_s(self, stream: str) -> float:
        """Where what was watched of a stream ends, forgotten or not."""
        ends_s = [moment.span.end_s for moment in self._snapshot.latest(stream, 1)]
        ends_s += [one.span.end_s for one in self._snapshot.tombstones(stream)]
        return max(ends_s, default=0.0)

    def timeline(self, args: TimelineArgs) -> list[Moment]:
        """Moments in time order; with ``newest_first``, the last ``limit`` of them.

        Where moments are forgotten, what stands for them.
        """
        span = self._span(args.from_s, args.to_s)
        if span == _NOTHING:
            return []
        moments = self._listed(args, args.rung, span)
        if args.rung == "moment":
            # Each memory above either stands for what it was made of, or holds what is listed: so that of the
            # first few of all rungs together, none is missed.
            lost = {one.lost for one in self._snapshot.tombstones(args.stream, span)}
            for below, above in pairwise(RUNGS):
                if below in lost:
                    moments += [one for one in self._listed(args, above, span) if self.is_leaf(one)]
            moments.sort(key=lambda moment: (moment.span, moment.id))
        moments = [moment for moment in moments if self._in_scope(moment)]
        return self._noted(moments[-args.limit :] if args.newest_first else moments[: args.limit])

    def at(self, stream: str, times_s: Iterable[float]) -> dict[float, Moment]:
        """The moment in which each of these times lies, or what stands for it where it is forgotten.

        A time in which nothing is remembered, or that is out of scope, is left out.
        """
        sought = sorted(set(times_s))
        moments = [
            one for one in self._snapshot.moments_at(self._stream(stream), sought) if self._in_scope(one)
        ]
        self._noted(moments)
        starts_s = [moment.span.start_s for moment in moments]
        there: dict[float, Moment] = {}
        for at_s in sought:
            before = bisect_right(starts_s, at_s)
            found = [one for one in moments[before - 1 : before] if one.span.contains(at_s)]
            found = found or self.timeline(
                TimelineArgs(stream=stream, from_s=at_s, to_s=at_s + 0.001, limit=1)
            )
            if found:
                there[at_s] = found[0]
        return there

    def is_leaf(self, moment: Moment) -> bool:
        """Whether nothing below it is left to tell more: it is a moment, or stands for what is forgotten."""
        if moment.stream not in self._standing:
            tombstones = self._snapshot.tombstones(moment.stream)
            self._standing[moment.stream] = {one.id for one in tombstones if one.lost != "frame"}
        return moment.rung == "moment" or moment.id in self._standing[moment.stream]

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
        """What came before and after, in time order, without the moment itself."""
        moment = self.get([args.moment_id]).get(args.moment_id)
        if moment is None:
            raise TryAgain(f"there is no moment {args.moment_id!r} in scope; use an id that a tool returned")
        near = self._snapshot.neighbours(moment, args.before, args.after)
        return self._noted([other for other in near if self._in_scope(other) and other.id != moment.id])

    def inspect(self, args: InspectArgs) -> Observation | None:
        """What a closer look at the moment's pixels saw; None where none are left."""
        moment = self.get([args.moment_id]).get(args.moment_id)
        if moment is None:
            raise TryAgain(f"there is no moment {args.moment_id!r} in scope; use an id that a tool returned")
        return self._inspector(moment) if self._inspector else None

    def get(self, ids: Sequence[str]) -> dict[str, Moment]:
        """Moments by id, as far as they are in scope."""
        self._read |= self._snapshot.get([key for key in dict.fromkeys(ids) if key not in self._read])
        known = {key: self._read[key] for key in dict.fromkeys(ids) if key in self._read}
        return {key: moment for key, moment in known.items() if self._in_scope(moment)}

    def _noted(self, moments: list[Moment]) -> list[Moment]:
        self._read |= {moment.id: moment for moment in moments}
        return moments

    def _in_scope(self, moment: Moment) -> bool:
        span = self._scope.span
        if self._scope.streams and moment.stream not in self._scope.streams:
            return False
        if span is None or moment.rung == "moment":
            return span is None or moment.span.overlaps(span)
        # What a rung above tells of happened anywhere in it, so a part of it in scope is not enough.
        return moment.span.clipped_to(span) == moment.span

    def _stream(self, name: str) -> str:
        if name not in self.streams():
            raise TryAgain(
                f"there is no stream {name!r} in scope; the streams are {', '.join(self.streams())}"
            )
        return name

    def _span(self, from_s: float | None, to_s: float | None) -> Span | None:
        """The asked span inside the scope; ``_NOTHING`` where they do not meet."""
        if from_s is None and to_s is None:
            return self._scope.span
        start_s, end_s = max(0.0, from_s or 0.0), float("inf") if to_s is None else to_s
        if start_s >= end_s:
            raise TryAgain(f"`to_s` ({end_s:g}) is not after `from_s` ({start_s:g})")
        asked = Span(start_s, end_s)
        return asked if self._scope.span is None else asked.clipped_to(self._scope.span) or _NOTHING


_NOTHING = Span(0.0, 0.0)
