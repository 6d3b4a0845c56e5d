"""Cost of continuous writing: commits of 8 moments with words, vectors and pictures.

    python benchmarks/writing.py [--days 3] [--commits 2000] [--picture-bytes 2000]

A memory is filled with simulated moments and optimised. Then moments are appended in the streaming pattern: first as
fast as possible, then at twenty times the rate of ten cameras while a second process searches. The results are the
rate compared with the need of ten cameras, the bytes written (as counted by the system) compared with those of the
rows, and the search times during and after writing compared with those of the optimised memory.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from recollect.memory import KeyFrame, MemoryStore, Moment
from recollect.memory.ladder.builder import Ladder
from recollect.memory.storage import schema
from recollect.memory.storage.rows import frame_row, observation_rows
from recollect.memory.values import Span
from recollect.testing.simulated_months import LifeEncoder, SimulatedMoment, fill, lived

Commit = tuple[list[Moment], list[KeyFrame]]
ROWS = 8
"""Moments per commit."""
CAMERAS = 10
CAMERA_RATE = CAMERAS / 5.0
"""Moments per second of all cameras. Each camera yields one in five seconds."""
PACE = 20 * CAMERA_RATE
WORDS = (
    "a tall red shape enters from the left", "coffee sold out", "two for one bread", "somebody stays in the middle",
    "the blue shape leaves", "very dark and nothing moves", "new candles", "a wide green shape on the right",
)  # fmt: skip


def written_bytes() -> int:
    """The bytes that this process has passed to the system to write."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


def payload_bytes(batch: list[SimulatedMoment], dim: int) -> tuple[int, int]:
    """The bytes of the observations with all vectors, and of the pictures."""
    rows = [row for item in batch for row in observation_rows(item.moment)]
    pictures = [frame_row(frame, 0.0) for item in batch for frame in item.frames]
    row_bytes = pa.Table.from_pylist(rows, schema=schema.OBSERVATIONS).nbytes
    vectors = (len(rows) + len(pictures)) * (4 * dim + 100)
    return row_bytes + vectors, pa.Table.from_pylist(pictures, schema=schema.FRAMES).nbytes


def batches(life: Iterator[SimulatedMoment]) -> Iterator[list[SimulatedMoment]]:
    while batch := list(itertools.islice(life, ROWS)):
        yield batch


def search_all(store: MemoryStore, until_s: float) -> list[float]:
    """The times of hybrid searches in seconds. Half of them are filtered by a time span."""
    times_s = []
    for number, words in enumerate(WORDS):
        span = Span(until_s * number / 16, until_s) if number % 2 else None
        start_s = time.perf_counter()
        hits = store.snapshot().search(words, streams=["shop"], span=span, rungs=("moment",), limit=10)
        times_s.append(time.perf_counter() - start_s)
        assert hits
    return times_s


def run_searches(folder: str, until_s: float) -> None:
    """Search in this process for the seconds read from standard input, and print the times of all searches."""
    times_s: list[float] = []
    with MemoryStore.open(folder, encoder=LifeEncoder()) as store:
        for _ in range(5):
            search_all(store, until_s)
        print("ready", flush=True)
        duration_s = json.loads(sys.stdin.readline())
        end = time.monotonic() + duration_s
        while time.monotonic() < end:
            times_s += search_all(store, until_s)
            time.sleep(0.25)
    print(json.dumps(times_s), flush=True)


def start_searches(folder: Path, until_s: float, seconds: float) -> subprocess.Popen[str]:
    """Start a process that searches for ``seconds``. Its last line holds the times."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--search", str(folder), str(until_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    print(json.dumps(seconds), file=process.stdin, flush=True)
    return process


def result(process: subprocess.Popen[str]) -> tuple[float, float]:
    """The median and the 95th percentile of the search times, in milliseconds."""
    out, _ = process.communicate()
    times_s = json.loads(out.splitlines()[-1])
    return 1e3 * statistics.median(times_s), 1e3 * statistics.quantiles(times_s, n=20)[-1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=float, default=3.0)
    parser.add_argument("--commits", type=int, default=2000)
    parser.add_argument("--picture-bytes", type=int, default=2000)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="how long searches are measured each time"
    )
    parser.add_argument("--search", nargs=2, metavar=("MEMORY", "UNTIL_S"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.search:
        run_searches(arguments.search[0], float(arguments.search[1]))
        return
    encoder = LifeEncoder()
    hours = arguments.days * 24
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "memory.lance"
        with MemoryStore.open(folder, write=True, encoder=encoder, keep_versions_s=5.0) as store:
            moments = fill(
                store, ["shop"], hours, picture_bytes=arguments.picture_bytes, batch=256, outages_a_day=0
            )
            store.maintain()
            print(f"{moments:,} moments, {moments / hours:.0f} an hour")
            life = lived(1, 1e6, "stall", picture_bytes=arguments.picture_bytes, outages_a_day=0)
            ladder = Ladder("stall")
            sizes = [0, 0]
            chunks = batches(life)  # type: ignore[arg-type]  # without outages there are no gaps

            def prepared(count: int) -> list[Commit]:
                """The rows of ``count`` commits, made before the timing, as a camera's worker makes them while it waits."""
                commits = []
                for batch in itertools.islice(chunks, count):
                    for column, size in enumerate(payload_bytes(batch, encoder.dim)):
                        sizes[column] += size
                    rows = [
                        moment
                        for item in batch
                        for moment in (item.moment, *ladder.push(item.moment, item.frames))
                    ]
                    commits.append((rows, [frame for item in batch for frame in item.frames]))
                return commits

            fast = prepared(arguments.commits)
            row_bytes, picture_bytes = sizes
            written, start_s = written_bytes(), time.perf_counter()
            append(store, fast, None)
            rate, written = len(fast) * ROWS / (time.perf_counter() - start_s), written_bytes() - written
            print(
                f"\nas fast as possible: {rate:.0f} moments/s, {rate / CAMERA_RATE:.0f}x what {CAMERAS} cameras need"
            )
            print(
                f"written {written / 1e6:.0f} MB for rows of {row_bytes / 1e6:.0f} MB and pictures of"
                f" {picture_bytes / 1e6:.0f} MB: {written / (row_bytes + picture_bytes):.2f}x"
            )
            paced = prepared(int(arguments.seconds * PACE / ROWS))
            searching = start_searches(folder, hours * 3600, arguments.seconds)
            times_s = append(store, paced, PACE)
            during = result(searching)
            fragmented = result(start_searches(folder, hours * 3600, arguments.seconds))
            store.maintain()
            optimised = result(start_searches(folder, hours * 3600, arguments.seconds))
            print(f"\nat {PACE:.0f} moments/s, an append: median {1e3 * statistics.median(times_s):.1f} ms, "
                  f"p95 {1e3 * statistics.quantiles(times_s, n=20)[-1]:.1f} ms, most {1e3 * max(times_s):.0f} ms")  # fmt: skip
            for phase, (median_ms, p95_ms) in (
                ("during writing", during),
                ("after writing", fragmented),
                ("after optimising", optimised),
            ):
                print(
                    f"searching {phase}: median {median_ms:.1f} ms, p95 {p95_ms:.1f} ms,"
                    f" {p95_ms / optimised[1]:.2f}x that of the optimised memory"
                )


def append(store: MemoryStore, commits: list[Commit], pace: float | None) -> list[float]:
    """Append commits, ``pace`` moments per second or as fast as possible. Returns the seconds of each."""
    times_s = []
    start_s = time.perf_counter()
    for number, (moments, frames) in enumerate(commits):
        if pace is not None:
            time.sleep(max(0.0, start_s + number * ROWS / pace - time.perf_counter()))
        append_start_s = time.perf_counter()
        store.append(moments, frames)
        times_s.append(time.perf_counter() - append_start_s)
    return times_s


if __name__ == "__main__":
    main()
