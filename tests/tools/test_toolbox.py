"""The tools: what they return, what they keep back, and how they refuse invalid arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from recollect.memory import Finding, MemoryStore, Moment, Observation, Snapshot, Span, Stream, moment_id
from recollect.tools.toolbox import (
    InspectArgs,
    NeighboursArgs,
    OverviewArgs,
    Scope,
    SearchArgs,
    TimelineArgs,
    Toolbox,
    TryAgain,
)


def moment(stream: str, number: int, caption: str, *kinds: str) -> Moment:
    """Ten seconds of a stream, with a finding of each kind."""
    span = Span(number * 10.0, number * 10.0 + 10.0)
    findings = tuple(Finding("action", kind, f"something {kind}", span, "motion/1") for kind in kinds)
    return Moment(
        id=moment_id(stream, 0, "moment", span.start_s),
        stream=stream,
        epoch=0,
        span=span,
        observations=(Observation(caption, findings, "observers/1", 1000.0 + span.end_s),),
    )


def event(stream: str, children: list[Moment], caption: str) -> Moment:
    """The rung above some moments, with a finding of each of their kinds."""
    span = children[0].span.hull(children[-1].span)
    kinds = sorted({finding.kind for child in children for finding in child.findings})
    findings = tuple(Finding("action", kind, f"1 × {kind}", span, "ladder/1") for kind in kinds)
    return Moment(
        id=moment_id(stream, 0, "event", span.start_s),
        stream=stream,
        epoch=0,
        span=span,
        observations=(Observation(caption, findings, "ladder/1", 1000.0 + span.end_s),),
        rung="event",
        child_ids=tuple(child.id for child in children),
    )


KITCHEN = [
    moment("kitchen", 0, "a kettle is put down", "placed"),
    moment("kitchen", 1, "a cat enters", "enters"),
    moment("kitchen", 2, "a kettle is taken away", "removed"),
    moment("kitchen", 3, "a cat leaves", "leaves"),
]
GARDEN = [moment("garden", 0, "a kettle in the garden", "placed"), moment("garden", 1, "rain")]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    with MemoryStore.open(tmp_path_factory.mktemp("tools") / "memory.lance", write=True) as store:
        for name in ("kitchen", "garden"):
            store.put_stream(Stream(name, "file", f"{name}.mp4", f"content:{name}", "done", 4.0))
        store.append([*KITCHEN, event("kitchen", KITCHEN, "a kettle comes and goes, and a cat")])
        store.append(GARDEN)
        yield store.snapshot()


@pytest.fixture
def half_forgotten(tmp_path: Path, evict: Callable[..., None]) -> Iterator[Snapshot]:
    """The first of two events in the kitchen, [0, 40) and [40, 80), has lost its moments."""
    later = [moment("kitchen", number, f"a cat enters, time {number}", "enters") for number in range(4, 8)]
    with MemoryStore.open(tmp_path / "memory.lance", write=True) as store:
        store.put_stream(Stream("kitchen", "live", "rtsp://kitchen", "kitchen", "stopped", 4.0))
        events = [event("kitchen", KITCHEN, "a kettle comes and goes"), event("kitchen", later, "a cat")]
        store.append([*KITCHEN, *later, *events])
        evict(store, ("event", "children"), inside=events[0].span)
        yield store.snapshot()


def captions(moments: list[Moment]) -> list[str]:
    return [moment.caption for moment in moments]


def test_without_a_scope_everything_is_found(snapshot):
    tools = Toolbox(snapshot, Scope())

    hits = tools.search(SearchArgs(query="kettle"))

    assert tools.streams() == ("garden", "kitchen")
    assert {hit.moment.id for hit in hits} >= {KITCHEN[0].id, KITCHEN[2].id, GARDEN[0].id}


def test_a_stream_out_of_scope_is_neither_found_nor_named(snapshot):
    tools = Toolbox(snapshot, Scope(streams=("kitchen",)))

    assert tools.streams() == ("kitchen",)
    assert {hit.moment.stream for hit in tools.search(SearchArgs(query="kettle rain"))} == {"kitchen"}
    assert tools.get([GARDEN[0].id, KITCHEN[0].id]) == {KITCHEN[0].id: KITCHEN[0]}
    for ask in (
        lambda: tools.search(SearchArgs(query="rain", streams=("garden",))),
        lambda: tools.timeline(TimelineArgs(stream="garden")),
        lambda: tools.overview(OverviewArgs(stream="garden")),
    ):
        with pytest.raises(TryAgain, match=r"there is no stream 'garden' in scope; the streams are kitchen$"):
            ask()


@pytest.mark.parametrize("window", [(None, None), (0.0, None), (0.0, 1000.0), (15.0, None), (None, 25.0)])
def test_no_tool_returns_times_out_of_scope(snapshot, window):
    from_s, to_s = window
    scope = Span(12.0, 28.0)
    tools = Toolbox(snapshot, Scope(streams=("kitchen",), span=scope))

    moments = [hit.moment for hit in tools.search(SearchArgs(query="kettle cat", from_s=from_s, to_s=to_s))]
    moments += tools.timeline(TimelineArgs(stream="kitchen", from_s=from_s, to_s=to_s))
    moments += tools.overview(OverviewArgs(stream="kitchen", from_s=from_s, to_s=to_s))

    assert {moment.id for moment in moments} == {KITCHEN[1].id, KITCHEN[2].id}


def test_a_time_outside_the_scope_returns_nothing(snapshot):
    tools = Toolbox(snapshot, Scope(span=Span(0.0, 10.0)))

    assert tools.search(SearchArgs(query="cat", from_s=20.0)) == []
    assert tools.timeline(TimelineArgs(stream="kitchen", from_s=20.0, to_s=30.0)) == []
    assert tools.overview(OverviewArgs(stream="kitchen", from_s=20.0)) == []


def test_an_event_that_reaches_beyond_the_scope_is_kept_back(snapshot):
    everything = Toolbox(snapshot, Scope())
    scoped = Toolbox(snapshot, Scope(span=Span(0.0, 20.0)))
    args = SearchArgs(query="a kettle comes and goes", rungs=("event",))
    the_event = everything.search(args)[0].moment

    assert scoped.search(args) == []
    assert scoped.timeline(TimelineArgs(stream="kitchen", rung="event")) == []
    assert scoped.get([the_event.id]) == {}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    """A sign that reads OPEN for fifty minutes, from 1000 s on, and CLOSED before and after."""
    with MemoryStore.open(tmp_path_factory.mktemp("door") / "memory.lance", write=True) as store:
        store.put_stream(Stream("door", "file", "door.mp4", "content:door", "done", 4.0))
        store.append(
            [
                moment(
                    "door", number, "the sign reads OPEN" if 100 <= number < 400 else "the sign reads CLOSED"
                )
                for number in range(500)
            ]
        )
        yield store.snapshot()


@pytest.mark.parametrize(
    ("order", "between", "numbers"),
    [
        ("first", (None, None), [100, 101, 102]),
        ("last", (None, None), [399, 398, 397]),
        ("first", (2001.0, None), [200, 201, 202]),
        ("last", (None, 2000.0), [199, 198, 197]),
        ("last", (500.0, 1000.0), []),
    ],
)
def test_an_ordered_search_returns_matches_from_the_asked_end(door, order, between, numbers):
    tools = Toolbox(door, Scope(streams=("door",)))

    hits = tools.search(SearchArgs(query="open", order=order, from_s=between[0], to_s=between[1], limit=3))

    assert [hit.moment.span.start_s / 10 for hit in hits] == numbers


def test_a_forgotten_match_may_be_the_first(half_forgotten):
    tools = Toolbox(half_forgotten, Scope())

    hits = tools.search(SearchArgs(query="cat kettle", order="first", limit=1))

    assert [(hit.moment.rung, hit.moment.span.start_s) for hit in hits] == [("event", 0.0)]


def test_an_ordered_search_stays_in_scope(door):
    tools = Toolbox(door, Scope(span=Span(1500.0, 2500.0)))

    assert [
        tools.search(SearchArgs(query="open", order=order, limit=1))[0].moment.span.start_s
        for order in ("first", "last")
    ] == [1500.0, 2490.0]


def test_a_time_maps_to_its_moment_or_to_the_summary_of_it(half_forgotten):
    tools = Toolbox(half_forgotten, Scope(span=Span(0.0, 70.0)))

    by_time = tools.at("kitchen", [39.9, 45.0, 49.999, 50.0, 75.0, 500.0])

    assert {time_s: (moment.rung, moment.span.start_s) for time_s, moment in by_time.items()} == {
        39.9: ("event", 0.0),
        45.0: ("moment", 40.0),
        49.999: ("moment", 40.0),
        50.0: ("moment", 50.0),
    }


def test_neighbours_stop_at_the_edge_of_the_scope(snapshot):
    tools = Toolbox(snapshot, Scope(span=Span(10.0, 30.0)))

    neighbours = tools.neighbours(NeighboursArgs(moment_id=KITCHEN[1].id, before=5, after=5))

    assert captions(neighbours) == ["a kettle is taken away"]


def test_neighbours_come_in_time_order_without_the_moment_itself(snapshot):
    neighbours = Toolbox(snapshot, Scope()).neighbours(
        NeighboursArgs(moment_id=KITCHEN[1].id, before=1, after=2)
    )

    assert captions(neighbours) == ["a kettle is put down", "a kettle is taken away", "a cat leaves"]


def test_the_timeline_lists_kinds_from_either_end(snapshot):
    tools = Toolbox(snapshot, Scope())
    kinds = ("enters", "leaves")

    first = tools.timeline(TimelineArgs(stream="kitchen", kinds=kinds, limit=1))
    last = tools.timeline(TimelineArgs(stream="kitchen", kinds=kinds, limit=1, newest_first=True))

    assert (captions(first), captions(last)) == (["a cat enters"], ["a cat leaves"])


def test_the_overview_is_the_highest_rungs_that_tile_the_span(snapshot):
    tools = Toolbox(snapshot, Scope())

    assert [tile.rung for tile in tools.overview(OverviewArgs(stream="kitchen"))] == ["event"]
    assert captions(tools.overview(OverviewArgs(stream="kitchen", from_s=12.0, to_s=18.0))) == [
        "a cat enters"
    ]


def test_summaries_replace_forgotten_moments_in_the_timeline(half_forgotten):
    tools = Toolbox(half_forgotten, Scope())

    everything = tools.timeline(TimelineArgs(stream="kitchen"))
    first = tools.timeline(TimelineArgs(stream="kitchen", kinds=("enters",), limit=2))
    last = tools.timeline(TimelineArgs(stream="kitchen", kinds=("enters",), limit=2, newest_first=True))
    removed = tools.timeline(TimelineArgs(stream="kitchen", kinds=("removed",)))
    later = tools.timeline(TimelineArgs(stream="kitchen", from_s=40.0, to_s=55.0))

    cats = [f"a cat enters, time {number}" for number in range(4, 8)]
    assert captions(everything) == ["a kettle comes and goes", *cats]
    assert captions(first) == ["a kettle comes and goes", cats[0]]
    assert captions(last) == cats[2:]
    assert captions(removed) == ["a kettle comes and goes"]
    assert captions(later) == cats[:2]


def test_a_leaf_is_a_moment_or_a_summary_of_forgotten_ones(half_forgotten):
    tools = Toolbox(half_forgotten, Scope())
    first, second = tools.timeline(TimelineArgs(stream="kitchen", rung="event"))
    [cat] = tools.timeline(TimelineArgs(stream="kitchen", from_s=41.0, to_s=42.0))

    assert [tools.is_leaf(moment) for moment in (first, second, cat)] == [True, False, True]


def test_a_summary_that_reaches_beyond_the_scope_is_kept_back(half_forgotten):
    tools = Toolbox(half_forgotten, Scope(span=Span(20.0, 60.0)))

    listed = tools.timeline(TimelineArgs(stream="kitchen"))
    tiles = tools.overview(OverviewArgs(stream="kitchen"))

    assert captions(listed) == captions(tiles) == ["a cat enters, time 4", "a cat enters, time 5"]
    assert tools.search(SearchArgs(query="kettle")) == []


def test_only_moments_in_scope_are_inspected(snapshot):
    inspected: list[str] = []

    def inspector(moment: Moment) -> Observation:
        inspected.append(moment.id)
        return Observation("closer", (), "inspect/1", 2000.0)

    tools = Toolbox(snapshot, Scope(streams=("kitchen",)), inspector)

    assert tools.inspect(InspectArgs(moment_id=KITCHEN[0].id)).caption == "closer"
    for unknown in (GARDEN[0].id, "no such id"):
        with pytest.raises(TryAgain, match="use an id that a tool returned"):
            tools.inspect(InspectArgs(moment_id=unknown))
        with pytest.raises(TryAgain, match="use an id that a tool returned"):
            tools.neighbours(NeighboursArgs(moment_id=unknown))
    assert inspected == [KITCHEN[0].id]


def test_an_id_read_before_does_not_open_the_scope(snapshot):
    tools = Toolbox(snapshot, Scope(span=Span(0.0, 10.0)))
    tools.get([KITCHEN[3].id])

    assert tools.get([KITCHEN[3].id]) == {}


def test_without_an_inspector_nothing_is_seen(snapshot):
    assert Toolbox(snapshot, Scope()).inspect(InspectArgs(moment_id=KITCHEN[0].id)) is None


def test_a_span_that_ends_before_it_starts_is_refused(snapshot):
    tools = Toolbox(snapshot, Scope())

    with pytest.raises(TryAgain, match=r"^`to_s` \(10\) is not after `from_s` \(20\)$"):
        tools.search(SearchArgs(query="cat", from_s=20.0, to_s=10.0))


@pytest.mark.parametrize(
    ("args", "fields"),
    [
        (SearchArgs, {"query": "x" * 4001}),
        (SearchArgs, {"query": "cat", "limit": 0}),
        (SearchArgs, {"query": "cat", "limit": 101}),
        (SearchArgs, {"query": "cat", "from_s": float("nan")}),
        (SearchArgs, {"query": "cat", "to_s": float("inf")}),
        (SearchArgs, {"query": "cat", "rungs": ("week",)}),
        (SearchArgs, {"query": "cat", "topk": 3}),
        (TimelineArgs, {}),
        (NeighboursArgs, {"moment_id": "a", "before": 21}),
        (NeighboursArgs, {"moment_id": "a", "after": -1}),
        (InspectArgs, {"moment_id": None}),
    ],
)
def test_invalid_arguments_are_refused(args, fields):
    with pytest.raises(ValidationError):
        args(**fields)
