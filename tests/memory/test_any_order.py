"""Random sequences of writes, evictions and compactions keep disk usage exact and snapshots unchanged."""

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
"""Actions that only add data."""
KEPT = (*WRITTEN, "pin", "forget", "maintain", "compact", "reopen")
"""Actions that change no snapshot."""
ACTIONS = (*KEPT, "erase")

few = settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Life:
    """A kitchen and its memory, changed by one random action after another."""

    def __init__(self, folder: Path, kitchen: Any, draw: Callable[[Any], Any]) -> None:
        self._folder, self._kitchen, self._draw = folder, kitchen, draw
        self._moments, self._frames, _ = kitchen.life(8.0)
        self.done = 0
        self.now_s = 1000.0
        """The time of writing of the next action, in Unix seconds."""
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
        """The moments appended so far, forgotten or not."""
        return self._moments[: self.done]

    def do(self, action: str) -> None:
        """Perform an action. It does nothing if the memory has nothing to act on."""
        self.now_s += 1.0
        getattr(self, f"_{action}")()

    def check(self) -> None:
        """Every second and every picture is accounted for."""
        self._kitchen.check(self.store, self.moments)

    # -- actions ------------------------------------------------------------------------------------

    def _watch(self) -> None:
        count = self._draw(st.integers(1, 40))
        batch = self._moments[self.done : self.done + count]
        frames = self._frames[2 * self.done : 2 * (self.done + count)]
        self.done += len(batch)
        rows = [row for moment in batch for row in (moment, *self._ladder.push(moment))]
        self.store.append(rows, frames)
        self.now_s = max(self.now_s, 1000.0 + batch[-1].span.end_s)

    def _gap(self) -> None:
        at_s = self._draw(st.integers(0, 100)) * 60.0
        gap = Gap(f"gap-{at_s}", "yard", 0, Span(at_s, at_s + 60), "stalled")
        self.store.put_gap(gap, written_at_s=self.now_s)

    def _look(self) -> None:
        if moment := self._draw_moment():
            dent = Finding("object", "dent", "a dent", moment.span, "inspect/1")
            self.store.write_back(
                moment, Observation(f"a dent {self.now_s}", (dent,), "inspect/1", self.now_s)
            )

    def _describe(self) -> None:
        if moment := self._draw_moment():
            self.store.described([(moment, Observation("A pot.", (), f"lmm/{self.now_s}", self.now_s))])

    def _queue(self) -> None:
        if moment := self._draw_moment():
            self.store.enqueue([Pending(moment.id, "kitchen", "moment", moment.span, 0.5, self.now_s)])

    def _use(self) -> None:
        at_s = self._draw(st.floats(0.0, 1000.0))
        self.store.note_uses([Use("kitchen", Span(at_s, at_s + 10), "cited", self.now_s)])

    def _pin(self) -> None:
        if moment := self._draw_moment():
            self.store.pin("kitchen", moment.span)

    def _forget(self) -> None:
        units = self._kitchen.candidates(self.store).lowest_value(1e12)
        if units:
            self._kitchen.evict(self.store, self._draw(st.lists(st.sampled_from(units), unique_by=id)))

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

    def _draw_moment(self) -> Moment | None:
        stored = self.store.snapshot().timeline("kitchen", limit=10_000)
        return self._draw(st.sampled_from(stored)) if stored else None


@pytest.fixture
def live(kitchen: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Any]:
    """``with live(data) as life`` makes a new memory."""

    @contextmanager
    def living(data: Any) -> Iterator[Life]:
        life = Life(tmp_path_factory.mktemp("m") / "memory", kitchen, data.draw)
        try:
            yield life
        finally:
            life.store.close()

    return living


def orders(actions: tuple[str, ...], max_size: int = 8) -> Any:
    return st.lists(st.sampled_from(actions), min_size=1, max_size=max_size)


# -- disk usage -----------------------------------------------------------------------------------------


@pytest.mark.slow
@given(st.data())
@few
def test_the_parts_of_the_disk_usage_add_up_to_its_total(
    live: Callable[[Any], Any], data: st.DataObject
) -> None:
    with live(data) as life:
        for action in data.draw(orders(ACTIONS)):
            life.do(action)

            folder = life.store.path
            with maintenance_lock(folder):  # so that maintenance changes nothing
                account, on_disk = life.store.account(), size_on_disk(folder)
                written_then = system_written_bytes() or 0
                measured = life.store._writes.budget.measure()
                written_meanwhile = (system_written_bytes() or 0) - written_then
            parts = parts_of(account)
            assert min(parts) >= 0
            # Each part is rounded on its own.
            assert sum(parts) == pytest.approx(account.used_bytes, abs=len(parts))
            # The lease of the measurement itself took a block.
            assert account.used_bytes == pytest.approx(on_disk, abs=2 * 4096)
            assert sum(account.streams.values()) <= sum(parts[:9]) + len(account.streams)
            # Bytes that the process writes during the measurement are added to it.
            assert on_disk - 4096 <= measured <= on_disk + written_meanwhile + 4096
            life.check()


def parts_of(account: DiskUsage) -> list[int]:
    parts = [*account.words.values(), *account.pictures.values(), account.indexes]
    return [*parts, account.old_versions, account.checkpoints, account.rest]


@pytest.mark.slow
def test_the_disk_usage_adds_up_during_writes_and_compaction(kitchen: Any, tmp_path: Path) -> None:
    moments, frames, _ = kitchen.life(1.0)
    writing_done = threading.Event()
    with MemoryStore.open(
        tmp_path / "m", write=True, encoder=HashingEncoder(16), keep_versions_s=0.0
    ) as store:
        store.put_stream(kitchen.stream)

        def write() -> None:
            try:
                for start in range(0, 40, 8):
                    store.append(moments[start : start + 8], frames[2 * start : 2 * (start + 8)])
                    store.compact()
            finally:
                writing_done.set()

        writer = threading.Thread(target=write)
        writer.start()
        while not writing_done.is_set():
            account = store.account()
            parts = parts_of(account)
            assert min(parts) >= 0
            assert sum(parts) == pytest.approx(account.used_bytes, abs=len(parts))
        writer.join()


@pytest.mark.slow
@given(st.data())
@few
def test_a_second_compaction_frees_nothing_more(live: Callable[[Any], Any], data: st.DataObject) -> None:
    """Only one small version of each table remains beside the data, whatever was done before."""
    with live(data) as life:
        for action in data.draw(orders(ACTIONS)):
            life.do(action)
        life.do("compact")
        compacted_bytes = size_on_disk(life.store.path)
        life.do("compact")

        assert size_on_disk(life.store.path) <= compacted_bytes + 10 * 3 * 4096, (
            "a version of each table, at most"
        )
        life.check()


# -- snapshots --------------------------------------------------------------------------------------


def read_everything(snapshot: Snapshot) -> dict[str, Any]:
    """Everything that can be read from a snapshot."""
    # Empty the caches, so that everything is read again.
    for cache in (snapshot._covers, snapshot._gaps, snapshot._forgotten):
        cache.clear()
    content: dict[str, Any] = {rung: snapshot.timeline("kitchen", rung=rung, limit=10_000) for rung in RUNGS}
    ids = [moment.id for rung in RUNGS for moment in content[rung]]
    pictures = [key for moment in content["moment"] for key in moment.frame_ids]
    return content | {
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
def test_a_snapshot_stays_unchanged_until_it_is_released(
    live: Callable[[Any], Any], data: st.DataObject
) -> None:
    with live(data) as life:
        snapshots: list[tuple[Snapshot, dict[str, Any]]] = []
        for action in data.draw(orders(KEPT, 6)):
            snapshot = life.store.snapshot()
            snapshots.append((snapshot, read_everything(snapshot)))
            life.do(action)
            if len(snapshots) > 1 and data.draw(st.booleans()):
                snapshots.pop(data.draw(st.integers(0, len(snapshots) - 1)))[0].release()
            for snapshot, content in snapshots:
                now = read_everything(snapshot)
                assert [part for part in content if now[part] != content[part]] == []
        for snapshot, _ in snapshots:
            snapshot.release()
        life.do("compact")
        life.check()


@pytest.mark.slow
@given(st.data())
@few
def test_as_of_a_time_later_writes_are_hidden(live: Callable[[Any], Any], data: st.DataObject) -> None:
    with live(data) as life:
        contents: dict[float, dict[str, Any]] = {}
        for action in data.draw(orders((*WRITTEN, "pin", "maintain", "compact", "reopen"), 6)):
            contents[life.now_s] = as_of(life.store, life.now_s)
            life.do(action)
            for at_s, content in contents.items():
                now = as_of(life.store, at_s)
                assert [part for part in content if now[part] != content[part]] == []


def as_of(store: MemoryStore, at_s: float) -> dict[str, Any]:
    """The content as of a time. A summary counts as written with the last memory that it summarises."""
    snapshot = store.snapshot(as_of_s=at_s)
    content = read_everything(snapshot)
    for rung in RUNGS[1:]:
        for parent in content[rung]:
            children = snapshot.children(parent)
            assert [child.id for child in children] == list(parent.child_ids)
            assert parent.observations[0].written_at_s <= at_s
    names = ("moment", "streams", "gaps", "tombstones", "coverage", "counts", "pictures", "latest")
    return {name: content[name] for name in names}


@pytest.mark.slow
@given(st.data())
@few
def test_an_erasure_removes_exactly_the_erased_moments(
    live: Callable[[Any], Any], data: st.DataObject
) -> None:
    with live(data) as life:
        for action in data.draw(orders(WRITTEN, 4)):
            life.do(action)
        snapshot = life.store.snapshot()
        moments = snapshot.timeline("kitchen", limit=10_000)
        snapshot.release()
        at_s = data.draw(st.floats(0.0, 10.0 * life.done - 1))

        receipt = life.store.erase("kitchen", Span(at_s, at_s + 30.0))

        erased = [moment for moment in moments if any(span.overlaps(moment.span) for span in receipt.erased)]
        remaining = life.store.snapshot().timeline("kitchen", limit=10_000)
        assert [moment.id for moment in remaining] == [
            moment.id for moment in moments if moment not in erased
        ]
        assert receipt.memories["moment"] == len(erased) >= 1
        assert {moment.id for moment in erased} <= receipt.memory_ids
        life.check()
