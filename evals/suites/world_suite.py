"""World suite: synthetic houses in which everything that happens is known, each with a twin that differs in one fact.

    suite = WorldSuite(seed="public", videos=3, lasts_s=600.0, questions=40)
    suite.video(next(suite.samples()).video)         # drawn on demand: it takes no disk space

Each house has general questions, plain questions about single events in the words that ``recollect-tiny`` was trained
on, and questions about both twins. The fact that differs decides the answers of the twin questions, so that no
shortcut through the texts gets both right. The splits are ``public`` and ``dev``. Any other seed is a salt, which makes
a private set of houses.
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
from ..scorers import parse_answer, score

_TWIN_SHARE = 4
"""One question in this many is asked about both twins."""
_PLAIN_SHARE = 3
"""One question in this many is a plain one."""
_DESCRIBED_S = 1.0
"""How long after its end an event counts as described."""
_SEEDS_PER_HOUSE = 20
"""How many seeds are tried at most for each house."""


class WorldSuite:
    """``videos`` houses of ``lasts_s`` seconds, with about ``questions`` questions each.

    ``both``: ask about both twins. Otherwise only one of them is used.
    """

    name = "world"

    def __init__(self, *, seed: str, videos: int, lasts_s: float, questions: int, both: bool = True) -> None:
        self._seed, self._lasts_s, self._questions = seed, lasts_s, questions
        self._videos, self._both = videos, both

    @property
    def settings(self) -> dict[str, str]:
        """What the questions depend on."""
        # A salt is secret. The names of the houses show whether it is the same.
        return {
            "houses": " ".join(pair.samples[0].cluster for pair in self._pairs),
            "lasts_s": f"{self._lasts_s:g}",
            "questions": str(self._questions),
            "twins": "both" if self._both else "one",
        }

    def files(self) -> Sequence[Path]:
        """Empty: everything is generated."""
        return ()

    @cached_property
    def _pairs(self) -> list[CounterfactualTwins]:
        seed_count = self._videos * _SEEDS_PER_HOUSE
        if self._seed in ("public", "dev"):
            candidates = seeds(cast(Split, self._seed), seed_count)
        else:
            candidates = seeds("private", seed_count, salt=self._seed)
        pairs: list[CounterfactualTwins] = []
        for seed in candidates:
            # In a short house there may be no fact that could be changed.
            with suppress(ValueError):
                pairs.append(twins(seed, self._lasts_s, limit=max(1, self._questions // _TWIN_SHARE)))
            if len(pairs) == self._videos:
                return pairs
        raise BadSuite(self.name, Path(), f"too little happens in {self._lasts_s:g} s. Use a longer video")

    @cached_property
    def _houses(self) -> dict[str, House]:
        """The houses by the name of their video."""
        return {video_of(house): house for pair in self._pairs for house in (pair.first, pair.second)}

    def samples(self) -> Iterator[Sample]:
        """The questions about each house, and then those about it and its twin."""
        for pair in self._pairs:
            first = pair.samples[0]
            plain = plain_questions(pair.first, limit=self._questions // _PLAIN_SHARE)
            twin_samples = pair.samples if self._both else ()
            general_count = self._questions - len(plain) - len(twin_samples) // 2
            general = questions_about(pair.first, seed=self._seed, limit=general_count)
            for kind, samples in (("house", general), ("plain", plain), ("twins", twin_samples)):
                for sample in samples:
                    sample_id = f"{self.name}/{kind}/{sample.id.partition('/')[2]}"
                    yield sample.model_copy(
                        update={"id": sample_id, "suite": self.name, "cluster": first.cluster}
                    )

    def video(self, name: str) -> DrawnFootage:
        """The house, drawn on demand."""
        house = self._houses[name]
        return DrawnFootage(house.timeline.draw, house.duration_s, name)

    def official(self, sample: Sample, reply: str) -> float:
        """The strict score: the world has no other."""
        answer = parse_answer(sample.kind, reply, options=len(sample.options))
        return score(sample, Prediction(sample=sample.id, system="", status="ok", answer=answer, said=reply))

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        """The mean score, and the share of twin questions that were answered right for both twins."""
        twin_scores = {sample.id: value for sample, value in scored if "twins" in sample.tags}
        totals = {"overall": fmean(value for _, value in scored)}
        if twin_scores:
            totals["pairs"] = pair_accuracy(
                [sample for sample, _ in scored if sample.id in twin_scores], twin_scores
            )
        return totals

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        """Nothing: the world is only scored here."""
        return ()


def plain_questions(house: House, *, limit: int) -> list[Sample]:
    """Questions with four options about single events, each asked seconds to hours after the event."""
    video = video_of(house)
    rng = random.Random(f"plain {house.seed} {video}")
    samples = []
    for number, question in enumerate(ask_about(house, limit=3 * limit)):
        known_s = max((span.end_s for span in question.evidence), default=house.duration_s) + _DESCRIBED_S
        if len(question.options) < OPTIONS or question.choice is None or known_s >= house.duration_s:
            continue
        # The delay is uniform on a logarithmic scale: as many short delays as long ones.
        later_s = math.exp(rng.uniform(0.0, math.log(house.duration_s - known_s + 1.0))) - 1.0
        samples.append(
            Sample(
                id=f"plain/{video}/{number}",
                suite=WorldSuite.name,
                video=video,
                cluster=video,
                kind="choice",
                question=question.text,
                options=question.options,
                gold=ascii_uppercase[question.choice],
                asked_at_s=round(known_s + later_s, 3),
                evidence=tuple((round(span.start_s, 3), round(span.end_s, 3)) for span in question.evidence),
                tags={"type": "plain", "hops": "1"},
            )
        )
    return samples[:limit]
