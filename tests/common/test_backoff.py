"""Back-off between retries: the range of pauses after each failure."""

from __future__ import annotations

import pytest

from recollect.common.backoff import Backoff


def pauses_s(backoff: Backoff, failures: int) -> list[float]:
    return [backoff.pause_s(failures) for _ in range(300)]


def test_the_first_pause_is_at_most_first_s():
    backoff = Backoff(first_s=1.0, longest_s=60.0)

    assert all(0.0 <= pause_s <= 1.0 for pause_s in pauses_s(backoff, 1))


def test_the_longest_pause_doubles_with_each_failure():
    backoff = Backoff(first_s=1.0, longest_s=60.0)

    assert 4.0 < max(pauses_s(backoff, 4)) <= 8.0


def test_no_pause_is_longer_than_longest_s():
    backoff = Backoff(first_s=1.0, longest_s=60.0)

    assert all(pause_s <= 60.0 for pause_s in pauses_s(backoff, 100_000))


def test_pauses_are_drawn_from_the_whole_range():
    backoff = Backoff(first_s=1.0, longest_s=60.0)

    assert min(pauses_s(backoff, 1)) < 0.2
    assert max(pauses_s(backoff, 1)) > 0.8


def test_min_share_sets_the_shortest_pause():
    backoff = Backoff(first_s=2.0, longest_s=60.0, min_share=0.5)

    assert all(2.0 <= pause_s <= 4.0 for pause_s in pauses_s(backoff, 2))


def test_a_pause_needs_a_failure():
    with pytest.raises(ValueError, match="at least one failure"):
        Backoff(first_s=1.0, longest_s=60.0).pause_s(0)
