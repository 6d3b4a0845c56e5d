"""Where one shot ends and the next begins.

    detector = ShotDetector()
    for frame in frames:                      # every decoded frame, in order
        change = detector.push(frame)
        if change is not None:
            change.kind, change.start_s       # "cut", 7.48

Only ``Frame.thumb`` is looked at, so this costs microseconds a frame. A frame that differs
suddenly from the one before it is compared with its neighbours block by block, blind to
brightness and to small shifts: at a cut the pictures on both sides are unlike, while on each
side they are like one another. A flash returns, a pan and a shaking hand shift, a passing
lorry leaves blocks as they were, and a lamp keeps the structure; none of them is a cut. A
dissolve is a stretch in which every picture is a blend of its two ends, and a fade is one of
which an end is blank.

It knows nothing of colour, and misses a dissolve between two shots that both move a lot.
Nothing older than ``MEMORY_S`` influences it: a detector that starts that much earlier than
a frame judges that frame like one that saw the whole stream, unless it starts in the middle of
a slow passage through black.
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

ChangeKind = Literal["cut", "dissolve", "fade"]
_Plane = NDArray[np.float32]

MEMORY_S = 5.0
"""How far back anything may influence what is found, in seconds of stream time."""

_JUMP = 3.0  # mean difference of luma below which nothing has changed suddenly
_JUMP_RATIO = 1.6  # how far a jump stands out from the motion of the last half second
_NORM_S = 0.5
_SPREAD = 0.5  # the share of the picture that a cut changes, at least
_UNLIKE = 0.55  # frames of one shot measured 0.73 and up, of different shots 0.47 and down
_STEP = 0.2  # how much likelier frames on one side of a cut are than frames across it
_SETTLES = 0.6  # how large the difference after a jump may be, as a share of the jump
_SHORTEST_SHOT_S = 0.2  # an insert shorter than this is not left by a second cut

_BLOCK_H, _BLOCK_W = THUMB_SHAPE[0] // 3, THUMB_SHAPE[1] // 4
_SHIFT = 3  # thumb pixels a block may move from frame to frame: a twentieth of the picture's width
# A little noise makes flat blocks uncorrelated instead of undefined; one pattern for each picture.
_NOISE = np.random.default_rng(5).normal(0.0, 1.5, (2, *THUMB_SHAPE)).astype(np.float32)
_FLAT_STD = 3.0
_WHITE = 228.0  # white as it is filmed: a little less than 255

_BLANK_STD = 4.0
_BLANK_DARK, _BLANK_BRIGHT = 32.0, 215.0
_BLANK_JOINS_S = 1.5  # what follows a blank longer than this is a new shot, whatever it shows

_TICK_S = 0.05
_REACHES = (2, 6)  # ticks on each side of the one that may be a blend of its neighbours
_BLEND_CHANGE = 2.0  # mean difference of luma across the reach below which nothing dissolves
_BLEND_RESIDUAL = 0.3  # what a blend may leave unexplained, as a share of the whole change
_DETAIL_RESIDUAL = 0.5  # the same for fine detail; measured 0.2 in dissolves, 0.8 where things move
_BLEND_MISSES = 2  # ticks a blend may stumble: films repeat frames, and grain is not linear
_BLEND_SHORTEST_S, _BLEND_LONGEST_S = 0.25, 3.2
_ENDS_DIFFER = 6.0  # mean difference of luma between the two ends of a dissolve


@dataclass(frozen=True, slots=True)
class ShotBoundary:
    """A change of shot: the new shot starts at ``end_s``. Times are stream seconds."""

    kind: ChangeKind
    start_s: float
    """Where a dissolve or fade begins, to about a tenth of a second. A cut: the same as ``end_s``."""
    end_s: float
    """The first frame of the new shot; after a fade-out that is the blank picture."""
    into_blank: bool = False
    """Whether the new shot starts with a picture that is black or white all over."""


class ShotDetector:
    """Finds cuts, dissolves and fades. Feed it every frame in order; it keeps no clock of its own.

    A cut is reported with the frame after it, a dissolve or fade about half a second after its
    end (a little more below 20 frames a second). A fade-out and the fade-in after it are one
    change, the blank between them a part of the new shot; after a cut to a blank picture, the
    change is where the blank ends.
    """

    written_by = "shots/1"
    """Its name and revision, for the findings made of its changes."""
    finding_kinds = builtin_kinds("cut", "dissolve", "fade")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame belongs to another epoch."""
        self._last: Thumb | None = None
        self._jumped: _Jump | None = None
        self._sizes: deque[tuple[float, float]] = deque()
        self._changed_s = -math.inf
        self._blank = _Blank()
        self._blend = _Blend()

    def push(self, frame: Frame) -> ShotBoundary | None:
        """Take one frame; return the change it established, usually None."""
        time_s, thumb = frame.time_s, frame.thumb
        last, self._last = self._last, thumb
        jumped, self._jumped = self._jumped, None
        if last is not None:
            if jumped is not None and jumped.is_cut(thumb):
                return self._cut(jumped.time_s, time_s, thumb)
            self._jumped = self._find_jump(time_s, last, thumb)
        self._blank.push(time_s, thumb)
        change = self._blend.push(time_s, thumb)
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
        """The jump to this picture, if it is one that pictures did not make of late."""
        size = cv2.norm(thumb, last, cv2.NORM_L1) / thumb.size
        while self._sizes and self._sizes[0][0] <= time_s - _NORM_S:
            self._sizes.popleft()
        sizes = sorted(size for _, size in self._sizes) if size >= _JUMP else []
        self._sizes.append((time_s, size))
        # Not the median: films repeat frames, and then half of all differences are nothing.
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
        if self._blank.told or self._blank.before is None:
            return None
        return _Jump(self._blank.before, time_s, last, thumb)


@dataclass(frozen=True, slots=True)
class _Jump:
    """A picture that differs suddenly from what came before, until the next one has been seen."""

    before: Thumb | None
    """What it must be unlike to begin a shot; None where it begins one in any case."""
    time_s: float
    last: Thumb
    thumb: Thumb

    def is_cut(self, after: Thumb) -> bool:
        """Whether it and the picture after it belong to a new shot."""
        step, further = (cv2.norm(one, self.thumb, cv2.NORM_L1) for one in (self.last, after))
        if further > _SETTLES * step:
            return False
        if self.before is None:
            return not is_blank(after)
        across = likeness(self.before, self.thumb)
        if across > _UNLIKE:
            return False
        across = max(across, likeness(self.before, after))
        return across <= _UNLIKE and likeness(self.thumb, after) >= across + _STEP


class _Blank:
    """Keeps an eye on pictures that show nothing: the dark or the white between two shots."""

    def __init__(self) -> None:
        self.on = False
        """Whether the last picture was blank."""
        self.before: Thumb | None = None
        """What the picture showed before this blank, or the last one; None where nothing is known."""
        self.told = False
        """Whether a change was reported where the blank began."""
        self._since_s = -math.inf
        self._shown: Thumb | None = None

    def push(self, time_s: float, thumb: Thumb) -> None:
        """Take one picture."""
        blank = is_blank(thumb)
        if blank and not self.on:
            self.before, self.told, self._since_s = self._shown, False, time_s
        elif not blank:
            self._shown = thumb
        self.on = blank

    def lasted(self, until_s: float) -> bool:
        """Whether the blank is too long to be a part of what is around it."""
        return until_s - self._since_s > _BLANK_JOINS_S

    def admits(self, change: ShotBoundary, thumb: Thumb) -> bool:
        """Whether a dissolve or fade is news: not the second half of a passage through black."""
        if change.kind == "dissolve":
            return True
        if change.into_blank:
            self.told = True
            return True
        if self.lasted(change.start_s):
            return True
        return not self.told and self.before is not None and likeness(self.before, thumb) <= _UNLIKE


class _Blend:
    """Finds the stretch in which every picture is a blend of its two ends."""

    def __init__(self) -> None:
        self._tick = -1
        self._ring: deque[tuple[float, Thumb]] = deque(maxlen=round(1.2 * _BLEND_LONGEST_S / _TICK_S))
        self._span: tuple[float, float] | None = None
        self._misses = 0

    def push(self, time_s: float, thumb: Thumb) -> ShotBoundary | None:
        """Take one picture; return the dissolve or fade that ended shortly before it."""
        # Ticks of the stream's time, not every n-th frame, so that it does not matter where one starts.
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
        """The time since when, up to now, one picture has been turning into another."""
        for reach in _REACHES:
            if len(self._ring) <= 2 * reach:
                return None
            start_s, start = self._ring[-1 - 2 * reach]
            if _is_blend(start, self._ring[-1 - reach][1], self._ring[-1][1]):
                return start_s
        return None

    def _judge(self, start_s: float, end_s: float) -> ShotBoundary | None:
        """The change between two times, if the pictures in between are blends of a different two."""
        kept = [(time_s, plane) for time_s, plane in self._ring if start_s <= time_s <= end_s]
        if kept[0][0] > start_s:
            return None  # it has been going on for longer than any dissolve
        planes = np.stack([thumb for _, thumb in kept]).astype(np.float32)
        parts, rest = _as_blends(planes)
        if rest.max() > _BLEND_RESIDUAL or np.diff(parts).min() < -0.1:
            return None
        # Smooth pictures that shift look like blends; their fine detail does not.
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
        if from_blank or likeness(old, new) > _UNLIKE:
            return None
        return ShotBoundary("dissolve", start_s, end_s)


def _is_blend(start: Thumb, middle: Thumb, end: Thumb) -> bool:
    """Whether the middle picture is a mixture of the other two, which differ."""
    if cv2.norm(start, end, cv2.NORM_L1) < _BLEND_CHANGE * start.size:
        return False
    # The foot of the perpendicular from the middle one onto the way between the ends, by its three sides.
    length, before, after = (
        cv2.norm(one, other, cv2.NORM_L2SQR) for one, other in ((start, end), (start, middle), (middle, end))
    )
    share = (length + before - after) / (2 * length)
    rest = before / length - share * share
    return 0.2 < share < 0.8 and rest < _BLEND_RESIDUAL**2


def _as_blends(planes: _Plane, parts: _Plane | None = None) -> tuple[_Plane, _Plane]:
    """How far each of ``planes`` is from the first to the last, and what that leaves unexplained.

    Both as shares of the way from first to last; ``parts`` where they are known already.
    """
    offsets = (planes - planes[0]).reshape(len(planes), -1)
    way = offsets[-1]
    length = max(1.0, float(np.dot(way, way)))
    if parts is None:
        parts = offsets @ way / length
    rest = np.linalg.norm(offsets - parts[:, None] * way, axis=1) / math.sqrt(length)
    return parts, rest


def is_blank(thumb: Thumb) -> bool:
    """Whether a picture is black or white all over."""
    mean, std = cv2.meanStdDev(thumb)
    return bool(std[0, 0] < _BLANK_STD and not _BLANK_DARK <= mean[0, 0] <= _BLANK_BRIGHT)


def likeness(one: Thumb, other: Thumb) -> float:
    """How much of the structure of two pictures is the same, about 0 to 1.

    Blocks are correlated, each where it fits best nearby and each counting by its contrast, so
    brightness and small shifts do not matter. Two pictures without structure are alike.
    """
    a, b = one + _NOISE[0], other + _NOISE[1]
    contrast = np.maximum(_block_std(a), _block_std(b))
    weights = np.clip(contrast - 2.0, 0.0, 15.0)
    brighter = b >= a
    if not 0.05 < brighter.mean() < 0.95:
        # A flash burns white what it falls on, and leaves nothing there to compare.
        lit = b if brighter[0, 0] else a
        weights[(_block_std(lit) < _FLAT_STD) & (_blocks(lit).mean(axis=(1, 3)) > _WHITE)] = 0.0
    total = float(weights.sum())
    if total < 1.0:
        return 1.0
    alike = 0.0
    for row, column in zip(*np.nonzero(weights), strict=True):
        y, x = row * _BLOCK_H, column * _BLOCK_W
        near = a[max(0, y - _SHIFT) : y + _BLOCK_H + _SHIFT, max(0, x - _SHIFT) : x + _BLOCK_W + _SHIFT]
        match = cv2.matchTemplate(near, b[y : y + _BLOCK_H, x : x + _BLOCK_W], cv2.TM_CCOEFF_NORMED)
        alike += float(weights[row, column]) * float(match.max())
    return alike / total


def _blocks(plane: _Plane) -> _Plane:
    """A thumb cut into blocks: rows, their height, columns, their width."""
    return plane.reshape(THUMB_SHAPE[0] // _BLOCK_H, _BLOCK_H, THUMB_SHAPE[1] // _BLOCK_W, _BLOCK_W)


def _block_std(plane: _Plane) -> _Plane:
    return np.asarray(_blocks(plane).std(axis=(1, 3)), np.float32)
