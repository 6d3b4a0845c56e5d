"""Finding again, drilled: what judging among moments stands on, without anything to understand.

    row = Drills(vocabulary).make(random.Random(1), Drill(names=4, words=6))

A drill is some data under names, as moments are shown, filled with words by chance; and many cues, each one
or two words that stand somewhere in it. The reply to a cue is the name of where it stands, and the words
that follow it there. With two names and a word under each a small model begins to do this within 150 steps;
with twelve and twenty it has not begun after thousands, nor on the tasks themselves. So drills begin small.
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
"""So many words are said after the name, in some drills."""


@dataclass(frozen=True, slots=True)
class Drill:
    """What is drilled."""

    names: int = SHOWN
    """The most of them."""
    words: int = 20
    """The most under each name."""
    asked: float = 0.6
    """In so many drills a cue is asked for as a question is: the reply begins some words after it."""
    following: float = 0.3
    """In so many the reply also says what follows the cue."""
    told: float = 0.7
    """So many are on moments as they are judged from, the others on words by chance."""


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
        asked = ("Question:", f'?{TURN_END}\n{TURN_START}assistant\n{{"cites":["')
        self._asked = [tokenizer.encode(text, add_special_tokens=False) for text in asked]
        wrapping = itertools.chain(*self._heads, self._tail, *self._asked)
        taken = {*tokenizer.get_added_vocab().values(), *wrapping}
        self._words = [n for n in range(len(tokenizer)) if n not in taken and len(tokenizer.decode([n])) > 7]

    def make(self, rng: random.Random, drill: Drill) -> EncodedSample:
        """A drill on words by chance. Where they are of few different ones, one stands in several places."""
        different = rng.sample(self._words, min(len(self._words), rng.choice((100, 200, 1000))))
        tokens: list[int] = []
        filled: list[tuple[int, list[int]]] = []
        for head in self._heads[: rng.randint(2, drill.names)]:
            words = rng.choices(different, k=rng.randint(1, drill.words))
            tokens += [*head, *words, *self._tail]
            filled.append((head[1], words))
        asked = self._asked if rng.random() < drill.asked else ([], [])
        found = self._with_cues(rng, tokens, filled, self._following(rng, drill), asked)
        return found if found.branches else self.make(rng, drill)

    def make_of(self, row: EncodedSample, rng: random.Random, drill: Drill) -> EncodedSample | None:
        """A drill on the moments of a row that is judged from; None where they leave nothing to ask."""
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
        found = self._with_cues(rng, tokens[: ends[-1] + 1], filled, following, self._asked)
        return found if found.branches else None

    @staticmethod
    def _following(rng: random.Random, drill: Drill) -> int:
        return _FOLLOWING if rng.random() < drill.following else 0

    def _with_cues(
        self,
        rng: random.Random,
        tokens: Sequence[int],
        filled: Sequence[tuple[int, Sequence[int]]],
        following: int,
        asked: Sequence[Sequence[int]],
    ) -> EncodedSample:
        """The row of some data and of cues, each with what stands before and after it."""
        row, branches = list(tokens), list[Branch]()
        before, after = asked
        for cue, reply in self._cues(rng, filled, following):
            begin = len(row)
            row += [*before, *cue, *after]
            branches.append(Branch(begin, len(row), len(row) + len(reply)))
            row += reply
        return EncodedSample(np.array(row, np.int64), branches, [], [])

    def _cues(
        self, rng: random.Random, filled: Sequence[tuple[int, Sequence[int]]], following: int
    ) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
        """Words that stand in one place only, with the name that is under, and what follows there."""
        places: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for which, (_, words) in enumerate(filled):
            for length in (1, 2):
                for at in range(len(words) - length + 1):
                    places.setdefault(tuple(words[at : at + length]), []).append((which, at))
        known = set(self._words)
        # The cue, which name it stands under, and where the words after it begin.
        once = [
            (cue, found[0][0], found[0][1] + len(cue))
            for cue, found in places.items()
            if len(found) == 1 and known.issuperset(cue)
        ]
        fit = [each for each in once if each[2] + following <= len(filled[each[1]][1])]
        for cue, which, begin in rng.sample(fit, min(_CUES, len(fit))):
            name, words = filled[which]
            yield cue, [name, *words[begin : begin + following]]
