"""The decoder process: does jobs on untrusted files, each in a fork of its own with limits.

    python -c "<BOOTSTRAP>"     # then, on its standard input: one line of JSON for each job

It loads the decoders once, and forks for each job. So a job starts in milliseconds, and no file meets the remains
of another. The fork reads requests from standard input until the request "close", and writes messages to standard
output. If the fork dies, this process ends with the reason in its exit status. Without ``fork`` (on Windows), a
process does one job and ends.

The parent's side is in ``decoder_process``.
"""

from __future__ import annotations

import gc
import json
import mmap
import os
import queue
import select
import sys
import threading
from collections.abc import Callable
from typing import IO, Any, NoReturn

import cv2
import numpy as np
from numpy.typing import NDArray

from .audio_server import serve_sound
from .decoder_limits import allow_cpu_s, limit_process
from .frame_server import serve_file, serve_pictures
from .job_channel import SHARED_BYTES, JobChannel, failure_message
from .subtitle_server import serve_subtitles

IDLE_S = 10.0
"""After this long without a job, the process ends."""

BOOTSTRAP = (
    "import sys, json; job = json.loads(open(0, 'rb', buffering=0, closefd=False).readline()); sys.path[:] = job.pop('sys_path'); "
    f"from {__name__} import main; main(job)"
)
"""The program of the process's interpreter."""

DIED_OF_SIGNAL = 128
"""Added to the number of the signal that ended a fork, in the exit status. As shells do."""

JOBS: dict[str, Callable[..., None]] = {
    "file": serve_file,
    "pictures": serve_pictures,
    "sound": serve_sound,
    "subtitles": serve_subtitles,
}
"""The jobs by name. Each takes a channel and the values of its task."""


def main(job: dict[str, Any]) -> NoReturn:
    """Do the jobs that come on standard input. Never returns."""
    cv2.setNumThreads(1)  # threads would cost CPU, and could not be forked
    shared = _shared_memory(job.pop("shared_fd"))
    if not hasattr(os, "fork"):
        _work(job, shared)
    gc.freeze()  # a collection in a fork would copy all memory that it shares with this process
    next_job: dict[str, Any] | None = job
    while next_job is not None:
        pid = os.fork()
        if pid == 0:
            _work(next_job, shared)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            _end_process(DIED_OF_SIGNAL - status if status < 0 else status)
        next_job = _next_job()
    _end_process(0)


def _shared_memory(descriptor: int | None) -> NDArray[np.uint8] | None:
    """The memory that is shared with the parent. None where the system has none."""
    return None if descriptor is None else np.frombuffer(mmap.mmap(descriptor, SHARED_BYTES), np.uint8)


def _next_job() -> dict[str, Any] | None:
    """The next job. None if the parent has ended or sends none for a while."""
    if not select.select([sys.stdin], [], [], IDLE_S)[0]:
        return None
    line = _read_line()
    return json.loads(line) if line else None


def _read_line() -> bytes:
    """A line of standard input, and no byte beyond it, which is for a fork."""
    with open(0, "rb", buffering=0, closefd=False) as unbuffered:
        return unbuffered.readline()


def _end_process(status: int) -> NoReturn:
    """End at once, even if a decoder hangs in another thread."""
    os._exit(status)


def _work(job: dict[str, Any], shared: NDArray[np.uint8] | None) -> NoReturn:
    """Do one job until its parent closes it, and end the process."""
    try:
        limit_process()
        cpu_s = job.pop("cpu_s")
        os.chdir(job.pop("folder"))
        channel = JobChannel(sys.stdout.buffer, shared, lambda: allow_cpu_s(cpu_s))
        threading.Thread(
            target=_read_requests, args=(sys.stdin.buffer, channel.requests), daemon=True
        ).start()
        try:
            JOBS[job.pop("job")](channel, **job)
        except Exception as error:
            channel.send(failure_message(error))
            while channel.requests.get()["kind"] != "close":
                pass
        channel.send({"kind": "closed"})
    except OSError:
        pass  # the parent has ended
    except BaseException:
        _end_process(1)
    _end_process(0)


def _read_requests(requests_in: IO[bytes], requests: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in requests_in:
        request = json.loads(line)
        requests.put(request)
        if request["kind"] == "close":
            return
    _end_process(0)  # the parent has ended; the decoder may hang
