"""The only way in which a system in an evaluation sees a video: nothing beyond the question's time comes out of it.

video = CausalVideo(Path("house.mp4"), until_s=61.5)
video.pictures([10.0, 60.0])       # times and pictures
video.pictures([70.0])             # LookedAhead
video.latest_s                     # 60.0: what the audit of a run looks at
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from ..errors import LookedAhead
from ..perception.file import FileSource
from ..perception.frame import Frame, Picture

_EVERY_FRAME = 1000.0


class CausalVideo:
    """A file, from ``from_s`` to just before ``until_s``."""

    def __init__(self, path: Path, *, until_s: float, from_s: float = 0.0) -> None:
        self._path = path
        self.from_s, self.until_s = from_s, until_s
        self.latest_s: float | None = None
        """The latest picture that was handed out."""
        self.count = 0
        """How many were."""

    def pictures(self, times_s: Iterable[float]) -> list[tuple[float, Picture]]:
        """The first picture at or after each time, with its own time; fewer where the video ends before.

        Raises ``LookedAhead`` for a time that may not be seen, and ``SourceError``.
        """
        found: list[tuple[float, Picture]] = []
        for time_s in times_s:
            if not self.from_s <= time_s < self.until_s:
                raise LookedAhead(time_s, self.from_s, self.until_s)
            with closing(FileSource(self._path, _EVERY_FRAME)) as source:
                frames = (event for event in source.frames(time_s) if isinstance(event, Frame))
                frame = next((frame for frame in frames if frame.sampled), None)
                # Between two pictures the next one is of a time that has not come.
                if frame is not None and frame.time_s < self.until_s:
                    found.append((frame.time_s, frame.picture()))
        self.count += len(found)
        seen = [time_s for time_s, _ in found] + ([] if self.latest_s is None else [self.latest_s])
        self.latest_s = max(seen, default=None)
        return found

    def spread(self, count: int, *, last_s: float | None = None) -> list[tuple[float, Picture]]:
        """Pictures from the middles of ``count`` equal parts of what may be seen, or of its last seconds."""
        from_s = self.from_s if last_s is None else max(self.from_s, self.until_s - last_s)
        step_s = (self.until_s - from_s) / count
        return self.pictures(from_s + (number + 0.5) * step_s for number in range(count))
