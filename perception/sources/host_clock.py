"""Host clock: this machine's elapsed time and wall clock, read together.

    reading = read_clocks()
    reading.elapsed_s      # seconds since the machine was started, sleep included; nobody can set it
    reading.wall_s         # Unix seconds; people and time servers set it
    boot_id()              # readings of ``elapsed_s`` can be compared if this is the same

Elapsed time counts how long something took. The wall clock only names a moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_TOGETHER_S = 0.01
"""Clocks read within this time count as read together."""

_TRIES = 5


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What the machine's clocks showed at one moment."""

    monotonic_s: float
    """``time.monotonic()``. It may stand still while the machine sleeps."""
    elapsed_s: float
    """Seconds since the machine was started, sleep included."""
    wall_s: float
    """Unix seconds."""

    def elapsed_at(self, monotonic_s: float) -> float:
        """``elapsed_s`` at an earlier or later reading of ``time.monotonic()``."""
        return self.elapsed_s + (monotonic_s - self.monotonic_s)


Clocks = Callable[[], ClockReading]
"""Reads the clocks. Tests give clocks of their own."""


def read_clocks() -> ClockReading:
    """Read the clocks of this machine."""
    for _ in range(_TRIES):
        monotonic_s, elapsed_s, wall_s = time.monotonic(), _elapsed_s(), time.time()
        # A process that loses the processor between two clocks would see a clock that was set.
        if time.monotonic() - monotonic_s < _TOGETHER_S:
            break
    return ClockReading(monotonic_s, elapsed_s, wall_s)


def boot_id() -> str:
    """Names the present run of this machine. Empty where the system does not tell."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _elapsed_s() -> float:
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
