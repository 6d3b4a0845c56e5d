"""Overload: four cameras on one core beside busy loops. What was not seen must be told as not seen.

    python benchmarks/overload.py [--minutes 5] [--cameras 4] [--fps 25] [--size 1280x720]

The process that watches, its reader processes and two busy loops are bound to one core. For each camera the benchmark
prints the seconds at each rate and of gaps, the stretches above a second without an examined frame that are no gap,
whatever else the memory tells untruly, and the worst lag: how far an examined frame was behind the wall clock. It
needs Linux and at least two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from recollect.testing.overload import CameraResult, OverloadScenario

MAX_LAG_S = 10.0


def is_true(camera: CameraResult) -> bool:
    """Whether the memory tells of a camera what was seen, and no more."""
    return camera.frames > 0 and not camera.untold_holes and not camera.faults


def main() -> int:
    """Watch and print. Returns 1 if something is told untruly, or a camera lags too far behind."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--busy-loops", type=int, default=2)
    arguments = parser.parse_args()
    width, _, height = arguments.size.partition("x")
    with tempfile.TemporaryDirectory() as scratch:
        cameras = OverloadScenario(
            Path(scratch),
            cameras=arguments.cameras,
            watch_s=60.0 * arguments.minutes,
            fps=arguments.fps,
            size=(int(width), int(height)),
            busy_loops=arguments.busy_loops,
        ).run()
    for camera in cameras:
        print(f"{camera.stream}: {camera.frames} frames examined, {camera.rate_changes} changes of the rate")
        for rate, seconds in camera.rates.items():
            print(f"  {seconds:7.1f} s at {rate}")
        for cause, seconds in camera.gap_s.items():
            print(f"  {seconds:7.1f} s of gaps: {cause}")
        print(f"  untold holes: {camera.untold_holes or 0}; worst lag: {camera.worst_lag_s:.1f} s")
        for fault in camera.faults:
            print(f"  untrue: {fault}")
    is_in_time = all(camera.worst_lag_s < MAX_LAG_S for camera in cameras)
    return 0 if cameras and all(map(is_true, cameras)) and is_in_time else 1


if __name__ == "__main__":
    sys.exit(main())
