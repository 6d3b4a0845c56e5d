"""The synthetic world: the same settings give the same questions."""

from __future__ import annotations

from recollect.evals.suites.world_suite import WorldSuite


def world(**changed: object) -> WorldSuite:
    defaults: dict[str, object] = {"seed": "dev", "videos": 1, "lasts_s": 60.0, "questions": 12}
    return WorldSuite(**{**defaults, **changed})  # type: ignore[arg-type]


def test_both_twins_have_the_same_questions() -> None:
    of_twins = [sample for sample in world().samples() if "twins" in sample.tags]

    assert len({sample.video for sample in of_twins}) == 2
    assert len({sample.cluster for sample in of_twins}) == 1
    assert {sum(twin.group == sample.group for twin in of_twins) for sample in of_twins} == {2}


def test_without_twins_one_house_gets_as_many_questions() -> None:
    both, single = list(world().samples()), list(world(both=False).samples())

    assert len({sample.video for sample in both}) == 2
    assert {sample.video for sample in single} == {both[0].video}
    assert len(single) == sum(sample.video == both[0].video for sample in both)
    assert "twins" not in {tag for sample in single for tag in sample.tags}


def test_settings_state_what_the_questions_depend_on() -> None:
    assert world().settings != world(both=False).settings
    assert world().settings == world().settings
    assert world(seed="mine").settings != world().settings
