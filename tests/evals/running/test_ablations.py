"""Recollect without one of its parts is the whole of it but for that part."""

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


class Noting(ScriptedReasoner):
    """Plans as it was told, and notes what it is shown."""

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
    ingest(FileFootage(suite.videos["one"]), path, name="one", watching=WatchSettings(ocr=False))
    return path


def asked(memory: Path, overrides: AgentOverrides | None, plan: Plan, look_at: str = "") -> Noting:
    noting = Noting(plan, look_at)
    with Recollect(memory, reasoner=noting, overrides=overrides) as recollect:
        recollect.ask("What happens?")
    return noting


EVERYTHING = Plan(everything=True, limit_per_kind=100)


def test_the_whole_plans_from_an_overview_of_events(memory: Path) -> None:
    (overview,) = asked(memory, None, EVERYTHING).planned_from
    assert "event" in {tile.rung for tile in overview}


def test_without_an_overview_nothing_above_what_is_found_is_planned_or_judged_from(memory: Path) -> None:
    noting = asked(memory, ABLATIONS["overview"], EVERYTHING)

    assert noting.planned_from == [()]
    assert {len(overview) for overview, _ in noting.judged_from} == {0}
    assert noting.judged_from[0][1] == asked(memory, None, EVERYTHING).judged_from[0][1]


def test_without_inspection_no_picture_is_looked_at(memory: Path) -> None:
    first = asked(memory, None, EVERYTHING).judged_from[0][1][0].id

    assert asked(memory, None, EVERYTHING, look_at=first).looked == [first]
    assert asked(memory, ABLATIONS["inspection"], EVERYTHING, look_at=first).looked == []


def test_without_the_ladder_moments_are_all_there_is(memory: Path) -> None:
    noting = asked(
        memory, ABLATIONS["ladder"], Plan(queries=("person",), everything=True, limit_per_kind=100)
    )

    assert {one.rung for one in noting.planned_from[0]} == {"moment"}
    assert {one.rung for one in noting.judged_from[0][1]} == {"moment"}


def test_without_times_what_is_planned_for_a_stretch_is_sought_everywhere(memory: Path) -> None:
    stretch = EVERYTHING.model_copy(update={"from_s": 0.0, "to_s": 5.0})
    with Recollect(memory) as recollect:
        every = [one.id for one in recollect.timeline(STREAM, limit=100)]

    some = [one.id for one in asked(memory, None, stretch).judged_from[0][1]]
    everything = [one.id for one in asked(memory, ABLATIONS["times"], stretch).judged_from[0][1]]
    assert set(some) < set(everything) == set(every)


def test_each_part_is_left_out_once_under_a_name_of_its_own() -> None:
    names = [
        system.name for system in (*embedded_systems(), *ablated_systems(), *call_limited_systems([1, 2]))
    ]

    assert len(set(names)) == len(names)
    assert {f"recollect without {part}" for part in ABLATIONS} < set(names)
    assert {"recollect, 1 call", "recollect, 2 calls"} < set(names)
