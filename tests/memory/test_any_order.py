"""Whatever is written, forgotten and tidied in whatever order: bytes add up, and what was read once stays as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recollect.memory import (
    RUNGS,
    Finding,
    Gap,
    HashingEncoder,
    Ladder,
    MemoryStore,
    Moment,
    Observation,
    Pending,
    Snapshot,
    Span,
    Use,
)
from recollect.memory.keeping.disk_budget import system_written_bytes
from recollect.memory.keeping.disk_usage import DiskUsage
from recollect.memory.keeping.maintenance_lock import maintenance_lock
from recollect.memory.storage.file_sizes import size_on_disk

WRITTEN = ("watch", "gap", "look", "describe", "queue", "use")
"""What only adds."""
KEPT = (*WRITTEN, "pin", "forget", "maintain", "compact", "reopen")
"""What leaves alone whatever somebody reads."""
DOES = (*KEPT, "erase")

few = settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Life:
    """A kitchen whose memory is written, thinned and tidied, one thing after the other."""

    def __init__(self, folder: Path, kitchen: Any, draw: Callable[[Any], Any]) -> None:
        self._folder, self._kitchen, self._draw = folder, kitchen, draw
        self._moments, self._frames, _ = kitchen.life(8.0)
        self.done = 0
        self.now_s = 1000.0
        """What is written now is written then."""
        self.store = self._open()
        self.store.put_stream(kitchen.stream)
        self._ladder = Ladder("kitchen")
        self.do("watch")

    def _open(self) -> MemoryStore:
        return MemoryStore.open(
            self._folder, write=True, encoder=HashingEncoder(16), keep_versions_s=0.0, min_free_bytes=0
        )

    @property
    def moments(self) -> list[Moment]:
        """What was remembered so far, forgotten or not."""
        return self._moments[: self.done]

    def do(self, what: str) -> None:
        """Do one of these things; where there is nothing to do it with, nothing."""
        self.now_s += 1.0
        getattr(self, f"_{what}")()

    def check(self) -> None:
        """Every second and every picture is accounted for."""
        self._kitchen.check(self.store, self.moments)

    # -- what is done ------------------------------------------------------------------------------------

    def _watch(self) -> None:
        more = self._draw(st.integers(1, 40))
        batch = self._moments[self.done : self.done + more]
        frames = self._frames[2 * self.done : 2 * (self.done + more)]
        self.done += len(batch)
        rows = [row for one in batch for row in (one, *self._ladder.push(one))]
        self.store.append(rows, frames)
        self.now_s = max(self.now_s, 1000.0 + batch[-1].span.end_s)

    def _gap(self) -> None:
        at_s = self._draw(st.integers(0, 100)) * 60.0
        gap = Gap(f"gap-{at_s}", "yard", 0, Span(at_s, at_s + 60), "stalled")
        self.store.put_gap(gap, written_at_s=self.now_s)

    def _look(self) -> None:
        if moment := self._one_that_is_there():
            found = Finding("object", "dent", "a dent", moment.span, "inspect/1")
            self.store.write_back(
                moment, Observation(f"a dent {self.now_s}", (found,), "inspect/1", self.now_s)
            )

    def _describe(self) -> None:
        if moment := self._one_that_is_there():
            self.store.described([(moment, Observation("A pot.", (), f"lmm/{self.now_s}", self.now_s))])

    def _queue(self) -> None:
        if moment := self._one_that_is_there():
            self.store.enqueue([Pending(moment.id, "kitchen", "moment", moment.span, 0.5, self.now_s)])

    def _use(self) -> None:
        at_s = self._draw(st.floats(0.0, 1000.0))
        self.store.note_uses([Use("kitchen", Span(at_s, at_s + 10), "cited", self.now_s)])

    def _pin(self) -> None:
        if moment := self._one_that_is_there():
            self.store.pin("kitchen", moment.span)

    def _forget(self) -> None:
        units = self._kitchen.shelf(self.store).lowest_value(1e12)
        if units:
            self._kitchen.forget(self.store, self._draw(st.lists(st.sampled_from(units), unique_by=id)))

    def _erase(self) -> None:
        at_s = self._draw(st.floats(0.0, 10.0 * self.done))
        self.store.erase("kitchen", Span(at_s, at_s + self._draw(st.sampled_from([1.0, 50.0, 700.0]))))
        self._ladder = Ladder.restore(self.store.snapshot(), "kitchen")

    def _maintain(self) -> None:
        self.store.maintain(thorough=self._draw(st.booleans()))

    def _compact(self) -> None:
        self.store.compact()

    def _reopen(self) -> None:
        self.store.close()
        self.store = self._open()
        self._ladder = Ladder.restore(self.store.snapshot(), "kitchen")

    def _one_that_is_there(self) -> Moment | None:
        there = self.store.snapshot().timeline("kitchen", limit=10_000)
        return self._draw(st.sampled_from(there)) if there else None


@pytest.fixture
def live(kitchen: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Any]:
    """``with live(data) as life``: a memory of its own."""

    @contextmanager
    def living(data: Any) -> Iterator[Life]:
        life = Life(tmp_path_factory.mktemp("m") / "memory", kitchen, data.draw)
        try:
            yield life
        finally:
            life.store.close()

    return living


def orders(does: tuple[str, ...], most: int = 8) -> Any:
    return st.lists(st.sampled_from(does), min_size=1, max_size=most)


# -- the account -----------------------------------------------------------------------------------------


@pytest.mark.slow
@given(st.data())
@few
def test_the_parts_of_an_account_always_add_up_to_what_is_on_the_disk(
    live: Callable[[Any], Any], data: st.DataObject
) -> None:
    with live(data) as life:
        for what in data.draw(orders(DOES)):
            life.do(what)

            folder = life.store.path
            with maintenance_lock(folder):  # so that upkeep changes nothing meanwhile
                account, on_disk = life.store.account(), size_on_disk(folder)
                written_then = system_written_bytes() or 0
                measured = life.store._writes.budget.measure()
                written_meanwhile = (system_written_bytes() or 0) - written_then
            parts = parts_of(account)
            assert min(parts) >= 0
            # Each is rounded by itself.
            assert sum(parts) == pytest.approx(account.used_bytes, abs=len(parts))
            # Its own lease, which is gone by now, is a block.
            assert account.used_bytes == pytest.approx(on_disk, abs=2 * 4096)
            assert sum(account.streams.values()) <= sum(parts[:9]) + len(account.streams)
            # What the process writes meanwhile, wherever to, is counted beside what is found.
            assert on_disk - 4096 <= measured <= on_disk + written_meanwhile + 4096
            life.check()


def parts_of(account: DiskUsage) -> list[int]:
    parts = [*account.words.values(), *account.pictures.values(), account.indexes]
    return [*parts, account.old_versions, account.checkpoints, account.rest]


@pytest.mark.slow
def test_an_account_adds_up_while_the_memory_is_written_and_tidied(kitchen: Any, tmp_path: Path) -> None:
    moments, frames, _ = kitchen.life(1.0)
    done = threading.Event()
    with MemoryStore.open(
        tmp_path / "m", write=True, encoder=HashingEncoder(16), keep_versions_s=0.0
    ) as store:
        store.put_stream(kitchen.stream)

        def write() -> None:
            try:
                for at in range(0, 40, 8):
                    store.append(moments[at : at + 8], frames[2 * at : 2 * (at + 8)])
                    store.compact()
            finally:
                done.set()

        writer = threading.Thread(target=write)
        writer.start()
        while not done.is_set():
            account = store.account()
            parts = parts_of(account)
            assert min(parts) >= 0
            assert sum(parts) == pytest.approx(account.used_bytes, abs=len(parts))
        writer.join()


@pytest.mark.slow
@given(st.data())
@few
def test_compacted_it_takes_no_more_than_what_is_remembered_needs(
    live: Callable[[Any], Any], data: st.DataObject
) -> None:
    """However it came to be: once more brings nothing, and no old version is left but what says that there was one."""
    with live(data) as life:
        for what in data.draw(orders(DOES)):
            life.do(what)
        life.do("compact")
        once_bytes = size_on_disk(life.store.path)
        life.do("compact")

        assert size_on_disk(life.store.path) <= once_bytes + 10 * 3 * 4096, "a version of each table, at most"
        life.check()


# -- points in time --------------------------------------------------------------------------------------


def everything(snapshot: Snapshot) -> dict[str, Any]:
    """All that can be read of a snapshot."""
    # What it has read before it would tell again.
    for known in (snapshot._covers, snapshot._gaps, snapshot._forgotten):
        known.clear()
    told: dict[str, Any] = {rung: snapshot.timeline("kitchen", rung=rung, limit=10_000) for rung in RUNGS}
    ids = [moment.id for rung in RUNGS for moment in told[rung]]
    pictures = [key for moment in told["moment"] for key in moment.frame_ids]
    return told | {
        "streams": snapshot.streams(),
        "gaps": snapshot.gaps("yard"),
        "tombstones": snapshot.tombstones("kitchen"),
        "cover": snapshot.cover("kitchen"),
        "coverage": snapshot.coverage("kitchen"),
        "counts": snapshot.counts("kitchen"),
        "pictures": snapshot.frames(pictures),
        "by id": snapshot.get(ids),
        "latest": snapshot.latest("kitchen", 3),
        "hits": [(hit.moment, round(hit.score, 6)) for hit in snapshot.search("a dent at 100", limit=5)],
    }


@pytest.mark.slow
@given(st.data())
@few
def test_what_a_snapshot_shows_stays_as_it_is_until_it_is_released(
    live: Callable[[Any], Any], data: st.DataObject
) -> None:
    with live(data) as life:
        held: list[tuple[Snapshot, dict[str, Any]]] = []
        for what in data.draw(orders(KEPT, 6)):
            snapshot = life.store.snapshot()
            held.append((snapshot, everything(snapshot)))
            life.do(what)
            if len(held) > 1 and data.draw(st.booleans()):
                held.pop(data.draw(st.integers(0, len(held) - 1)))[0].release()
            for snapshot, before in held:
                now = everything(snapshot)
                assert [part for part in before if now[part] != before[part]] == []
        for snapshot, _ in held:
            snapshot.release()
        life.do("compact")
        life.check()


@pytest.mark.slow
@given(st.data())
@few
def test_as_of_a_time_nothing_is_seen_that_was_written_later(
    live: Callable[[Any], Any], data: st.DataObject
) -> None:
    with live(data) as life:
        then: dict[float, dict[str, Any]] = {}
        for what in data.draw(orders((*WRITTEN, "pin", "maintain", "compact", "reopen"), 6)):
            then[life.now_s] = as_of(life.store, life.now_s)
            life.do(what)
            for at_s, before in then.items():
                now = as_of(life.store, at_s)
                assert [part for part in before if now[part] != before[part]] == []


def as_of(store: MemoryStore, at_s: float) -> dict[str, Any]:
    """What was known at a time. A memory above counts as written with the last that it is made of."""
    snapshot = store.snapshot(as_of_s=at_s)
    told = everything(snapshot)
    for rung in RUNGS[1:]:
        for parent in told[rung]:
            children = snapshot.children(parent)
            assert [child.id for child in children] == list(parent.child_ids)
            assert parent.observations[0].written_at_s <= at_s
    names = ("moment", "streams", "gaps", "tombstones", "coverage", "counts", "pictures", "latest")
    return {name: told[name] for name in names}


@pytest.mark.slow
@given(st.data())
@few
def test_what_was_erased_is_in_no_later_snapshot_and_all_else_is(
    live: Callable[[Any], Any], data: st.DataObject
) -> None:
    with live(data) as life:
        for what in data.draw(orders(WRITTEN, 4)):
            life.do(what)
        before = life.store.snapshot()
        told = before.timeline("kitchen", limit=10_000)
        before.release()
        at_s = data.draw(st.floats(0.0, 10.0 * life.done - 1))

        receipt = life.store.erase("kitchen", Span(at_s, at_s + 30.0))

        gone = [one for one in told if any(span.overlaps(one.span) for span in receipt.erased)]
        left = life.store.snapshot().timeline("kitchen", limit=10_000)
        assert [one.id for one in left] == [one.id for one in told if one not in gone]
        assert receipt.memories["moment"] == len(gone) >= 1
        assert {one.id for one in gone} <= receipt.memory_ids
        life.check()
