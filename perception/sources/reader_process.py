"""The reader process of a live source, as its parent sees it.

    child = ReaderProcess(ReaderTask("rtsp://camera/1", fps=4, open_s=10, stall_s=5))
    match child.receive(timeout_s=0.1):
        case ReceivedFrame(): ...
        case ReceivedPackets(): ...     # packets arrive, whether or not they can be decoded
        case "started": ...     # the process runs and is connecting
        case "ended": ...       # child.cause and child.detail give the reason
        case None: ...          # nothing yet
    child.kill()

``kill`` works even where the decoder hangs. The child's own code is in ``reader_child``.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

from .ffmpeg_log import FfmpegLog
from .live_opening import CAUSES
from .reader_child import BOOTSTRAP, FRAMES_IN_FLIGHT
from .reader_messages import (
    ReaderTask,
    ReceivedFrame,
    ReceivedPackets,
    checked_losses,
    read_message,
)

_TERMINATE_S = 2.0
"""How long a child may take to end before it is killed."""

_INBOX = 2 * FRAMES_IN_FLIGHT
"""More messages than a child sends without an acknowledgement, unless its decoder was taken over."""

_TICK_S = 0.1
_MAX_DETAIL = 300
"""Characters of a detail that are kept."""
_WITHOUT_A_WORD = "the reader process ended without a word"

_Item = ReceivedFrame | ReceivedPackets | Literal["started", "ended"]


class ReaderProcess:
    """The reader process, and a thread that receives its messages."""

    def __init__(self, task: ReaderTask) -> None:
        self.cause, self.detail = "crashed", _WITHOUT_A_WORD
        self.is_recording = False
        """Whether the source has a known length."""
        self.lost: Mapping[str, int] = {}
        self._inbox: queue.Queue[_Item] = queue.Queue(_INBOX)
        self._is_killed = self._is_explained = False
        self._has_frame_in_hand = False
        # A session of its own: Ctrl-C in a terminal must reach only the parent.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", BOOTSTRAP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            # The URL may come from a variable, and the user's other processes can read a child's environment.
            env={name: value for name, value in os.environ.items() if task.url not in value},
        )
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(task.to_line())
            self._process.stdin.flush()
        assert self._process.stderr is not None
        self._log = FfmpegLog()
        self._threads = (
            threading.Thread(target=self._receive_all, daemon=True),
            threading.Thread(target=self._log.read_all, args=(self._process.stderr,), daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def receive(self, timeout_s: float) -> _Item | None:
        """The next message. None if none came in time. The frame before it counts as dealt with."""
        if self._has_frame_in_hand:
            self._acknowledge()
        try:
            received = self._inbox.get(timeout=timeout_s)
        except queue.Empty:
            return None
        self._has_frame_in_hand = isinstance(received, ReceivedFrame)
        return received

    def fail(self, cause: str, detail: str) -> None:
        """Note why no more frames come from the process."""
        self.cause, self.detail = cause, detail

    def finish(self) -> None:
        """Have the process send the frames that it has read, and end."""
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def kill(self) -> None:
        """End the process, even if it hangs. May be called twice."""
        self._is_killed = True
        self.finish()
        self._process.terminate()
        try:
            self._process.wait(_TERMINATE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        self._explain()

    def _explain(self) -> None:
        """Add to the detail what the log and the exit of the process tell, once it has ended."""
        if self._is_explained:
            return
        self._is_explained = True
        code = self._process.returncode
        if self.detail == _WITHOUT_A_WORD and code < 0:
            with suppress(ValueError):
                self.detail = f"the reader process was ended by {signal.Signals(-code).name}"
        elif reason := self._log.reason():
            self.detail = f"{reason} ({self.detail})"

    def _acknowledge(self) -> None:
        """Tell the process that a frame was dealt with. It sends only a few ahead."""
        self._has_frame_in_hand = False
        with suppress(OSError, ValueError):  # the process has ended, or was told to finish
            assert self._process.stdin is not None
            self._process.stdin.write(b".")
            self._process.stdin.flush()

    def _receive_all(self) -> None:
        assert self._process.stdout is not None
        try:
            while (received := read_message(self._process.stdout)) is not None:
                self._take(*received)
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
            self.fail("crashed", "the reader process sent an invalid message")
        self._put("ended")

    def _take(self, message: dict[str, Any], blob: bytes) -> None:
        match message["kind"]:
            case "frame":
                self._put(ReceivedFrame.from_message(message, blob))
            case "packets":
                self._put(ReceivedPackets.from_message(message))
            case "opened":
                self.is_recording = bool(message["is_recording"])
            case "started":
                self._put("started")
            case "ended":
                cause, detail = message["cause"], str(message["detail"])
                self.fail(cause if cause in CAUSES else "crashed", detail[:_MAX_DETAIL])
                self.lost = checked_losses(message["lost"])
            case _:
                raise ValueError("a message of an unknown kind")

    def _put(self, item: _Item) -> None:
        while not self._is_killed:
            with suppress(queue.Full):
                self._inbox.put(item, timeout=_TICK_S)
                return
