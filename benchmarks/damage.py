"""Damages copies of a memory at random, and counts how each kind of damage is told and what it costs.

    python benchmarks/damage.py [--flips 100] [--files 30] [--seed 0]

The memory holds an hour of two simulated cameras, with pictures, vectors and outages. One bit is flipped in a file of
each of the first copies; in each of the others, a file is cut, zeroed or deleted. ``DamageHarness`` says what a fault
is. Faults are printed, and the exit code is 1 if there are any.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from recollect.memory.store import MemoryStore
from recollect.testing.damage_harness import DamageHarness, Trial
from recollect.testing.simulated_months import LifeEncoder, fill

HOURS = 1.0
COLUMNS = ("reading", "check", "nothing")
"""By what damage is told."""


def part_of(file: str) -> str:
    """Which part of a memory a file is, in words."""
    table, _, inside = file.partition("/")
    table = table.partition("-")[0].removesuffix(".lance").replace("_", " ")
    if not inside:
        return file
    if inside.startswith("_versions"):
        return "manifests of tables"
    if inside.startswith("_transactions"):
        return "transaction files"
    return "vectors, indexes" if "_indices" in inside or table.endswith("vectors") else f"data of {table}"


def main() -> int:
    """Damage, print the table, and return 1 if there was a fault."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--flips", type=int, default=100)
    parser.add_argument("--files", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        memory, copy = Path(scratch) / "memory.lance", Path(scratch) / "copy"
        with MemoryStore.open(memory, write=True, encoder=LifeEncoder()) as store:
            fill(store, ["door", "yard"], HOURS, picture_bytes=500, outages_a_day=48.0)
            store.compact()
        harness = DamageHarness(memory, LifeEncoder)
        print(f"{len(harness.whole.moments)} memories, {len(harness.whole.pictures)} pictures")
        seed = arguments.seed
        trials = [harness.try_flip(copy, number) for number in range(seed, seed + arguments.flips)]
        trials += [harness.try_file(copy, number) for number in range(seed, seed + arguments.files)]
    print_table(trials)
    faults = [trial for trial in trials if trial.faults]
    for trial in faults:
        print(trial)
    print(f"{len(faults)} faults")
    return 1 if faults else 0


def print_table(trials: list[Trial]) -> None:
    """Print how the damage of each part was told, and what it cost."""
    counts = Counter((part_of(trial.file), trial.told_by) for trial in trials)
    lossy = Counter(part_of(trial.file) for trial in trials if trial.lost)
    print(f"{'damaged':24} {'copies':>7} {'reading':>8} {'check':>6} {'nothing':>8} {'with loss':>10}")
    for part in sorted({part for part, _ in counts}):
        by = [counts[part, column] for column in COLUMNS]
        print(f"{part:24} {sum(by):7} {by[0]:8} {by[1]:6} {by[2]:8} {lossy[part]:10}")


if __name__ == "__main__":
    sys.exit(main())
