"""EgoMem: whole days, and clock times in their questions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recollect.evals.errors import BadSuite
from recollect.evals.records import Prediction
from recollect.evals.suites.egomem import EgoMem

ITEMS = [
    {
        "videoID": "A1_JAKE_DAY1",
        "question_id": "0",
        "type": "Detail",
        "question": "Who watered the plants?",
        "options": ["A. Ann.", "B. Jake alone.", "C. Cy.", "D. Di."],
        "answer": "B",
    },
    {
        "videoID": "A6_SHURE_DAY6",
        "question_id": "12",
        "type": "Event",
        "question": "When did it rain? Leave out 10:00 am to 10:01 am.",
        "options": [f"{letter}. DAY6: 10:00~11:0{minute}" for minute, letter in enumerate("ABCD")],
        "answer": "C",
    },
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "EgoMem.json").write_text(json.dumps(ITEMS), encoding="utf-8")
    return tmp_path


def test_question_is_asked_when_its_day_is_over(folder):
    detail, event = EgoMem(folder).samples()

    assert (detail.id, detail.video, detail.asked_at_s) == ("egomem/0", "A1_JAKE_DAY1", None)
    assert (detail.options, detail.gold) == (("Ann.", "Jake alone.", "Cy.", "Di."), "B")
    assert event.question == ITEMS[1]["question"]
    assert [detail, event] == list(EgoMem(folder).samples())


def test_with_clips_the_question_states_seconds_of_its_hours(folder):
    day = folder / "EgoLife" / "A6_SHURE" / "DAY6"
    day.mkdir(parents=True)
    for time in ("09300000", "10000000", "10003000", "10590000"):
        (day / f"DAY6_A6_SHURE_{time}.mp4").write_bytes(b"")

    detail, event = EgoMem(folder, egolife=folder / "EgoLife").samples()

    assert detail.question == ITEMS[0]["question"]
    assert "day 6, 10:00:00 to day 6, 10:01:00 is about seconds 30 to 90 of the video." in event.question
    assert "day 6, 10:00:00 to day 6, 11:00:00 is about seconds 30 to 120 of the video." in event.question


@pytest.mark.parametrize(
    ("reply", "score"), [("B", 1.0), ("(B) He", 1.0), ("A man: B", 0.0), ("b", 0.0), ("", 0.0)]
)
def test_first_lone_capital_is_the_answer(folder, reply, score):
    suite = EgoMem(folder)

    assert suite.official(next(suite.samples()), reply) == score


def test_overall_is_the_mean_of_the_questions(folder):
    suite = EgoMem(folder)
    detail, event = suite.samples()

    assert suite.totals([(detail, 1.0), (event, 0.0)]) == {
        "overall": 0.5,
        "type/Detail": 1.0,
        "type/Event": 0.0,
    }


def test_export_has_the_questions_with_the_replies(folder, tmp_path):
    suite = EgoMem(folder)
    prediction = Prediction(sample="egomem/12", system="mine", status="ok", said="C")

    (path,) = suite.export(list(suite.samples()), [prediction], tmp_path / "out")

    assert json.loads(path.read_text()) == [ITEMS[0] | {"response": ""}, ITEMS[1] | {"response": "C"}]


def test_missing_file_error_says_where_to_get_it(folder, tmp_path):
    with pytest.raises(BadSuite, match=r"A1_JAKE_DAY1.*huggingface.co/datasets/jlongzuo/EgoMem"):
        EgoMem(folder).video("A1_JAKE_DAY1")
    with pytest.raises(BadSuite, match=r"EgoMem.json"):
        list(EgoMem(tmp_path / "elsewhere").samples())


@pytest.mark.parametrize(("change", "field"), [({"videoID": 1}, "videoID"), ({"options": []}, "options")])
def test_wrong_field_is_named(folder, change, field):
    (folder / "EgoMem.json").write_text(json.dumps([ITEMS[0] | change]), encoding="utf-8")

    with pytest.raises(BadSuite, match=field):
        list(EgoMem(folder).samples())
