"""Public seeds are the same for everybody; private seeds need the salt."""

from __future__ import annotations

import pytest

from recollect.worlds.household import seeds


def test_splits_are_disjoint_and_longer_lists_extend_shorter():
    public, dev, mine = seeds("public", 50), seeds("dev", 50), seeds("private", 50, salt="mine")

    assert len({*public, *dev, *mine}) == 150
    assert seeds("public", 10) == public[:10]


def test_another_salt_gives_other_private_seeds():
    assert seeds("private", 5, salt="mine") == seeds("private", 5, salt="mine")
    assert not set(seeds("private", 5, salt="mine")) & set(seeds("private", 5, salt="yours"))


def test_private_seeds_need_a_salt_and_others_take_none():
    with pytest.raises(ValueError, match="need a salt"):
        seeds("private", 5)
    with pytest.raises(ValueError, match="take no salt"):
        seeds("dev", 5, salt="mine")
