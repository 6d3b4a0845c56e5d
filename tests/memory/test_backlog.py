"""The backlog: order of description, durability, and no description twice."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recollect.memory import MemoryStore, Moment, Observation, Pending, Span, moment_id
from recollect.memory.storage.backlog import MAX_ATTEMPTS

WRITER = "lmm:tiny/caption.1"


def pending(moment: Moment, change: float = 0.5, queued_at_s: float = 0.0) -> Pending:
    return Pending(moment.id, moment.stream, moment.rung, moment.span, change, queued_at_s)


def description(caption: str, written_by: str = WRITER, written_at_s: float = 5000.0) -> Observation:
    return Observation(caption, (), written_by, written_at_s)


def parent(make: Callable[..., Moment], *children: Moment) -> Moment:
    span = Span(children[0].span.start_s, children[-1].span.end_s)
    rung = "hour" if children[0].rung == "event" else "event"
    base = make(0, "a summary", span=span, rung=rung, child_ids=tuple(child.id for child in children))
    return Moment(
        **{name: getattr(base, name) for name in base.__dataclass_fields__}
        | {"id": moment_id("kitchen", 0, rung, span.start_s)}
    )


def ids(items: list[Pending]) -> list[str]:
    return [item.moment_id for item in items]


def test_the_most_eventful_of_the_newest_minute_goes_first(store, moment):
    old, new_dull, new_busy, newest = moments = [moment(number) for number in range(4)]
    queue = [pending(old, 0.9, 10), pending(new_dull, 0.1, 70), pending(new_busy, 0.8, 65)]
    store.append(moments, waiting=[*queue, pending(newest, 0.0, 130)])

    assert ids(store.backlog(limit=10)) == [newest.id, new_busy.id, new_dull.id, old.id]
    assert ids(store.backlog(limit=2)) == [newest.id, new_busy.id]


def test_failed_items_go_last(store, moment):
    first, second = moments = [moment(0), moment(1)]
    store.append(moments, waiting=[pending(first, 0.9), pending(second, 0.1)])

    store.failed(store.backlog(limit=1)[0], "the reply was nonsense")

    items = store.backlog(limit=10)
    assert ids(items) == [second.id, first.id]
    assert (items[1].attempts, items[1].error, items[1].change) == (1, "the reply was nonsense", 0.9)


def test_a_parent_waits_for_its_children(store, moment):
    children = [moment(number) for number in range(4)]
    events = [parent(moment, *children[:2]), parent(moment, *children[2:])]
    hour = parent(moment, *events)
    everything = [*children, *events, hour]
    store.append(
        everything, waiting=[pending(memory, 1.0 if memory.child_ids else 0.5) for memory in everything]
    )
    order = []

    while items := store.backlog(limit=1):
        (memory,) = items
        order.append(memory.moment_id)
        store.described([(next(m for m in everything if m.id == memory.moment_id), description("seen"))])

    first, second, third, fourth = (child.id for child in children)
    assert order == [fourth, third, events[1].id, second, first, events[0].id, hour.id]


def test_an_event_does_not_wait_for_another_stream(store, moment):
    child, elsewhere = moment(0), moment(0, stream="garden")
    event = parent(moment, child)
    store.append([child, event, elsewhere], waiting=[pending(event), pending(elsewhere)])

    assert set(ids(store.backlog(limit=10))) == {event.id, elsewhere.id}
    assert ids(store.backlog(limit=10, stream="garden")) == [elsewhere.id]


def test_a_parent_does_not_wait_for_a_given_up_child(store, moment):
    child = moment(0)
    event = parent(moment, child)
    store.append([child, event], waiting=[pending(child, queued_at_s=70), pending(event, queued_at_s=80)])

    for attempt in range(MAX_ATTEMPTS):
        assert ids(store.backlog(limit=10)) == [child.id]
        store.failed(store.backlog(limit=1)[0], f"nonsense {attempt}")

    assert ids(store.backlog(limit=10)) == [event.id]
    counts = store.backlog_counts()["kitchen"]
    assert (counts.waiting, counts.given_up, counts.last_error) == (1, 1, "nonsense 2")
    assert counts.oldest_queued_at_s == 80


def test_a_given_up_item_is_tried_again_after_requeueing(store, moment):
    first = moment(0)
    store.append([first], waiting=[pending(first)])
    for _ in range(MAX_ATTEMPTS):
        store.failed(store.backlog(limit=1)[0], "nonsense")

    store.enqueue([pending(first, queued_at_s=500)])

    (item,) = store.backlog(limit=10)
    assert (item.attempts, item.error) == (0, "")
    assert store.backlog_counts()["kitchen"].given_up == 0


def test_a_description_becomes_the_caption_and_is_searchable(store, moment):
    described, undescribed = moment(0, "a tall grey shape enters"), moment(1, "nothing moves")
    store.append([described, undescribed], waiting=[pending(described)])

    store.described([(described, description("A woman in a grey coat opens the fridge."))])

    snapshot = store.snapshot()
    assert store.backlog(limit=10) == []
    assert snapshot.get([described.id])[described.id].caption == "A woman in a grey coat opens the fridge."
    assert [hit.moment.id for hit in snapshot.search("fridge")] == [described.id]
    assert [hit.moment.id for hit in snapshot.search("tall shape")] == [described.id]


def test_an_undescribed_moment_is_found_by_its_observations(store, moment):
    undescribed = moment(0, "a tall grey shape enters")
    store.append([undescribed], waiting=[pending(undescribed)])

    assert [hit.moment.id for hit in store.snapshot().search("grey shape")] == [undescribed.id]


def test_a_writer_describes_a_moment_once(store, moment):
    """After a crash between storing a description and dequeueing, the moment is described again."""
    described = moment(0)
    store.append([described], waiting=[pending(described)])
    store.described([(described, description("A kettle boils."))])
    store.enqueue([pending(described)])

    store.described([(described, description("A kettle boils over.")), (described, description("A kettle."))])

    stored = store.snapshot().get([described.id])[described.id]
    assert [observation.caption for observation in stored.observations] == ["nothing", "A kettle boils."]
    assert store.backlog(limit=10) == []


def test_another_model_or_revision_adds_its_description(store, moment):
    described = moment(0)
    store.append([described])
    writers = [WRITER, "lmm:tiny/caption.2", "lmm:large/caption.2"]

    for number, writer in enumerate(writers):
        store.described([(described, description(f"caption {number}", writer, 5000.0 + number))])

    stored = store.snapshot().get([described.id])[described.id]
    assert [observation.written_by for observation in stored.observations] == ["observers/1", *writers]
    assert stored.caption == "caption 2"
    earlier = store.snapshot(as_of_s=5000.5).get([described.id])[described.id]
    assert earlier.caption == "caption 0"


def test_memories_that_a_writer_has_not_described_are_listed(store, moment):
    described, waits, open_, garden = moment(0), moment(1), moment(2), moment(0, stream="garden")
    event = parent(moment, described, waits, open_)
    store.append([described, waits, open_, garden, event], waiting=[pending(waits)])
    store.described([(described, description("A kettle boils."))])
    writers = {"moment": WRITER, "event": "lmm:tiny/summary.1"}

    assert set(store.not_described(writers)) == {open_.id, garden.id, event.id}
    assert store.not_described(writers, "garden") == [garden.id]
    assert set(store.not_described({"moment": "lmm:tiny/caption.2"}, "kitchen")) == {
        described.id, open_.id, event.id,
    }  # fmt: skip


def test_a_batch_appended_again_is_queued_once(folder, moment):
    first, second = moment(0), moment(1)
    with MemoryStore.open(folder, write=True) as store:
        store.append([first], waiting=[pending(first)])

    with MemoryStore.open(folder, write=True) as store:
        store.append([first, second], waiting=[pending(first), pending(second)])

        assert sorted(ids(store.backlog(limit=10))) == sorted([first.id, second.id])


def test_a_forgotten_moment_is_not_described(store, moment):
    forgotten = moment(0)

    store.described([(forgotten, description("A kettle boils."))])

    assert store.snapshot().get([forgotten.id]) == {}
    assert store._tables.observations.count_rows() == 0


def test_the_backlog_outlives_its_writer(folder, moment):
    first = moment(0)
    with MemoryStore.open(folder, write=True) as store:
        store.append([first], waiting=[pending(first, 0.25, 12.5)])

    with MemoryStore.open(folder) as reader:
        assert reader.backlog(limit=10) == [pending(first, 0.25, 12.5)]


@pytest.mark.slow
def test_appending_and_describing_threads_lose_nothing(store, moment):
    appended = [moment(number, f"moment {number}") for number in range(300)]
    by_id = {memory.id: memory for memory in appended}
    errors: list[BaseException] = []
    appending_done = threading.Event()

    def describe() -> None:
        try:
            while True:
                finished = appending_done.is_set()
                items = store.backlog(limit=16)
                if items:
                    store.described([(by_id[key], description(f"caption of {key}")) for key in ids(items)])
                elif finished:
                    return
        except BaseException as error:
            errors.append(error)

    describing = threading.Thread(target=describe)
    describing.start()
    for start in range(0, len(appended), 3):
        store.append(
            appended[start : start + 3], waiting=[pending(memory) for memory in appended[start : start + 3]]
        )
    appending_done.set()
    describing.join()

    assert not errors
    stored = store.snapshot().timeline("kitchen", limit=1000)
    assert [len(memory.observations) for memory in stored] == [2] * 300
    assert [memory.caption for memory in stored] == [f"caption of {memory.id}" for memory in appended]
    assert store._tables.observations.count_rows() == 600
    assert store.backlog_counts() == {}


@pytest.mark.slow
def test_a_backlog_in_use_stays_small(store, moment):
    """Maintenance merges the fragment of each batch and removes the deleted rows of each dequeueing."""
    for number in range(40):
        next_moment = moment(number)
        store.append([next_moment], waiting=[pending(next_moment)])
        store.described([(next_moment, description("seen"))])

    store.maintain()

    table = store._backlog._table
    assert table.count_rows() == 0
    assert table.stats()["fragment_stats"]["num_fragments"] <= 1


DESCRIBE_FOREVER = """
import sys, itertools
from recollect.memory import MemoryStore, Moment, Observation, Pending, Span, moment_id
with MemoryStore.open(sys.argv[1], write=True) as store:
    first = store._tables.observations.count_rows("base")
    for number in itertools.count(first):
        span = Span(number * 5.0, number * 5.0 + 5.0)
        key = moment_id("kitchen", 0, "moment", span.start_s)
        observation = Observation("nothing", (), "observers/1", 1000.0)
        moment = Moment(key, "kitchen", 0, span, (observation,))
        store.append([moment], waiting=[Pending(key, "kitchen", "moment", span, 0.5, 0.0)])
        items = store.backlog(limit=4)
        moments = store.snapshot().get(item.moment_id for item in items)
        description = Observation("A kettle boils.", (), "lmm:tiny/caption.1", 2000.0)
        store.described([(moments[item.moment_id], description) for item in items if number % 3 == 0])
        print(number, flush=True)
"""


@pytest.mark.slow
def test_a_killed_writer_neither_loses_nor_doubles_descriptions(folder: Path) -> None:
    acknowledged = -1
    for kill in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", DESCRIBE_FOREVER, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        for _ in range(5 + 7 * kill):
            acknowledged = int(child.stdout.readline())
        child.kill()
        child.communicate()

    with MemoryStore.open(folder, write=True) as store:
        moments: dict[str, Any] = {m.id: m for m in store.snapshot().timeline("kitchen", limit=10_000)}
        waiting = set(ids(store.backlog(limit=10_000)))
        described = {key for key, memory in moments.items() if len(memory.observations) == 2}
        rows = store._tables.observations.count_rows()

    assert len(moments) >= acknowledged + 1
    assert waiting | described == set(moments)
    assert rows == len(moments) + len(described)
