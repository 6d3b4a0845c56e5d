"""What waits to be described: in which order, what a crash leaves of it, and what is never said twice."""

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


def told(caption: str, written_by: str = WRITER, written_at_s: float = 5000.0) -> Observation:
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


def test_the_newest_minute_goes_first_and_in_it_the_most_eventful(store, moment):
    old, new_dull, new_busy, newest = moments = [moment(number) for number in range(4)]
    queue = [pending(old, 0.9, 10), pending(new_dull, 0.1, 70), pending(new_busy, 0.8, 65)]
    store.append(moments, waiting=[*queue, pending(newest, 0.0, 130)])

    assert ids(store.backlog(limit=10)) == [newest.id, new_busy.id, new_dull.id, old.id]
    assert ids(store.backlog(limit=2)) == [newest.id, new_busy.id]


def test_what_has_failed_before_goes_last(store, moment):
    first, second = moments = [moment(0), moment(1)]
    store.append(moments, waiting=[pending(first, 0.9), pending(second, 0.1)])

    store.failed(store.backlog(limit=1)[0], "the reply was nonsense")

    items = store.backlog(limit=10)
    assert ids(items) == [second.id, first.id]
    assert (items[1].attempts, items[1].error, items[1].change) == (1, "the reply was nonsense", 0.9)


def test_an_event_waits_for_its_moments_and_an_hour_for_its_events(store, moment):
    children = [moment(number) for number in range(4)]
    events = [parent(moment, *children[:2]), parent(moment, *children[2:])]
    hour = parent(moment, *events)
    everything = [*children, *events, hour]
    store.append(everything, waiting=[pending(one, 1.0 if one.child_ids else 0.5) for one in everything])
    order = []

    while items := store.backlog(limit=1):
        (one,) = items
        order.append(one.moment_id)
        store.described([(next(m for m in everything if m.id == one.moment_id), told("seen"))])

    first, second, third, fourth = (child.id for child in children)
    assert order == [fourth, third, events[1].id, second, first, events[0].id, hour.id]


def test_an_event_of_another_stream_waits_for_nothing_here(store, moment):
    child, elsewhere = moment(0), moment(0, stream="garden")
    event = parent(moment, child)
    store.append([child, event, elsewhere], waiting=[pending(event), pending(elsewhere)])

    assert set(ids(store.backlog(limit=10))) == {event.id, elsewhere.id}
    assert ids(store.backlog(limit=10, stream="garden")) == [elsewhere.id]


def test_what_was_given_up_is_not_waited_for_and_its_error_is_kept(store, moment):
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


def test_what_was_given_up_gets_another_chance_when_it_is_queued_again(store, moment):
    one = moment(0)
    store.append([one], waiting=[pending(one)])
    for _ in range(MAX_ATTEMPTS):
        store.failed(store.backlog(limit=1)[0], "nonsense")

    store.enqueue([pending(one, queued_at_s=500)])

    (again,) = store.backlog(limit=10)
    assert (again.attempts, again.error) == (0, "")
    assert store.backlog_counts()["kitchen"].given_up == 0


def test_a_description_becomes_the_newest_caption_and_is_found_by_its_words(store, moment):
    one, other = moment(0, "a tall grey shape enters"), moment(1, "nothing moves")
    store.append([one, other], waiting=[pending(one)])

    store.described([(one, told("A woman in a grey coat opens the fridge."))])

    snapshot = store.snapshot()
    assert store.backlog(limit=10) == []
    assert snapshot.get([one.id])[one.id].caption == "A woman in a grey coat opens the fridge."
    assert [hit.moment.id for hit in snapshot.search("fridge")] == [one.id]
    assert [hit.moment.id for hit in snapshot.search("tall shape")] == [one.id]


def test_a_memory_without_a_description_is_found_by_what_was_observed(store, moment):
    one = moment(0, "a tall grey shape enters")
    store.append([one], waiting=[pending(one)])

    assert [hit.moment.id for hit in store.snapshot().search("grey shape")] == [one.id]


def test_the_same_writer_describes_a_moment_once(store, moment):
    """A crash between writing a description and dequeueing has it asked for again."""
    one = moment(0)
    store.append([one], waiting=[pending(one)])
    store.described([(one, told("A kettle boils."))])
    store.enqueue([pending(one)])

    store.described([(one, told("A kettle boils over.")), (one, told("A kettle."))])

    stored = store.snapshot().get([one.id])[one.id]
    assert [seen.caption for seen in stored.observations] == ["nothing", "A kettle boils."]
    assert store.backlog(limit=10) == []


def test_another_model_or_revision_writes_beside_what_is_there(store, moment):
    one = moment(0)
    store.append([one])
    writers = [WRITER, "lmm:tiny/caption.2", "lmm:large/caption.2"]

    for at, writer in enumerate(writers):
        store.described([(one, told(f"caption {at}", writer, 5000.0 + at))])

    stored = store.snapshot().get([one.id])[one.id]
    assert [seen.written_by for seen in stored.observations] == ["observers/1", *writers]
    assert stored.caption == "caption 2"
    then = store.snapshot(as_of_s=5000.5).get([one.id])[one.id]
    assert then.caption == "caption 0"


def test_what_a_writer_has_not_described_can_be_listed(store, moment):
    done, waits, open_, garden = moment(0), moment(1), moment(2), moment(0, stream="garden")
    event = parent(moment, done, waits, open_)
    store.append([done, waits, open_, garden, event], waiting=[pending(waits)])
    store.described([(done, told("A kettle boils."))])
    writers = {"moment": WRITER, "event": "lmm:tiny/summary.1"}

    assert set(store.not_described(writers)) == {open_.id, garden.id, event.id}
    assert store.not_described(writers, "garden") == [garden.id]
    assert set(store.not_described({"moment": "lmm:tiny/caption.2"}, "kitchen")) == {
        done.id, open_.id, event.id,
    }  # fmt: skip


def test_a_batch_in_doubt_is_queued_once(folder, moment):
    one, other = moment(0), moment(1)
    with MemoryStore.open(folder, write=True) as store:
        store.append([one], waiting=[pending(one)])

    with MemoryStore.open(folder, write=True) as store:
        store.append([one, other], waiting=[pending(one), pending(other)])

        assert sorted(ids(store.backlog(limit=10))) == sorted([one.id, other.id])


def test_what_was_forgotten_meanwhile_is_not_described(store, moment):
    one = moment(0)

    store.described([(one, told("A kettle boils."))])

    assert store.snapshot().get([one.id]) == {}
    assert store._tables.observations.count_rows() == 0


def test_the_backlog_outlives_its_writer(folder, moment):
    one = moment(0)
    with MemoryStore.open(folder, write=True) as store:
        store.append([one], waiting=[pending(one, 0.25, 12.5)])

    with MemoryStore.open(folder) as reader:
        assert reader.backlog(limit=10) == [pending(one, 0.25, 12.5)]


@pytest.mark.slow
def test_one_thread_appends_while_another_describes_and_nothing_is_lost(store, moment):
    made = [moment(number, f"moment {number}") for number in range(300)]
    by_id = {one.id: one for one in made}
    errors: list[BaseException] = []
    done = threading.Event()

    def describe() -> None:
        try:
            while True:
                finished = done.is_set()
                items = store.backlog(limit=16)
                if items:
                    store.described([(by_id[key], told(f"caption of {key}")) for key in ids(items)])
                elif finished:
                    return
        except BaseException as error:
            errors.append(error)

    describing = threading.Thread(target=describe)
    describing.start()
    for at in range(0, len(made), 3):
        store.append(made[at : at + 3], waiting=[pending(one) for one in made[at : at + 3]])
    done.set()
    describing.join()

    assert not errors
    stored = store.snapshot().timeline("kitchen", limit=1000)
    assert [len(one.observations) for one in stored] == [2] * 300
    assert [one.caption for one in stored] == [f"caption of {one.id}" for one in made]
    assert store._tables.observations.count_rows() == 600
    assert store.backlog_counts() == {}


@pytest.mark.slow
def test_a_backlog_in_use_stays_small(store, moment):
    """Every batch is a fragment, and every dequeueing leaves deleted rows: both are cleaned up."""
    for number in range(40):
        one = moment(number)
        store.append([one], waiting=[pending(one)])
        store.described([(one, told("seen"))])

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
        seen = Observation("nothing", (), "observers/1", 1000.0)
        one = Moment(key, "kitchen", 0, span, (seen,))
        store.append([one], waiting=[Pending(key, "kitchen", "moment", span, 0.5, 0.0)])
        items = store.backlog(limit=4)
        found = store.snapshot().get(item.moment_id for item in items)
        said = Observation("A kettle boils.", (), "lmm:tiny/caption.1", 2000.0)
        store.described([(found[item.moment_id], said) for item in items if number % 3 == 0])
        print(number, flush=True)
"""


@pytest.mark.slow
def test_kills_neither_lose_nor_double_a_description(folder: Path) -> None:
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
        described = {key for key, one in moments.items() if len(one.observations) == 2}
        rows = store._tables.observations.count_rows()

    assert len(moments) >= acknowledged + 1
    assert waiting | described == set(moments)
    assert rows == len(moments) + len(described)
