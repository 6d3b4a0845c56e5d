"""The real command, killed at random moments again and again: its memory ends up as if nothing had happened."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from recollect import Recollect
from recollect.errors import MemoryStoreError
from recollect.memory import MemoryStore
from recollect.memory.values import Moment

SEED = 6


def looped(video: Path, times: int, path: Path) -> Path:
    """The video so many times over, its packets copied as they are."""
    with av.open(str(path), "w") as out:
        written, offset = None, 0
        for _ in range(times):
            with av.open(str(video)) as source:
                stream = source.streams.video[0]
                written = written or out.add_stream_from_template(stream)
                length = round(Fraction(stream.duration) * stream.time_base / stream.time_base)
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
        [sys.executable, "-m", "recollect.cli", *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def reached_s(memory: Path) -> float:
    """Up to where the memory goes by now."""
    try:
        with MemoryStore.open(memory) as store:
            newest = store.snapshot().latest("film")
    except (MemoryStoreError, ValueError):
        return 0.0
    return newest[0].span.end_s if newest else 0.0


def kill_when_it_has_gone_on(child: subprocess.Popen[bytes], memory: Path, chance: random.Random) -> bool:
    """Kill it some time after its first commit; False where it was done before."""
    before_s = reached_s(memory)
    while child.poll() is None and reached_s(memory) <= before_s:
        time.sleep(0.05)
    time.sleep(chance.uniform(0.0, 1.5))
    done = child.poll() is not None
    child.kill()
    child.communicate()
    return not done


def everything(memory: Path) -> tuple[list[Moment], list[Moment]]:
    """The moments, and all rungs above them."""
    with MemoryStore.open(memory) as store:
        snapshot = store.snapshot()
        moments = snapshot.timeline("film", limit=10_000)
        return moments, [
            parent
            for rung in ("event", "hour", "day")
            for parent in snapshot.timeline("film", rung=rung, limit=10_000)
        ]


def shape(moment: Moment) -> tuple[object, ...]:
    """All of a moment but what was found in it."""
    return (moment.id, moment.rung, moment.span, moment.shot, moment.child_ids, moment.frame_ids, moment.counts)


@pytest.mark.slow
def test_ten_kills_leave_the_same_memory_as_an_unbroken_run(demo_video: Path, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    video = looped(demo_video, 4, tmp_path / "film.mp4")
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"

    kills, reached = 0, []
    while kills < 10:
        assert kill_when_it_has_gone_on(start_watching(video, broken), broken, chance), "the video is too short"
        kills += 1
        reached.append(reached_s(broken))
    for memory in (broken, unbroken):
        _, errors = start_watching(video, memory).communicate(timeout=300)
        assert errors == b""

    assert_same(broken, unbroken)


def assert_same(broken: Path, unbroken: Path) -> None:
    moments, parents = everything(broken)
    expected, expected_parents = everything(unbroken)
    assert [shape(moment) for moment in moments] == [shape(moment) for moment in expected]
    assert [shape(parent) for parent in parents] == [shape(parent) for parent in expected_parents]
    assert all(one.span.end_s == later.span.start_s for one, later in pairwise(moments))
    assert all(moment.counts.balanced for moment in moments)
    with Recollect(broken) as one, Recollect(unbroken) as other:
        assert [status.counts for status in one.status()] == [status.counts for status in other.status()]
        assert one.gaps("film") == other.gaps("film") == []
    with MemoryStore.open(broken) as store:
        named = {frame_id for moment in moments for frame_id in moment.frame_ids}
        stored = store._tables.frames.count_rows()
        assert stored == len(named) == len(store.snapshot().frames(named))
        assert store._tables.observations.count_rows() == len(moments) + len(parents)
