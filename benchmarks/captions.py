"""Cost of describing while watching: without a video LMM, and with one that is offline, silent, or answers.

    python benchmarks/captions.py [--loops 6] [--repeats 3]

The film is the demo video, repeated. The server runs no model and has its own process, so the benchmark measures
queueing, requests and writing. The kinds of server take turns, and each figure is the median. A run is timed to the
end of the file and does not wait for later captions.
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

REPLY = json.dumps(
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
    "offline": LmmServer.refuse,
    "silent": LmmServer.stall,
    "answers at once": LmmServer.resume,
}


def serve(control: Connection) -> None:
    """Run the server, and set the fault that each received name stands for."""
    with LmmServer(REPLY) as server:
        control.send((server.url, server.model))
        while (name := control.recv()) is not None:
            server.resume()
            if (fault := SERVERS[name]) is not None:
                fault(server)
            control.send(None)


def repeat_video(video: Path, loops: int, path: Path) -> Path:
    """Repeat the video ``loops`` times, with its packets copied unchanged. Returns ``path``."""
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
    commands, control = multiprocessing.Pipe()
    serving = multiprocessing.get_context("spawn").Process(target=serve, args=(control,))
    serving.start()
    url, model = commands.recv()
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(folder) / "demo.mp4"
        render_demo(demo)
        film = repeat_video(demo, arguments.loops, Path(folder) / "film.mp4")
        for repeat in range(arguments.repeats):
            for name, fault in SERVERS.items():
                commands.send(name)
                commands.recv()
                lmm = LmmSettings(url=None if fault is None else url, model=model)
                with Recollect(Path(folder) / f"{name} {repeat}", lmm=lmm) as memory:
                    start_s = time.process_time()
                    wall[name].append(
                        memory.watch(film, options=WatchOptions(ocr=False, drain=False)).seconds
                    )
                    cpu[name].append(time.process_time() - start_s)
    commands.send(None)
    serving.join()
    for name, times_s in wall.items():
        print(
            f"{name:>16}: {statistics.median(times_s):.1f} s ({min(times_s):.1f} to {max(times_s):.1f}), "
            f"{statistics.median(cpu[name]):.1f} s of CPU time"
        )


if __name__ == "__main__":
    main()
