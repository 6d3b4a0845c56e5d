"""The words of a text as full-text search takes them, and which of them stand together.

words_of("Two cost_models.go files")                  # ["two", "cost", "models", "go", "files"]
shared_pair_fraction(word_pairs("a blue cup"), "the blue cups")   # 0.5: "blue cup" stands there, "a blue" does not
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

_WORD = re.compile(r"[^\W_]+(?:['’][a-z]+)?", re.UNICODE)
WordPairs = frozenset[tuple[str, str]]


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case and in order."""
    return [match.group(0) for match in _WORD.finditer(text.lower())]


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The stem that full-text search would match: ``walked`` and ``walks`` give ``walk``."""
    return str(_stemmer().stemWord(word))


def word_pairs(text: str) -> WordPairs:
    """Each two words that follow one another, as stems."""
    return frozenset(pairwise(map(stem, words_of(text))))


def shared_pair_fraction(asked: WordPairs, text: str) -> float:
    """How many of some pairs of words a text has, of 1; 0 where none is asked for."""
    return len(asked & word_pairs(text)) / len(asked) if asked else 0.0


@cache
def _stemmer() -> Any:
    import snowballstemmer  # noqa: PLC0415 - only questions need it

    return snowballstemmer.stemmer("english")
