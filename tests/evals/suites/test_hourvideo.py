"""HourVideo: questions by task, predictive questions, and a parser of JSON replies."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest

from recollect.evals.errors import BadSuite
from recollect.evals.records import Prediction
from recollect.evals.suites.hourvideo import HourVideo, parse_letter

FIND = {
    "qid": "q-1",
    "task": "navigation/object_retrieval",
    "question": "Where is the kettle?",
    "answer_1": "hall",
    "answer_2": "bath",
    "answer_3": "sink",
    "answer_4": "shelf",
    "answer_5": "floor",
    "correct_answer_label": "C",
    "relevant_timestamps": "00:10:05-00:12:00",
}
NEXT = FIND | {
    "qid": "q-2",
    "task": "reasoning/predictive",
    "relevant_timestamps": "01:00:30 - 01:02:00",
    "correct_answer_label": "A",
}
LAYOUT = FIND | {
    "qid": "q-3",
    "task": "reasoning/spatial/layout",
    "answer_1": "images/q-3_a.png",
}
EVENTS = FIND | {
    "qid": "q-4",
    "task": "summarization/key_events_objects",
    "relevant_timestamps": ["00:00:10-00:00:20", "00:01:00-00:01:00"],
}
COMPARE = EVENTS | {"qid": "q-5", "task": "summarization/compare_and_contrast"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "dev_v1.0_annotations.json", {"u1": [FIND, NEXT, LAYOUT], "u2": [EVENTS, COMPARE]})
    hidden = {name: value for name, value in FIND.items() if name != "correct_answer_label"}
    write(tmp_path, "test_v1.0.json", {"u3": [hidden]})
    return tmp_path


def write(folder: Path, name: str, recordings: dict[str, list[dict[str, object]]]) -> None:
    path = folder / "v1.0_release" / "json" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, object] = {
        uid: {"video_metadata": {"duration_in_seconds": 4000}, "benchmark_dataset": rows}
        for uid, rows in recordings.items()
    }
    path.write_text(json.dumps({"canary": "0000"} | content), encoding="utf-8")


def test_questions_keep_file_order_without_picture_tasks(folder):
    samples = list(HourVideo(folder).samples())

    assert [sample.id for sample in samples] == [f"hourvideo/q-{number}" for number in (1, 2, 4, 5)]
    assert samples == list(HourVideo(folder).samples())
    assert [sample.gold for sample in samples] == ["C", "A", "C", "C"]
    assert samples[0].options == ("hall", "bath", "sink", "shelf", "floor")
    assert [sample.id for sample in HourVideo(folder, pictures=True).samples()][2] == "hourvideo/q-3"


def test_predictive_question_is_asked_before_the_event(folder):
    samples = list(HourVideo(folder).samples())

    assert [sample.asked_at_s for sample in samples] == [None, 3630.0, None, None]
    assert [sample.evidence for sample in samples[:3]] == [
        ((605.0, 720.0),),
        (),
        ((10.0, 20.0), (60.0, 61.0)),
    ]


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("C", "C"),
        ("C. sink", "C"),
        ("C, not A or B.", "C"),
        ("Answer: C", "A"),
        ("The answer is C.", "T"),
        ("Final Answer: C", "F"),
        ("(C) sink", ""),
        ("**C**", ""),
        (" C", ""),
        ("c", "c"),
        ("", ""),
        ('{"qid": "q-1", "YOUR_ANSWER": "C. sink", "JUSTIFICATION": "seen"}', "C"),
        ('```json\n[{"YOUR_CHOICE": "C"}]\n```', "C"),
        ('{"JUSTIFICATION": "C"}', ""),
        ('{"YOUR_ANSWER": ', ""),
        ("[]", ""),
        ("5", ""),
    ],
)
def test_reply_is_parsed_like_the_official_code(folder, reply, read):
    suite = HourVideo(folder)
    first = next(iter(suite.samples()))

    assert parse_letter(reply) == read
    assert suite.official(first, reply) == float(read == "C")


def test_totals_are_by_task_and_family(folder):
    suite = HourVideo(folder)
    scored = [(sample, score) for sample, score in zip(suite.samples(), (1.0, 0.0, 1.0, 0.0), strict=True)]

    assert suite.totals(scored) == {
        "overall": 0.5,
        "navigation": 1.0,
        "navigation/object_retrieval": 1.0,
        "reasoning": 0.0,
        "reasoning/predictive": 0.0,
        "summarization": 0.5,
        "summarization/key_events_objects": 1.0,
        "summarization/compare_and_contrast": 0.0,
    }


def test_tables_export_matches_the_official_scorer(folder, tmp_path):
    suite = HourVideo(folder)
    samples = list(suite.samples())
    predictions = [
        Prediction(sample=sample.id, system="ours", status="ok", said="C. sink") for sample in samples[:3]
    ]

    files = suite.export(samples, predictions, tmp_path / "out")

    out = tmp_path / "out" / "ours"
    assert list(files) == [
        out / "u1" / "navigation_object_retrieval.csv",
        out / "u1" / "reasoning_predictive.csv",
        out / "u2" / "summarization.csv",
        out / "answers.json",
    ]
    with files[2].open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"qid": "q-4", "correct_answer_label": "C", "gemini_answer": "C"},
            {"qid": "q-5", "correct_answer_label": "C", "gemini_answer": ""},
        ]
    letters = json.loads(files[-1].read_text(encoding="utf-8"))
    assert letters == {"q-1": "C", "q-2": "C", "q-4": "C", "q-5": ""}


def test_test_split_has_no_gold_answers(folder):
    suite = HourVideo(folder, "test")
    (sample,) = suite.samples()

    assert sample.gold is None
    assert math.isnan(suite.official(sample, "C"))


def test_video_is_found_by_its_ego4d_uid(folder):
    (folder / "v2" / "full_scale").mkdir(parents=True)
    (folder / "v2" / "full_scale" / "u1.mp4").write_bytes(b"")

    assert HourVideo(folder).video("u1") == folder / "v2" / "full_scale" / "u1.mp4"
    with pytest.raises(BadSuite, match="no video u2"):
        HourVideo(folder).video("u2")


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({name: value for name, value in FIND.items() if name != "answer_5"}, "answer_5"),
        (
            {name: value for name, value in FIND.items() if name != "correct_answer_label"},
            "correct_answer_label",
        ),
        (FIND | {"correct_answer_label": "sink"}, "correct_answer_label"),
        (NEXT | {"relevant_timestamps": "later"}, "relevant_timestamps"),
    ],
)
def test_wrong_schema_names_the_field_and_the_source(tmp_path, row, named):
    write(tmp_path, "dev_v1.0_annotations.json", {"u1": [row]})

    with pytest.raises(BadSuite, match=rf"dev_v1\.0_annotations\.json.*{named}.*keshik6/HourVideo"):
        list(HourVideo(tmp_path).samples())


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(BadSuite, match=r"dev_v1\.0_annotations\.json"):
        HourVideo(tmp_path).files()
