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
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal

from .reader_child import BOOTSTRAP, FRAMES_IN_FLIGHT
from .reader_messages import ReaderTask, ReceivedFrame, ReceivedPackets, read_message

_TERMINATE_S = 2.0
"""How long a child may take to end before it is killed."""

_INBOX = 2 * FRAMES_IN_FLIGHT
"""More messages than a child sends without an acknowledgement, unless its decoder was taken over."""

_TICK_S = 0.1

_Item = ReceivedFrame | ReceivedPackets | Literal["started", "ended"]


class ReaderProcess:
    """The reader process, and a thread that receives its messages."""

    def __init__(self, task: ReaderTask) -> None:
        self.cause, self.detail = "crashed", "the reader process ended without a word"
        self.is_recording = False
        """Whether the source has a known length."""
        self.lost: Mapping[str, int] = {}
        self._inbox: queue.Queue[_Item] = queue.Queue(_INBOX)
        self._is_killed = False
        self._has_frame_in_hand = False
        # A session of its own: Ctrl-C in a terminal must reach only the parent.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", BOOTSTRAP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            # The URL may come from a variable, and the user's other processes can read a child's environment.
            env={name: value for name, value in os.environ.items() if task.url not in value},
        )
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(task.to_line())
            self._process.stdin.flush()
        self._thread = threading.Thread(target=self._receive_all, daemon=True)
        self._thread.start()

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
        """Note why the process is about to be killed."""
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
        self._thread.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _acknowledge(self) -> None:
        """Tell the process that a frame was dealt with. It sends only a few ahead."""
        self._has_frame_in_hand = False
        with suppress(OSError, ValueError):  # the process has ended, or was told to finish
            assert self._process.stdin is not None
            self._process.stdin.write(b".")
            self._process.stdin.flush()

    def _receive_all(self) -> None:
        assert self._process.stdout is not None
        while (received := read_message(self._process.stdout)) is not None:
            message, blob = received
            try:
                if message["kind"] == "frame":
                    self._put(ReceivedFrame.from_message(message, blob))
                elif message["kind"] == "packets":
                    self._put(ReceivedPackets.from_message(message))
                elif message["kind"] == "opened":
                    self.is_recording = bool(message["is_recording"])
                elif message["kind"] == "started":
                    self._put("started")
                else:
                    self.cause, self.detail = str(message["cause"]), str(message["detail"])
                    self.lost = {str(cause): int(count) for cause, count in message["lost"].items()}
            except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
                self.cause, self.detail = "crashed", "the reader process sent an invalid message"
                break
        self._put("ended")

    def _put(self, item: _Item) -> None:
        while not self._is_killed:
            with suppress(queue.Full):
                self._inbox.put(item, timeout=_TICK_S)
                return
