"""Retrieval drills: synthetic exercises in finding a word again, the skill that judging moments needs.

    row = Drills(vocabulary).make(random.Random(1), Drill(names=4, words=6))

A drill has named data blocks, like the moments in a prompt, with random words; and many cues of one or two words. The
reply to a cue is the name of the block that contains it, and the words that follow it there. With two names and one
word each, a small model learns this within 150 steps. With twelve names and twenty words, or on the tasks themselves,
it does not learn it in thousands of steps. So the first drills are small.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...agent.prompt_building import SHOWN
from ...perception.lmm import as_data
from .batches import Branch, EncodedSample
from .vocabulary import TURN_END, TURN_START, Vocabulary

_CUES = 48
_FOLLOWING = 2
"""The number of words that follow the name in the reply, in some drills."""


@dataclass(frozen=True, slots=True)
class Drill:
    """The form of a drill."""

    names: int = SHOWN
    """The most names."""
    words: int = 20
    """The most words under each name."""
    question_share: float = 0.6
    """The share of drills whose cue is worded as a question, so that the reply begins some tokens after it."""
    following_share: float = 0.3
    """The share of drills whose reply also has the words after the cue."""
    moments_share: float = 0.7
    """The share of drills on the moments of judge prompts. The others are on random words."""


class Drills:
    """Makes drills of a vocabulary's words."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        tokenizer = vocabulary.tokenizer
        self._heads: list[list[int]] = []
        for number in range(1, SHOWN + 1):
            head, tail = as_data(f"M{number}", "|").split("|")
            before, name, after = tokenizer.encode(head, add_special_tokens=False)
            self._heads.append([before, name, after])
        self._tail = tokenizer.encode(tail + "\n", add_special_tokens=False)
        wrapping_texts = ("Question:", f'?{TURN_END}\n{TURN_START}assistant\n{{"cites":["')
        self._question_frame = [tokenizer.encode(text, add_special_tokens=False) for text in wrapping_texts]
        wrapping = itertools.chain(*self._heads, self._tail, *self._question_frame)
        reserved = {*tokenizer.get_added_vocab().values(), *wrapping}
        self._words = [
            n for n in range(len(tokenizer)) if n not in reserved and len(tokenizer.decode([n])) > 7
        ]

    def make(self, rng: random.Random, drill: Drill) -> EncodedSample:
        """A drill on random words. If they are drawn from few different ones, words repeat."""
        different = rng.sample(self._words, min(len(self._words), rng.choice((100, 200, 1000))))
        tokens: list[int] = []
        filled: list[tuple[int, list[int]]] = []
        for head in self._heads[: rng.randint(2, drill.names)]:
            filling = rng.choices(different, k=rng.randint(1, drill.words))
            tokens += [*head, *filling, *self._tail]
            filled.append((head[1], filling))
        wrapping = self._question_frame if rng.random() < drill.question_share else ([], [])
        row = self._with_cues(rng, tokens, filled, self._following(rng, drill), wrapping)
        return row if row.branches else self.make(rng, drill)

    def make_of(self, row: EncodedSample, rng: random.Random, drill: Drill) -> EncodedSample | None:
        """A drill on the moments of an encoded judge sample; None if no cue occurs exactly once."""
        tokens = row.tokens[: row.branches[0].reply].tolist()
        begins = [place for place, token in enumerate(tokens) if token == self._heads[0][0]]
        ends = [place for place, token in enumerate(tokens) if token == self._tail[0]]
        names = {head[1] for head in self._heads}
        filled = [
            (tokens[begin + 1], tokens[begin + 3 : end])
            for begin, end in zip(begins, ends, strict=True)
            if tokens[begin + 1] in names
        ]
        if not filled:
            return None
        following = self._following(rng, drill)
        drilled = self._with_cues(rng, tokens[: ends[-1] + 1], filled, following, self._question_frame)
        return drilled if drilled.branches else None

    @staticmethod
    def _following(rng: random.Random, drill: Drill) -> int:
        return _FOLLOWING if rng.random() < drill.following_share else 0

    def _with_cues(
        self,
        rng: random.Random,
        tokens: Sequence[int],
        filled: Sequence[tuple[int, Sequence[int]]],
        following: int,
        wrapping: Sequence[Sequence[int]],
    ) -> EncodedSample:
        """A row of data and cues, with the tokens before and after each cue."""
        row, branches = list(tokens), list[Branch]()
        before, after = wrapping
        for cue, reply in self._cues(rng, filled, following):
            begin = len(row)
            row += [*before, *cue, *after]
            branches.append(Branch(begin, len(row), len(row) + len(reply)))
            row += reply
        return EncodedSample(np.array(row, np.int64), branches, [], [])

    def _cues(
        self, rng: random.Random, filled: Sequence[tuple[int, Sequence[int]]], following: int
    ) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
        """Cues that occur once, each with the name of its block and the words that follow it."""
        places: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for index, (_, filling) in enumerate(filled):
            for length in (1, 2):
                for start in range(len(filling) - length + 1):
                    places.setdefault(tuple(filling[start : start + length]), []).append((index, start))
        drillable = set(self._words)
        # The cue, the index of its block, and the start of the words after it.
        unique = [
            (cue, occurrences[0][0], occurrences[0][1] + len(cue))
            for cue, occurrences in places.items()
            if len(occurrences) == 1 and drillable.issuperset(cue)
        ]
        usable = [
            candidate for candidate in unique if candidate[2] + following <= len(filled[candidate[1]][1])
        ]
        for cue, index, begin in rng.sample(usable, min(_CUES, len(usable))):
            name, filling = filled[index]
            yield cue, [name, *filling[begin : begin + following]]
