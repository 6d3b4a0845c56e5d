"""Arrival fit: holds a source's timestamps against the times at which its frames arrived.

    fit = ArrivalFit()
    fit.add(source_s=12.00, arrival_s=105.31)
    fit.time_at(12.04)          # when the frame would have arrived without any delay

A frame never arrives before it was taken, and only some arrive at once. So the fit is a straight line below
all arrivals of the last minute, through those with the least delay. Its rate stays as it is until the
arrivals clearly show another one: a network that becomes slower is no slow clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

_WINDOW_S = 60.0
_BUCKET_S = 0.25
"""Of the arrivals within this time only the one with the least delay counts."""

_MIN_BUCKETS = 8
"""The rate is not judged by fewer. As many are kept beyond the window for a source that sends seldom."""

_LONGEST_WINDOW_S = 600.0

_CLEARLY = 3.0
"""Another rate must make the mean delay this many times smaller. A delay that grows in one step never
looks like a rate: a line through both levels makes it at most twice as small."""

_SLOWEST, _FASTEST = 0.8, 1.25
"""A rate outside these bounds is no clock's: the timestamps are made up."""

_Point = tuple[float, float]
"""Source time and arrival."""


@dataclass(slots=True)
class _Bucket:
    """The arrivals of a quarter of a second."""

    began_s: float
    least_delayed: _Point
    longest_delay_s: float


class ArrivalFit:
    """A straight line through the least delayed arrivals: ``time = rate × source time + offset``."""

    def __init__(self, rate: float = 1.0) -> None:
        """``rate`` is the rate of the source's clock as it is known so far."""
        self.rate = rate
        self.is_made_up = False
        """Whether the rate is so absurd that the timestamps say nothing of time."""
        self._offset_s = float("inf")
        self._buckets: deque[_Bucket] = deque()

    def add(self, source_s: float, arrival_s: float) -> None:
        """Take an arrival."""
        delay_s = arrival_s - self.rate * source_s
        is_first = not self._buckets
        self._offset_s = min(self._offset_s, delay_s)
        if is_first or arrival_s - self._buckets[-1].began_s >= _BUCKET_S:
            self._refit(arrival_s)
            self._buckets.append(_Bucket(arrival_s, (source_s, arrival_s), 0.0))
            self._offset_s = min(self._offset_s, arrival_s - self.rate * source_s)
        bucket = self._buckets[-1]
        if delay_s < bucket.least_delayed[1] - self.rate * bucket.least_delayed[0]:
            bucket.least_delayed = (source_s, arrival_s)
        bucket.longest_delay_s = max(bucket.longest_delay_s, arrival_s - self.time_at(source_s))

    def time_at(self, source_s: float) -> float:
        """The time that belongs to a timestamp."""
        return self.rate * source_s + self._offset_s

    @property
    def usual_delay_s(self) -> float:
        """The longest delay of the last minute, as for the first frame of a segment that arrives whole."""
        return max((bucket.longest_delay_s for bucket in self._buckets), default=0.0)

    def _refit(self, now_s: float) -> None:
        """Forget old arrivals, and choose the line again."""
        buckets = self._buckets
        while buckets and (
            now_s - buckets[0].began_s > _LONGEST_WINDOW_S
            or (now_s - buckets[0].began_s > _WINDOW_S and len(buckets) > _MIN_BUCKETS)
        ):
            buckets.popleft()
        if not buckets:
            return
        points = [bucket.least_delayed for bucket in buckets]
        if len(points) >= _MIN_BUCKETS:
            rate = _rate_below(points)
            if _mean_delay_s(points, rate) * _CLEARLY < _mean_delay_s(points, self.rate):
                self.is_made_up = not _SLOWEST <= rate <= _FASTEST
                self.rate = min(_FASTEST, max(_SLOWEST, rate))
        self._offset_s = _offset_s(points, self.rate)


def _offset_s(points: Sequence[_Point], rate: float) -> float:
    return min(arrival_s - rate * source_s for source_s, arrival_s in points)


def _mean_delay_s(points: Sequence[_Point], rate: float) -> float:
    offset_s = _offset_s(points, rate)
    return fmean(arrival_s - rate * source_s - offset_s for source_s, arrival_s in points)


def _rate_below(points: Sequence[_Point]) -> float:
    """The rate of the line below all points that is nearest to them: the edge of their lower hull at their middle."""
    hull: list[_Point] = []
    for point in sorted(points):
        while len(hull) >= 2 and _slope(hull[-2], point) <= _slope(hull[-2], hull[-1]):
            hull.pop()
        if hull and hull[-1][0] == point[0]:
            continue  # the same source time again, later
        hull.append(point)
    if len(hull) < 2:
        return 1.0
    middle_s = sum(source_s for source_s, _ in points) / len(points)
    for left, right in pairwise(hull):
        if right[0] >= middle_s:
            return _slope(left, right)
    return _slope(hull[-2], hull[-1])


def _slope(left: _Point, right: _Point) -> float:
    run_s = right[0] - left[0]
    return (right[1] - left[1]) / run_s if run_s > 0 else float("inf")
