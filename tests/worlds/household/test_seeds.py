"""Public seeds are everybody's, private ones only of who has the salt."""

from __future__ import annotations

import pytest

from recollect.worlds.household import seeds


def test_splits_share_no_seed_and_more_begin_as_fewer_do():
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
