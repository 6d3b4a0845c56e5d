"""Shot detection: finds cuts, dissolves and fades, where one shot ends and the next begins.

    detector = ShotDetector()
    for frame in frames:                      # every decoded frame, in order
        change = detector.push(frame)
        if change is not None:
            change.kind, change.start_s       # "cut", 7.48

Mostly ``Frame.thumb`` is used, so this costs microseconds a frame. A frame that differs suddenly from the
previous one is compared with its neighbours block by block, without regard to brightness and small
shifts. At a cut, the pictures on the two sides differ, and those on each side are similar. A flash, a
pan, a shaking hand, a passing lorry and a switched lamp are not cuts, because the picture returns, shifts,
keeps some blocks or keeps its structure. A dissolve is a span in which every picture is a blend of its
first and last picture. A fade is a dissolve from or to a blank picture.

Pictures without structure are compared by colour (``plain_cuts``), others are not. A dissolve between two
shots with much movement is missed. Nothing older than
``MEMORY_S`` has an influence: a detector that starts that much before a frame judges the frame as one
that saw the whole stream, unless it starts in the middle of a slow passage through black.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ...common.builtin_kinds import builtin_kinds
from ..sources.frame import THUMB_SHAPE, Frame, Thumb
from .plain_cuts import PlainCuts

ChangeKind = Literal["cut", "dissolve", "fade"]
_Plane = NDArray[np.float32]

MEMORY_S = 5.0
"""How far back a frame may influence the result, in seconds of stream time."""

_JUMP = 3.0  # mean difference of luma below which there is no sudden change
_JUMP_RATIO = 1.6  # by which factor a jump exceeds the motion of the last half second
_NORM_S = 0.5
_SPREAD = 0.5  # the least fraction of the picture that a cut changes
_UNLIKE = 0.55  # similarity of frames: measured 0.73 and more in one shot, 0.47 and less in different shots
_STEP = 0.2  # how much more similar frames on one side of a cut are than frames across it
_SETTLES = 0.6  # the largest difference after a jump, as a fraction of the jump
_SHORTEST_SHOT_S = 0.2  # a second cut this soon after the first is not reported

_BLOCK_H, _BLOCK_W = THUMB_SHAPE[0] // 3, THUMB_SHAPE[1] // 4
_SHIFT = 3  # thumb pixels that a block may move between frames: a twentieth of the picture's width
# A little noise makes the correlation of flat blocks zero instead of undefined. Each picture has its own.
_NOISE = np.random.default_rng(5).normal(0.0, 1.5, (2, *THUMB_SHAPE)).astype(np.float32)
_FLAT_STD = 3.0
_WHITE = 228.0  # white in filmed pictures, a little less than 255

_BLANK_STD = 4.0
_BLANK_DARK, _BLANK_BRIGHT = 32.0, 215.0
_BLANK_JOINS_S = 1.5  # after a longer blank a new shot begins in any case

_TICK_S = 0.05
_REACHES = (2, 6)  # ticks on each side of one that may be a blend of its neighbours
_BLEND_CHANGE = 2.0  # mean difference of luma across the reach below which there is no dissolve
_BLEND_RESIDUAL = 0.3  # the most that a blend may leave unexplained, as a fraction of the whole change
_DETAIL_RESIDUAL = 0.5  # the same for fine detail; measured 0.2 in dissolves, 0.8 with moving objects
_BLEND_MISSES = 2  # ticks without a blend that are tolerated: films repeat frames, and grain is not linear
_BLEND_SHORTEST_S, _BLEND_LONGEST_S = 0.25, 3.2
_ENDS_DIFFER = 6.0  # mean difference of luma between the two ends of a dissolve


@dataclass(frozen=True, slots=True)
class ShotBoundary:
    """A change of shot. The new shot starts at ``end_s``. Times are stream seconds."""

    kind: ChangeKind
    start_s: float
    """Where a dissolve or fade begins, to about a tenth of a second; for a cut the same as ``end_s``."""
    end_s: float
    """The first frame of the new shot; after a fade-out, the blank picture."""
    into_blank: bool = False
    """Whether the new shot starts with a blank picture, black or white all over."""

    @property
    def text(self) -> str:
        """The change in words, as findings report it."""
        return _TEXTS[self.kind]


_TEXTS: dict[ChangeKind, str] = {
    "cut": "a cut to another shot",
    "dissolve": "one picture dissolves into another",
    "fade": "the picture fades",
}


class ShotDetector:
    """Finds cuts, dissolves and fades in frames that are pushed in order.

    A cut is reported with the frame after it (between plain pictures with the second sampled one), a dissolve or fade about half a second after its end (a
    little more below 20 frames a second). A fade-out and the fade-in after it are one change, and the blank
    between them belongs to the new shot. After a cut to a blank picture, the change is where the blank ends.
    """

    written_by = "shots/1"
    """Its name and revision, for the findings made of its changes."""
    finding_kinds = builtin_kinds("cut", "dissolve", "fade")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start again: the next frame belongs to another epoch."""
        self._last: Thumb | None = None
        self._jumped: _Jump | None = None
        self._sizes: deque[tuple[float, float]] = deque()
        self._changed_s = -math.inf
        self._blank = _Blank()
        self._blend = _Blend()
        self._plain_cuts = PlainCuts()

    def push(self, frame: Frame) -> ShotBoundary | None:
        """Take one frame, and return the change that it completes, usually None."""
        time_s, thumb = frame.time_s, frame.thumb
        plain_cut_s = self._plain_cuts.push(frame)
        last, self._last = self._last, thumb
        jumped, self._jumped = self._jumped, None
        if last is not None:
            if jumped is not None and jumped.is_cut(thumb):
                return self._cut(jumped.time_s, time_s, thumb)
            self._jumped = self._find_jump(time_s, last, thumb)
        self._blank.push(time_s, thumb)
        change = self._blend.push(time_s, thumb)
        if plain_cut_s is not None and plain_cut_s - self._changed_s >= _SHORTEST_SHOT_S:
            self._changed_s = plain_cut_s
            return ShotBoundary("cut", plain_cut_s, plain_cut_s)
        if change is None or not self._blank.admits(change, thumb):
            return None
        self._changed_s = change.end_s
        return change

    def _cut(self, cut_s: float, time_s: float, thumb: Thumb) -> ShotBoundary | None:
        """Start a new shot at ``cut_s``, the frame before this one."""
        short = cut_s - self._changed_s < _SHORTEST_SHOT_S
        self._changed_s = cut_s
        self._sizes.clear()
        self._blank.push(time_s, thumb)
        self._blend = _Blend()
        self._blend.push(time_s, thumb)
        return None if short else ShotBoundary("cut", cut_s, cut_s)

    def _find_jump(self, time_s: float, last: Thumb, thumb: Thumb) -> _Jump | None:
        """The jump to this picture, if it exceeds the recent motion."""
        size = cv2.norm(thumb, last, cv2.NORM_L1) / thumb.size
        while self._sizes and self._sizes[0][0] <= time_s - _NORM_S:
            self._sizes.popleft()
        sizes = sorted(size for _, size in self._sizes) if size >= _JUMP else []
        self._sizes.append((time_s, size))
        # Not the median: films repeat frames, and then half of all differences are zero.
        usual = sizes[7 * len(sizes) // 10] if sizes else 0.0
        if size < max(_JUMP, _JUMP_RATIO * usual) or is_blank(thumb):
            return None
        blocks = cv2.resize(cv2.absdiff(last, thumb), (8, 6), interpolation=cv2.INTER_AREA)
        if np.count_nonzero(blocks > size / 3) < _SPREAD * blocks.size:
            return None
        if not self._blank.on:
            return _Jump(last, time_s, last, thumb)
        if self._blank.lasted(time_s):
            return _Jump(None, time_s, last, thumb)
        if self._blank.is_reported or self._blank.before is None:
            return None
        return _Jump(self._blank.before, time_s, last, thumb)


@dataclass(frozen=True, slots=True)
class _Jump:
    """A picture that differs suddenly from the previous one, until the next one arrives."""

    before: Thumb | None
    """The picture that it must differ from to begin a shot; None if it begins one in any case."""
    time_s: float
    last: Thumb
    thumb: Thumb

    def is_cut(self, after: Thumb) -> bool:
        """Whether this picture and the next one belong to a new shot."""
        jump, settling = (cv2.norm(thumb, self.thumb, cv2.NORM_L1) for thumb in (self.last, after))
        if settling > _SETTLES * jump:
            return False
        if self.before is None:
            return not is_blank(after)
        across = structural_similarity(self.before, self.thumb)
        if across > _UNLIKE:
            return False
        across = max(across, structural_similarity(self.before, after))
        return across <= _UNLIKE and structural_similarity(self.thumb, after) >= across + _STEP


class _Blank:
    """Follows blank pictures: the black or white between two shots."""

    def __init__(self) -> None:
        self.on = False
        """Whether the last picture was blank."""
        self.before: Thumb | None = None
        """The picture before this blank, or before the last one; None if there was none."""
        self.is_reported = False
        """Whether a change was reported where the blank began."""
        self._since_s = -math.inf
        self._shown: Thumb | None = None

    def push(self, time_s: float, thumb: Thumb) -> None:
        """Take one picture."""
        blank = is_blank(thumb)
        if blank and not self.on:
            self.before, self.is_reported, self._since_s = self._shown, False, time_s
        elif not blank:
            self._shown = thumb
        self.on = blank

    def lasted(self, until_s: float) -> bool:
        """Whether the blank is too long to belong to the shots around it."""
        return until_s - self._since_s > _BLANK_JOINS_S

    def admits(self, change: ShotBoundary, thumb: Thumb) -> bool:
        """Whether a dissolve or fade is a new change, not the second half of a passage through black."""
        if change.kind == "dissolve":
            return True
        if change.into_blank:
            self.is_reported = True
            return True
        if self.lasted(change.start_s):
            return True
        return (
            not self.is_reported
            and self.before is not None
            and structural_similarity(self.before, thumb) <= _UNLIKE
        )


class _Blend:
    """Finds spans in which every picture is a blend of the first and the last one."""

    def __init__(self) -> None:
        self._tick = -1
        self._ring: deque[tuple[float, Thumb]] = deque(maxlen=round(1.2 * _BLEND_LONGEST_S / _TICK_S))
        self._span: tuple[float, float] | None = None
        self._misses = 0

    def push(self, time_s: float, thumb: Thumb) -> ShotBoundary | None:
        """Take one picture, and return the dissolve or fade that ended shortly before it."""
        # Ticks of stream time, not every n-th frame, so that the first frame does not matter.
        tick = math.floor(time_s / _TICK_S + 1e-6)
        if tick == self._tick:
            return None
        self._tick = tick
        self._ring.append((time_s, thumb))
        start_s = self._blend_start()
        if start_s is not None:
            self._span = (start_s if self._span is None else min(start_s, self._span[0]), time_s)
            self._misses = 0
        elif self._span is not None:
            self._misses += 1
            if self._misses > _BLEND_MISSES:
                (start_s, end_s), self._span = self._span, None
                return self._judge(start_s, end_s)
        return None

    def _blend_start(self) -> float | None:
        """The time since which one picture has been blending into another."""
        for reach in _REACHES:
            if len(self._ring) <= 2 * reach:
                return None
            start_s, start = self._ring[-1 - 2 * reach]
            if _is_blend(start, self._ring[-1 - reach][1], self._ring[-1][1]):
                return start_s
        return None

    def _judge(self, start_s: float, end_s: float) -> ShotBoundary | None:
        """The change between two times, if the pictures between them are blends of two different ones."""
        kept = [(time_s, plane) for time_s, plane in self._ring if start_s <= time_s <= end_s]
        if kept[0][0] > start_s:
            return None  # it is longer than any dissolve
        planes = np.stack([thumb for _, thumb in kept]).astype(np.float32)
        parts, rest = _as_blends(planes)
        if rest.max() > _BLEND_RESIDUAL or np.diff(parts).min() < -0.1:
            return None
        # Smooth pictures that shift look like blends, but their fine detail does not.
        details = np.stack([plane - cv2.blur(plane, (5, 5)) for plane in planes])
        if np.median(_as_blends(details, parts)[1]) > _DETAIL_RESIDUAL:
            return None
        first = int(np.flatnonzero(parts <= 0.04)[-1])
        last = first + int(np.flatnonzero(parts[first:] >= 0.96)[0])
        start_s, end_s = kept[first][0], kept[last][0]
        if not _BLEND_SHORTEST_S <= end_s - start_s <= _BLEND_LONGEST_S or np.diff(parts).max() > 0.6:
            return None
        old, new = kept[0][1], kept[-1][1]
        if cv2.norm(old, new, cv2.NORM_L1) < _ENDS_DIFFER * old.size:
            return None
        from_blank, into_blank = is_blank(old), is_blank(new)
        if from_blank != into_blank:
            return ShotBoundary("fade", start_s, end_s, into_blank)
        if from_blank or structural_similarity(old, new) > _UNLIKE:
            return None
        return ShotBoundary("dissolve", start_s, end_s)


def _is_blend(start: Thumb, middle: Thumb, end: Thumb) -> bool:
    """Whether the middle picture is a mixture of the other two, which differ."""
    if cv2.norm(start, end, cv2.NORM_L1) < _BLEND_CHANGE * start.size:
        return False
    # The three pictures are a triangle. The foot of the perpendicular from the middle one onto the line
    # between the ends follows from the squares of its sides.
    length, before, after = (
        cv2.norm(first, second, cv2.NORM_L2SQR)
        for first, second in ((start, end), (start, middle), (middle, end))
    )
    share = (length + before - after) / (2 * length)
    rest = before / length - share * share
    return 0.2 < share < 0.8 and rest < _BLEND_RESIDUAL**2


def _as_blends(planes: _Plane, parts: _Plane | None = None) -> tuple[_Plane, _Plane]:
    """The position of each of ``planes`` between the first and the last, and the residual of that blend.

    Both are fractions of the difference between first and last. ``parts`` are positions that are given.
    """
    offsets = (planes - planes[0]).reshape(len(planes), -1)
    change = offsets[-1]
    length = max(1.0, float(np.dot(change, change)))
    if parts is None:
        parts = offsets @ change / length
    rest = np.linalg.norm(offsets - parts[:, None] * change, axis=1) / math.sqrt(length)
    return parts, rest


def is_blank(thumb: Thumb) -> bool:
    """Whether a picture is black or white all over."""
    mean, std = cv2.meanStdDev(thumb)
    return bool(std[0, 0] < _BLANK_STD and not _BLANK_DARK <= mean[0, 0] <= _BLANK_BRIGHT)


def structural_similarity(first: Thumb, second: Thumb) -> float:
    """How similar the structure of two pictures is, about 0 to 1.

    Blocks are correlated at the best shift nearby and weighted by contrast, so brightness and small shifts do
    not matter. Two pictures without structure are similar.
    """
    a, b = first + _NOISE[0], second + _NOISE[1]
    contrast = np.maximum(_block_std(a), _block_std(b))
    weights = np.clip(contrast - 2.0, 0.0, 15.0)
    brighter = b >= a
    if not 0.05 < brighter.mean() < 0.95:
        # A flash overexposes blocks, which cannot be compared then.
        lit = b if brighter[0, 0] else a
        weights[(_block_std(lit) < _FLAT_STD) & (_blocks(lit).mean(axis=(1, 3)) > _WHITE)] = 0.0
    total = float(weights.sum())
    if total < 1.0:
        return 1.0
    similarity = 0.0
    for row, column in zip(*np.nonzero(weights), strict=True):
        y, x = row * _BLOCK_H, column * _BLOCK_W
        near = a[max(0, y - _SHIFT) : y + _BLOCK_H + _SHIFT, max(0, x - _SHIFT) : x + _BLOCK_W + _SHIFT]
        match = cv2.matchTemplate(near, b[y : y + _BLOCK_H, x : x + _BLOCK_W], cv2.TM_CCOEFF_NORMED)
        similarity += float(weights[row, column]) * float(match.max())
    return similarity / total


def _blocks(plane: _Plane) -> _Plane:
    """A thumb as blocks: rows, block height, columns, block width."""
    return plane.reshape(THUMB_SHAPE[0] // _BLOCK_H, _BLOCK_H, THUMB_SHAPE[1] // _BLOCK_W, _BLOCK_W)


def _block_std(plane: _Plane) -> _Plane:
    return np.asarray(_blocks(plane).std(axis=(1, 3)), np.float32)
