"""Activity publisher: tells other processes, about once a second, what is being watched and how it goes.

    publisher = ActivityPublisher(folder, watches)      # ``watches`` gives the watches that run now
    publisher.start()
    publisher.changed()                                 # something is to be told at once
    publisher.close()

The file is written by ``memory.storage.activity``, and read for ``recollect status``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Set
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..memory.storage.activity import ActivityFile
from .watch_handle import Watch, WatchStatus

_EVERY_S = 1.0


class ActivityPublisher:
    """Publishes the watches of one writer session."""

    def __init__(
        self, folder: Path, watches: Callable[[], Iterable[Watch]], unfinished: Callable[[], Set[str]]
    ) -> None:
        """``unfinished`` gives the names of the streams that the memory has as being watched."""
        self._watches = watches
        self._file = ActivityFile(folder)
        # What an earlier process was killed in is told until it is watched again.
        names = unfinished() if self._file.interrupted else set()
        self._interrupted = {
            name: since_s for name, since_s in self._file.interrupted.items() if name in names
        }
        self._publishing = threading.Lock()
        self._wake = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="activity", daemon=True)

    def start(self) -> None:
        """Publish from now on."""
        self._thread.start()

    def changed(self) -> None:
        """Publish soon."""
        self._wake.set()

    def forget(self, stream: str) -> None:
        """Tell nothing more of a stream that was erased."""
        self._interrupted.pop(stream, None)
        self.changed()

    def close(self) -> None:
        """End. Nothing is being watched any more."""
        self._is_closed = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._file.close()

    def publish(self) -> None:
        """Publish now."""
        with self._publishing:
            streams = {watch.stream: _plain(watch.status()) for watch in self._watches()}
            for name in streams:
                self._interrupted.pop(name, None)
            self._file.write(streams, self._interrupted)

    def _run(self) -> None:
        while not self._is_closed:
            self.publish()
            self._wake.wait(_EVERY_S)
            self._wake.clear()
        self.publish()


def _plain(status: WatchStatus) -> dict[str, Any]:
    """What is told of a watch. ``connection`` is there for a live source."""
    return {
        "state": status.state,
        "time_s": status.time_s,
        "moments": status.moments,
        "gaps": status.gaps,
        "last_error": status.last_error,
        "connection": None if status.connection is None else asdict(status.connection),
    }
