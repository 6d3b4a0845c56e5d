"""Crash recovery: ``recollect watch`` is killed at random times and leaves the memory of an unbroken run."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise, takewhile
from pathlib import Path

import av
import pytest

from recollect import Recollect
from recollect.memory import MemoryStore
from recollect.memory.errors import MemoryStoreError, NotAMemory
from recollect.memory.storage.schema import TABLES
from recollect.memory.values import Moment

SEED = 6


def looped(video: Path, times: int, path: Path) -> Path:
    """The video repeated ``times`` times, with its packets copied."""
    with av.open(str(path), "w") as out:
        written, offset = None, 0
        for _ in range(times):
            with av.open(str(video)) as source:
                stream = source.streams.video[0]
                written = written or out.add_stream_from_template(stream)
                length = stream.duration
                for packet in source.demux(stream):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    packet.stream = written
                    out.mux(packet)
                offset += length
    return path


def start_watching(video: Path, memory: Path) -> subprocess.Popen[bytes]:
    command = ["watch", str(video), "--memory", str(memory), "--stream", "film", "--no-ocr", "--quiet"]
    return subprocess.Popen(
        [sys.executable, "-m", "recollect.cli.main", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def reached_s(memory: Path) -> float:
    """The end of the newest stored moment."""
    try:
        with MemoryStore.open(memory) as store:
            newest = store.snapshot().latest("film")
    except MemoryStoreError:
        return 0.0
    return newest[0].span.end_s if newest else 0.0


def kill_at_random(child: subprocess.Popen[bytes], memory: Path, chance: random.Random) -> bool:
    """Kill the child after its next commit or at a random time. False if it had already finished."""
    before_s = reached_s(memory)
    if before_s > 0 and chance.random() < 0.4:
        time.sleep(chance.uniform(1.0, 3.0))
    else:
        while child.poll() is None and reached_s(memory) <= before_s:
            time.sleep(0.05)
        time.sleep(chance.uniform(0.0, 1.0))
    finished = child.poll() is not None
    child.kill()
    child.communicate()
    return not finished


def rows_of(memory: Path) -> tuple[list[Moment], list[Moment]]:
    """The moments, and the rows of all higher rungs."""
    with MemoryStore.open(memory) as store:
        snapshot = store.snapshot()
        moments = snapshot.timeline("film", limit=10_000)
        return moments, [
            parent
            for rung in ("event", "hour", "day")
            for parent in snapshot.timeline("film", rung=rung, limit=10_000)
        ]


def shape(moment: Moment) -> tuple[object, ...]:
    """A moment without its findings."""
    return (
        moment.id,
        moment.rung,
        moment.span,
        moment.shot,
        moment.child_ids,
        moment.frame_ids,
        moment.counts,
    )


def test_a_half_created_memory_is_completed_by_the_next_writer(
    tmp_path: Path,
) -> None:
    memory = tmp_path / "memory"
    MemoryStore.open(memory, write=True).close()
    # Tables are created in this order, and the first commit names them all.
    for table in list(TABLES)[1:]:
        shutil.rmtree(memory / f"{table}.lance")
    for sealed in ("head.json", "files.json"):
        (memory / sealed).unlink(missing_ok=True)

    with pytest.raises(NotAMemory, match="nothing has been watched"):
        MemoryStore.open(memory)
    MemoryStore.open(memory, write=True).close()

    with MemoryStore.open(memory) as store:
        assert store.snapshot().latest("film") == []


@pytest.mark.slow
def test_repeated_kills_leave_the_memory_of_an_unbroken_run(demo_video: Path, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    video = looped(demo_video, 12, tmp_path / "film.mp4")
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"

    killed = (kill_at_random(start_watching(video, broken), broken, chance) for _ in range(10))
    # A fast machine finishes before the tenth kill.
    assert sum(takewhile(bool, killed)) >= 4, "the video is too short"
    for memory in (broken, unbroken):
        _, errors = start_watching(video, memory).communicate(timeout=300)
        assert errors == b""

    assert_same(broken, unbroken)


def assert_same(broken: Path, unbroken: Path) -> None:
    moments, parents = rows_of(broken)
    expected, expected_parents = rows_of(unbroken)
    assert [shape(moment) for moment in moments] == [shape(moment) for moment in expected]
    assert [shape(parent) for parent in parents] == [shape(parent) for parent in expected_parents]
    assert all(before.span.end_s == after.span.start_s for before, after in pairwise(moments))
    assert all(moment.counts.balanced for moment in moments)
    assert share_of_same_findings(moments, expected) > 0.98
    with Recollect(broken) as actual, Recollect(unbroken) as reference:
        assert [status.counts for status in actual.status()] == [
            status.counts for status in reference.status()
        ]
        assert actual.gaps("film") == reference.gaps("film") == []
    with MemoryStore.open(broken) as store:
        frame_ids = {frame_id for moment in moments for frame_id in moment.frame_ids}
        stored = store._tables.frames.count_rows()
        assert stored == len(frame_ids) == len(store.snapshot().frames(frame_ids))
        assert store._tables.observations.count_rows() == len(moments) + len(parents)


def share_of_same_findings(actual: list[Moment], reference: list[Moment]) -> float:
    """The share of equal findings. It is below 1 because observers restart with each run, without the pictures before."""
    counted, expected = (
        Counter((moment.id, f.kind, f.text) for moment in moments for f in moment.findings)
        for moments in (actual, reference)
    )
    return 2 * (counted & expected).total() / (counted.total() + expected.total())
