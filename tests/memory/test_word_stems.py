"""Words, stems and adjacent word pairs."""

from __future__ import annotations

import pytest

from recollect.memory.query.word_stems import shared_pair_fraction, word_pairs, words_of


def test_words_are_split_as_full_text_search_does():
    assert words_of("Two cost_models.go – “Köln’s” 茶") == ["two", "cost", "models", "go", "köln’s", "茶"]


@pytest.mark.parametrize(
    ("text", "fraction"),
    [("the blue cup", 1.0), ("THE BLUE CUPS!", 1.0), ("a blue cup", 0.5), ("cup, blue, the", 0.0), ("", 0.0)],
)
def test_the_fraction_of_shared_word_pairs_is_exact(text, fraction):
    assert shared_pair_fraction(word_pairs("the blue cup"), text) == fraction


def test_a_single_word_has_no_pairs():
    assert shared_pair_fraction(word_pairs("cup"), "a blue cup") == 0.0
