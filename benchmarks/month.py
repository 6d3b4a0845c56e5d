"""Thirty days of two cameras through the real writer, in a memory whose disk budget holds a tenth of them.

    python benchmarks/month.py [--days 30] [--picture-bytes 2000] [--share 0.1]

First, one day is written without a budget. The budget is its size times the days and the share. While the days are
written, another process samples the size of the folder and the writer's RAM. Then every second must be covered by a
moment, a parent, a gap or a tombstone, and every frame must be counted. Searches are timed in turn with those of a
memory of one hour.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recollect.memory import MemoryStore, Span
from recollect.memory.storage.file_sizes import size_on_disk
from recollect.testing.simulated_months import LifeEncoder, fill

STREAMS = ("door", "yard")
WORDS = (
    "a tall red shape enters from the left", "coffee sold out", "two for one bread", "somebody stays in the middle",
    "the blue shape leaves", "very dark and nothing moves", "new candles", "a wide green shape on the right",
)  # fmt: skip
SAMPLE_S = 0.02


def sample(folder: Path, pid: int) -> None:
    """Measure the folder and a process until standard input ends. Prints the maxima, that of RAM for each mark."""
    marks: list[float] = []
    most_bytes, samples, rss_bytes = 0, 0, 0
    import select

    while True:
        if select.select([sys.stdin], [], [], SAMPLE_S)[0]:
            if not sys.stdin.readline():
                break
            marks.append(rss_bytes)
            rss_bytes = 0
        most_bytes = max(most_bytes, size_on_disk(folder))
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        rss_bytes = max(rss_bytes, pages * 4096)
        samples += 1
    print(json.dumps({"most_bytes": most_bytes, "samples": samples, "rss_bytes": marks}), flush=True)


def fill_without_budget(folder: Path, hours: float, picture_bytes: int) -> MemoryStore:
    """Write ``hours`` of simulated moments without a budget."""
    store = MemoryStore.open(folder, write=True, encoder=LifeEncoder(), keep_versions_s=1.0)
    fill(store, STREAMS, hours, picture_bytes=picture_bytes, batch=256)
    return store


def search_times_ms(store: MemoryStore, hours: float) -> list[float]:
    """The times of searches in milliseconds: words, vectors and pictures, filtered by stream and time."""
    times_ms = []
    for number, words in enumerate(WORDS):
        span = Span(hours * 3600 * number / 16, hours * 3600) if number % 2 else None
        start_s = time.perf_counter()
        hits = store.snapshot().search(words, streams=[STREAMS[number % 2]], span=span, limit=10)
        times_ms.append(1e3 * (time.perf_counter() - start_s))
        assert hits
    return times_ms


def p95(times_ms: list[float]) -> float:
    return statistics.quantiles(times_ms, n=20)[-1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--picture-bytes", type=int, default=2000)
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--sample", nargs=2, metavar=("FOLDER", "PID"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sample:
        sample(Path(arguments.sample[0]), int(arguments.sample[1]))
        return
    with tempfile.TemporaryDirectory() as temporary:
        with fill_without_budget(Path(temporary) / "day.lance", 24.0, arguments.picture_bytes) as day:
            day.compact()
            day_bytes = size_on_disk(day.path)
        fill_without_budget(Path(temporary) / "hour.lance", 1.0, arguments.picture_bytes).close()
        budget = int(day_bytes * arguments.days * arguments.share)
        print(
            f"a day of {len(STREAMS)} streams takes {day_bytes / 1e6:.0f} MB, {arguments.days:g} days would take"
            f" {day_bytes * arguments.days / 1e9:.2f} GB; the budget is {budget / 1e6:.0f} MB",
            flush=True,
        )
        folder = Path(temporary) / "month.lance"
        with MemoryStore.open(
            folder, write=True, encoder=LifeEncoder(), budget_bytes=budget, keep_versions_s=1.0
        ) as store:
            moments, sampled, seconds = write_days(store, folder, arguments.days, arguments.picture_bytes)
            report(store, arguments.days, moments, seconds, sampled, budget)
        compare(Path(temporary), arguments.days, arguments.repeats)


def write_days(
    store: MemoryStore, folder: Path, days: float, picture_bytes: int
) -> tuple[int, dict[str, object], float]:
    """Write the days. Returns the number of moments, the samples, and the seconds it took."""
    import os

    sampler = subprocess.Popen(
        [sys.executable, __file__, "--sample", str(folder), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sampler.stdin is not None
    start_s, next_day = time.perf_counter(), 1

    def on_batch(until_s: float) -> None:
        nonlocal next_day
        if until_s >= next_day * 86_400:
            assert sampler.stdin is not None
            print(next_day, file=sampler.stdin, flush=True)
            print(f"  day {next_day}: {time.perf_counter() - start_s:.0f} s", file=sys.stderr, flush=True)
            next_day += 1

    moments = fill(store, STREAMS, days * 24, picture_bytes=picture_bytes, batch=256, on_batch=on_batch)
    seconds = time.perf_counter() - start_s
    out, _ = sampler.communicate()
    return moments, json.loads(out), seconds


def report(
    store: MemoryStore, days: float, moments: int, seconds: float, sampled: dict[str, object], budget: int
) -> None:
    """Print the speed, the disk and RAM use, and the coverage of each stream."""
    most_bytes, rss = int(str(sampled["most_bytes"])), [float(str(mark)) for mark in sampled["rss_bytes"]]  # type: ignore[attr-defined]
    print(
        f"{moments:,} moments in {seconds / 60:.1f} minutes: {days * 86_400 * len(STREAMS) / seconds:.0f} times as fast"
        " as real time"
    )
    print(
        f"disk: at most {most_bytes / 1e6:.1f} MB in {sampled['samples']:,} samples,"
        f" {most_bytes / budget:.3f} of the budget" + (": OVER IT" if most_bytes > budget else "")
    )
    if len(rss) >= 6:
        third = len(rss) // 3
        first, last = max(rss[third : 2 * third]), max(rss[-third:])
        print(
            f"RAM: at most {first / 1e6:.0f} MB in the second third of the days, {last / 1e6:.0f} MB in the last:"
            f" {last / first:.2f}x"
        )
    snapshot = store.snapshot()
    for stream in STREAMS:
        full_span = Span(0.0, days * 86_400)
        coverage, counts = snapshot.coverage(stream, full_span), snapshot.counts(stream)
        gaps_s = sum(gap.span.duration_s for gap in coverage.gaps)
        missing_s = full_span.duration_s - coverage.watched_s - gaps_s
        lost_hours: dict[str, float] = {}
        for tombstone in snapshot.tombstones(stream):
            lost_hours[tombstone.lost] = (
                lost_hours.get(tombstone.lost, 0.0) + tombstone.span.duration_s / 3600
            )
        hours = ", ".join(f"{name}s of {value:.0f} h" for name, value in lost_hours.items())
        print(
            f"{stream}: {missing_s:.3f} s unaccounted for; {gaps_s / 60:.0f} min of gaps; forgotten: {hours};"
            f" {counts.captured:,} frames, {'balanced' if counts.balanced else 'NOT BALANCED'}"
        )
    account = store.account()
    print(f"words { ({rung: f'{size / 1e6:.1f} MB' for rung, size in account.words.items()}) }")
    print(f"pictures { ({rung: f'{size / 1e6:.1f} MB' for rung, size in account.pictures.items()}) }")
    print(f"indexes {account.indexes / 1e6:.1f} MB, old versions {account.old_versions / 1e6:.1f} MB")


def compare(folder: Path, days: float, repeats: int) -> None:
    """Print the search times in the memory of all days and in that of one hour."""
    lengths = {"hour": 1.0, "month": days * 24}
    stores = {name: MemoryStore.open(folder / f"{name}.lance", encoder=LifeEncoder()) for name in lengths}
    times_ms: dict[str, list[float]] = {name: [] for name in lengths}
    for repeat in range(repeats + 2):
        for name, store in stores.items():
            times = search_times_ms(store, lengths[name])
            if repeat >= 2:
                times_ms[name] += times
    for name, times in times_ms.items():
        print(f"searching the {name}: median {statistics.median(times):.1f} ms, p95 {p95(times):.1f} ms")
    print(
        f"p95 of the {days:g} days over that of one hour: {p95(times_ms['month']) / p95(times_ms['hour']):.2f}x"
    )
    for store in stores.values():
        store.close()


if __name__ == "__main__":
    main()
