"""Read leases keep the versions that readers use, and only until they are released."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recollect.memory import MemoryStore, Moment
from recollect.memory.storage.leases import READERS, ReadLease, held_leases

Make = Callable[..., Moment]


@pytest.fixture
def store(folder: Path) -> Iterator[MemoryStore]:
    """A memory that keeps old versions only for readers with a lease."""
    with MemoryStore.open(folder, write=True, keep_versions_s=0.0) as opened:
        yield opened


def versions(store: MemoryStore) -> int:
    return len(list((store.path / "observations.lance" / "_versions").iterdir()))


def test_a_lease_names_versions_until_it_is_released(tmp_path: Path) -> None:
    before_s = time.time()
    first = ReadLease.take(tmp_path)
    first.hold({"observations": 4})
    time.sleep(0.01)
    with ReadLease.take(tmp_path):
        both = held_leases(tmp_path)
        first.release()
        remaining = held_leases(tmp_path)

    assert [lease.versions for lease in both] == [{"observations": 4}, None]
    assert before_s - 0.1 <= both[0].since_s <= both[1].since_s
    assert [lease.versions for lease in remaining] == [None]
    assert held_leases(tmp_path) == []
    assert list((tmp_path / READERS).iterdir()) == []


def test_a_garbage_collected_lease_is_released(tmp_path: Path) -> None:
    lease = ReadLease.take(tmp_path)
    assert len(held_leases(tmp_path)) == 1

    del lease

    assert held_leases(tmp_path) == []


def test_a_revoked_lease_reports_it(tmp_path: Path) -> None:
    with ReadLease.take(tmp_path) as lease:
        revoked_before = lease.revoked
        held_leases(tmp_path)[0].revoke()

        assert not revoked_before
        assert lease.revoked
        assert held_leases(tmp_path) == []


DIES_WITH_A_LEASE = """
import os, sys
from pathlib import Path
from recollect.memory.storage.leases import ReadLease
lease = ReadLease.take(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.readline()
os.kill(os.getpid(), 9)
"""


def test_the_lease_of_a_killed_reader_is_removed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DIES_WITH_A_LEASE, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        reader.stdout.readline()
        leases_while_alive = held_leases(tmp_path)
        print(file=reader.stdin, flush=True)
        reader.wait()

    assert len(leases_while_alive) == 1
    assert held_leases(tmp_path) == []
    assert list((tmp_path / READERS).iterdir()) == []


def test_leases_can_be_taken_during_a_clean_up_of_dead_ones(tmp_path: Path) -> None:
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            held_leases(tmp_path)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(300):
            with ReadLease.take(tmp_path):
                assert held_leases(tmp_path)
    finally:
        over.set()
        looking.join()


def test_a_reader_without_write_permission_needs_no_lease(tmp_path: Path) -> None:
    (tmp_path / READERS).write_text("in the way")

    with ReadLease.take(tmp_path):
        pass


def test_a_snapshot_of_an_old_version_survives_a_clean_up(store: MemoryStore, moment: Make) -> None:
    """The version was written long before the snapshot was taken."""
    store.append([moment(0, "a red car")])
    time.sleep(0.05)
    snapshot = store.snapshot()

    for number in range(1, 6):
        store.append([moment(number, "a red car")])
        store.maintain()

    assert [memory.id for memory in snapshot.timeline("kitchen")] == [moment(0).id]
    assert len(snapshot.search("red car")) == 1


def test_versions_without_a_lease_are_deleted(store: MemoryStore, moment: Make) -> None:
    for number in range(10):
        store.append([moment(number, "a red car")])
    snapshot = store.snapshot()
    store.maintain()
    versions_while_held = versions(store)

    del snapshot
    store.append([moment(10, "a red car")])
    time.sleep(0.01)
    store.maintain()

    assert versions(store) < versions_while_held
    assert len(store.snapshot().timeline("kitchen")) == 11
