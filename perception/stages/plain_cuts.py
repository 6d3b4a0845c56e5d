"""Cuts between plain pictures, which differ in colour alone: title cards, slides, coloured screens.

    cuts = PlainCuts()
    for frame in frames:                  # every decoded frame, in order
        cut_s = cuts.push(frame)          # the first frame of the new picture, usually None

``shot_detection`` compares the structure of pictures, and plain ones have none. Here two sampled pictures without
structure are compared by colour, and the next sampled picture must confirm the change, so that a flash is not a cut.
A lamp that is switched changes all channels by about the same factor, and is not a cut either. So a cut from grey to
white is not found: it cannot be told from light.

A cut is reported with the second sampled picture after it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..sources.frame import Frame, Picture, Thumb

MEMORY_S = 2.0
"""A change between pictures that are further apart is not judged: nobody knows when it was."""

_GRID = (16, 9)
_PLAIN_STD = 5.0  # levels of luma within a cell of a plain picture, on average
_CELLS = (8, 6)  # columns and rows
_CHANGED = 24.0  # the least difference of a cell that another light does not explain, of 255, in one channel
_SPREAD = 0.8  # the least fraction of the cells that change


class PlainCuts:
    """Finds cuts between plain pictures in frames that are pushed in order."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start again: the next frame belongs to another shot or epoch."""
        self._shown: _PlainPicture | None = None
        self._candidate: tuple[float, _PlainPicture] | None = None
        self._last_thumb: Thumb | None = None
        self._jump = (0.0, math.inf)

    def push(self, frame: Frame) -> float | None:
        """Take one frame, and return the time of the cut that it confirms, usually None."""
        if self._shown is not None:
            self._note_jump(frame)
        self._last_thumb = frame.thumb
        if frame.small is None:
            return None
        picture = _PlainPicture.of(frame.time_s, frame.thumb, frame.small)
        shown, candidate, jump_s = self._shown, self._candidate, self._jump[1]
        self._candidate, self._jump = None, (0.0, math.inf)
        if picture is None or shown is None or picture.time_s - shown.time_s > MEMORY_S:
            self._shown = picture
            return None
        if not picture.differs_from(shown):
            self._shown = picture
            return None
        if candidate is not None and not picture.differs_from(candidate[1]):
            self._shown = picture
            return candidate[0]
        self._candidate = (min(jump_s, frame.time_s), picture)
        return None

    def _note_jump(self, frame: Frame) -> None:
        """Find the frame at which luma changed most since the last sampled picture: there the cut is."""
        if self._last_thumb is not None:
            size = cv2.norm(frame.thumb, self._last_thumb, cv2.NORM_L1) / frame.thumb.size
            if size >= max(1.0, 1.5 * self._jump[0]):
                self._jump = (size, frame.time_s)


@dataclass(frozen=True, slots=True, eq=False)
class _PlainPicture:
    """A picture without structure, by its colours."""

    time_s: float
    colours: NDArray[np.float32]
    """Of the cells of a coarse grid: rows × columns × blue, green, red."""

    @classmethod
    def of(cls, time_s: float, thumb: Thumb, small: Picture) -> _PlainPicture | None:
        """The picture. None if it has structure."""
        luma = thumb.astype(np.float32)
        means, squares = (
            cv2.resize(levels, _CELLS, interpolation=cv2.INTER_AREA) for levels in (luma, luma * luma)
        )
        if float(np.sqrt(np.maximum(0, squares - means * means)).mean()) > _PLAIN_STD:
            return None
        return cls(time_s, cv2.resize(small, _GRID, interpolation=cv2.INTER_AREA).astype(np.float32))

    def differs_from(self, before: _PlainPicture) -> bool:
        """Whether nearly the whole picture has another colour, and not only another light."""
        length = float(np.vdot(before.colours, before.colours))
        gain = float(np.vdot(before.colours, self.colours)) / max(1.0, length)
        changed = np.abs(self.colours - gain * before.colours).max(axis=2) >= _CHANGED
        return bool(changed.mean() >= _SPREAD)
