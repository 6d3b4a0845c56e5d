"""Overload ladder: by which steps a live stream is watched at a lower rate while the machine is too slow.

    ladder = OverloadLadder(fps=4.0)
    rate = ladder.update(now_s, age_s=2.5)      # before each packet
    rate.reads_text, rate.fps, rate.key_frames_only, ladder.drops_waiting

Overload is the age of the oldest picture that waits, and nothing else: neither an announced rate nor a queue's
length. First the text is no longer read, then fewer frames a second are examined, then only key frames are
decoded, and at last everything that waits is dropped. The way back up is slower than the way down. It reads no
clock.
"""

from __future__ import annotations

from ...memory.watch_rate import WatchRate

SHED_S = 3.5
"""From this age on, the stream goes a step down. Below the time that a burst of some seconds needs to be decoded."""
STEP_S = 0.6
"""At least this time between two steps down, so that each can show its effect."""
DROP_S = 6.5
"""From this age on, everything that waits is dropped."""
CALM_S = 1.0
"""Up to this age, the machine keeps up."""
CLIMB_S = 10.0
MAX_CLIMB_S = 60.0
"""The time after which a stream goes a step up, if it kept up for most of it. It doubles up to the longer one
each time that the step above turns out to be too much."""

_LOWER_RATES = (2.0, 1.0)
_CALM_SHARE = 0.5
"""The share of that time in which it has to keep up. A source that sends bursts makes packets wait now and then."""


def steps_of(fps: float) -> tuple[WatchRate, ...]:
    """The steps of a stream that is sampled at ``fps``, the full rate first."""
    lower = [rate for rate in _LOWER_RATES if rate < fps]
    lowest = lower[-1] if lower else fps
    return (
        WatchRate(fps),
        *(WatchRate(rate, reads_text=False) for rate in (fps, *lower)),
        WatchRate(lowest, reads_text=False, key_frames_only=True),
    )


class OverloadLadder:
    """Chooses the step of one stream from the age of what waits."""

    def __init__(self, fps: float) -> None:
        self.steps = steps_of(fps)
        self.step = 0
        """The index of the present step."""
        self.drops_waiting = False
        """Whether even the lowest step is too much, so that everything that waits must be dropped now."""
        self._climb_s = CLIMB_S
        self._has_climbed = False
        self._updated_s: float | None = None
        self._changed_s = self._window_s = 0.0
        self._calm_s = 0.0

    @property
    def rate(self) -> WatchRate:
        """How the stream is watched now."""
        return self.steps[self.step]

    def update(self, now_s: float, age_s: float) -> WatchRate:
        """Take the age of the oldest picture that waits at ``now_s``, both monotonic, and return the rate."""
        if self._updated_s is None:
            self._updated_s = self._window_s = now_s
            self._changed_s = now_s - STEP_S
        passed_s, self._updated_s = max(0.0, now_s - self._updated_s), now_s
        self.drops_waiting = age_s >= DROP_S
        if self.drops_waiting:
            self._go_down(now_s, len(self.steps) - 1)
        elif age_s >= SHED_S:
            if now_s - self._changed_s >= STEP_S:
                self._go_down(now_s, min(self.step + 1, len(self.steps) - 1))
        else:
            if age_s <= CALM_S:
                self._calm_s += passed_s
            if now_s - self._window_s >= self._climb_s:
                self._climb(now_s)
        return self.rate

    def _go_down(self, now_s: float, step: int) -> None:
        if step > self.step:
            if self._has_climbed:
                self._climb_s = min(MAX_CLIMB_S, 2 * self._climb_s)
            self._has_climbed = False
            self._changed_s = now_s
        self.step = step
        self._begin_window(now_s)

    def _climb(self, now_s: float) -> None:
        """A window without overload ends: go a step up if the machine kept up for most of it."""
        if self._calm_s >= _CALM_SHARE * (now_s - self._window_s):
            if self.step == 0:
                self._climb_s, self._has_climbed = CLIMB_S, False
            else:
                self.step -= 1
                self._has_climbed = True
                self._changed_s = now_s
        self._begin_window(now_s)

    def _begin_window(self, now_s: float) -> None:
        self._window_s, self._calm_s = now_s, 0.0
