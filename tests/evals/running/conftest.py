"""A suite with questions about one short house, asked during its video."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from recollect.evals.records import Prediction, Sample
from recollect.worlds.demo_video import render
from recollect.worlds.house import House, ask_about, furnish


@dataclass(frozen=True)
class HouseSuite:
    """Questions about houses, each asked some seconds after the event."""

    videos: Mapping[str, Path]
    questions: Sequence[Sample]
    name: str = "house"

    @property
    def settings(self) -> Mapping[str, str]:
        return {}

    def files(self) -> Sequence[Path]:
        return list(self.videos.values())

    def samples(self) -> Iterator[Sample]:
        return iter(self.questions)

    def video(self, name: str) -> Path:
        return self.videos[name]

    def official(self, sample: Sample, reply: str) -> float:
        return float(reply == sample.gold)

    def totals(self, scored: Sequence[tuple[Sample, float]]) -> Mapping[str, float]:
        return {"overall": sum(score for _, score in scored) / len(scored)}

    def export(
        self, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path
    ) -> Sequence[Path]:
        return []

    def but(self, **changed: object) -> HouseSuite:
        return replace(self, **changed)  # type: ignore[arg-type]


def samples_of(house: House, video: str) -> list[Sample]:
    """Some questions with options about a house."""
    questions = [
        question
        for question in ask_about(house, limit=12)
        if question.options and question.choice is not None
    ]
    return [
        Sample(
            id=f"house/{video}/{number}",
            suite="house",
            video=video,
            cluster=video,
            kind="choice",
            question=question.text,
            options=question.options,
            gold="ABCD"[question.choice or 0],
            asked_at_s=max(span.end_s for span in question.evidence) + 3.0,
            evidence=tuple((span.start_s, span.end_s) for span in question.evidence),
        )
        for number, question in enumerate(questions)
    ]


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> HouseSuite:
    house = furnish("running", 24.0)
    video = tmp_path_factory.mktemp("houses") / "house.mp4"
    render(house.timeline, video, seed=1)
    return HouseSuite({"house": video}, samples_of(house, "house"))
