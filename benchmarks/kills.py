"""Crash safety: two hundred writers are killed at random moments, and the memory is checked after each.

    python benchmarks/kills.py [--kills 200] [--seed 0]

A process writes a memory of two cameras with a disk budget of 64 MB: it appends, consolidates, builds indexes, evicts,
compacts, erases on request, and completes what the process before left unfinished. It is killed during one of these
stages with SIGKILL, and the next process opens the memory. Then no acknowledged row may be missing, no row may be
stored twice or in part, every second and every frame must be accounted for, and the disk budget must have been kept
all the time. Each memory is used for twenty kills. Faults are printed, and the folder is kept.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from itertools import chain
from pathlib import Path

from recollect.memory import MemoryStore
from recollect.testing.crash.crash_harness import STAGES, CrashHarness, KillOutcome
from recollect.testing.integrity import STREAMS

KILLS_PER_FOLDER = 20
MAX_OPEN_MS = 2000.0


def p95(times_ms: list[float]) -> float:
    return statistics.quantiles(times_ms, n=20)[-1]


def kill_all(count: int, seed: int, scratch: Path) -> tuple[list[KillOutcome], Counter[str]]:
    """Kill ``count`` writers. Returns the outcome of each kill, and the numbers of rows by what happened to them."""
    kills: list[KillOutcome] = []
    rows: Counter[str] = Counter()
    for number in range(-(-count // KILLS_PER_FOLDER)):
        folder = scratch / f"memory-{number}"
        start_s = time.perf_counter()
        with CrashHarness(folder, seed=1000 * seed + number) as harness:
            for _ in range(min(KILLS_PER_FOLDER, count - KILLS_PER_FOLDER * number)):
                kill = harness.kill(STAGES[len(kills) % len(STAGES)])
                kills.append(kill)
                for fault in kill.faults:
                    print(f"kill {len(kills)}, during {kill.steps}, of {folder}: {fault.message}", flush=True)
                if kill.faults:
                    break
        rows["acknowledged"] += harness.expected.rows
        with MemoryStore.open(folder) as store:
            for tombstone in chain.from_iterable(map(store.snapshot().tombstones, STREAMS)):
                rows[tombstone.cause] += tombstone.memories
        if not kills[-1].faults:
            shutil.rmtree(folder)
        print(f"  {len(kills)} kills: {time.perf_counter() - start_s:.0f} s", file=sys.stderr, flush=True)
    return kills, rows


def report(kills: list[KillOutcome], rows: Counter[str]) -> bool:
    """Print the outcomes. Returns whether no fault was found and every opening was fast enough."""
    print(f"{'killed during':14}{'aimed at':>10}{'hit':>6}{'undone':>9}{'whole':>8}{'nothing to undo':>18}")
    for stage in (*STAGES, None):
        hits = [kill for kill in kills if kill.stage == stage]
        outcomes = Counter(kill.outcome for kill in hits)
        aimed = sum(kill.aimed == stage for kill in kills)
        print(
            f"{stage or 'between two':14}{aimed or '-':>10}{len(hits):6}"
            f"{outcomes['undone']:9}{outcomes['whole']:8}{outcomes['nothing']:18}"
        )
    opened = [kill.open_ms for kill in kills]
    slow = max(opened) > MAX_OPEN_MS
    print(
        f"open after a kill: p95 {p95(opened):.0f} ms, at most {max(opened):.0f} ms"
        + (f": MORE THAN {MAX_OPEN_MS:.0f}" if slow else "")
    )
    faults = [fault for kill in kills for fault in kill.faults]
    print(
        f"rows acknowledged {rows['acknowledged']:,}: missing {sum(fault.missing for fault in faults)},"
        f" doubled {sum(fault.doubled for fault in faults)}; memories evicted {rows['budget']:,},"
        f" erased {rows['asked']:,}, each with a tombstone"
    )
    print(f"disk: at most {max(kill.most_bytes for kill in kills) / 1e6:.1f} MB of a budget of 64.0 MB")
    print(f"{len(faults)} faults in {len(kills)} kills")
    return not faults and not slow


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="kills-"))
    kills, rows = kill_all(arguments.kills, arguments.seed, scratch)
    if not report(kills, rows):
        print(f"kept for inspection: {scratch}")
        sys.exit(1)
    shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
