"""Watch rate: how closely a stream is watched.

    str(WatchRate(fps=1.0, reads_text=False))     # "1 frame a second, no text read"

An overloaded machine watches live streams at a lower rate. Memories record it (``Moment.reduced``), so that no answer
takes "not seen" for "not there".
"""

from __future__ import annotations

from dataclasses import dataclass

_FEWEST_FPS = 2.0


@dataclass(frozen=True, slots=True)
class WatchRate:
    """How closely a stream is watched."""

    fps: float
    """Frames a second that the observers examine, where the source sends as many."""
    reads_text: bool = True
    key_frames_only: bool = False
    """Only key frames are decoded, and at most ``fps`` of them a second."""

    @property
    def shows_movement(self) -> bool:
        """Whether so many pictures are examined that one can tell that nothing moved."""
        return self.fps >= _FEWEST_FPS and not self.key_frames_only

    def lowest(self, other: WatchRate) -> WatchRate:
        """What holds for both."""
        return WatchRate(
            min(self.fps, other.fps),
            self.reads_text and other.reads_text,
            self.key_frames_only or other.key_frames_only,
        )

    def __str__(self) -> str:
        """In words: ``1 frame a second, no text read``."""
        fps = f"{self.fps:g} {'frame' if self.fps == 1 else 'frames'} a second"
        rate = f"key frames only, at most {fps}" if self.key_frames_only else fps
        return rate if self.reads_text else f"{rate}, no text read"
