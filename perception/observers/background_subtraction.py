"""Background subtraction: learns the empty scene of a fixed camera, and where a picture differs from it.

    background = BackgroundModel()
    view = background.push(frame.small, frame.time_s)
    view.foreground            # where the picture differs from the empty scene
    view.steady                # False while the camera moves or the scene is still being learned
    background.absorb(mask)    # the pixels under the mask belong to the scene from now on

A gain compensates for light that changes everywhere at once (clouds, exposure). Light that changes
slowly in one place is learned. Nothing is learned under the foreground, so a figure that stands still
for minutes stays visible. The model works on pixels and knows no objects or tracks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..sources.frame import Picture

Mask = NDArray[np.uint8]
"""Height × width, 255 where a condition holds and 0 elsewhere."""

WORK_SIDE = 160
"""The longer side of the working pictures, in pixels."""

_LEARN_S = 6.0  # time constant of learning where there is no foreground
_LEARN_FIRST_S = 0.35  # the same while a new scene is being learned
_COMPARE_S = 1.0  # how often a still picture is compared with an empty scene
_SETTLE_S = 0.9  # how long the camera must stand still before the scene is used
_CHANGED = 15.0  # difference to the scene, of 255, that counts where there is no noise
_CHANGED_NOISE = 3.0  # ... plus this multiple of the usual difference of the pixel
_LIT = (0.78, 1.28)  # the range of ratios that shadow and glare alone can cause
_LIT_EVENLY = 0.075  # ... if the ratios of the three channels differ by at most this
_ONE = 120.0  # the ratio 1, where ratios are stored in bytes
_MOVED = 14  # difference to the previous frame, of 255, that counts as movement
_SPREAD = 0.72  # fraction of the textured cells that change together when the camera or scene does
_SPREAD_ALL = 0.3  # ... and of all cells, in case a single object has all the texture
_SPREAD_WORTH = 0.06  # with a smaller changed fraction of the picture the cells are not examined
_SHIFT_WORTH = 0.02  # ... and with a smaller one than this no slow pan is searched for
_SHIFT_EVERY_S = 0.4  # how often a slow pan is searched for, which costs as much as everything else
_SHIFT_PX = 0.7  # the smallest step of a slow pan, in working pixels
_SHIFT_SURE = 0.3  # the least response of the phase correlation
_SHIFT_BETTER = 0.6  # fraction of the textured cells that a shift must explain better than no shift
_CELLS = (16, 9)
_OTHER_LIGHT = 2.2  # a larger gain means that a lamp was switched or the scene is another: learn again
_SAME_LIGHT = 2  # levels, of 255, that a pixel may differ by in the same light
_SAMPLES = (30, 17)  # a grid of this many pixels is enough to estimate a gain

_OPEN = np.ones((3, 3), np.uint8)
_CLOSE = np.ones((5, 5), np.uint8)


@dataclass(slots=True)
class BackgroundView:
    """One frame compared with the learned scene."""

    picture: Picture
    """The frame at working size."""
    foreground: Mask
    """Where it differs from the scene; empty while not ``steady``."""
    moving: Mask
    """Where it differs from the previous frame."""
    moving_share: float
    """The fraction of the picture that moves, 0 to 1."""
    steady: bool
    """Whether the camera stands still and the scene is known."""
    camera_moves: bool
    """Whether the whole picture moves together."""


class BackgroundModel:
    """Learns the scene of a fixed camera from sampled frames in order."""

    def __init__(self) -> None:
        self._scene: NDArray[np.float32] | None = None
        self._scene_small = np.zeros((0, 0, 3), np.uint8)
        self._noise = np.zeros((0, 0), np.float32)
        self._last = np.zeros((0, 0, 3), np.uint8)
        self._learned_s = 0.0
        self._is_empty = False
        """Whether the last frame that was compared with the scene had no foreground."""
        self._settled_s = math.inf
        self._shift_due_s = -math.inf
        self.moved_at = np.zeros((0, 0))
        """When each pixel last moved, in stream seconds."""
        self.changed_at = np.zeros((0, 0))
        """The time since which each foreground pixel has been foreground; infinity elsewhere."""

    @property
    def scene(self) -> Picture:
        """The empty scene as learned so far, at working size and in the current light."""
        return self._scene_small

    def forget(self) -> None:
        """Learn another scene from the next frame on."""
        self._scene = None

    def push(self, small: Picture, time_s: float) -> BackgroundView:
        """Take the next frame. Times never go back until ``forget``."""
        picture = _at_working_size(small)
        if self._scene is None or self._last.shape != picture.shape:
            self._begin(picture, time_s)
            return self._without_foreground(picture, moving_share=0.0, camera_moves=False)
        passed_s = max(0.0, time_s - self._learned_s)
        is_same_light = self._follow_light(picture)
        moving, moving_share, camera_moves = self._movement(picture, time_s)
        if camera_moves or not is_same_light:
            self._begin(picture, time_s)
            return self._without_foreground(
                picture, moving_share=moving_share, camera_moves=camera_moves, moving=moving
            )
        if self._is_empty and not moving_share and passed_s < _COMPARE_S:
            return self._without_foreground(
                picture, moving_share=0.0, camera_moves=False, moving=moving, steady=True
            )
        self._learned_s = time_s
        if time_s < self._settled_s:
            self._learn(picture, as_bytes(cv2.bitwise_not(moving)), passed_s, _LEARN_FIRST_S)
            return self._without_foreground(
                picture, moving_share=moving_share, camera_moves=False, moving=moving
            )
        difference = _difference(picture, self._scene_small)
        foreground, foreground_share = self._foreground(picture, difference)
        if self._is_widespread(foreground, foreground_share):
            self._begin(picture, time_s)
            return self._without_foreground(
                picture, moving_share=moving_share, camera_moves=False, moving=moving
            )
        quiet = as_bytes(cv2.bitwise_not(cv2.dilate(foreground, _OPEN)))
        self._learn(picture, quiet, passed_s, _LEARN_S)
        cv2.accumulateWeighted(difference, self._noise, _weight(passed_s, _LEARN_S), quiet)
        if foreground_share:
            # The time of the first frame in a row, infinity where there is no foreground.
            np.minimum(self.changed_at, time_s, out=self.changed_at)
            np.copyto(self.changed_at, math.inf, where=~foreground.view(np.bool_))
        else:
            self.changed_at.fill(math.inf)
        return BackgroundView(picture, foreground, moving, moving_share, steady=True, camera_moves=False)

    def _movement(self, picture: Picture, time_s: float) -> tuple[Mask, float, bool]:
        """Where the picture moved since the last one, which fraction of it, and whether the camera moved."""
        moving = _opened(_above(_difference(picture, self._last), _MOVED))
        moving_share = cv2.countNonZero(moving) / moving.size
        camera_moves = self._is_widespread(moving, moving_share)
        if not camera_moves and moving_share > _SHIFT_WORTH and time_s >= self._shift_due_s:
            camera_moves = _is_shifted(self._last, picture)
            self._shift_due_s = time_s + _SHIFT_EVERY_S
        self._last = picture
        if moving_share:
            np.copyto(self.moved_at, time_s, where=moving.view(np.bool_))
        return moving, moving_share, camera_moves

    def _foreground(self, picture: Picture, difference: Mask) -> tuple[Mask, float]:
        """Where the picture differs from the scene by more than noise and light, and which fraction of it."""
        limit = cv2.convertScaleAbs(self._noise, alpha=_CHANGED_NOISE, beta=_CHANGED)
        changed = as_bytes(cv2.compare(difference, limit, cv2.CMP_GT))
        if cv2.countNonZero(changed):
            _clear_light_changes(changed, picture, self._scene_small)
        foreground = _opened(changed)
        share = cv2.countNonZero(foreground) / foreground.size
        self._is_empty = not share
        if share:
            foreground = as_bytes(cv2.morphologyEx(foreground, cv2.MORPH_CLOSE, _CLOSE))
        return foreground, share

    def absorb(self, mask: Mask) -> None:
        """Make the pixels of the last frame under ``mask`` a part of the scene."""
        if self._scene is not None:
            region = cv2.dilate(mask, _CLOSE).view(np.bool_)
            self._scene[region] = self._last[region]
            self._scene_small[region] = self._last[region]
            self._noise[region] = 0
            self.changed_at[region] = math.inf

    def _begin(self, picture: Picture, time_s: float) -> None:
        shape = picture.shape[:2]
        self._scene = picture.astype(np.float32)
        self._scene_small = picture.copy()
        self._noise = np.zeros(shape, np.float32)
        self._last, self._learned_s, self._is_empty = picture, time_s, False
        self._settled_s = time_s + _SETTLE_S
        self._shift_due_s = time_s
        self.moved_at = np.full(shape, time_s)
        self.changed_at = np.full(shape, math.inf)

    def _without_foreground(
        self,
        picture: Picture,
        *,
        moving_share: float,
        camera_moves: bool,
        moving: Mask | None = None,
        steady: bool = False,
    ) -> BackgroundView:
        empty = np.zeros(picture.shape[:2], np.uint8)
        moving = empty if moving is None else moving
        return BackgroundView(picture, empty, moving, moving_share, steady, camera_moves)

    def _learn(self, picture: Picture, region: Mask, passed_s: float, constant_s: float) -> None:
        assert self._scene is not None
        cv2.accumulateWeighted(picture, self._scene, _weight(passed_s, constant_s), region)
        self._scene_small = as_bytes(cv2.convertScaleAbs(self._scene))

    def _follow_light(self, picture: Picture) -> bool:
        """Adapt the scene and the last frame to the exposure of ``picture``; False if the light is another."""
        assert self._scene is not None
        now, then = (
            cv2.resize(image, _SAMPLES, interpolation=cv2.INTER_NEAREST)
            for image in (picture, self._scene_small)
        )
        # The gain is a median, so it is 1 where most pixels are unchanged.
        same = cv2.inRange(cv2.absdiff(now, then), np.zeros(3), np.full(3, float(_SAME_LIGHT)))
        if 2 * cv2.countNonZero(same) > same.size:
            return True
        now, then = now.reshape(-1, 3), then.reshape(-1, 3)
        # Black and overexposed pixels cannot be used to estimate a gain.
        usable = np.flatnonzero((then[:, 1] > 20) & (then[:, 1] < 245) & (now[:, 1] < 250))
        if usable.size < 40:
            return True
        ratio = now[usable] / np.maximum(then[usable], 1).astype(np.float32)
        gain = np.partition(ratio, usable.size // 2, axis=0)[usable.size // 2]
        if np.abs(gain - 1).max() < 0.015:
            return True
        if gain.min() < 1 / _OTHER_LIGHT or gain.max() > _OTHER_LIGHT:
            return False
        # OpenCV takes four float64 numbers for a scalar.
        by_channel = np.append(gain, 0.0).astype(np.float64)
        self._scene = np.minimum(cv2.multiply(self._scene, by_channel), 255, dtype=np.float32)
        self._scene_small = as_bytes(cv2.convertScaleAbs(self._scene))
        self._last = as_bytes(cv2.multiply(self._last, by_channel))
        return True

    def _is_widespread(self, mask: Mask, share: float) -> bool:
        """Whether ``mask``, which fills the fraction ``share`` of the picture, is spread all over it."""
        if share < _SPREAD_WORTH:
            return False
        touched = _cells(mask) > 8
        touched_share = np.count_nonzero(touched) / touched.size
        if touched_share <= _SPREAD_ALL:
            return False
        textured = _textured(_grey(self._scene_small))
        cells = np.count_nonzero(textured)
        if cells < 12:  # with so little texture, all cells are compared
            return bool(touched_share > _SPREAD)
        return bool(np.count_nonzero(textured & touched) / cells > _SPREAD)


def _at_working_size(small: Picture) -> Picture:
    height, width = small.shape[:2]
    scale = WORK_SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return as_bytes(cv2.blur(cv2.resize(small, size, interpolation=cv2.INTER_AREA), (3, 3)))


def _difference(first: Picture, second: Picture) -> Mask:
    """The largest difference in any channel, pixel by pixel."""
    blue, green, red = cv2.split(cv2.absdiff(first, second))
    return as_bytes(cv2.max(cv2.max(blue, green), red))


def _clear_light_changes(changed: Mask, picture: Picture, scene: Picture) -> None:
    """Clear pixels that are only in a soft shadow or glare: the same colour, a little darker or brighter."""
    left, top, width, height = cv2.boundingRect(changed)
    region = np.s_[top : top + height, left : left + width]
    # An offset on both keeps the ratios of dark, noisy pixels moderate.
    now, before = (cv2.convertScaleAbs(image[region], alpha=1, beta=6) for image in (picture, scene))
    blue, green, red = cv2.split(cv2.divide(now, before, scale=_ONE))
    low, high = cv2.min(cv2.min(blue, green), red), cv2.max(cv2.max(blue, green), red)
    light = cv2.subtract(high, low) < _LIT_EVENLY * _ONE
    light &= (low > _LIT[0] * _ONE) & (high < _LIT[1] * _ONE)
    changed[region][light] = 0


def _weight(passed_s: float, constant_s: float) -> float:
    return 1.0 - math.exp(-passed_s / constant_s)


def as_bytes(picture: cv2.typing.MatLike) -> NDArray[np.uint8]:
    """OpenCV's result for a picture of bytes, typed as bytes. Copies nothing."""
    return np.asarray(picture, np.uint8)


def _grey(picture: Picture) -> Mask:
    return as_bytes(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))


def _opened(mask: Mask) -> Mask:
    return as_bytes(cv2.morphologyEx(mask, cv2.MORPH_OPEN, _OPEN))


def _cells(mask: Mask) -> Mask:
    return as_bytes(cv2.resize(mask, _CELLS, interpolation=cv2.INTER_AREA))


def _above(values: Mask, limit: int) -> Mask:
    return as_bytes(cv2.threshold(values, limit, 255, cv2.THRESH_BINARY)[1])


def _textured(grey: Mask) -> NDArray[np.bool_]:
    """The cells of the picture with enough texture to show a movement."""
    detail = _above(as_bytes(cv2.convertScaleAbs(cv2.Laplacian(grey, cv2.CV_16S))), 12)
    return _cells(detail) > 8


def _is_shifted(before: Picture, now: Picture) -> bool:
    """Whether the whole picture shifted a little, as in a slow pan.

    A large object that moves gives a shift too, so the shift must also explain the rest of the picture.
    """
    greys = [_grey(picture) for picture in (before, now)]
    # Sides are even: odd ones add an error of half a pixel to the correlation.
    full_height, full_width = greys[0].shape[:2]
    height, width = max(2, full_height // 4 * 2), max(2, full_width // 4 * 2)
    halves = [
        cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) for grey in greys
    ]
    (across, down), response = cv2.phaseCorrelate(halves[0], halves[1], _window(width, height))
    across, down = across * full_width / width, down * full_height / height
    if response < _SHIFT_SURE or math.hypot(across, down) < _SHIFT_PX:
        return False
    shift = np.array([[1, 0, across], [0, 1, down]], np.float32)
    moved = cv2.warpAffine(greys[0], shift, (full_width, full_height), borderMode=cv2.BORDER_REPLICATE)
    standing, moving = (_cells(as_bytes(cv2.absdiff(grey, greys[1]))) for grey in (greys[0], moved))
    textured = _textured(greys[0])
    better = int(np.count_nonzero(textured & (moving < standing)))
    return better > _SHIFT_BETTER * max(1, int(np.count_nonzero(textured)))


@cache
def _window(width: int, height: int) -> NDArray[np.float32]:
    return cv2.createHanningWindow((width, height), cv2.CV_32F).astype(np.float32, copy=False)
