"""Video-MME: its Parquet and JSON files, its lengths, and a parser with two missing commas."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from recollect.evals.errors import BadSuite
from recollect.evals.records import Prediction
from recollect.evals.suites import open_suite
from recollect.evals.suites.videomme import VideoMme, parse_letter

BOATS = {
    "video_id": "001",
    "duration": "long",
    "domain": "Knowledge",
    "sub_category": "Geography",
    "url": "https://example.org/watch?v=aBcD",
    "videoID": "aBcD",
    "question_id": "001-1",
    "task_type": "Counting Problem",
    "question": "How many boats are there?",
    "options": ["A. 1.", "B. 2.", "C. 3.", "D. 4."],
    "answer": "C",
}
SAILS = BOATS | {"question_id": "001-2", "task_type": "OCR Problems", "answer": "A"}
SHORT = BOATS | {
    "video_id": "002",
    "videoID": "eFgH",
    "question_id": "002-1",
    "duration": "short",
    "domain": "Multilingual",
    "sub_category": "Multilingual",
}
OF_VIDEO = ("video_id", "duration", "domain", "sub_category", "url")


def write_table(folder: Path, *rows: dict[str, object]) -> Path:
    path = folder / "videomme" / "test-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_table(tmp_path, BOATS, SAILS, SHORT)


def test_questions_keep_table_order(folder):
    samples = list(VideoMme(folder).samples())

    assert [sample.id for sample in samples] == ["videomme/001-1", "videomme/001-2", "videomme/002-1"]
    assert samples == list(VideoMme(folder).samples())
    assert samples[0].options == ("1.", "2.", "3.", "4.")
    assert (samples[0].gold, samples[0].video) == ("C", "aBcD")


def test_one_length_can_be_selected(folder):
    assert [sample.id for sample in VideoMme(folder, "short").samples()] == ["videomme/002-1"]
    assert [sample.tags["duration"] for sample in VideoMme(folder, "long").samples()] == ["long", "long"]
    assert list(VideoMme(folder, "medium").samples()) == []


def test_open_suite_passes_options_to_the_class(folder):
    suite = open_suite("videomme", folder, length="short")

    assert [sample.id for sample in suite.samples()] == ["videomme/002-1"]


def test_grouped_json_has_the_same_questions(folder, tmp_path):
    of_question = ("question_id", "task_type", "question", "options", "answer")
    videos = [
        {
            **{name: rows[0][name] for name in OF_VIDEO},
            "questions": [{n: row[n] for n in of_question} for row in rows],
        }
        for rows in ([BOATS, SAILS], [SHORT])
    ]
    path = tmp_path / "mailed.json"
    path.write_text(json.dumps(videos), encoding="utf-8")

    samples = list(VideoMme(tmp_path, questions=path).samples())

    assert [sample.video for sample in samples] == ["001", "001", "002"]
    assert [sample.model_copy(update={"video": "", "cluster": ""}) for sample in samples] == [
        sample.model_copy(update={"video": "", "cluster": ""}) for sample in VideoMme(folder).samples()
    ]


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("C", "C"),
        ("C. 3.", "C"),
        ("Answer: C", "A"),
        ("The answer is C.", "C"),
        ("The best answer is C", "C"),
        # A comma is missing in the official code: neither phrase is removed, so that B comes first.
        ("Best option: C", "B"),
        ("Based on the video, the answer is C.", "B"),
        ("After watching, I would choose option C because a red car passes", "A"),
        ("A person is seen, so the answer is (C).", "A"),
        ("C, not A or B.", "C"),
        ("Final Answer: C", "A"),
        ("**C**", "C"),
        ("(C) red", "C"),
        ("c", ""),
        ("I cannot determine this.", ""),
        ("[REQUEST ABORTED]", "A"),
        ("Found no reply, says the API.", "A"),
        ("", ""),
    ],
)
def test_reply_is_parsed_like_the_official_code(folder, reply, read):
    suite = VideoMme(folder)
    score = suite.official(next(iter(suite.samples())), reply)

    assert parse_letter(reply) == read
    assert math.isnan(score) if not read else score == float(read == "C")


def test_totals_split_by_category_without_unanswered_questions(folder):
    suite = VideoMme(folder)
    boats, sails, short = suite.samples()

    totals = suite.totals([(boats, 1.0), (sails, 0.0), (short, math.nan)])

    assert totals["overall"] == 0.5
    assert totals["duration/long"] == totals["domain/Knowledge"] == totals["long Knowledge"] == 0.5
    assert totals["task_type/OCR Problems"] == 0.0
    assert "duration/short" not in totals


def test_export_follows_the_official_template(folder, tmp_path):
    suite = VideoMme(folder)
    samples = list(suite.samples())
    predictions = [
        Prediction(sample="videomme/001-1", system="ours", status="ok", said="C. 3."),
        Prediction(sample="videomme/001-2", system="ours", status="ok", answer="A"),
    ]

    (path,) = suite.export(samples, predictions, tmp_path / "out")

    first, second = json.loads(path.read_text(encoding="utf-8"))
    assert {name: first[name] for name in OF_VIDEO[:4]} == {name: BOATS[name] for name in OF_VIDEO[:4]}
    assert [result["response"] for result in first["questions"]] == ["C. 3.", "A"]
    assert first["questions"][0]["options"] == BOATS["options"]
    assert [result["response"] for result in second["questions"]] == [""]
    again = VideoMme(tmp_path, questions=path).samples()
    assert [(sample.id, sample.gold) for sample in again] == [(sample.id, sample.gold) for sample in samples]


def test_video_is_found_by_its_name(folder):
    (folder / "data").mkdir()
    (folder / "data" / "aBcD.MP4").write_bytes(b"")

    assert VideoMme(folder).video("aBcD") == folder / "data" / "aBcD.MP4"
    with pytest.raises(BadSuite, match="no video eFgH"):
        VideoMme(folder).video("eFgH")


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({name: value for name, value in BOATS.items() if name != "task_type"}, "task_type"),
        (BOATS | {"answer": "E"}, "answer"),
        (BOATS | {"duration": "endless"}, "duration"),
        (BOATS | {"options": ["A. 1.", "B. 2."]}, "options"),
    ],
)
def test_wrong_schema_names_the_field_and_the_source(tmp_path, row, named):
    write_table(tmp_path, row)

    with pytest.raises(BadSuite, match=rf"parquet.*{named}.*BradyFU/Video-MME"):
        list(VideoMme(tmp_path).samples())


def test_missing_and_broken_files_are_refused(tmp_path):
    with pytest.raises(BadSuite, match=r"test-00000-of-00001\.parquet"):
        VideoMme(tmp_path).files()
    with pytest.raises(BadSuite, match=r"none\.json"):
        list(VideoMme(tmp_path, questions=tmp_path / "none.json").samples())

    (tmp_path / "test-00000-of-00001.parquet").write_bytes(b"no table")

    with pytest.raises(BadSuite, match="Parquet"):
        list(VideoMme(tmp_path).samples())


def test_settings_state_the_length(folder):
    assert VideoMme(folder).settings == {"length": "all"}
    assert VideoMme(folder, "long").settings == {"length": "long"}
