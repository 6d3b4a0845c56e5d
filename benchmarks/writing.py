"""What it costs to remember as it comes: 8 moments a commit, with words, vectors and pictures.

    python benchmarks/writing.py [--days 3] [--commits 2000] [--picture-bytes 2000]

A memory is filled with simulated lives and optimised. Then moments are appended in the streaming pattern, first
as fast as it goes, then at twenty times the pace of ten cameras, while a second process searches. What counts:
the rate against what ten cameras need, the bytes written (as the system counts them) against those of the rows,
and how long searches take beside it, and of what it leaves, against the same searches of the same memory optimised.
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
"""Moments of a commit."""
CAMERAS = 10
NEEDED = CAMERAS / 5.0
"""Moments a second of ten cameras: one in five seconds each."""
PACE = 20 * NEEDED
WORDS = (
    "a tall red shape enters from the left", "coffee sold out", "two for one bread", "somebody stays in the middle",
    "the blue shape leaves", "very dark and nothing moves", "new candles", "a wide green shape on the right",
)  # fmt: skip


def written_bytes() -> int:
    """What this process has handed to the system to write."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


def payload_bytes(batch: list[SimulatedMoment], dim: int) -> tuple[int, int]:
    """The bytes of the rows of memories with their vectors, and of the pictures."""
    rows = [row for seen in batch for row in observation_rows(seen.moment)]
    pictures = [frame_row(frame, 0.0) for seen in batch for frame in seen.frames]
    own = pa.Table.from_pylist(rows, schema=schema.OBSERVATIONS).nbytes
    vectors = (len(rows) + len(pictures)) * (4 * dim + 100)
    return own + vectors, pa.Table.from_pylist(pictures, schema=schema.FRAMES).nbytes


def batches(life: Iterator[SimulatedMoment]) -> Iterator[list[SimulatedMoment]]:
    while batch := list(itertools.islice(life, ROWS)):
        yield batch


def search_all(store: MemoryStore, until_s: float) -> list[float]:
    """How long each of some searches takes, in seconds: filtered, by words, by vectors and by pictures at once."""
    taken = []
    for number, words in enumerate(WORDS):
        span = Span(until_s * number / 16, until_s) if number % 2 else None
        begun = time.perf_counter()
        hits = store.snapshot().search(words, streams=["shop"], span=span, rungs=("moment",), limit=10)
        taken.append(time.perf_counter() - begun)
        assert hits
    return taken


def searcher(folder: str, until_s: float) -> None:
    """A process of its own that searches until its input ends, and prints how long each search took."""
    taken: list[float] = []
    with MemoryStore.open(folder, encoder=LifeEncoder()) as store:
        for _ in range(5):
            search_all(store, until_s)
        print("ready", flush=True)
        asked = json.loads(sys.stdin.readline())
        end = time.monotonic() + asked
        while time.monotonic() < end:
            taken += search_all(store, until_s)
            time.sleep(0.25)
    print(json.dumps(taken), flush=True)


def timed_searches(folder: Path, until_s: float, seconds: float) -> subprocess.Popen[str]:
    """Have another process search for so long; its last line is what it measured."""
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
    """Median and 95th percentile of a search, in milliseconds."""
    out, _ = process.communicate()
    taken = json.loads(out.splitlines()[-1])
    return 1e3 * statistics.median(taken), 1e3 * statistics.quantiles(taken, n=20)[-1]


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
        searcher(arguments.search[0], float(arguments.search[1]))
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
                """What is appended, made beforehand: a camera's worker makes it while it waits."""
                made = []
                for batch in itertools.islice(chunks, count):
                    for place, size in enumerate(payload_bytes(batch, encoder.dim)):
                        sizes[place] += size
                    rows = [
                        one for seen in batch for one in (seen.moment, *ladder.push(seen.moment, seen.frames))
                    ]
                    made.append((rows, [frame for seen in batch for frame in seen.frames]))
                return made

            fast = prepared(arguments.commits)
            of_rows, of_pictures = sizes
            written, begun = written_bytes(), time.perf_counter()
            append(store, fast, None)
            rate, written = len(fast) * ROWS / (time.perf_counter() - begun), written_bytes() - written
            print(
                f"\nas fast as it goes: {rate:.0f} moments/s, {rate / NEEDED:.0f}x what {CAMERAS} cameras need"
            )
            print(
                f"written {written / 1e6:.0f} MB for rows of {of_rows / 1e6:.0f} MB and pictures of"
                f" {of_pictures / 1e6:.0f} MB: {written / (of_rows + of_pictures):.2f}x"
            )
            paced = prepared(int(arguments.seconds * PACE / ROWS))
            searching = timed_searches(folder, hours * 3600, arguments.seconds)
            taken = append(store, paced, PACE)
            beside = result(searching)
            left = result(timed_searches(folder, hours * 3600, arguments.seconds))
            store.maintain()
            after = result(timed_searches(folder, hours * 3600, arguments.seconds))
            print(f"\nat {PACE:.0f} moments/s, an append: median {1e3 * statistics.median(taken):.1f} ms, "
                  f"p95 {1e3 * statistics.quantiles(taken, n=20)[-1]:.1f} ms, most {1e3 * max(taken):.0f} ms")  # fmt: skip
            for when, found in (
                ("beside it", beside),
                ("as that left it", left),
                ("freshly optimised", after),
            ):
                print(
                    f"searching {when}: median {found[0]:.1f} ms, p95 {found[1]:.1f} ms,"
                    f" {found[1] / after[1]:.2f}x that of the optimised memory"
                )


def append(store: MemoryStore, commits: list[Commit], pace: float | None) -> list[float]:
    """Append them, at so many moments a second or as fast as it goes; how long each took, in seconds."""
    taken = []
    begun = time.perf_counter()
    for at, (moments, frames) in enumerate(commits):
        if pace is not None:
            time.sleep(max(0.0, begun + at * ROWS / pace - time.perf_counter()))
        started = time.perf_counter()
        store.append(moments, frames)
        taken.append(time.perf_counter() - started)
    return taken


if __name__ == "__main__":
    main()
