"""Watches mutated video files of ten containers, and compares what is told of them with a lenient decoder.

    python benchmarks/fuzz_files.py [--files 2000] [--seed 17] [--from 0] [--jobs 2]

File N is the Nth mutation of the container N modulo 10. ``--files 1 --from N`` repeats one. The table counts, for
each container, what became of the files. Problems follow, one a line: a crash, a hang, an error that is not ours,
or more seconds told as seen than a lenient decoder shows (by more than a second). The peak RSS is of the processes
that decode and of those that watch.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from recollect.perception.sources.decoder_process import end_idle_processes
from recollect.testing.mutated_videos import CONTAINERS, write_clean
from recollect.testing.mutated_watching import MutatedResult, watch_mutated

MAX_RSS_BYTES = 1_500_000_000
_BATCH = 20


def watch_batch(task: tuple[str, int, range]) -> list[MutatedResult]:
    """Watch the files with some numbers. Runs in a worker process."""
    folder, seed, indexes = Path(task[0]), task[1], task[2]
    names = tuple(CONTAINERS)
    results = []
    with tempfile.TemporaryDirectory() as mutated:
        for index in indexes:
            name = names[index % len(names)]
            clean = folder / f"clean {name}{CONTAINERS[name][0]}"
            results.append(watch_mutated(clean, Path(mutated), name, seed=seed, index=index))
    end_idle_processes()  # their peak RSS is known once they have ended
    return results


def print_table(results: Iterable[MutatedResult]) -> list[MutatedResult]:
    """Print the table. Returns the results with a problem."""
    by_container: dict[str, list[MutatedResult]] = defaultdict(list)
    for result in results:
        by_container[result.container].append(result)
    print(
        f"{'container':16} {'files':>6} {'watched':>8} {'gaps':>6} {'refused':>8} {'problems':>9} {'slowest':>8}"
    )
    for name, those in by_container.items():
        counts = Counter(result.outcome for result in those)
        problems = sum(result.problem is not None for result in those)
        refused = len(those) - counts["watched"] - counts["gaps"]
        slowest_s = max(result.seconds for result in those)
        print(
            f"{name:16} {len(those):6} {counts['watched']:8} {counts['gaps']:6} {refused:8} {problems:9} "
            f"{slowest_s:6.1f} s"
        )
    return [result for those in by_container.values() for result in those if result.problem is not None]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--from", dest="first", type=int, default=0, help="number of the first file")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    indexes = range(arguments.first, arguments.first + arguments.files)
    with tempfile.TemporaryDirectory() as folder:
        write_clean(Path(folder))
        tasks = [
            (folder, arguments.seed, indexes[start : start + _BATCH])
            for start in range(0, len(indexes), _BATCH)
        ]
        # A worker for each batch: what its decoders took is known once it has ended.
        context = multiprocessing.get_context("spawn")
        with context.Pool(arguments.jobs, maxtasksperchild=1) as pool:
            results = []
            for batch in pool.imap_unordered(watch_batch, tasks):
                results += batch
                for result in batch:
                    if result.problem is not None:
                        print(
                            f"{result.container} {result.index}: {result.problem} {result.mutations}",
                            flush=True,
                        )
            pool.close()
            pool.join()
    problems = print_table(results)
    peak_bytes = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(
        f"{len(problems)} problems; peak RSS {peak_bytes / 1e6:.0f} MB (at most {MAX_RSS_BYTES / 1e6:.0f} MB)"
    )
    return 1 if problems or peak_bytes > MAX_RSS_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
