"""Two hundred writers, each killed at a random moment of its work; each time the memory is looked through.

    python benchmarks/kills.py [--kills 200] [--seed 0]

A process writes a memory of two cameras that may take 64 MB: it appends, consolidates, builds indexes, forgets for
want of room, compacts, erases on request, and opens what the one before left half done. It is killed over one of
these with SIGKILL, and the next one opens the memory. Nothing that was acknowledged may be missing then, nothing be
there twice or in part, every second and every frame has to be accounted for, and the budget kept all the time. The
same memory goes on for twenty kills. What is found wrong is printed, and the folder kept.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from recollect.memory import MemoryStore
from recollect.testing.crash.crash_harness import STAGES, CrashHarness, KillOutcome
from recollect.testing.integrity import STREAMS

PER_FOLDER = 20
MOST_OPEN_MS = 2000.0


def p95(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=20)[-1]


def kill_all(count: int, seed: int, scratch: Path) -> tuple[list[KillOutcome], Counter[str]]:
    """Kill so many writers, of one memory after the other; what came of each, and of how many rows."""
    kills: list[KillOutcome] = []
    rows: Counter[str] = Counter()
    for number in range(-(-count // PER_FOLDER)):
        folder = scratch / f"memory-{number}"
        begun = time.perf_counter()
        with CrashHarness(folder, seed=1000 * seed + number) as killer:
            for _ in range(min(PER_FOLDER, count - PER_FOLDER * number)):
                kill = killer.kill(STAGES[len(kills) % len(STAGES)])
                kills.append(kill)
                for fault in kill.faults:
                    print(f"kill {len(kills)}, over {kill.steps}, of {folder}: {fault.message}", flush=True)
                if kill.faults:
                    break
        rows["acknowledged"] += killer.expected.rows
        with MemoryStore.open(folder) as store:
            for tombstone in (one for name in STREAMS for one in store.snapshot().tombstones(name)):
                rows[tombstone.cause] += tombstone.memories
        if not kills[-1].faults:
            shutil.rmtree(folder)
        print(f"  {len(kills)} kills: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    return kills, rows


def report(kills: list[KillOutcome], rows: Counter[str]) -> bool:
    """Print what came of it; whether all is well."""
    print(f"{'killed over':14}{'aimed at':>10}{'hit':>6}{'undone':>9}{'whole':>8}{'nothing to undo':>18}")
    for stage in (*STAGES, None):
        hit = [kill for kill in kills if kill.stage == stage]
        outcomes = Counter(kill.outcome for kill in hit)
        aimed = sum(kill.aimed == stage for kill in kills)
        print(
            f"{stage or 'between two':14}{aimed or '-':>10}{len(hit):6}"
            f"{outcomes['undone']:9}{outcomes['whole']:8}{outcomes['nothing']:18}"
        )
    opened = [kill.open_ms for kill in kills]
    slow = max(opened) > MOST_OPEN_MS
    print(
        f"open after a kill: p95 {p95(opened):.0f} ms, at most {max(opened):.0f} ms"
        + (f": MORE THAN {MOST_OPEN_MS:.0f}" if slow else "")
    )
    faults = [fault for kill in kills for fault in kill.faults]
    print(
        f"rows acknowledged {rows['acknowledged']:,}: missing {sum(one.missing for one in faults)},"
        f" doubled {sum(one.doubled for one in faults)}; memories forgotten for want of room {rows['budget']:,},"
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
