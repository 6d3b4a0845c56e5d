"""Snapshots: search, timelines, covers and coverage, without anything written later."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from recollect.memory import (
    Finding,
    FrameCounts,
    Gap,
    HashingEncoder,
    KeyFrame,
    MemoryStore,
    Moment,
    Observation,
    Span,
    Stream,
)
from recollect.memory.ladder.builder import Ladder
from recollect.memory.query.snapshot import Hit, Snapshot

Make = Callable[..., Moment]


def captions(hits: list[Hit]) -> list[str]:
    return [hit.moment.caption for hit in hits]


def watch(store: MemoryStore, moments: list[Moment], *, finish: bool = True) -> None:
    ladder = Ladder("kitchen")
    for start in range(0, len(moments), 64):
        batch = [
            memory for moment in moments[start : start + 64] for memory in (moment, *ladder.push(moment))
        ]
        store.append(batch)
    if finish:
        store.append(ladder.flush())


def test_a_snapshot_as_of_a_time_hides_later_writes(
    store: MemoryStore, moment: Make, frame: Callable[[float], KeyFrame]
) -> None:
    """The time of writing decides: the hidden moment lies earlier in the stream."""
    early = moment(1, "a red car", written_at_s=100.0, frame_ids=("frame-6.0",))
    late = moment(0, "a red bus", written_at_s=200.0, frame_ids=("frame-1.0",))
    store.append([early, late], [frame(6.0), frame(1.0)])
    store.write_back(early, Observation("a red van", (), "inspect/1", 300.0))
    store.put_gap(Gap("g", "kitchen", 0, Span(10.0, 12.0), "stalled"), written_at_s=200.0)
    store.put_stream(Stream("kitchen", "live", "rtsp://cam", "c", "watching", 2.0))

    snapshot = store.snapshot(as_of_s=150.0)

    assert captions(snapshot.search("red")) == ["a red car"]
    assert snapshot.search("van") == []
    assert snapshot.timeline("kitchen") == [early]
    assert snapshot.get([early.id, late.id]) == {early.id: early}
    assert snapshot.neighbours(early) == []
    assert snapshot.cover("kitchen") == [early]
    assert snapshot.frames(["frame-1.0", "frame-6.0"]) == [frame(6.0)]
    assert snapshot.gaps("kitchen") == []
    assert snapshot.counts("kitchen") == early.counts
    assert [stream.name for stream in snapshot.streams()] == ["kitchen"]
    assert store.snapshot(as_of_s=50.0).streams() == []
    assert [m.id for m in store.snapshot(as_of_s=200.0).timeline("kitchen")] == [late.id, early.id]


def test_a_snapshot_does_not_see_later_appends(store: MemoryStore, moment: Make) -> None:
    store.append([moment(0, "a red car")])
    earlier = store.snapshot()

    for number in range(1, 50):
        store.append([moment(number, "a red car")])
    store.put_gap(Gap("g", "kitchen", 0, Span(250.0, 260.0), "stalled"))
    store.maintain()

    assert len(earlier.search("red car", limit=100)) == len(earlier.timeline("kitchen")) == 1
    assert earlier.gaps("kitchen") == []
    assert earlier.counts("kitchen") == moment(0).counts
    newest = store.snapshot()
    assert len(newest.search("red car", limit=100)) == len(newest.timeline("kitchen")) == 50


ASK_WHILE_WATCHED = """
import sys
from recollect.memory import MemoryStore
with MemoryStore.open(sys.argv[1]) as reader:
    for line in sys.stdin:
        pinned = reader.snapshot()
        first = len(pinned.timeline("kitchen"))
        print(first, flush=True)
        sys.stdin.readline()
        again = len(pinned.timeline("kitchen"))
        print(again, len(pinned.search("car", limit=100)), flush=True)
"""


@pytest.mark.slow
def test_another_process_sees_commits_and_keeps_its_snapshot(
    folder: Path, store: MemoryStore, moment: Make
) -> None:
    store.append([moment(0, "car")])
    with subprocess.Popen(
        [sys.executable, "-c", ASK_WHILE_WATCHED, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        for number in (1, 2, 3):
            print("snapshot", file=reader.stdin, flush=True)
            first_read = reader.stdout.readline().split()
            store.append([moment(number, "car")])
            if number == 2:
                store.maintain()
            print("again", file=reader.stdin, flush=True)
            second_read = reader.stdout.readline().split()

            assert first_read == [str(number)]
            assert second_read == [str(number), str(number)]
        reader.stdin.close()


def test_search_finds_rows_before_and_after_they_are_indexed(store: MemoryStore, moment: Make) -> None:
    store.append([moment(n, f"the door opens, item{n}") for n in range(20)])
    fresh = store.snapshot().search("item7 opening doors")
    store.maintain()
    store.append([moment(20, "a café opens, item20")])
    snapshot = store.snapshot()

    assert captions(fresh)[0] == "the door opens, item7"
    assert len(fresh) == 20
    assert captions(snapshot.search("item7"))[0] == "the door opens, item7"
    assert captions(snapshot.search("cafe")) == ["a café opens, item20"]
    assert len(snapshot.search("opening", limit=50)) == 21


@pytest.mark.parametrize(
    "query",
    [
        '"car',
        "car AND (NOT",
        "car* OR ~^",
        "+car -bus",
        "car:red",
        "text:car",
        "\\car\\",
        "'; car --",
        "{car}[",
        "car?!",
    ],
)
def test_a_query_has_no_operators(store: MemoryStore, moment: Make, query: str) -> None:
    store.append([moment(0, "a car"), moment(1, "a tree")])

    assert captions(store.snapshot().search(query))[:1] == ["a car"]


@pytest.mark.parametrize("query", ["", "  ", "?!", '"'])
def test_a_query_without_words_finds_nothing(store: MemoryStore, moment: Make, query: str) -> None:
    store.append([moment(0, "a car")])

    assert store.snapshot().search(query) == []


def test_each_filter_narrows_the_search(
    store: MemoryStore, moment: Make, finding: Callable[..., Finding]
) -> None:
    odd = 'o\'brien "yard"'
    enters = finding("action", "enters", 1.0, 2.0, "a car enters")
    store.append([moment(0, "car", enters), moment(1, "car"), moment(7, "car", stream=odd)])
    store.append([replace(moment(0, "car"), id="event", rung="event", span=Span(0.0, 10.0))])
    snapshot = store.snapshot()

    def found(**filters: object) -> list[tuple[str, str, float]]:
        hits = snapshot.search("car", **filters)  # type: ignore[arg-type]
        return sorted((h.moment.stream, h.moment.rung, h.moment.span.start_s) for h in hits)

    assert len(found()) == 4
    assert found(streams=[odd]) == [(odd, "moment", 35.0)]
    assert found(streams=[]) == []
    assert found(kinds=["enters", "leaves"]) == [("kitchen", "moment", 0.0)]
    assert found(rungs=["event"]) == [("kitchen", "event", 0.0)]
    assert found(span=Span(4.0, 5.0)) == [("kitchen", "event", 0.0), ("kitchen", "moment", 0.0)]
    assert found(written_by=["inspect/1"]) == []
    assert len(found(limit=2)) == 2


def test_adjacent_words_rank_above_the_same_words_apart(store: MemoryStore, moment: Make) -> None:
    store.append(
        [
            moment(0, "a red cup stands beside a woman in a blue coat"),
            moment(1, "a blue cup stands beside a woman in a red coat"),
            moment(2, "a woman in blue, a red hat, a coat and a cup"),
        ]
    )

    assert (
        captions(store.snapshot().search("red coats"))[0] == "a blue cup stands beside a woman in a red coat"
    )
    assert captions(store.snapshot().search("the blue coat"))[0].endswith("a woman in a blue coat")


def test_equal_scores_come_in_time_order(store: MemoryStore, moment: Make) -> None:
    store.append([moment(n, "a car") for n in (3, 1, 2, 0)])

    starts = [hit.moment.span.start_s for hit in store.snapshot().search("car")]

    assert starts == [0.0, 5.0, 10.0, 15.0]


def test_a_moment_with_many_matching_observations_is_found_once(store: MemoryStore, moment: Make) -> None:
    store.append([moment(0, "a car"), moment(1, "a car and a tree")])
    for number in range(3):
        store.write_back(moment(0), Observation(f"car car {number}", (), "inspect/1", 2000.0 + number))

    hits = store.snapshot().search("car", limit=2)

    assert sorted(hit.moment.span.start_s for hit in hits) == [0.0, 5.0]
    assert len(next(h for h in hits if h.moment.span.start_s == 0.0).moment.observations) == 4


def test_an_encoder_of_spelling_finds_similar_spellings(folder: Path, moment: Make) -> None:
    with MemoryStore.open(folder, write=True, encoder=HashingEncoder()) as store:
        store.append([moment(0, "a cat sleeps"), moment(1, "photographer queues"), moment(2, "rain")])
        store.maintain()
        by_both = store.snapshot().search("photografer")
    with MemoryStore.open(folder) as without:
        by_words = without.snapshot().search("photografer")

    assert by_words == []
    assert captions(by_both)[0] == "photographer queues"


def test_words_and_meaning_are_fused_by_reciprocal_rank(folder: Path, moment: Make) -> None:
    """The first of both rankings scores 2/11. A moment of one ranking only scores by its rank there."""
    with MemoryStore.open(folder, write=True, encoder=HashingEncoder()) as store:
        store.append([moment(0, "zebra"), moment(1, "zebras graze in the grass"), moment(2, "fog")])
        hits = store.snapshot().search("zebra")

    assert [hit.moment.span.start_s for hit in hits] == [0.0, 5.0, 10.0]
    assert [round(hit.score, 6) for hit in hits] == [round(2 / 11, 6), round(2 / 12, 6), round(1 / 13, 6)]


def test_searching_an_empty_memory_with_an_encoder_finds_nothing(folder: Path) -> None:
    with MemoryStore.open(folder, write=True, encoder=HashingEncoder()) as store:
        assert store.snapshot().search("anything") == []


def test_a_timeline_is_in_time_order_and_bounded(
    store: MemoryStore, moment: Make, finding: Callable[..., Finding]
) -> None:
    cut = finding("action", "cut", 0, 1)
    store.append([moment(n, f"m{n}", *([cut] if n % 3 == 0 else [])) for n in range(10)])
    store.append([moment(0, stream="yard")])
    for n in (0, 3):
        store.write_back(moment(n), Observation("cut again", (cut,), "inspect/1", 5000.0))
    snapshot = store.snapshot()

    def numbers(moments: list[Moment]) -> list[int]:
        return [round(m.span.start_s / 5) for m in moments]

    assert numbers(snapshot.timeline("kitchen")) == list(range(10))
    assert numbers(snapshot.timeline("kitchen", Span(12.0, 20.0))) == [2, 3]
    assert numbers(snapshot.timeline("kitchen", limit=3)) == [0, 1, 2]
    assert numbers(snapshot.timeline("kitchen", limit=3, newest_first=True)) == [7, 8, 9]
    assert numbers(snapshot.timeline("kitchen", kinds=["cut"], limit=3)) == [0, 3, 6]
    assert numbers(snapshot.timeline("kitchen", kinds=["cut"], limit=3, newest_first=True)) == [3, 6, 9]
    assert snapshot.timeline("kitchen", rung="event") == []
    assert snapshot.timeline("attic") == []
    assert numbers(snapshot.latest("kitchen", 2)) == [8, 9]
    assert numbers(snapshot.moments_at("kitchen", [44.9, 10.0, 12.0, 14.9, 15.0, 700.0])) == [2, 3, 8]
    assert numbers(snapshot.moments_at("kitchen", (n / 10 for n in range(500)))) == list(range(10))
    assert snapshot.moments_at("kitchen", []) == []


def test_neighbours_are_of_the_same_rung_and_stream(store: MemoryStore, moment: Make) -> None:
    store.append([moment(n) for n in range(6)] + [moment(2, stream="yard")])
    store.append([replace(moment(2), id="event", rung="event")])
    snapshot = store.snapshot()

    neighbours = snapshot.neighbours(moment(2), before=2, after=1)

    assert [(m.stream, m.rung, m.span.start_s) for m in neighbours] == [
        ("kitchen", "moment", 0.0),
        ("kitchen", "moment", 5.0),
        ("kitchen", "moment", 15.0),
    ]
    assert [m.span.start_s for m in snapshot.neighbours(moment(0), before=5, after=0)] == []


def total_s(moments: list[Moment]) -> float:
    return sum(moment.span.duration_s for moment in moments)


def assert_disjoint(moments: list[Moment]) -> None:
    for earlier, following in itertools.pairwise(moments):
        assert earlier.span.end_s <= following.span.start_s


@pytest.fixture(scope="module")
def long_stream(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """27 hours in moments of 30 s, watched but not finished."""
    path = tmp_path_factory.mktemp("long") / "memory.lance"
    with MemoryStore.open(path, write=True) as store:
        moments = []
        for number in range(27 * 120):
            span = Span(number * 30.0, number * 30.0 + 30.0)
            observation = Observation(f"item{number}", (), "observers/1", span.end_s)
            counts = FrameCounts(3, 1, 1, 1)
            moments.append(Moment(f"m{number}", "kitchen", 0, span, (observation,), counts=counts))
        watch(store, moments, finish=False)
        return store.snapshot()


@pytest.mark.parametrize(
    "span",
    [
        None,
        Span(0.0, 97_200.0),
        Span(100.0, 96_000.0),
        Span(4000.0, 4100.0),
        Span(80_000.0, 90_000.0),
        Span(35.0, 36.0),
    ],
)
def test_a_cover_contains_every_second_once_in_few_memories(long_stream: Snapshot, span: Span | None) -> None:
    cover = long_stream.cover("kitchen", span)

    covered = span or Span(0.0, 97_200.0)
    assert_disjoint(cover)
    assert total_s([replace(m, span=m.span.clipped_to(covered)) for m in cover]) == pytest.approx(
        covered.duration_s
    )  # type: ignore[arg-type]
    assert len(cover) <= 80
    assert all(
        m.rung == "moment" or (covered.start_s <= m.span.start_s and m.span.end_s <= covered.end_s)
        for m in cover
    )


def test_a_cover_takes_the_highest_rung_that_fits(long_stream: Snapshot) -> None:
    rungs = [memory.rung for memory in long_stream.cover("kitchen")]

    assert rungs[0] == "day"
    assert rungs == sorted(rungs, key=["day", "hour", "event", "moment"].index)
    assert set(rungs) == {"day", "hour", "event", "moment"}


def test_coverage_has_the_watched_time_and_the_gaps(store: MemoryStore, moment: Make) -> None:
    watch(store, [moment(n) for n in (*range(8), *range(12, 20))])
    gap = Gap("g", "kitchen", 0, Span(40.0, 60.0), "stalled", counts=FrameCounts(7, dropped={"overload": 7}))
    store.put_gap(gap)
    snapshot = store.snapshot()

    all_of_it, part = snapshot.coverage("kitchen"), snapshot.coverage("kitchen", Span(37.0, 50.0))

    assert all_of_it.span == Span(0.0, 100.0)
    assert (all_of_it.watched_s, all_of_it.fraction, all_of_it.gaps) == (80.0, 0.8, (gap,))
    assert snapshot.counts("kitchen").captured == 16 * 125 + 7
    assert snapshot.counts("kitchen").balanced
    assert (part.watched_s, part.gaps) == (3.0, (gap,))
    assert snapshot.coverage("attic").fraction == 0.0


def test_a_second_look_leaves_the_frame_counts_balanced(store: MemoryStore, moment: Make) -> None:
    counts = FrameCounts(10, 1, 2, 3, {"damaged": 3, "overload": 1})
    watch(store, [moment(n, counts=counts) for n in range(30)])
    store.write_back(moment(3), Observation("again", (), "inspect/1", 9000.0))

    total = store.snapshot().counts("kitchen")

    assert total == FrameCounts(300, 30, 60, 90, {"damaged": 90, "overload": 30})
    assert total.balanced


def test_children_are_the_memories_that_a_parent_summarises(store: MemoryStore, moment: Make) -> None:
    moments = [moment(n) for n in range(6)]
    watch(store, moments)
    snapshot = store.snapshot()

    (event,) = snapshot.timeline("kitchen", rung="event")

    assert snapshot.children(event) == moments
    assert snapshot.children(moments[0]) == []


@pytest.mark.parametrize("compacted", [False, True])
def test_a_search_in_a_long_span_finds_exactly_its_moments(
    folder: Path, moment: Make, compacted: bool
) -> None:
    moments = [moment(n, "a coat", span=Span(n * 700.0, n * 700.0 + (n % 3) * 500.0)) for n in range(120)]
    spans = [
        Span(a, b)
        for a in (0.0, 3600.0, 7100.0, 30_000.0)
        for b in (7200.0, 32_400.0, 50_400.5, 90_000.0)
        if a < b
    ]
    with MemoryStore.open(folder, write=True, encoder=HashingEncoder()) as store:
        store.append(moments)
        if compacted:
            store.compact()
        with store.snapshot() as snapshot:
            results = [
                [hit.moment for hit in snapshot.search("coat", span=span, limit=200)] for span in spans
            ]

    for span, inside in zip(spans, results, strict=True):
        assert inside == [
            candidate
            for candidate in moments
            if candidate.span.start_s < span.end_s and candidate.span.end_s > span.start_s
        ]
