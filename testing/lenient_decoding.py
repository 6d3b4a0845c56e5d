"""Lenient decoding: how many seconds of a damaged video any decoder could show, to compare coverage with.

    shown = lenient_decode(Path("damaged.mp4"))
    shown.seconds       # 7.4

It is plain PyAV, which goes on after errors and believes every frame, in a process of its own with limits.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_LIMIT_S = 30.0

_PROGRAM = """
import json, sys
import av
try:
    import resource
    resource.setrlimit(resource.RLIMIT_DATA, (1280 << 20, 1280 << 20))
except (ImportError, ValueError):
    pass
times = {}
try:
    with av.open("file:" + sys.argv[1], metadata_errors="replace") as container:
        streams = container.streams.video
        packets = container.demux(streams)
        failures = 0
        while failures < 100:
            try:
                packet = next(packets)
                failures = 0
            except StopIteration:
                break
            except av.FFmpegError:
                failures += 1
                packets = container.demux(streams)
                continue
            try:
                times.setdefault(packet.stream.index, []).extend(frame.time for frame in packet.decode())
            except av.FFmpegError:
                pass
except Exception:
    pass
print(json.dumps(max(times.values(), key=len, default=[])))
"""


@dataclass(frozen=True, slots=True)
class LenientDecode:
    """What a lenient decoder shows of a file."""

    frames: int
    seconds: float
    """The time for which its frames are shown. A hole of more than a second, or three usual steps, shows nothing."""


def lenient_decode(path: Path, fps: float = 25.0) -> LenientDecode | None:
    """Decode a file that was made with ``fps``. None if the decoder died or took too long."""
    try:
        run = subprocess.run(
            [sys.executable, "-I", "-c", f"import sys; sys.path[:] = {sys.path!r}\n{_PROGRAM}", str(path)],
            capture_output=True,
            timeout=_LIMIT_S,
            check=True,
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return None
    times: list[float | None] = json.loads(run.stdout)
    known = sorted(time_s for time_s in times if time_s is not None)
    steps = [later - earlier for earlier, later in itertools.pairwise(known) if later > earlier]
    # Where times are damaged, the number of frames still tells; where the rate is, the times do.
    usual_s = statistics.median(steps) if steps else 1 / fps
    by_times_s = sum(min(step, max(1.0, 3 * usual_s)) for step in steps) + usual_s
    return LenientDecode(len(times), max(len(times) / fps, by_times_s if times else 0.0))
