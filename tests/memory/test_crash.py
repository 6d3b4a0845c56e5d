"""A writer that is killed during appends, again and again, loses nothing and duplicates nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from recollect.memory import FrameCounts, MemoryStore
from recollect.memory.ladder.builder import Ladder

MOMENTS = 280
APPEND_ALL = f"""
import sys
from recollect.memory import *
folder = sys.argv[1]

def moment(number):
    span = Span(number * 5.0, number * 5.0 + 5.0)
    seen = Finding("action", "enters", "a shape enters", Span(span.start_s, span.start_s + 1), "motion/1")
    return Moment(moment_id("kitchen", 0, "moment", span.start_s), "kitchen", 0, span,
                  (Observation(f"moment {{number}}", (seen,), "observers/1", 1000.0 + span.end_s),),
                  frame_ids=(f"f{{number}}",), counts=FrameCounts(125, 1, 115, 9))

def frame(number):
    return KeyFrame(f"f{{number}}", "kitchen", number * 5.0 + 1, number, "1/1", 4, 3, b"jpeg")

with MemoryStore.open(folder, write=True) as store:
    point = store.resume("kitchen")
    ladder = Ladder.restore(store.snapshot(), "kitchen")
    first = 0 if point is None else round(point.end_s / 5)
    print("from", first, flush=True)
    for number in range(first, {MOMENTS}, 2):
        moments = []
        for index in (number, number + 1):
            moments += [moment(index), *ladder.push(moment(index))]
        store.append(moments, [frame(number), frame(number + 1)])
        print("done", number + 2, flush=True)
    store.append(ladder.flush())
"""


def run(folder: Path, *, kill_after: int | None) -> tuple[int, int]:
    """Append in a child process, and kill it after it acknowledged this many moments.

    Returns the numbers of the first and of the last acknowledged moment.
    """
    with subprocess.Popen(
        [sys.executable, "-c", APPEND_ALL, str(folder)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        first = int(child.stdout.readline().split()[1])
        acknowledged = first
        for line in child.stdout:
            acknowledged = int(line.split()[1])
            if kill_after is not None and acknowledged >= first + kill_after:
                # Kill it during the next append, not right after the acknowledgement.
                time.sleep(0.001 * (first % 7))
                child.kill()
                break
        rest = child.stdout.read().split()
    return first, int(rest[-1]) if rest else acknowledged


@pytest.mark.slow
@pytest.mark.parametrize(
    "kills",
    [pytest.param((90,), id="one"), pytest.param((10, 31, 67, 80, 44), id="five")],
)
def test_a_killed_writer_loses_and_duplicates_nothing(folder: Path, kills: tuple[int, ...]) -> None:
    acknowledged = 0
    for kill_after in kills:
        first, last = run(folder, kill_after=kill_after)
        assert first >= acknowledged, "something acknowledged was lost"
        acknowledged = last
    first, _ = run(folder, kill_after=None)
    assert first >= acknowledged

    with MemoryStore.open(folder) as store:
        snapshot = store.snapshot()
        moments = snapshot.timeline("kitchen", limit=10_000)
        unbroken = Ladder("kitchen")
        parents = [parent for moment in moments for parent in unbroken.push(moment)] + unbroken.flush()
        stored_frames = store._tables.frames.count_rows()
        stored_rows = store._tables.observations.count_rows()

        assert [moment.caption for moment in moments] == [f"moment {n}" for n in range(MOMENTS)]
        assert snapshot.counts("kitchen") == FrameCounts(MOMENTS * 125, MOMENTS, MOMENTS * 115, MOMENTS * 9)
        assert stored_frames == MOMENTS
        assert snapshot.get(parent.id for parent in parents) == {parent.id: parent for parent in parents}
        assert stored_rows == MOMENTS + len(parents)
