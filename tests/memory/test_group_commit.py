"""Group commit: batches of several threads share commits, on real LanceDB."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recollect.memory import MemoryStore, Observation
from recollect.memory.group_commit import GroupCommit
from recollect.memory.storage.commits import Commits

STREAMS = [f"camera {number}" for number in range(6)]
ROUNDS = 5


def commit_number(folder: Path) -> int:
    return Commits(folder).head().number


def append_in_threads(streams: list[str], append: Callable[[str, int], None]) -> None:
    """Every stream appends ``ROUNDS`` batches from a thread of its own, all of a round at about the same time."""
    barrier = threading.Barrier(len(streams))

    def run(stream: str) -> None:
        for number in range(ROUNDS):
            barrier.wait()
            append(stream, number)

    threads = [threading.Thread(target=run, args=(stream,)) for stream in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.fixture
def group(store: MemoryStore) -> GroupCommit:
    return GroupCommit(store)


@pytest.fixture
def members(group: GroupCommit) -> Iterator[None]:
    """As many members as there are streams."""
    blocks = [group.member() for _ in STREAMS]
    for block in blocks:
        block.__enter__()
    yield
    for block in blocks:
        block.__exit__(None, None, None)


def test_streams_together_make_far_fewer_commits(folder, store, group, members, moment):
    before = commit_number(folder)
    append_in_threads(
        STREAMS, lambda stream, number: store.append([moment(number, stream=f"{stream} apart")])
    )
    apart = commit_number(folder) - before

    append_in_threads(
        STREAMS,
        lambda stream, number: group.append([moment(number, stream=stream)], gather=True),
    )
    together = commit_number(folder) - before - apart

    # Maintenance may commit now and then.
    assert apart >= len(STREAMS) * ROUNDS
    assert group.commits <= together <= apart / 3
    assert group.batches == len(STREAMS) * ROUNDS
    snapshot = store.snapshot()
    assert all(len(snapshot.timeline(stream)) == ROUNDS for stream in STREAMS)


def test_a_single_member_does_not_wait_for_others(group, moment):
    with group.member():
        group.append([moment(0)], gather=True)

    assert (group.commits, group.batches) == (1, 1)


def test_a_batch_that_fails_does_not_fail_the_others(store, group, members, moment):
    def broken(number: int, stream: str) -> Any:
        # A timestamp that the table cannot hold.
        good = moment(number, stream=stream)
        return replace(good, observations=(Observation("a car", (), "observers/1", "yesterday"),))  # type: ignore[arg-type]

    errors: dict[str, Exception] = {}

    def append(stream: str, number: int) -> None:
        make = broken if stream == STREAMS[0] else moment
        try:
            group.append([make(number, stream=stream)], gather=True)
        except Exception as error:
            errors[stream] = error

    append_in_threads(STREAMS[:3], append)

    assert list(errors) == [STREAMS[0]]
    snapshot = store.snapshot()
    assert [len(snapshot.timeline(stream)) for stream in STREAMS[:3]] == [0, ROUNDS, ROUNDS]
