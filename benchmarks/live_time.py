"""Live time: how true the time of live streams is, measured for some minutes on loopback.

    python benchmarks/live_time.py --minutes 20
    python benchmarks/live_time.py --minutes 2 --only rtsp hls

Cameras with clocks that are slow, fast, made up or begun anew draw the time into their pictures. All are watched
at once, into a real memory. For each the table says how far stream time was from the time in the pictures, and
whether every second is accounted for.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from recollect.testing.live_time import CAMERAS, measure

HEADER = (
    "| camera | frames | worst \\|stream − wall\\| s | median s | outages | repeats | "
    "ingested + gaps − wall s | longest moment s |\n|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--only", nargs="*", default=[""], help="beginnings of names of cameras")
    arguments = parser.parse_args()
    names = [name for name in CAMERAS if name.startswith(tuple(arguments.only))]
    with tempfile.TemporaryDirectory() as folder:
        results = measure(names, 60.0 * arguments.minutes, Path(folder))
    print(HEADER)
    for result in results:
        print(result.row())
    for result in results:
        for gap in result.gaps:
            print(f"{result.camera}: gap {gap}")


if __name__ == "__main__":
    main()
