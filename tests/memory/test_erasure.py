"""An erasure deletes data from every rung, index and file, and leaves everything else."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import lance
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recollect.memory import (
    Finding,
    HashingEncoder,
    KeyFrame,
    Ladder,
    MemoryStore,
    Moment,
    Observation,
    Pending,
    Span,
    Use,
)
from recollect.memory.errors import ErasureBlocked, ErasureIncomplete, UnknownStream
from recollect.memory.keeping.erasure import PENDING
from recollect.memory.storage.tables import latest_view, select

SECRET = "xylophonequartz"
"""A word that occurs nowhere else."""
SECRET_JPEG = bytes(random.Random(7).randbytes(400))
ASKED = Span(905.0, 915.0)
"""Overlaps the moments [900, 910) and [910, 920)."""


def secretive(
    kitchen: Any, hours: float = 2.0, stream: str = "kitchen"
) -> tuple[list[Moment], list[KeyFrame]]:
    """Moments and pictures. Only those of ``ASKED`` have the secret word and the secret picture."""
    moments, frames, _ = kitchen.life(hours, stream=stream)
    captioned = []
    for moment in moments:
        line = Finding("visible_text", "line", f"plain line {moment.span.start_s:g}", moment.span, "text/1")
        if moment.span.overlaps(ASKED):
            line = replace(line, text=f"the {SECRET} stands there")
        caption = f"{line.text} at {moment.span.start_s:g}"
        observation = Observation(caption, (line,), "observers/1", 1000.0 + moment.span.end_s)
        captioned.append(replace(moment, observations=(observation,)))
    pictures = [
        replace(
            frame,
            jpeg=SECRET_JPEG if Span(900, 920).contains(frame.time_s) else frame.jpeg,
            signature=bytes(48),
        )
        for frame in frames
    ]
    return captioned, pictures


def remember(store: MemoryStore, kitchen: Any, moments: list[Moment], frames: list[KeyFrame]) -> None:
    """Append in batches, each with the parents that it closes, as a stream worker does."""
    stream = moments[0].stream
    store.put_stream(replace(kitchen.stream, name=stream, content_id=stream))
    ladder = Ladder(stream)
    frame_of = {frame.id: frame for frame in frames}
    for start in range(0, len(moments), 60):
        rows: list[Moment] = []
        shown: list[KeyFrame] = []
        for moment in moments[start : start + 60]:
            own = [frame_of[key] for key in moment.frame_ids]
            rows += [moment, *ladder.push(moment, own)]
            shown += own
        if start + 60 >= len(moments):
            rows += ladder.flush()
        store.append(rows, shown)


@pytest.fixture
def secret(folder: Path, kitchen: Any) -> Iterator[MemoryStore]:
    """A memory with vectors that contains the secret."""
    with MemoryStore.open(folder, write=True, encoder=HashingEncoder(64), keep_versions_s=60.0) as store:
        remember(store, kitchen, *secretive(kitchen))
        store.maintain()
        yield store


def files_with(folder: Path, *needles: bytes) -> list[str]:
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    ]


def all_text(store: MemoryStore) -> str:
    """The text of all rows of all tables, at their newest versions."""
    return " ".join(str(row) for table in store._tables.all() for row in select(latest_view(table)))


def test_after_the_receipt_no_file_contains_the_erased_data(secret: MemoryStore) -> None:
    before = files_with(secret.path, SECRET.encode(), SECRET_JPEG)

    receipt = secret.erase("kitchen", ASKED)

    assert len(before) >= 2, "the search must find it before the erasure"
    assert files_with(secret.path, SECRET.encode(), SECRET_JPEG) == []
    assert SECRET not in all_text(secret)
    assert receipt.erased == (Span(900.0, 920.0),)
    assert (receipt.memories["moment"], receipt.pictures) == (2, 4)
    assert (receipt.memories["event"], receipt.memories["hour"], receipt.memories["day"]) == (1, 1, 1)
    assert receipt.made_anew >= 3


@pytest.mark.parametrize("kind", ["tags", "branches"])
def test_an_erasure_is_refused_while_a_reference_keeps_rows(secret: MemoryStore, kind: str) -> None:
    dataset = lance.dataset(secret.path / "frames.lance")
    if kind == "tags":
        dataset.tags.create("mine", dataset.version)
    else:
        dataset.create_branch("mine")

    with pytest.raises(ErasureBlocked, match=r"mine of frames\.lance"):
        secret.erase("kitchen", ASKED)
    assert SECRET in all_text(secret)

    getattr(dataset, kind).delete("mine")
    assert secret.erase("kitchen", ASKED).memories["moment"] == 2


def test_no_receipt_is_given_while_a_copy_holds_the_rows(secret: MemoryStore) -> None:
    copied = max((secret.path / "frames.lance/data").iterdir(), key=lambda path: path.stat().st_size)
    for place in ("backup.bin", "frames.lance/_versions/copy.bin"):
        shutil.copy(copied, secret.path / place)

    with pytest.raises(ErasureIncomplete, match=r"backup\.bin, frames\.lance/_versions/copy\.bin"):
        secret.erase("kitchen", ASKED)
    assert SECRET not in all_text(secret)

    (secret.path / "backup.bin").unlink()
    (secret.path / "frames.lance/_versions/copy.bin").unlink()
    secret.compact()
    assert files_with(secret.path, SECRET.encode(), SECRET_JPEG) == []
    assert not (secret.path / PENDING).exists()


def test_files_that_a_killed_writer_left_are_erased_too(secret: MemoryStore) -> None:
    copied = next(path for path in (secret.path / "frames.lance").rglob("*.lance") if path.is_file())
    left = [
        secret.path / "frames.lance" / place
        for place in (
            "data/.tmpcmnYHR",
            "_versions/12.manifest#1",
            "data/01ab.lance#3",
            "_indices/x/.tmp012345",
        )
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(copied, path)

    secret.erase("kitchen", ASKED)

    assert not any(path.exists() for path in left)
    assert files_with(secret.path, SECRET.encode(), SECRET_JPEG) == []


def test_maintenance_deletes_what_a_killed_writer_left(secret: MemoryStore) -> None:
    half_written = secret.path / "frames.lance/data/.tmpcmnYHR"
    half_written.write_bytes(bytes(1000))

    secret.maintain()

    assert not half_written.exists()


def test_a_picture_that_others_share_does_not_block_a_receipt(folder: Path, kitchen: Any) -> None:
    moments, frames = secretive(kitchen, hours=0.5)
    with MemoryStore.open(folder, write=True) as store:
        remember(store, kitchen, moments, [replace(frame, jpeg=SECRET_JPEG) for frame in frames])

        receipt = store.erase("kitchen", ASKED)

        assert receipt.files_scanned > 20


@pytest.mark.slow
def test_later_searches_find_the_rest_and_no_erased_memory(secret: MemoryStore, kitchen: Any) -> None:
    moments, _ = secretive(kitchen)

    secret.erase("kitchen", ASKED)

    snapshot = secret.snapshot()
    stored = snapshot.timeline("kitchen", limit=10_000)
    assert stored == [moment for moment in moments if not moment.span.overlaps(ASKED)]
    assert [hit.moment.id for hit in snapshot.search(SECRET) if SECRET in str(hit.moment)] == []
    kitchen.check(secret, moments)
    (tombstone,) = snapshot.tombstones("kitchen")
    assert (tombstone.span, tombstone.cause, tombstone.lost) == (Span(900.0, 920.0), "asked", "day")
    assert tombstone.counts.captured == 500
    cover = snapshot.cover("kitchen")
    assert all(not memory.span.overlaps(Span(900.0, 920.0)) for memory in cover)


def test_parents_are_rebuilt_from_the_remaining_children(secret: MemoryStore) -> None:
    secret.erase("kitchen", ASKED)

    snapshot = secret.snapshot()
    for rung in ("event", "hour", "day"):
        for parent in snapshot.timeline("kitchen", rung=rung, limit=1000):
            children = snapshot.children(parent)
            assert [child.id for child in children] == list(parent.child_ids)
            assert parent.span == Span(children[0].span.start_s, children[-1].span.end_s)
            assert len(snapshot.frames(parent.frame_ids)) == len(parent.frame_ids) > 0


@pytest.mark.slow
def test_a_timeline_shows_rebuilt_parents_only_in_their_span(secret: MemoryStore) -> None:
    """Rebuilt parents are shorter, and can end before any earlier parent of their rung."""
    secret.erase("kitchen", Span(3.0, 17.0))
    secret.erase("kitchen", ASKED)

    snapshot = secret.snapshot()
    for rung in ("moment", "event", "hour", "day"):
        memories = snapshot.timeline("kitchen", rung=rung, limit=10_000)
        edges = sorted({edge for memory in memories for edge in (memory.span.start_s, memory.span.end_s)})
        for start_s, end_s in [(0.0, edges[0]), *pairwise(edges[:41])]:
            span = Span(start_s, end_s)
            assert snapshot.timeline("kitchen", span, rung) == [
                memory for memory in memories if memory.span.overlaps(span)
            ]


def test_an_earlier_question_finishes_with_its_snapshot(secret: MemoryStore) -> None:
    before = secret.snapshot()
    waits: list[int] = []
    receipts: list[object] = []
    erasing = threading.Thread(
        target=lambda: receipts.append(secret.erase("kitchen", ASKED, on_wait=waits.append))
    )
    erasing.start()
    while not waits and erasing.is_alive():
        time.sleep(0.01)

    hits = before.search(SECRET, rungs=["moment"], limit=2)
    pictures = before.frames(hits[0].moment.frame_ids)
    hits_meanwhile = secret.snapshot().search(SECRET, rungs=["moment"], limit=2)
    has_receipt = bool(receipts)
    before.release()
    erasing.join()

    assert [SECRET in hit.moment.caption for hit in hits] == [True, True]
    assert [picture.jpeg for picture in pictures] == [SECRET_JPEG] * 2
    assert not any(SECRET in hit.moment.caption for hit in hits_meanwhile), "a later question finds nothing"
    assert not has_receipt, "a reader can still read the data"
    assert len(receipts) == 1
    assert files_with(secret.path, SECRET.encode(), SECRET_JPEG) == []


def test_later_moments_with_findings_in_the_span_are_erased(folder: Path, kitchen: Any) -> None:
    """A visit lasts from 850 s to 1200 s, and is a finding of the moment in which it ends."""
    moments, frames = secretive(kitchen, 0.5)
    stay = Finding("action", "visit", "a tall red shape is there", Span(850.0, 1200.0), "motion/1")
    moments = [
        replace(moment, observations=(replace(moment.observations[0], findings=(stay,)),))
        if moment.span.end_s == 1200.0
        else moment
        for moment in moments
    ]
    with MemoryStore.open(folder, write=True) as store:
        remember(store, kitchen, moments, frames)

        receipt = store.erase("kitchen", ASKED)

        assert receipt.erased == (Span(900.0, 920.0), Span(1190.0, 1200.0))
        assert "tall red shape" not in all_text(store)
        kitchen.check(store, moments)


@pytest.mark.slow
def test_an_event_without_moments_is_erased_whole(secret: MemoryStore, kitchen: Any) -> None:
    moments, _ = secretive(kitchen)
    event = next(
        candidate
        for candidate in secret.snapshot().timeline("kitchen", rung="event", limit=100)
        if candidate.span.contains(905.0)
    )
    for _ in range(2):
        kitchen.evict(
            secret,
            [unit for unit in kitchen.candidates(secret).lowest_value(1e12) if unit.parent_id == event.id],
        )

    receipt = secret.erase("kitchen", ASKED)

    assert receipt.erased == (event.span,)
    assert files_with(secret.path, SECRET.encode(), SECRET_JPEG) == []
    kitchen.check(secret, moments)


@pytest.mark.slow
def test_rebuilt_parents_show_no_evicted_picture(secret: MemoryStore, kitchen: Any) -> None:
    moments, _ = secretive(kitchen)
    kitchen.evict(secret, kitchen.candidates(secret).lowest_value(1e12))  # the pictures of every event

    secret.erase("kitchen", ASKED)

    snapshot = secret.snapshot()
    for rung in ("event", "hour", "day"):
        for parent in snapshot.timeline("kitchen", rung=rung, limit=1000):
            assert len(snapshot.frames(parent.frame_ids)) == len(parent.frame_ids)
    kitchen.check(secret, moments)
    kitchen.evict_all(secret)
    kitchen.check(secret, moments)


def test_a_whole_stream_is_erased_with_its_name(secret: MemoryStore, kitchen: Any) -> None:
    others, frames = secretive(kitchen, 0.2, stream="yard")
    remember(secret, kitchen, others, frames)
    secret.pin("kitchen", Span(100.0, 200.0))
    secret.note_uses([Use("kitchen", Span(0, 10), "cited", 1e9)])

    receipt = secret.erase("kitchen", None)

    assert [stream.name for stream in secret.streams()] == ["yard"]
    assert secret.snapshot().timeline("kitchen") == []
    assert secret.snapshot().timeline("yard", limit=1000) == others
    assert files_with(secret.path, SECRET.encode(), b"kitchen") == []
    assert (receipt.memories["moment"], receipt.pins, receipt.uses) == (720, 1, 1)
    assert receipt.erased == ()


@pytest.mark.slow
def test_pins_uses_and_backlog_entries_are_erased_too(secret: MemoryStore, kitchen: Any) -> None:
    moments, _ = secretive(kitchen)
    inside = next(moment for moment in moments if moment.span.start_s == 910.0)
    secret.pin("kitchen", Span(800.0, 1000.0), note="the parcel")
    secret.note_uses(
        [Use("kitchen", Span(905.0, 910.0), "cited", 1e9), Use("kitchen", Span(0, 5), "cited", 1e9)]
    )
    secret.enqueue([Pending(inside.id, "kitchen", "moment", inside.span, 0.5, 0.0)])

    receipt = secret.erase("kitchen", ASKED)

    assert (receipt.pins, receipt.uses, receipt.waiting) == (1, 1, 1)
    assert [pin.span for pin in secret.pins()] == [Span(800.0, 900.0), Span(920.0, 1000.0)]
    assert {pin.note for pin in secret.pins()} == {"the parcel"}
    assert secret._tables.uses.count_rows() == 1


@pytest.mark.slow
def test_descriptions_with_erased_context_are_queued_again(secret: MemoryStore, kitchen: Any) -> None:
    moments, _ = secretive(kitchen)
    moment_at = {moment.span.start_s: moment for moment in moments}
    events = secret.snapshot().timeline("kitchen", rung="event", limit=100)
    event = next(candidate for candidate in events if candidate.span.contains(905.0))
    description = Observation(f"Then the {SECRET} is gone.", (), "lmm:tiny/caption.1", 9000.0)
    secret.described(
        [
            (moment_at[920.0], description),
            (event, description),
            (moment_at[1500.0], replace(description, caption="A pot.")),
        ]
    )

    secret.erase("kitchen", ASKED)

    snapshot = secret.snapshot()
    waiting = {(row["rung"], row["start_s"]) for row in select(latest_view(secret._tables.backlog))}
    assert ("moment", 920.0) in waiting
    assert {start_s for rung, start_s in waiting if rung == "event"} == {
        rebuilt.span.start_s for rebuilt in snapshot.timeline("kitchen", rung="event", limit=100) if event.span.contains(rebuilt.span.start_s)
    }  # fmt: skip
    assert len(snapshot.get([moment_at[920.0].id])[moment_at[920.0].id].observations) == 1
    assert snapshot.get([moment_at[1500.0].id])[moment_at[1500.0].id].caption == "A pot."
    assert files_with(secret.path, SECRET.encode()) == []


def test_erasing_a_span_without_memories_succeeds(secret: MemoryStore, kitchen: Any) -> None:
    receipt = secret.erase("kitchen", Span(90_000.0, 90_010.0))

    assert receipt.erased == ()
    assert sum(receipt.memories.values()) == receipt.pictures == 0
    with pytest.raises(UnknownStream):
        secret.erase("attic", ASKED)


def test_watching_continues_after_an_erasure(folder: Path, kitchen: Any) -> None:
    """The open event and hour are built from the remaining children."""
    moments, frames = secretive(kitchen, 1.5)
    with MemoryStore.open(folder, write=True) as store:
        store.put_stream(kitchen.stream)
        ladder = Ladder("kitchen")
        store.append(
            [row for moment in moments[:100] for row in (moment, *ladder.push(moment))], frames[:200]
        )
        store.erase("kitchen", Span(985.0, 1000.0))
        ladder = Ladder.restore(store.snapshot(), "kitchen")
        store.append(
            [row for moment in moments[100:] for row in (moment, *ladder.push(moment))] + ladder.flush(),
            frames[200:],
        )

        snapshot = store.snapshot()
        parents = [
            parent
            for rung in ("event", "hour")
            for parent in snapshot.timeline("kitchen", rung=rung, limit=1000)
        ]
        assert all(not parent.span.overlaps(Span(980.0, 1000.0)) for parent in parents)
        kitchen.check(store, moments)


@pytest.mark.slow
@given(st.data())
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_erasures_and_evictions_stays_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, kitchen: Any, data: st.DataObject
) -> None:
    with MemoryStore.open(tmp_path_factory.mktemp("m") / "memory", write=True) as store:
        moments = kitchen.watch(store, 2.2, epochs=data.draw(st.integers(1, 3)))
        for _ in range(data.draw(st.integers(2, 5))):
            if data.draw(st.booleans()):
                units = kitchen.candidates(store).lowest_value(1e12)
                kitchen.evict(
                    store, data.draw(st.lists(st.sampled_from(units), unique_by=id)) if units else []
                )
            else:
                start_s = data.draw(st.floats(0.0, 8000.0))
                span = Span(start_s, start_s + data.draw(st.sampled_from([1.0, 50.0, 700.0, 4000.0])))
                store.erase("kitchen", span)
                assert store.snapshot().timeline("kitchen", span, limit=10_000) == []
            kitchen.check(store, moments)


ERASE = """
import sys
from recollect.memory import HashingEncoder, MemoryStore, Span
with MemoryStore.open(sys.argv[1], write=True, encoder=HashingEncoder(64)) as store:
    print("erasing", flush=True)
    store.erase("kitchen", Span(905.0, 915.0))
    print("done", flush=True)
"""


@pytest.mark.slow
def test_a_killed_erasure_is_whole_or_undone_and_then_finished(folder: Path, kitchen: Any) -> None:
    moments, frames = secretive(kitchen)
    with MemoryStore.open(folder, write=True, encoder=HashingEncoder(64)) as store:
        remember(store, kitchen, moments, frames)
    for number in range(8):
        with subprocess.Popen([sys.executable, "-c", ERASE, str(folder)], stdout=subprocess.PIPE) as dying:
            assert dying.stdout is not None
            dying.stdout.readline()
            time.sleep(0.03 * number)
            dying.send_signal(signal.SIGKILL)
        with MemoryStore.open(folder, encoder=HashingEncoder(64)) as store:
            moments_left = store.snapshot().timeline("kitchen", ASKED)
            assert len(moments_left) in (0, 2)
            kitchen.check(store, moments)

    with MemoryStore.open(folder, write=True, encoder=HashingEncoder(64)) as store:
        store.erase("kitchen", ASKED)
        assert not (folder / PENDING).exists()
        assert files_with(folder, SECRET.encode(), SECRET_JPEG) == []
        kitchen.check(store, moments)


WAIT_AND_DIE = """
import sys
from recollect.memory import HashingEncoder, MemoryStore, Span
with MemoryStore.open(sys.argv[1], write=True, encoder=HashingEncoder(64)) as store:
    store.erase("kitchen", Span(905.0, 915.0), on_wait=lambda readers: print("waiting", flush=True))
"""


@pytest.mark.slow
def test_compact_finishes_a_killed_erasure(folder: Path, kitchen: Any) -> None:
    with MemoryStore.open(folder, write=True, encoder=HashingEncoder(64)) as store:
        remember(store, kitchen, *secretive(kitchen, 0.5))
    with MemoryStore.open(folder) as reader:
        snapshot = reader.snapshot()
        with subprocess.Popen(
            [sys.executable, "-c", WAIT_AND_DIE, str(folder)], stdout=subprocess.PIPE
        ) as dying:
            assert dying.stdout is not None
            assert dying.stdout.readline() == b"waiting\n"
            dying.send_signal(signal.SIGKILL)
        snapshot.release()
    files_before = files_with(folder, SECRET.encode())

    with MemoryStore.open(folder, write=True, encoder=HashingEncoder(64)) as store:
        store.compact()

    assert files_before != []
    assert files_with(folder, SECRET.encode(), SECRET_JPEG) == []
    assert not (folder / PENDING).exists()
