"""Many streams at once: the cost for other sources when one camera is killed and another one is erased.

    python benchmarks/many_streams.py [--rounds 2] [--film-s 400]

One process watches four films and two cameras into one memory, while another process asks questions. Undisturbed runs
take turns with runs in which one camera is killed and the other is erased while the films are watched. The benchmark
compares the time until all films are watched. Every film must be stored completely in each run.

An erasure rewrites the files of the memory once, which takes about half a second however long the films are. With films
of 240 s, which are watched in five seconds, that alone is more than the limit.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from recollect.testing.many_streams import FILMS, ManyStreams, ManyStreamsRun

MAX_SLOWDOWN = 0.05


def is_complete(run: ManyStreamsRun, film_s: float) -> bool:
    """Whether every frame of every film is accounted for, and every question was answered."""
    reports = [run.reports[name] for name in FILMS]
    frames = all(report.counts.captured == int(film_s * 10) and report.counts.balanced for report in reports)
    return frames and all(report.state == "done" for report in reports) and not run.errors


def main() -> int:
    """Measure and print. Returns 1 if data was lost or the other sources were too slow."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--film-s", type=float, default=400.0)
    arguments = parser.parse_args()
    seconds: dict[bool, list[float]] = {False: [], True: []}
    complete = True
    with tempfile.TemporaryDirectory() as scratch:
        scenario = ManyStreams(Path(scratch), film_s=arguments.film_s)
        for number in range(arguments.rounds):
            # In turns, so that other load on the machine affects both.
            for disturbed in (False, True) if number % 2 == 0 else (True, False):
                run = scenario.run(f"{number}-{disturbed}", disturbed=disturbed)
                seconds[disturbed].append(run.film_seconds)
                complete = complete and is_complete(run, arguments.film_s)
                kind = "disturbed" if disturbed else "calm"
                print(
                    f"{kind:9} {run.film_seconds:6.2f} s  {run.commits:4} commits  {len(run.answers):3} answers"
                    f"  {len(run.errors)} failed questions",
                    flush=True,
                )
    calm_s, disturbed_s = (statistics.median(seconds[disturbed]) for disturbed in (False, True))
    ratio = disturbed_s / calm_s
    print(f"median calm {calm_s:.2f} s, disturbed {disturbed_s:.2f} s: {ratio:.3f} times")
    print(f"nothing lost: {complete}")
    return 0 if complete and ratio <= 1 + MAX_SLOWDOWN else 1


if __name__ == "__main__":
    sys.exit(main())
