"""MLVU: one file for each task, the mean of the task means, and a parser that looks for a bracket."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from recollect.evals.errors import BadSuite
from recollect.evals.records import Prediction
from recollect.evals.suites.mlvu import GENERATION, TASKS, Mlvu, parse_letter

COUNT = {
    "video": "count_9.mp4",
    "duration": 512.4,
    "question": "How many plates are washed?",
    "candidates": ["2", "1", "5", "4"],
    "answer": "5",
    "question_type": "count",
}
SUMMARY = {
    "video": "217.mp4",
    "duration": 480.0,
    "question": "What happens in this video?",
    "answer": "Waves, then a boat, then a whale.",
    "question_type": "summary",
}
SCENE = SUMMARY | {"question_type": "subPlot", "scoring_points": ["a boat comes"], "answer": "A boat comes."}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "json").mkdir()
    for task, name in TASKS.items():
        rows = [COUNT | {"question_type": task}] * (3 if task == "count" else 1)
        (tmp_path / "json" / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "json" / "8_sub_scene.json").write_text(json.dumps([SCENE]), encoding="utf-8")
    (tmp_path / "json" / "9_summary.json").write_text(json.dumps([SUMMARY]), encoding="utf-8")
    return tmp_path


def test_questions_come_by_task_in_file_order(folder):
    samples = list(Mlvu(folder).samples())

    assert [sample.tags["task"] for sample in samples] == [
        "plotQA",
        "needle",
        "ego",
        *["count"] * 3,
        "order",
        "anomaly_reco",
        "topic_reasoning",
    ]
    assert samples[4].id == "mlvu/4_count/1"
    assert samples == list(Mlvu(folder).samples())
    assert {sample.gold for sample in samples} == {"C"}
    assert samples[3].video == "4_count/count_9.mp4"


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("C", "C"),
        ("C) 5", "C"),
        ("(C) red", "C"),
        ("A person is seen, so the answer is (C).", "C"),
        ("Answer: C", "Answer: C"),
        ("The answer is C.", "The answer is C."),
        ("C, not A or B.", "C, not A or B."),
        ("**C**", "**C**"),
        ("c", "c"),
        (") C", ""),
        ("C )", " "),
        ("", ""),
    ],
)
def test_reply_is_parsed_like_the_official_code(folder, reply, read):
    suite = Mlvu(folder)
    first = next(iter(suite.samples()))

    assert parse_letter(reply) == read
    assert suite.official(first, reply) == float(read == "C")


def test_overall_is_the_mean_of_the_task_means(folder):
    suite = Mlvu(folder)
    scored = [(sample, float(sample.tags["task"] == "count")) for sample in suite.samples()]

    totals = suite.totals(scored)

    assert totals["overall"] == pytest.approx(1 / 7)
    assert totals["micro"] == pytest.approx(3 / 9)
    assert (totals["count"], totals["plotQA"]) == (1.0, 0.0)


def test_last_of_equal_options_is_gold_as_in_the_official_code(folder):
    path = folder / "json" / "1_plotQA.json"
    path.write_text(json.dumps([COUNT | {"candidates": ["5", "1", "5", "4"]}]), encoding="utf-8")

    assert next(iter(Mlvu(folder).samples())).gold == "C"


def test_free_text_tasks_are_optional_and_go_to_the_judge(folder, tmp_path):
    suite = Mlvu(folder, generation=True)
    samples = list(suite.samples())
    free_text = samples[-2:]
    predictions = [
        Prediction(sample=sample.id, system="ours", status="ok", said="A boat.") for sample in samples
    ]

    letters, scenes, summaries = suite.export(samples, predictions, tmp_path / "out")

    assert {sample.tags["task"] for sample in Mlvu(folder).samples()} & GENERATION.keys() == set()
    assert [(sample.kind, sample.gold) for sample in free_text] == [("checklist", None), ("text", None)]
    assert all(math.isnan(suite.official(sample, "A boat.")) for sample in free_text)
    assert suite.totals([(sample, math.nan) for sample in free_text])["overall"] == 0.0
    assert (letters.name, scenes.name, summaries.name) == (
        "test_res.json",
        "subplot_all.json",
        "summary_all.json",
    )
    assert json.loads(summaries.read_text(encoding="utf-8")) == [
        {"video_name": "217.mp4", "Q": SUMMARY["question"], "A": SUMMARY["answer"], "pred": "A boat."}
    ]


def test_test_set_has_gold_only_with_its_answer_file(tmp_path):
    row = COUNT | {
        "question_id": "AR_0",
        "candidates": ["2", "1", "5", "4", "3", "7"],
        "question_type": "count",
    }
    hidden = {name: value for name, value in row.items() if name != "answer"}
    (tmp_path / "test_question.json").write_text(json.dumps([hidden]), encoding="utf-8")

    unknown = list(Mlvu(tmp_path, "test").samples())
    (tmp_path / "test-ground-truth").mkdir()
    (tmp_path / "test-ground-truth" / "test_mcq_gt.json").write_text(json.dumps([row]), encoding="utf-8")
    with_answers = list(Mlvu(tmp_path, "test").samples())

    assert [(sample.id, sample.gold) for sample in unknown] == [("mlvu/AR_0", None)]
    assert [(sample.id, sample.gold) for sample in with_answers] == [("mlvu/AR_0", "C")]


def test_letters_export_matches_the_test_server(tmp_path):
    row = COUNT | {"question_id": "AR_0", "question_type": "anomaly_reco"}
    (tmp_path / "test_question.json").write_text(json.dumps([row]), encoding="utf-8")
    suite = Mlvu(tmp_path, "test")
    samples = list(suite.samples())
    prediction = Prediction(sample="mlvu/AR_0", system="ours", status="ok", said="C) 5")

    (path,) = suite.export(samples, [prediction], tmp_path / "out")

    assert json.loads(path.read_text(encoding="utf-8")) == [
        {"question_id": "AR_0", "question_type": "anomaly_reco", "option": "C"}
    ]


def test_video_is_found_in_the_folder_of_its_task(folder):
    (folder / "video" / "4_count").mkdir(parents=True)
    (folder / "video" / "4_count" / "count_9.mp4").write_bytes(b"")

    assert Mlvu(folder).video("4_count/count_9.mp4").is_file()
    with pytest.raises(BadSuite, match="no video 3_ego/x"):
        Mlvu(folder).video("3_ego/x.mp4")


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({name: value for name, value in COUNT.items() if name != "candidates"}, "candidates"),
        (COUNT | {"answer": "9"}, "answer"),
        (COUNT | {"candidates": ["5"]}, "candidates"),
    ],
)
def test_wrong_schema_names_the_field_and_the_source(folder, row, named):
    (folder / "json" / "4_count.json").write_text(json.dumps([row]), encoding="utf-8")

    with pytest.raises(BadSuite, match=rf"4_count\.json.*{named}.*JUNJIE99/MLVU"):
        list(Mlvu(folder).samples())


def test_missing_file_is_refused(folder):
    (folder / "json" / "2_needle.json").unlink()

    with pytest.raises(BadSuite, match=r"2_needle\.json"):
        list(Mlvu(folder).samples())


def test_settings_state_the_set_and_the_tasks(folder):
    assert Mlvu(folder).settings == {"split": "dev", "generation": "False"}
    assert Mlvu(folder, "test", generation=True).settings == {"split": "test", "generation": "False"}
