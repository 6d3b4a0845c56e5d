"""What describing costs watching: a film with no video LMM, with one that is away, is silent, or answers.

    python benchmarks/captions.py [--loops 6] [--repeats 3]

The film is the demo video so many times over. The server knows no model and runs in a process of its
own, so what is measured is queueing, asking and writing. The kinds of server take turns, and each
figure is the median. Watching is timed to the end of the file; captions that come later are not waited
for.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import av

from recollect import Recollect, WatchOptions
from recollect.perception.lmm.lmm_settings import LmmSettings
from recollect.testing.lmm_server import LmmServer
from recollect.worlds.demo_video import render_demo

SAYS = json.dumps(
    {
        "caption": "A tall figure in grey walks from the left to the counter and puts a parcel down.",
        "actors": ["a tall figure in grey"],
        "actions": ["walks to the counter", "puts a parcel down"],
        "objects": ["parcel", "counter"],
        "place": "a shop",
        "visible_text": ["OPEN 9-17"],
    }
)
SERVERS: dict[str, Callable[[LmmServer], None] | None] = {
    "no video LMM": None,
    "away": LmmServer.refuse,
    "silent": LmmServer.stall,
    "answers at once": LmmServer.resume,
}


def serve(told: Connection) -> None:
    """Serve, and behave as told."""
    with LmmServer(SAYS) as server:
        told.send((server.url, server.model))
        while (name := told.recv()) is not None:
            server.resume()
            if (fault := SERVERS[name]) is not None:
                fault(server)
            told.send(None)


def looped(video: Path, loops: int, path: Path) -> Path:
    """The video so many times over, its packets copied as they are."""
    with av.open(str(path), "w") as out:
        written, offset = None, 0
        for _ in range(loops):
            with av.open(str(video)) as source:
                stream = source.streams.video[0]
                written = written or out.add_stream_from_template(stream)
                for packet in source.demux(stream):
                    if packet.dts is not None and packet.pts is not None:
                        packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                        packet.stream = written
                        out.mux(packet)
                offset += stream.duration or 0
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--loops", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    wall: dict[str, list[float]] = defaultdict(list)
    cpu: dict[str, list[float]] = defaultdict(list)
    tell, told = multiprocessing.Pipe()
    serving = multiprocessing.get_context("spawn").Process(target=serve, args=(told,))
    serving.start()
    url, model = tell.recv()
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(folder) / "demo.mp4"
        render_demo(demo)
        film = looped(demo, arguments.loops, Path(folder) / "film.mp4")
        for repeat in range(arguments.repeats):
            for name, fault in SERVERS.items():
                tell.send(name)
                tell.recv()
                lmm = LmmSettings(url=None if fault is None else url, model=model)
                with Recollect(Path(folder) / f"{name} {repeat}", lmm=lmm) as memory:
                    before = time.process_time()
                    wall[name].append(
                        memory.watch(film, options=WatchOptions(ocr=False, drain=False)).seconds
                    )
                    cpu[name].append(time.process_time() - before)
    tell.send(None)
    serving.join()
    for name, taken in wall.items():
        print(
            f"{name:>16}: {statistics.median(taken):.1f} s ({min(taken):.1f} to {max(taken):.1f}), "
            f"{statistics.median(cpu[name]):.1f} s of CPU time"
        )


if __name__ == "__main__":
    main()
