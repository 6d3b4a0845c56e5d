"""The world that is drawn here is the same for everybody who asks for the same."""

from __future__ import annotations

from recollect.evals.suites.world_suite import WorldSuite


def world(**changed: object) -> WorldSuite:
    asked: dict[str, object] = {"seed": "dev", "videos": 1, "lasts_s": 60.0, "questions": 12}
    return WorldSuite(**{**asked, **changed})  # type: ignore[arg-type]


def test_the_same_is_asked_of_both_twins() -> None:
    of_twins = [sample for sample in world().samples() if "twins" in sample.tags]

    assert len({sample.video for sample in of_twins}) == 2
    assert len({sample.cluster for sample in of_twins}) == 1
    assert {sum(one.group == sample.group for one in of_twins) for sample in of_twins} == {2}


def test_without_twins_one_house_alone_is_watched_and_as_much_is_asked_of_it() -> None:
    both, one = list(world().samples()), list(world(both=False).samples())

    assert len({sample.video for sample in both}) == 2
    assert {sample.video for sample in one} == {both[0].video}
    assert len(one) == sum(sample.video == both[0].video for sample in both)
    assert "twins" not in {tag for sample in one for tag in sample.tags}


def test_what_the_questions_depend_on_is_told() -> None:
    assert world().settings != world(both=False).settings
    assert world().settings == world().settings
    assert world(seed="mine").settings != world().settings
