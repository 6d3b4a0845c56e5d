"""EgoSchema: the 500 public answers, the export of the rest, and a parser that accepts only options."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest

from recollect.evals.errors import BadSuite
from recollect.evals.records import Prediction
from recollect.evals.suites.egoschema import EgoSchema, chosen_option

KITES = {
    "q_uid": "00aa",
    "google_drive_id": "d-1",
    "question": "What does c make?",
    "option 0": "C folds a kite.",
    "option 1": "C mixes paint",
    "option 2": "C glues boxes. C sings.",
    "option 3": "C rests.",
    "option 4": "C leaves.",
}
HIDDEN = KITES | {"q_uid": "00bb"}
BOXES = KITES | {"q_uid": "00cc"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "questions.json").write_text(json.dumps([BOXES, HIDDEN, KITES]), encoding="utf-8")
    (tmp_path / "subset_answers.json").write_text(json.dumps({"00aa": 2, "00cc": 0}), encoding="utf-8")
    return tmp_path


def test_subset_has_the_questions_with_public_answers(folder):
    samples = list(EgoSchema(folder).samples())

    assert [(sample.id, sample.gold) for sample in samples] == [
        ("egoschema/00cc", "A"),
        ("egoschema/00aa", "C"),
    ]
    assert samples == list(EgoSchema(folder).samples())
    assert samples[1].options[1] == "C mixes paint"


def test_full_set_adds_questions_without_answers(folder):
    samples = list(EgoSchema(folder, subset=False).samples())

    assert [(sample.video, sample.gold) for sample in samples] == [
        ("00cc", "A"),
        ("00bb", None),
        ("00aa", "C"),
    ]
    assert math.isnan(EgoSchema(folder).official(samples[1], "A"))


def test_clips_of_one_recording_are_one_cluster(folder):
    alone = [sample.cluster for sample in EgoSchema(folder).samples()]
    clip = {"video_uid": "2fa7", "starting_sec": 240, "ending_sec": 420}
    (folder / "uid_to_ego4d.json").write_text(json.dumps({"00aa": clip, "00cc": clip}), encoding="utf-8")

    assert alone == ["00cc", "00aa"]
    assert [sample.cluster for sample in EgoSchema(folder).samples()] == ["2fa7", "2fa7"]
    assert len(EgoSchema(folder).files()) == 3


@pytest.mark.parametrize(
    ("reply", "number"),
    [
        ("C", 2),
        ("C\n", 2),
        ("A. C folds a kite.", 0),
        ("C folds a kite.", 0),
        ("B. C mixes paint.", 1),
        ("B. C mixes paint", -1),
        ("C mixes paint.", 1),
        ("C glues boxes", 2),
        ("C glues boxes. C sings.", -1),
        ("C.", -1),
        ("(C)", -1),
        ("Answer: C", -1),
        ("The answer is C.", -1),
        ("c", -1),
        ("", -1),
    ],
)
def test_reply_is_parsed_like_lmms_eval(folder, reply, number):
    suite = EgoSchema(folder)
    sample = list(suite.samples())[1]

    assert chosen_option(sample, reply) == number
    assert suite.official(sample, reply) == float(number == 2)


def test_overall_is_the_accuracy(folder):
    suite = EgoSchema(folder)
    first, second = suite.samples()

    assert suite.totals([(first, 1.0), (second, 0.0)]) == {"overall": 0.5}


def test_full_set_is_exported_for_server_and_kaggle(folder, tmp_path):
    suite = EgoSchema(folder, subset=False)
    samples = list(suite.samples())
    predictions = [
        Prediction(sample="egoschema/00bb", system="ours", status="ok", said="E"),
        Prediction(sample="egoschema/00cc", system="ours", status="abstained", said="I cannot tell"),
    ]

    submission, table = suite.export(samples, predictions, tmp_path / "out")

    assert json.loads(submission.read_text(encoding="utf-8")) == {"00cc": -1, "00bb": 4, "00aa": -1}
    with table.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["q_uid", "answer"], ["00cc", "-1"], ["00bb", "4"], ["00aa", "-1"]]


def test_video_is_found_by_its_clip_id(folder):
    (folder / "videos").mkdir()
    (folder / "videos" / "00aa.mp4").write_bytes(b"")

    assert EgoSchema(folder).video("00aa") == folder / "videos" / "00aa.mp4"
    with pytest.raises(BadSuite, match="no video 00bb"):
        EgoSchema(folder).video("00bb")


@pytest.mark.parametrize(
    ("row", "named"),
    [
        # So was questions.json in an early version of the repository.
        ({name: value for name, value in KITES.items() if name != "question"}, "question"),
        ({name: value for name, value in KITES.items() if name != "option 4"}, "option 4"),
    ],
)
def test_wrong_schema_names_the_field_and_the_source(folder, row, named):
    (folder / "questions.json").write_text(json.dumps([row]), encoding="utf-8")

    with pytest.raises(BadSuite, match=rf"questions\.json.*{named}.*egoschema/EgoSchema"):
        list(EgoSchema(folder).samples())


def test_invalid_answers_and_missing_files_are_refused(folder):
    (folder / "subset_answers.json").write_text(json.dumps({"00aa": 5}), encoding="utf-8")
    with pytest.raises(BadSuite, match=r"subset_answers\.json.*00aa"):
        list(EgoSchema(folder).samples())

    (folder / "subset_answers.json").unlink()
    with pytest.raises(BadSuite, match=r"no subset_answers\.json"):
        EgoSchema(folder).files()
