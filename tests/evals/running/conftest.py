"""A suite of one short house, its questions asked while it goes on."""

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
    """Questions about houses, each asked some seconds after what it asks about."""

    videos: Mapping[str, Path]
    asked: Sequence[Sample]
    name: str = "house"

    @property
    def settings(self) -> Mapping[str, str]:
        return {}

    def files(self) -> Sequence[Path]:
        return list(self.videos.values())

    def samples(self) -> Iterator[Sample]:
        return iter(self.asked)

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
    asked = [one for one in ask_about(house, limit=12) if one.options and one.choice is not None]
    return [
        Sample(
            id=f"house/{video}/{number}",
            suite="house",
            video=video,
            cluster=video,
            kind="choice",
            question=one.text,
            options=one.options,
            gold="ABCD"[one.choice or 0],
            asked_at_s=max(span.end_s for span in one.evidence) + 3.0,
            evidence=tuple((span.start_s, span.end_s) for span in one.evidence),
        )
        for number, one in enumerate(asked)
    ]


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> HouseSuite:
    house = furnish("running", 24.0)
    video = tmp_path_factory.mktemp("houses") / "one.mp4"
    render(house.timeline, video, seed=1)
    return HouseSuite({"one": video}, samples_of(house, "one"))
