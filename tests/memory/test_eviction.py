"""An eviction leaves a parent and a tombstone, and every second and frame stays accounted for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recollect.memory import (
    Ladder,
    MemoryStore,
    Moment,
    Pin,
    Span,
    Use,
)
from recollect.memory.keeping.compaction import reclaim
from recollect.memory.keeping.maintenance_lock import maintenance_lock
from recollect.memory.storage.rows import pin_row, use_row
from recollect.memory.storage.tables import latest_view, row_ids


@pytest.mark.slow
@given(st.data())
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_evictions_keeps_seconds_and_frames_counted(
    kitchen: Any, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    with MemoryStore.open(tmp_path_factory.mktemp("m") / "memory", write=True) as store:
        hours, epochs = data.draw(st.sampled_from([0.3, 2.2, 5.0])), data.draw(st.integers(1, 3))
        moments = kitchen.watch(store, hours, epochs=epochs, finish=data.draw(st.booleans()))
        for _ in range(data.draw(st.integers(1, 4))):
            units = kitchen.candidates(store).lowest_value(1e12)
            kitchen.evict(store, data.draw(st.lists(st.sampled_from(units), unique_by=id)) if units else [])
            kitchen.check(store, moments)
        kitchen.evict_all(store)
        kitchen.check(store, moments)


def test_pictures_go_before_text_and_children_before_parents(kitchen: Any, store: MemoryStore) -> None:
    moments = kitchen.watch(store, 2.0)
    losses = []
    while units := kitchen.candidates(store).lowest_value(1e12):
        losses.append({(unit.rung, unit.loss) for unit in units})
        kitchen.evict(store, units)
        kitchen.check(store, moments)

    assert losses[0] == {("event", "frame")}
    assert losses[1] == {("event", "children"), ("hour", "frame")}
    order = [("event", "frame"), ("event", "children"), ("hour", "children"), ("day", "children")]
    first = [next(number for number, pass_ in enumerate(losses) if step in pass_) for step in order]
    assert first == sorted(first)


def test_eviction_works_after_a_crash_during_compaction(kitchen: Any, store: MemoryStore) -> None:
    """After such a crash, rows have other positions than in the last finished commit."""
    moments = kitchen.watch(store, 3.0)
    with maintenance_lock(store.path):
        store.maintenance.evictions.evict(store.maintenance.evictions.candidates().lowest_value(1e12)[:5])
        old_ids = set(row_ids(latest_view(store._tables.frames), None))
        reclaim(store._tables.frames, dead_share=0.0, max_bytes=1 << 40)
        new_ids = set(row_ids(latest_view(store._tables.frames), None))

        store.maintenance.evictions.evict(store.maintenance.evictions.candidates().lowest_value(1e12))

    assert not old_ids & new_ids
    kitchen.check(store, moments)


@pytest.mark.slow
def test_a_finished_stream_ends_as_one_tombstone(kitchen: Any, store: MemoryStore) -> None:
    moments = kitchen.watch(store, 30.0)
    store.put_stream(replace(kitchen.stream, state="done"))

    kitchen.evict_all(store)

    (tombstone,) = store.snapshot().tombstones("kitchen")
    assert tombstone.span == Span(moments[0].span.start_s, moments[-1].span.end_s)
    assert tombstone.lost == "day"
    assert tombstone.counts.captured == 250 * len(moments)
    assert kitchen.pictures(store) == set()
    assert store._tables.observations.count_rows() == 0


def test_a_tombstone_never_crosses_a_gap(kitchen: Any, store: MemoryStore) -> None:
    moments = kitchen.watch(store, 3.0, epochs=3)
    store.put_stream(replace(kitchen.stream, state="done"))

    kitchen.evict_all(store)

    tombstones = store.snapshot().tombstones("kitchen")
    assert [tombstone.epoch for tombstone in tombstones] == [0, 1, 2]
    assert len(store.snapshot().gaps("kitchen")) == 2
    kitchen.check(store, moments)


def test_memories_that_wait_for_a_parent_are_not_evicted(kitchen: Any, store: MemoryStore) -> None:
    moments = kitchen.watch(store, 0.05, finish=False)

    assert kitchen.evict_all(store) == 0
    assert len(store.snapshot().timeline("kitchen")) == len(moments)


def test_an_open_hour_stays_while_its_events_lose_moments(kitchen: Any, store: MemoryStore) -> None:
    """The writer has not built the hour yet."""
    kitchen.watch(store, 0.8, finish=False)

    kitchen.evict_all(store)

    assert len(store.snapshot().timeline("kitchen", rung="event")) == 9


def test_a_tombstone_records_the_loss_its_time_and_its_cause(kitchen: Any, store: MemoryStore) -> None:
    kitchen.watch(store, 0.5)
    event = store.snapshot().timeline("kitchen", rung="event")[0]
    units = [unit for unit in kitchen.candidates(store).lowest_value(1e12) if unit.parent_id == event.id]
    kitchen.evict(store, units)
    units = [unit for unit in kitchen.candidates(store).lowest_value(1e12) if unit.parent_id == event.id]
    kitchen.evict(store, units)

    (tombstone,) = [
        candidate for candidate in store.snapshot().tombstones("kitchen") if candidate.id == event.id
    ]
    assert (tombstone.lost, tombstone.cause, tombstone.span) == ("moment", "budget", event.span)
    assert tombstone.memories == len(event.child_ids)
    assert tombstone.written_from_s == 1010.0
    assert tombstone.forgotten_at_s > 1.7e9
    assert tombstone.counts.captured == 250 * len(event.child_ids)
    assert tombstone.counts.stored == len(event.frame_ids), "the pictures that the event shows stay"


def test_as_of_a_time_before_the_writing_shows_no_tombstone(kitchen: Any, store: MemoryStore) -> None:
    moments = kitchen.watch(store, 0.5)
    kitchen.evict_all(store)

    assert store.snapshot(as_of_s=1000.0).tombstones("kitchen") == []
    assert store.snapshot(as_of_s=1e9).tombstones("kitchen") != []
    kitchen.check(store, moments)


def test_a_snapshot_still_reads_memories_evicted_later(kitchen: Any, store: MemoryStore) -> None:
    moments = kitchen.watch(store, 0.5)
    before = store.snapshot()

    kitchen.evict_all(store)
    store.maintenance.cleaner.delete_old_versions(now=True)

    assert len(before.timeline("kitchen", limit=1000)) == len(moments)
    assert len(before.frames(key for moment in moments for key in moment.frame_ids)) == 2 * len(moments)
    assert before.tombstones("kitchen") == []
    assert store.snapshot().timeline("kitchen") == []


def test_a_cover_uses_the_parent_of_evicted_moments(kitchen: Any, store: MemoryStore) -> None:
    kitchen.watch(store, 0.5)
    events = store.snapshot().timeline("kitchen", rung="event")
    for _ in range(2):
        kitchen.evict(store, kitchen.candidates(store).lowest_value(1e12))

    cover = store.snapshot().cover("kitchen", Span(100.0, 200.0))

    assert [memory.id for memory in cover] == [events[0].id]
    coverage = store.snapshot().coverage("kitchen", Span(100.0, 200.0))
    assert coverage.watched_s == 100.0
    assert [tombstone.lost for tombstone in coverage.forgotten] == ["moment"]


def test_watching_resumes_after_everything_was_evicted(kitchen: Any, folder: Path) -> None:
    with MemoryStore.open(folder, write=True) as store:
        moments = kitchen.watch(store, 0.5)
        store.put_stream(replace(kitchen.stream, state="done"))
        kitchen.evict_all(store)
        point = store.resume("kitchen")

    assert point is not None
    assert (point.end_s, point.epoch, point.moments) == (moments[-1].span.end_s, 0, 0)


def test_an_hour_is_built_from_events_without_moments(kitchen: Any, folder: Path) -> None:
    moments, frames, _ = kitchen.life(1.5)
    unbroken = Ladder("kitchen")
    parents = [parent for moment in moments for parent in unbroken.push(moment)] + unbroken.flush()
    with MemoryStore.open(folder, write=True) as store:
        store.put_stream(kitchen.stream)
        ladder = Ladder("kitchen")
        store.append(
            [row for moment in moments[:300] for row in (moment, *ladder.push(moment))], frames[:600]
        )
        kitchen.evict_all(store)
        restored = Ladder.restore(store.snapshot(), "kitchen")
        later = [parent for moment in moments[300:] for parent in restored.push(moment)] + restored.flush()

    assert [parent.id for parent in later if parent.rung == "hour"] == [
        parent.id for parent in parents if parent.rung == "hour"
    ]
    hour = next(parent for parent in later if parent.rung == "hour")
    assert hour.child_ids == next(parent for parent in parents if parent.rung == "hour").child_ids


def test_a_pinned_span_keeps_its_events_whole(kitchen: Any, store: MemoryStore) -> None:
    moments = kitchen.watch(store, 1.0)
    store._tables.pins.add([pin_row(Pin("p", "kitchen", Span(905.0, 910.0)))])
    store._commits.publish(store._tables)
    with store._commits.commit() as change:
        change.touch(store._tables.pins)

    kitchen.evict_all(store)

    kept = store.snapshot().timeline("kitchen")
    assert Span(kept[0].span.start_s, kept[-1].span.end_s) == Span(900.0, 1200.0)
    assert len(store.snapshot().frames(key for moment in kept for key in moment.frame_ids)) == 2 * len(kept)
    kitchen.check(store, moments)


@pytest.fixture
def long(kitchen: Any, store: MemoryStore) -> MemoryStore:
    """Two days of a kitchen."""
    kitchen.watch(store, 48.0)
    return store


def kept_of(kitchen: Any, store: MemoryStore, share: float) -> list[Span]:
    """The events that keep their pictures when a share of all pictures is evicted, a twentieth at a time."""
    all_bytes = sum(unit.bytes for unit in kitchen.candidates(store).units())
    for _ in range(round(20 * share)):
        kitchen.evict(store, kitchen.candidates(store).lowest_value(all_bytes / 20))
    lost = {tombstone.id for tombstone in store.snapshot().tombstones("kitchen")}
    events = store.snapshot().timeline("kitchen", rung="event", limit=10_000)
    return [event.span for event in events if event.id not in lost]


def test_old_memories_are_thinned_and_recent_ones_stay(kitchen: Any, long: MemoryStore) -> None:
    kept = kept_of(kitchen, long, 0.5)

    by_day = [sum(span.start_s // 86_400 == day for span in kept) for day in (0, 1)]
    assert by_day[1] > 1.5 * by_day[0] > 0, "part of the first day stays"


@pytest.mark.slow
def test_used_memories_stay_longer(kitchen: Any, long: MemoryStore) -> None:
    used = [Span(start_s, start_s + 60) for start_s in range(0, 12 * 3600, 600)]
    with long._commits.commit() as change:
        change.append(
            long._tables.uses, [use_row(Use("kitchen", span, "cited", 1000.0 + 48 * 3600)) for span in used]
        )

    kept = [span for span in kept_of(kitchen, long, 0.5) if span.end_s <= 12 * 3600]

    kept_used = sum(any(span.overlaps(used_span) for used_span in used) for span in kept)
    assert kept_used > 2 * (len(kept) - kept_used), "every other event was used"


@pytest.mark.slow
def test_similar_memories_are_evicted_first(kitchen: Any, folder: Path) -> None:
    with MemoryStore.open(folder, write=True) as store:
        moments, frames, _ = kitchen.life(24.0)
        ladder = Ladder("kitchen")
        rows: list[Moment] = [row for moment in moments for row in (moment, *ladder.push(moment))]
        with_sameness = [
            replace(row, sameness=1.0 if (row.span.start_s // 300) % 2 else 0.0)
            if row.rung == "event"
            else row
            for row in rows
        ]
        store.put_stream(kitchen.stream)
        store.append(with_sameness, frames)
        kept = kept_of(kitchen, store, 0.5)

    odd = sum((span.start_s // 300) % 2 == 1 for span in kept)
    assert odd < len(kept) - odd
