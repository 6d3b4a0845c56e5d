"""The ladder: parents depend on their children alone, cover them without holes, and add up their findings."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recollect.memory import Finding, Gap, KeyFrame, MemoryStore, Moment, Observation, Span, moment_id
from recollect.memory.ladder.builder import Ladder
from recollect.memory.ladder.event_boundaries import MAX_EVENT_S, MIN_EVENT_MOMENTS, MIN_EVENT_S
from recollect.memory.ladder.representative_frames import choose_frames
from recollect.memory.ladder.similarity import similarity
from recollect.memory.ladder.summaries import MAX_LINES, summarise

Make = Callable[..., Moment]


def pictures(moment: Moment) -> list[KeyFrame]:
    """The pictures of a moment. Their signatures depend on their ids."""
    return [
        KeyFrame(
            frame_id,
            moment.stream,
            moment.span.start_s,
            0,
            "1/1",
            4,
            3,
            b"jpeg",
            hashlib.blake2b(frame_id.encode(), digest_size=48).digest(),
        )
        for frame_id in moment.frame_ids
    ]


def build_parents(moments: Sequence[Moment], *, finish: bool = True) -> list[Moment]:
    ladder = Ladder("kitchen")
    parents = [parent for moment in moments for parent in ladder.push(moment, pictures(moment))]
    return parents + (ladder.flush() if finish else [])


def of_rung(memories: Sequence[Moment], rung: str) -> list[Moment]:
    return [memory for memory in memories if memory.rung == rung]


@st.composite
def streams(draw: st.DrawFn) -> list[Moment]:
    """Up to some hours of moments with cuts, holes, epochs, actors, quiet times, values, lines and colours."""
    moments = []
    start_s, epoch, shot, actor = 0.0, 0, 0, 0
    for number in range(draw(st.integers(1, 60))):
        step = draw(st.sampled_from(["on", "on", "on", "on", "cut", "cut", "hole", "epoch"]))
        shot += step == "cut"
        start_s += 30.0 if step == "hole" else 0.0
        epoch += step == "epoch"
        span = Span(start_s, start_s + draw(st.sampled_from([2.0, 5.0, 10.0, 90.0, 200.0])))
        start_s = span.end_s
        findings = []
        actor = draw(st.sampled_from([0, actor, actor, actor, number]))
        if actor:
            findings.append(Finding("actor", "shape", "a shape", span, "motion/1", detail={"track": actor}))
            for kind in draw(st.sets(st.sampled_from(["enters", "leaves", "visit"]))):
                action_span = Span(span.start_s, span.start_s + draw(st.integers(0, 8)) / 4)
                value = {"value": float(draw(st.integers(0, 5)))} if kind == "visit" else {}
                findings.append(Finding("action", kind, kind, action_span, "motion/1", detail=value))
        grey = draw(st.sampled_from([0.2, 0.5, 0.9]))
        findings.append(
            Finding("attribute", "colour", "c", span, "look/1", detail={"grey": grey, "red": 0.9 - grey})
        )
        if draw(st.booleans()):
            findings.append(Finding("visible_text", "line", f"LINE {number % 3}", span, "ocr/1"))
        moments.append(
            Moment(
                id=moment_id("kitchen", epoch, "moment", span.start_s),
                stream="kitchen",
                epoch=epoch,
                span=span,
                observations=(Observation(f"m{number}", tuple(findings), "observers/1", span.end_s),),
                shot=shot,
                frame_ids=tuple(f"f{number}-{index}" for index in range(1 + bool(actor))),
            )
        )
    return moments


@given(streams())
@settings(max_examples=25, deadline=None)
def test_parents_tile_their_children_and_cross_no_break(moments: list[Moment]) -> None:
    parents = build_parents(moments)

    memories = {memory.id: memory for memory in [*moments, *parents]}
    assert len(memories) == len(moments) + len(parents), "two memories share an id"
    for parent in parents:
        children = [memories[child] for child in parent.child_ids]
        assert children
        assert parent.span == Span(children[0].span.start_s, children[-1].span.end_s)
        assert {child.epoch for child in children} == {parent.epoch}
        for earlier, later in itertools.pairwise(children):
            assert later.span.start_s == earlier.span.end_s
        assert parent.observations[0].written_at_s == children[-1].observations[0].written_at_s
        shown = [frame_id for child in children for frame_id in child.frame_ids]
        assert list(parent.frame_ids) == choose_frames(
            shown, {f.id: f.signature for m in moments for f in pictures(m)}
        )
    in_events = [child for event in of_rung(parents, "event") for child in event.child_ids]
    assert in_events == [moment.id for moment in moments]


@given(streams())
@settings(max_examples=25, deadline=None)
def test_tallies_of_every_rung_equal_those_of_the_moments(moments: list[Moment]) -> None:
    for parent in build_parents(moments):
        under = [m for m in moments if m.epoch == parent.epoch and parent.span.contains(m.span.start_s)]
        expected = {(f.field, f.kind): f for f in summarise(under, parent.span).findings}
        tallies = {(f.field, f.kind): f for f in parent.findings}

        assert tallies.keys() == expected.keys()
        for key, finding in tallies.items():
            assert finding.span == expected[key].span
            assert dict(finding.detail) == pytest.approx(dict(expected[key].detail))


@given(streams())
@settings(max_examples=50, deadline=None)
def test_events_keep_their_size_limits_except_at_breaks(moments: list[Moment]) -> None:
    moment_of = {moment.id: moment for moment in moments}
    events = of_rung(build_parents(moments), "event")

    for event, following in itertools.pairwise(events):
        children = [moment_of[child] for child in event.child_ids]
        assert event.span.duration_s <= MAX_EVENT_S or len(children) == 1
        first = moment_of[following.child_ids[0]]
        broken = following.epoch != event.epoch or first.span.start_s > event.span.end_s
        full = moment_of[following.child_ids[-1]].span.end_s - event.span.start_s > MAX_EVENT_S
        enough = event.span.duration_s >= MIN_EVENT_S or len(children) >= MIN_EVENT_MOMENTS
        assert broken or full or enough


@given(streams())
@settings(max_examples=25, deadline=None)
def test_sameness_is_the_similarity_to_the_previous_parent(moments: list[Moment]) -> None:
    parents = build_parents(moments)

    for rung in ("event", "hour", "day"):
        of_this_rung = of_rung(parents, rung)
        assert [parent.sameness for parent in of_this_rung[:1]] == [0.0] * len(of_this_rung[:1])
        for before, parent in itertools.pairwise(of_this_rung):
            assert parent.sameness == similarity(before, parent)
            assert 0.0 <= parent.sameness <= 1.0
            assert parent.sameness == round(parent.sameness, 4)
    assert {moment.sameness for moment in moments} == {0.0}


@pytest.mark.slow
@given(streams(), st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_restored_ladder_continues_as_if_it_never_stopped(
    tmp_path_factory: pytest.TempPathFactory, moments: list[Moment], data: st.DataObject
) -> None:
    stop = data.draw(st.integers(1, len(moments)))
    uninterrupted = build_parents(moments)
    with MemoryStore.open(tmp_path_factory.mktemp("m") / "memory", write=True) as store:
        before = build_parents(moments[:stop], finish=False)
        # Parents that could not be stored with the last moments are built again.
        stored = before[: data.draw(st.integers(max(0, len(before) - 2), len(before)))]
        store.append(
            [*moments[:stop], *stored], [frame for moment in moments[:stop] for frame in pictures(moment)]
        )

        ladder = Ladder.restore(store.snapshot(), "kitchen")
        after = [parent for moment in moments[stop:] for parent in ladder.push(moment, pictures(moment))]
        after += ladder.flush()

    assert [*stored, *after] == uninterrupted


def steady(make: Make, seconds: float, moment_s: float = 10.0, first_s: float = 0.0) -> list[Moment]:
    count = int(seconds / moment_s)
    return [make(0, span=Span(first_s + n * moment_s, first_s + (n + 1) * moment_s)) for n in range(count)]


def test_an_event_ends_after_five_minutes(moment: Make) -> None:
    events = of_rung(build_parents(steady(moment, 1000)), "event")

    assert [event.span.duration_s for event in events] == [MAX_EVENT_S] * 3 + [100.0]


def test_an_event_ends_when_shot_and_colours_change_together(
    moment: Make, finding: Callable[..., Finding]
) -> None:
    def coloured(number: int, shot: int, grey: float) -> Moment:
        return moment(number, "m", finding("attribute", "colour", 0, 1, grey=grey, red=1 - grey), shot=shot)

    moments = [coloured(n, 0, 0.9) for n in range(4)]
    moments += [
        coloured(4, 1, 0.85),
        coloured(5, 1, 0.1),
    ]  # a cut to the same colours, then colours without a cut
    moments += [coloured(6, 2, 0.9), coloured(7, 3, 0.1)]  # both together, then again too soon

    events = of_rung(build_parents(moments), "event")

    assert [len(event.child_ids) for event in events] == [6, 2]


def test_hours_and_days_end_at_their_multiples(moment: Make) -> None:
    parents = build_parents(steady(moment, 2 * 86_400, moment_s=100.0))

    hours, days = of_rung(parents, "hour"), of_rung(parents, "day")
    assert [round(hour.span.start_s) for hour in hours] == [3600 * n for n in range(48)]
    assert [round(day.span.start_s) for day in days] == [0, 86_400]
    assert [len(day.child_ids) for day in days] == [24, 24]


def test_an_event_that_crosses_into_an_hour_belongs_to_it(moment: Make) -> None:
    parents = build_parents(steady(moment, 4000, first_s=140.0))

    first, second = of_rung(parents, "hour")
    assert first.span == Span(140.0, 3440.0)
    assert second.span == Span(3440.0, 4140.0)


def test_children_are_returned_before_their_parents(moment: Make) -> None:
    returned = set()
    for parent in build_parents(steady(moment, 90_000, moment_s=100.0)):
        if parent.rung != "event":
            assert set(parent.child_ids) <= returned
        returned.add(parent.id)


def test_a_short_stream_is_one_event_and_no_hour(moment: Make) -> None:
    parents = build_parents(steady(moment, 60))

    assert [parent.rung for parent in parents] == ["event"]


def test_no_parent_crosses_a_recorded_gap_after_a_restart(store: MemoryStore, moment: Make) -> None:
    """The gap is too short to be a hole in time, and the writer died before it flushed the ladder."""
    moments = steady(moment, 60)
    store.append(moments[:3])
    store.put_gap(Gap("g", "kitchen", 0, Span(30.0, 30.0), "restart"))

    ladder = Ladder.restore(store.snapshot(), "kitchen")
    parents = ladder.push(moments[3])

    assert [(parent.rung, parent.span) for parent in parents] == [("event", Span(0.0, 30.0))]
    assert ladder.push(moments[4]) == []


def test_a_second_look_does_not_change_a_parent(store: MemoryStore, moment: Make) -> None:
    moments = steady(moment, 60)
    store.append(moments)
    store.write_back(moments[1], Observation("a dragon", (), "inspect/1", 9e9))

    restored = Ladder.restore(store.snapshot(), "kitchen")

    assert restored.flush() == build_parents(moments)


def test_a_caption_counts_findings_in_plain_words(moment: Make, finding: Callable[..., Finding]) -> None:
    first = moment(
        0,
        "m",
        finding("action", "enters", 1.0, 2.0, "a tall grey shape enters"),
        finding("action", "visit", 0.0, 4.0, value=4.0),
        finding("visible_text", "line", 0.0, 5.0, "EXIT"),
        finding("attribute", "colour", 0.0, 5.0, grey=0.6, brown=0.3),
    )
    second = moment(
        1,
        "m",
        finding("action", "enters", 6.0, 9.0, "a wide red shape enters"),
        finding("action", "cut", 5.0, 5.04),
        finding("action", "visit", 5.0, 6.5, value=1.5),
        finding("visible_text", "line", 6.0, 7.0, "Push"),
        finding("visible_text", "line", 8.0, 9.0, "exit "),
        finding("speech", "subtitle", 6.0, 8.0, "Mind the step."),
        finding("attribute", "colour", 5.0, 10.0, grey=0.4, brown=0.5),
    )

    (event,) = build_parents([first, second])

    assert event.caption == (
        "0:00.0–0:10.0: 2 arrivals, 2 visits, 1 cut; text: 'EXIT', 'Push'; 1 spoken line; "
        "mostly grey and brown."
    )
    enters = next(f for f in event.findings if f.kind == "enters")
    assert (enters.text, enters.span) == ("2 × enters", Span(1.0, 9.0))
    assert enters.detail == {
        "count": 2, "first_s": 1.0, "last_s": 6.0, "longest_s": 3.0, "longest_at_s": 6.0
    }  # fmt: skip
    visit = next(f for f in event.findings if f.kind == "visit")
    assert visit.detail["max"] == 4.0
    assert (visit.detail["min"], visit.detail["min_s"]) == (1.5, 5.0)
    assert [(f.text, f.span) for f in event.of("visible_text")] == [
        ("EXIT", Span(0.0, 9.0)),
        ("Push", Span(6.0, 7.0)),
    ]
    assert [f.text for f in event.of("speech")] == ["Mind the step."]
    colour = next(f for f in event.findings if f.kind == "colour")
    assert dict(colour.detail) == pytest.approx({"grey": 0.5, "brown": 0.4, "seconds": 10.0})


def test_many_lines_and_cues_are_bounded_and_counted(moment: Make, finding: Callable[..., Finding]) -> None:
    moments = [
        moment(
            number,
            "m",
            finding("visible_text", "line", number * 5.0, number * 5.0 + 1 + number / 100, f"line {number}"),
            finding("speech", "subtitle", number * 5.0, number * 5.0 + 2, f"cue {number}"),
        )
        for number in range(50)
    ]

    (event,) = build_parents(moments)

    assert len(event.of("visible_text")) == len(event.of("speech")) == MAX_LINES
    assert "line 0" not in {f.text for f in event.of("visible_text")}
    assert {f.detail["of"] for f in event.of("speech")} == {50}
    assert "50 spoken lines" in event.caption


def test_a_caption_without_findings_says_nothing_of_note(moment: Make) -> None:
    (event,) = build_parents([moment(0), replace(moment(1))])

    assert event.caption == "0:00.0–0:10.0: nothing of note."


def test_the_ladder_of_an_unknown_stream_is_empty(store: MemoryStore) -> None:
    assert Ladder.restore(store.snapshot(), "attic").flush() == []
