"""Latency of questions without any model, in a memory of 10 minutes of video and in one of 24 hours.

    python benchmarks/ask.py [--hours 24] [--repeats 5]

Both memories are filled with simulated moments through the real writer. Both get the same questions, in turn, in one
process. The result is the ratio of the times.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from itertools import islice
from pathlib import Path

from recollect import Recollect
from recollect.memory.ladder.builder import Ladder
from recollect.memory.store import MemoryStore
from recollect.memory.values import Moment, Stream
from recollect.testing.simulated_moments import simulated_moments

QUESTIONS = (
    "When does the sign say ORDER UMMV5V?",
    "When does the sign say FLOWERS 20% OFF?",
    "When did the sign first say FLOWERS 20% OFF?",
    "When did the sign last say FLOWERS 20% OFF?",
    "How many visits are there?",
    "When does the first visitor arrive?",
    "When does the last visitor leave?",
    "Which visitor stays longest?",
    "When is it darkest?",
    "What happens at 5:00?",
    "What is to be seen now?",
    "When is 'git push' run?",
    "When does a dog appear?",
)


def fill(path: Path, hours: float) -> int:
    """Write simulated moments into a new memory. Returns their number."""
    written = 0
    with MemoryStore.open(path, write=True) as store:
        store.put_stream(Stream("shop", "file", "shop", "simulated", "watching", 4.0, hours * 3600))
        ladder = Ladder("shop")
        moments = simulated_moments(seed=0, hours=hours, stream="shop")
        while chunk := list(islice(moments, 64)):
            rows: list[Moment] = []
            for moment in chunk:
                rows.append(moment)
                rows += ladder.push(moment)
            store.append(rows, [])
            written += len(chunk)
        store.append(ladder.flush(), [])
        store.put_stream(Stream("shop", "file", "shop", "simulated", "done", 4.0, hours * 3600))
        store.maintain()
    return written


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lengths = {"10 minutes": 1 / 6, f"{arguments.hours:g} hours": arguments.hours}
        memories: dict[str, Recollect] = {}
        for name, hours in lengths.items():
            start_s = time.perf_counter()
            path = Path(folder) / f"{name.replace(' ', '-')}.lance"
            moments = fill(path, hours)
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            print(
                f"{name}: {moments} moments, {size / 1e6:.1f} MB, filled in {time.perf_counter() - start_s:.1f} s"
            )
            memories[name] = Recollect(path)
        times_s: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for repeat in range(arguments.repeats + 1):
            for question in QUESTIONS:
                for name, memory in memories.items():
                    start_s = time.perf_counter()
                    memory.ask(question)
                    if repeat:  # the first round loads indexes
                        times_s[question][name].append(time.perf_counter() - start_s)
        short, long = lengths
        print(f"\n{'question':40} {short:>12} {long:>12} {'ratio':>7}")
        totals = {short: 0.0, long: 0.0}
        for question, times in times_s.items():
            medians = {name: statistics.median(values) for name, values in times.items()}
            for name, value in medians.items():
                totals[name] += value
            ratio = medians[long] / medians[short]
            print(f"{question:40} {medians[short] * 1e3:9.0f} ms {medians[long] * 1e3:9.0f} ms {ratio:6.2f}×")
        print(f"{'all (sum of medians)':40} {totals[short] * 1e3:9.0f} ms {totals[long] * 1e3:9.0f} ms "
              f"{totals[long] / totals[short]:6.2f}×")  # fmt: skip
        for memory in memories.values():
            memory.close()


if __name__ == "__main__":
    main()
