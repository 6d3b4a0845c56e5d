"""EgoLifeQA: the timeline of a week, the time of questions, and a parser that takes articles for answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recollect.evals.errors import BadSuite
from recollect.evals.records import Prediction
from recollect.evals.suites.egolife import EgoLife

ITEM = {
    "ID": "7",
    "query_time": {"date": "DAY3", "time": "11210217"},
    "type": "EventRecall",
    "need_audio": False,
    "need_name": True,
    "last_time": False,
    "trigger": "The cake comes.",
    "question": "Who brought the cake?",
    "choice_a": "Ann",
    "choice_b": "Ben",
    "choice_c": "Cy",
    "choice_d": "Di",
    "answer": "B",
    "target_time": {"date": "DAY2", "time": "17254118"},
    "keywords": "bring cake",
    "reason": "He did.",
}
HABIT = ITEM | {"ID": 8, "type": "HabitInsight", "answer": "A", "need_audio": True}
DAY_S = 86_400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, [ITEM, HABIT])
    return tmp_path


def write(folder: Path, items: object) -> None:
    (folder / "EgoLifeQA").mkdir(exist_ok=True)
    (folder / "EgoLifeQA" / "EgoLifeQA_A1_JAKE.json").write_text(json.dumps(items), encoding="utf-8")


def test_question_is_asked_at_its_second_of_the_week(folder):
    samples = list(EgoLife(folder).samples())

    assert [sample.id for sample in samples] == ["egolife/A1_JAKE/7", "egolife/A1_JAKE/8"]
    assert samples[0].asked_at_s == 2 * DAY_S + 11 * 3600 + 21 * 60 + 2 + 0.85
    assert (samples[0].video, samples[0].cluster) == ("A1_JAKE", "A1_JAKE/DAY3/11h")
    assert (samples[0].options, samples[0].gold) == (("Ann", "Ben", "Cy", "Di"), "B")
    assert samples == list(EgoLife(folder).samples())


def test_question_text_states_its_time_and_its_hours_in_seconds(folder):
    write(folder, [ITEM, ITEM | {"question": "What did I eat, 11:00-13:30 on day 1?"}])
    plain, timed = EgoLife(folder).samples()

    assert plain.question == "Who brought the cake? (Asked on day 3, 11:21:02.)"
    assert "seconds 39600 to 48600 of the video" in timed.question


@pytest.mark.parametrize(
    ("target", "evidence"),
    [
        ({"date": "DAY2", "time": "17254118"}, ((DAY_S + 62730.0, DAY_S + 62760.0),)),
        ({"date": "DAY3", "time": "11210000"}, ((2 * DAY_S + 40860.0, 2 * DAY_S + 40862.85),)),
        (
            {"date": "DAY1", "time_list": ["11000000", "12000000"]},
            ((39600.0, 39630.0), (43200.0, 43230.0)),
        ),
        ({"date": "DAY1", "time": "11000000-11100000"}, ((39600.0, 40200.0),)),
        ({"date": "DAY1", "time": "23000000DAY2_01000000"}, ((82800.0, DAY_S + 3600.0),)),
        ({"date": "DAY4", "time": "11210000"}, ()),
        ({"date": "DAY1", "time": "in the morning"}, ()),
        (None, ()),
    ],
)
def test_evidence_is_read_in_each_format(folder, target, evidence):
    write(folder, [ITEM | {"target_time": target}])
    (sample,) = EgoLife(folder).samples()

    assert [pytest.approx(span) for span in evidence] == list(sample.evidence)


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("C", "C"),
        ("Answer: C", "C"),
        ("The answer is C.", "C"),
        ("**C**", "C"),
        ("(C) red", "C"),
        ("C, not A or B.", "C"),
        ("A person is seen, so the answer is (C).", "A"),
        ("c", None),
        ("I cannot determine this", None),
        ("Cy", None),
        ("", None),
    ],
)
def test_first_lone_capital_is_the_answer(folder, reply, letter):
    suite = EgoLife(folder)
    sample = next(suite.samples())

    right = [gold for gold in "ABCD" if suite.official(sample.model_copy(update={"gold": gold}), reply)]

    assert right == ([letter] if letter else [])


def test_overall_is_the_mean_of_the_questions(folder):
    suite = EgoLife(folder)
    first, second = suite.samples()

    assert suite.totals([(first, 1.0), (second, 0.0)]) == {
        "overall": 0.5,
        "type/EventRecall": 1.0,
        "type/HabitInsight": 0.0,
    }


def test_export_counts_replies_without_a_letter_as_wrong(folder, tmp_path):
    suite = EgoLife(folder)
    samples = list(suite.samples())
    predictions = [
        Prediction(sample=samples[0].id, system="mine", status="ok", said="It is B."),
        Prediction(sample=samples[1].id, system="mine", status="error", said="A failure"),
    ]

    (path,) = suite.export(samples, predictions, tmp_path / "out")

    written = json.loads(path.read_text())
    assert path.name == "mine_results.json"
    assert written["accuracy"] == 0.5
    assert [(result["model_option"], result["is_correct"]) for result in written["results"]] == [
        ("B", True),
        (None, False),
    ]
    assert [result["metadata"] for result in written["results"]] == [ITEM, HABIT]


def test_clip_start_comes_from_its_name(folder):
    for name in (
        "DAY1/DAY1_A1_JAKE_11093000.mp4",
        "DAY2/DAY2_A1_JAKE_09000000.mp4",
        "DAY1/DAY1_A1_JAKE_11100000.mp4",
    ):
        (folder / "A1_JAKE" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "A1_JAKE" / name).write_bytes(b"")
    suite = EgoLife(folder)

    assert suite.video("A1_JAKE") == folder / "A1_JAKE"
    assert [at_s for _, at_s in suite.clips("A1_JAKE")] == [40170.0, 40200.0, DAY_S + 32400.0]


def test_missing_file_error_says_where_to_get_it(folder):
    with pytest.raises(BadSuite, match=r"EgoLifeQA_A2_ALICE.json.*huggingface.co/datasets/lmms-lab/EgoLife"):
        list(EgoLife(folder, people=("A2_ALICE",)).samples())
    with pytest.raises(BadSuite, match="A1_JAKE"):
        EgoLife(folder).video("A1_JAKE")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"query_time": {"date": "DAY3"}}, r"query_time\.time"),
        ({"query_time": {"date": "DAY3", "time": "noon"}}, "query_time"),
        ({"choice_d": None}, "choice_d"),
        ({"answer": "E"}, "answer"),
    ],
)
def test_wrong_field_is_named(folder, change, field):
    write(folder, [ITEM | change])

    with pytest.raises(BadSuite, match=field):
        list(EgoLife(folder).samples())
