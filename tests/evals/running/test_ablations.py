"""Ablations leave out one part of the agent, and only that part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from recollect.agent.answer import Question
from recollect.agent.overrides import AgentOverrides
from recollect.agent.reasoner import DraftAnswer, Judgement, Plan
from recollect.client import Recollect
from recollect.evals.ablations import ABLATIONS
from recollect.evals.causal_video import FileFootage
from recollect.evals.ingestion import STREAM, WatchSettings, ingest
from recollect.evals.presets import ablated_systems, call_limited_systems, embedded_systems
from recollect.memory.values import Moment
from recollect.testing.scripted_reasoner import ScriptedReasoner

from .conftest import HouseSuite


class RecordingReasoner(ScriptedReasoner):
    """Returns a scripted plan, and records its input."""

    def __init__(self, plan: Plan, look_at: str = "") -> None:
        super().__init__(plan=plan, draft=DraftAnswer(text="", confidence=0.0, why="unclear"))
        self.planned_from: list[Sequence[Moment]] = []
        self.judged_from: list[tuple[Sequence[Moment], Sequence[Moment]]] = []
        self.looked: list[str] = []
        self._look_at = look_at

    def read(self, question: Question, overview: Sequence[Moment]) -> Plan:
        self.planned_from.append(overview)
        return super().read(question, overview)

    def look(self, question: Question, moment: Moment, pictures: Any) -> None:
        self.looked.append(moment.id)

    def judge(
        self, question: Question, plan: Plan, overview: Sequence[Moment], moments: Sequence[Moment]
    ) -> Judgement:
        self.judged_from.append((overview, moments))
        return Judgement(sufficiency=0.0, look_at=(self._look_at,) if self._look_at else (), wider=False)


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory, suite: HouseSuite) -> Path:
    path = tmp_path_factory.mktemp("memory") / "house.lance"
    ingest(FileFootage(suite.videos["house"]), path, name="house", watching=WatchSettings(ocr=False))
    return path


def ask(memory: Path, overrides: AgentOverrides | None, plan: Plan, look_at: str = "") -> RecordingReasoner:
    reasoner = RecordingReasoner(plan, look_at)
    with Recollect(memory, reasoner=reasoner, overrides=overrides) as recollect:
        recollect.ask("What happens?")
    return reasoner


EVERYTHING = Plan(everything=True, limit_per_kind=100)


def test_whole_agent_plans_from_an_overview_of_events(memory: Path) -> None:
    (overview,) = ask(memory, None, EVERYTHING).planned_from
    assert "event" in {tile.rung for tile in overview}


def test_overview_ablation_hides_it_from_plan_and_judge(memory: Path) -> None:
    reasoner = ask(memory, ABLATIONS["overview"], EVERYTHING)

    assert reasoner.planned_from == [()]
    assert {len(overview) for overview, _ in reasoner.judged_from} == {0}
    assert reasoner.judged_from[0][1] == ask(memory, None, EVERYTHING).judged_from[0][1]


def test_inspection_ablation_looks_at_no_picture(memory: Path) -> None:
    first = ask(memory, None, EVERYTHING).judged_from[0][1][0].id

    assert ask(memory, None, EVERYTHING, look_at=first).looked == [first]
    assert ask(memory, ABLATIONS["inspection"], EVERYTHING, look_at=first).looked == []


def test_ladder_ablation_shows_only_moments(memory: Path) -> None:
    reasoner = ask(
        memory, ABLATIONS["ladder"], Plan(queries=("person",), everything=True, limit_per_kind=100)
    )

    assert {moment.rung for moment in reasoner.planned_from[0]} == {"moment"}
    assert {moment.rung for moment in reasoner.judged_from[0][1]} == {"moment"}


def test_times_ablation_searches_the_whole_stream(memory: Path) -> None:
    stretch = EVERYTHING.model_copy(update={"from_s": 0.0, "to_s": 5.0})
    with Recollect(memory) as recollect:
        all_ids = [moment.id for moment in recollect.timeline(STREAM, limit=100)]

    in_span = [moment.id for moment in ask(memory, None, stretch).judged_from[0][1]]
    without_times = [moment.id for moment in ask(memory, ABLATIONS["times"], stretch).judged_from[0][1]]
    assert set(in_span) < set(without_times) == set(all_ids)


def test_each_ablation_is_one_system_with_its_own_name() -> None:
    names = [
        system.name for system in (*embedded_systems(), *ablated_systems(), *call_limited_systems([1, 2]))
    ]

    assert len(set(names)) == len(names)
    assert {f"recollect without {part}" for part in ABLATIONS} < set(names)
    assert {"recollect, 1 call", "recollect, 2 calls"} < set(names)
