"""A world that is drawn here: houses in which everything that happens is known, each with a twin that differs in one fact.

    suite = WorldSuite(seed="public", videos=3, lasts_s=600.0, questions=40)
    suite.video(next(suite.samples()).video)         # drawn when it is looked at; on no disk, however long it is

Of each house general questions are asked; plain ones, in the words that ``recollect-tiny`` was taught, about what
happens once; and of both twins the same ones, whose answers the one fact decides: no trick with texts gets both right. Splits are ``public`` and ``dev``; any other seed is a salt that makes houses nobody
else has.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from statistics import fmean
from string import ascii_uppercase
from typing import cast

from ...worlds.house import House, ask_about
from ...worlds.house.house_questions import OPTIONS
from ...worlds.household import CounterfactualTwins, Split, pair_accuracy, questions_about, seeds, twins
from ...worlds.household.question_sampling import video_of
from ..causal_video import DrawnFootage
from ..errors import BadSuite
from ..records import Prediction, Sample
from ..scorers import parsed, score

_TWIN_SHARE = 4
"""One question of so many is asked of both twins."""
_PLAIN_SHARE = 3
"""And one of so many is a plain one."""
_SEEN_S = 1.0
_SPARE = 20
"""So many times as many seeds are tried as houses are wanted."""


class WorldSuite:
    """``videos`` houses, ``lasts_s`` long, with about ``questions`` questions each; of ``both`` twins, or of one alone."""

    name = "world"

    def __init__(self, *, seed: str, videos: int, lasts_s: float, questions: int, both: bool = True) -> None:
        self._seed, self._lasts_s, self._questions = seed, lasts_s, questions
        self._videos, self._both = videos, both

    @property
    def settings(self) -> dict[str, str]:
        """What the questions depend on."""
        # A salt is its owner's: only that it is the same has to be seen.
        return {
            "houses": " ".join(pair.samples[0].cluster for pair in self._pairs),
            "lasts_s": f"{self._lasts_s:g}",
            "questions": str(self._questions),
            "twins": "both" if self._both else "one",
        }

    def files(self) -> Sequence[Path]:
        """None: all is drawn."""
        return ()

    @cached_property
    def _pairs(self) -> list[CounterfactualTwins]:
        most = self._videos * _SPARE
        if self._seed in ("public", "dev"):
            candidates = seeds(cast(Split, self._seed), most)
        else:
            candidates = seeds("private", most, salt=self._seed)
        found: list[CounterfactualTwins] = []
        for seed in candidates:
            # In a short house it may be that nothing could be another.
            with suppress(ValueError):
                found.append(twins(seed, self._lasts_s, limit=max(1, self._questions // _TWIN_SHARE)))
            if len(found) == self._videos:
                return found
        raise BadSuite(self.name, Path(), f"in {self._lasts_s:g} s too little happens; make it longer")

    @cached_property
    def _houses(self) -> dict[str, House]:
        """By the names of their videos."""
        return {video_of(house): house for pair in self._pairs for house in (pair.one, pair.other)}

    def samples(self) -> Iterator[Sample]:
        """The questions of each house, and then those of it and its twin."""
        for pair in self._pairs:
            first = pair.samples[0]
            plain = plain_questions(pair.one, limit=self._questions // _PLAIN_SHARE)
            of_twins = pair.samples if self._both else ()
            left = self._questions - len(plain) - len(of_twins) // 2
            general = questions_about(pair.one, seed=self._seed, limit=left)
            for kind, some in (("house", general), ("plain", plain), ("twins", of_twins)):
                for sample in some:
                    named = f"{self.name}/{kind}/{sample.id.partition('/')[2]}"
                    yield sample.model_copy(
                        update={"id": named, "suite": self.name, "cluster": first.cluster}
                    )

    def video(self, name: str) -> DrawnFootage:
        """The house, drawn when it is looked at."""
        house = self._houses[name]
        return DrawnFootage(house.timeline.draw, house.duration_s, name)

    def official(self, sample: Sample, reply: str) -> float:
        """The strict score: there is no other."""
        answer = parsed(sample.kind, reply, options=len(sample.options))
        return score(sample, Prediction(sample=sample.id, system="", status="ok", answer=answer, said=reply))

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The mean, and how many pairs of twins were both told right."""
        of_twins = [(sample, worth) for sample, worth in scored if "twins" in sample.tags]
        found = {"overall": fmean(worth for _, worth in scored)}
        if of_twins:
            worths = {sample.id: worth for sample, worth in of_twins}
            found["pairs"] = pair_accuracy([sample for sample, _ in of_twins], worths)
        return found

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """Nothing: it is scored here alone."""
        return ()


def plain_questions(house: House, *, limit: int) -> list[Sample]:
    """Questions with four options about what happens once, each asked some time after it, be it seconds or hours."""
    video = video_of(house)
    rng = random.Random(f"plain {house.seed} {video}")
    found = []
    for number, asked in enumerate(ask_about(house, limit=3 * limit)):
        known_s = max((span.end_s for span in asked.evidence), default=house.duration_s) + _SEEN_S
        if len(asked.options) < OPTIONS or asked.choice is None or known_s >= house.duration_s:
            continue
        # As many soon after as long after, by orders of magnitude.
        later_s = math.exp(rng.uniform(0.0, math.log(house.duration_s - known_s + 1.0))) - 1.0
        found.append(
            Sample(
                id=f"plain/{video}/{number}",
                suite=WorldSuite.name,
                video=video,
                cluster=video,
                kind="choice",
                question=asked.text,
                options=asked.options,
                gold=ascii_uppercase[asked.choice],
                asked_at_s=round(known_s + later_s, 3),
                evidence=tuple((round(span.start_s, 3), round(span.end_s, 3)) for span in asked.evidence),
                tags={"type": "plain", "hops": "1"},
            )
        )
    return found[:limit]
