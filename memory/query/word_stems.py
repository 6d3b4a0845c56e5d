"""Words, stems and word pairs of a text, as full-text search reads them.

>>> words_of("Two cost_models.go files")
['two', 'cost', 'models', 'go', 'files']
>>> stem("walked")
'walk'
>>> shared_pair_fraction(word_pairs("a blue cup"), "the blue cups")    # "blue cup" matches, "a blue" does not
0.5
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

_WORD = re.compile(r"[^\W_]+(?:['’][a-z]+)?", re.UNICODE)
WordPairs = frozenset[tuple[str, str]]
"""Pairs of adjacent words, as stems."""


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, in order."""
    return [match.group(0) for match in _WORD.finditer(text.lower())]


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The stem that full-text search matches: ``walk`` for ``walked`` and ``walks``."""
    return str(_stemmer().stemWord(word))


def word_pairs(text: str) -> WordPairs:
    """Every pair of adjacent words, as stems."""
    return frozenset(pairwise(map(stem, words_of(text))))


def shared_pair_fraction(pairs: WordPairs, text: str) -> float:
    """The fraction of ``pairs`` that occur in a text, 0 to 1. 0 if ``pairs`` is empty."""
    return len(pairs & word_pairs(text)) / len(pairs) if pairs else 0.0


@cache
def _stemmer() -> Any:
    import snowballstemmer  # noqa: PLC0415 - only questions need it

    return snowballstemmer.stemmer("english")
