"""OVBench: subsets by file, context windows, and a parser that takes lone letters."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from recollect.evals.errors import BadSuite
from recollect.evals.records import Prediction
from recollect.evals.suites.ovbench import OvBench

LONG = {
    "video": "x.mp4",
    "question": "Since when has the kettle steamed?",
    "answer": "11-12s",
    "candidates": ["2-3s", "30-31s", "11-12s", "22-23s"],
    "start": 0.0,
    "end": 80.0,
    "middle_frame_timestamp": 80.0,
    "answer_type": "TemporalPerception",
    "sub_answer_type": "TemporalPerception-1",
}
SHORT = LONG | {
    "video": "train/seq",
    "start": 10.0,
    "end": 20.0,
    "answer": "2-3s",
    "answer_type": "PastMemory",
    "sub_answer_type": "PastMemory-2",
    "fps": 30,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "TAO.json").write_text(json.dumps([SHORT]), encoding="utf-8")
    (tmp_path / "AVA.json").write_text(json.dumps([LONG, LONG | {"answer": "2-3s"}]), encoding="utf-8")
    return tmp_path


def test_subsets_are_sorted_and_questions_keep_file_order(folder):
    samples = list(OvBench(folder).samples())

    assert [sample.id for sample in samples] == ["ovbench/AVA/0", "ovbench/AVA/1", "ovbench/TAO/0"]
    assert [sample.gold for sample in samples] == ["C", "A", "A"]
    assert samples == list(OvBench(folder).samples())


def test_context_is_from_start_to_end_or_a_window_before_the_end(folder):
    full = [(sample.from_s, sample.asked_at_s) for sample in OvBench(folder).samples()]
    window = [(sample.from_s, sample.asked_at_s) for sample in OvBench(folder, window_s=32.0).samples()]

    assert full == [(0.0, 80.0), (0.0, 80.0), (10.0, 20.0)]
    assert window == [(48.0, 80.0), (48.0, 80.0), (10.0, 20.0)]


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("C", "C"),
        ("c", "C"),
        ("C. 11-12s", "C"),
        ("c. 11-12s", "C"),
        ("C.11-12s", "C"),
        ("(C)", "C"),
        ("(C) 11-12s", "C"),
        ("**C**", "C"),
        ("Answer: C", "C"),
        ("The answer is C.", "C"),
        ("Based on the video, the answer is C.", "C"),
        ("A person is seen, so the answer is (C).", "A"),
        ("C, not A or B.", "C"),
        ("11-12s", None),
        ("I cannot determine this", None),
    ],
)
def test_first_lone_letter_is_the_answer(folder, reply, letter):
    suite = OvBench(folder)
    sample = next(suite.samples())

    right = [gold for gold in "ABCD" if suite.official(sample.model_copy(update={"gold": gold}), reply)]

    assert right == ([letter] if letter else [])


def test_empty_replies_are_left_out_of_the_means(folder):
    suite = OvBench(folder)
    samples = list(suite.samples())

    scores = [suite.official(sample, reply) for sample, reply in zip(samples, ["C", "", "B"], strict=True)]
    totals = suite.totals(list(zip(samples, scores, strict=True)))

    assert math.isnan(scores[1])
    assert totals["overall"] == 0.5
    assert (totals["subset/AVA"], totals["subset/TAO"]) == (1.0, 0.0)
    assert (totals["task/TemporalPerception"], totals["subtask/PastMemory-2"]) == (1.0, 0.0)


def test_export_has_the_fields_of_the_official_counts(folder, tmp_path):
    suite = OvBench(folder)
    samples = list(suite.samples())
    replies = ["C", "", "B"]
    predictions = [
        Prediction(sample=sample.id, system="mine", status="ok", said=reply)
        for sample, reply in zip(samples, replies, strict=True)
    ]

    (path,) = suite.export(samples, predictions, tmp_path / "out")

    results = json.loads(path.read_text())
    answered = [result for result in results if result["pred"] != ""]
    assert [(result["gt"], result["score"]) for result in answered] == [("C", 1), ("A", 0)]
    assert {field: results[0][field] for field in LONG} == LONG


def test_video_can_be_a_file_or_a_picture_folder(folder):
    (folder / "ava").mkdir()
    (folder / "ava" / "x.mp4").write_bytes(b"")
    (folder / "videos" / "TAO" / "train" / "seq").mkdir(parents=True)
    ava, _, tao = OvBench(folder).samples()

    assert OvBench(folder).video(ava.video) == folder / "ava" / "x.mp4"
    assert OvBench(folder).video(tao.video) == folder / "videos" / "TAO" / "train" / "seq"
    with pytest.raises(BadSuite, match=r"no .*y\.mp4"):
        OvBench(folder).video("AVA/y.mp4")


def test_empty_folder_error_says_where_to_get_the_files(tmp_path):
    with pytest.raises(BadSuite, match=r"huggingface.co/datasets/MCG-NJU/OVBench"):
        OvBench(tmp_path).files()


@pytest.mark.parametrize(
    ("change", "field"),
    [({"end": "late"}, "end"), ({"candidates": None}, "candidates"), ({"answer": "x"}, "answer")],
)
def test_wrong_field_is_named(tmp_path, change, field):
    (tmp_path / "AVA.json").write_text(json.dumps([LONG | change]), encoding="utf-8")

    with pytest.raises(BadSuite, match=field):
        list(OvBench(tmp_path).samples())
