"""Shown moments: which found moments a model has judged, and in which order it sees the rest.

shown = ShownMoments()
ordered = shown.in_order(moments, helpful=["a1"])      # the order in which to show them
shown.record(shown=["a1", "b2"], cited=["a1"])
shown.all_judged    # False if moments are left that were never shown
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..memory.values import Moment


class ShownMoments:
    """The found moments of one question, and which of them were shown to the model."""

    def __init__(self) -> None:
        self._was_shown: dict[str, bool] = {}
        """For each found moment, by id."""
        self._cited: list[str] = []
        self._latest: list[str] = []
        """The moments of the latest judgement."""

    @property
    def all_judged(self) -> bool:
        """Whether every found moment was shown."""
        return all(self._was_shown.values())

    def in_order(self, moments: Sequence[Moment], helpful: Iterable[str]) -> list[Moment]:
        """The moments in the order in which the model should see them. There is room for the first few.

        Moments that helped or were cited come first. Then come those that were not shown yet, the latest finds
        first, and last those that were judged already.
        """
        by_id = {moment.id: moment for moment in moments}
        kept = [key for key in (*helpful, *self._cited) if key in by_id]
        self._was_shown = dict.fromkeys(by_id, False) | self._was_shown
        not_shown = [key for key in by_id if not self._was_shown[key]]
        return [by_id[key] for key in dict.fromkeys([*kept, *not_shown, *by_id])]

    def record(self, *, shown: Sequence[str], cited: Sequence[str]) -> None:
        """Record a judgement: the ids that were shown, and those that it cites as an answer."""
        self._latest = list(shown)
        self._was_shown |= dict.fromkeys(shown, True)
        self._cited = list(cited)

    def judge_again(self, *, without: str) -> None:
        """Have the moments of the latest judgement judged again, except one that was refuted (empty: none was)."""
        self._was_shown |= {key: False for key in self._latest if key != without}
        self._cited = [key for key in self._cited if key != without]
