"""The words of a text, and which of them stand together."""

from __future__ import annotations

import pytest

from recollect.memory.query.word_stems import shared_pair_fraction, word_pairs, words_of


def test_words_are_those_of_full_text_search():
    assert words_of("Two cost_models.go – “Köln’s” 茶") == ["two", "cost", "models", "go", "köln’s", "茶"]


@pytest.mark.parametrize(
    ("text", "share"),
    [("the blue cup", 1.0), ("THE BLUE CUPS!", 1.0), ("a blue cup", 0.5), ("cup, blue, the", 0.0), ("", 0.0)],
)
def test_a_text_has_a_share_of_the_pairs_that_are_asked_for(text, share):
    assert shared_pair_fraction(word_pairs("the blue cup"), text) == share


def test_a_single_word_asks_for_no_pair():
    assert shared_pair_fraction(word_pairs("cup"), "a blue cup") == 0.0
