"""LongVideoBench: its JSON and Parquet files, its hidden test answers, and a parser that guesses."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from recollect.evals.errors import BadSuite
from recollect.evals.records import Prediction
from recollect.evals.suites.longvideobench import LongVideoBench

NEWS = {
    "video_id": "x1",
    "question": "When the subtitle 'and then' appears, what is on the desk?",
    "question_wo_referring_query": "What is on the desk?",
    "candidates": ["a cup", "a pen", "a map", "a key"],
    "correct_choice": 2,
    "id": "x1_0",
    "video_path": "x1.mp4",
    "subtitle_path": "x1_en.json",
    "duration": 903.2,
    "duration_group": 3600,
    "starting_timestamp_for_subtitles": 0,
    "position": [100, 220],
    "question_category": "T2E",
    "topic_category": "NP-News-Programs",
    "level": "L1-Perception",
}
CLIP = NEWS | {
    "id": "x2_0",
    "video_id": "x2",
    "video_path": "x2.mp4",
    "candidates": ["red", "blue", "grey", "pink", "teal"],
    "correct_choice": 4,
    "duration_group": 15,
    "question_category": "S2A",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lvb_val.json").write_text(json.dumps([NEWS, CLIP]), encoding="utf-8")
    hidden = [{name: value for name, value in NEWS.items() if name != "correct_choice"}]
    (tmp_path / "lvb_test_wo_gt.json").write_text(json.dumps(hidden), encoding="utf-8")
    return tmp_path


def test_questions_keep_file_order(folder):
    samples = list(LongVideoBench(folder).samples())

    assert [sample.id for sample in samples] == ["longvideobench/x1_0", "longvideobench/x2_0"]
    assert samples == list(LongVideoBench(folder).samples())
    assert [sample.gold for sample in samples] == ["C", "E"]
    assert samples[0].tags["duration_group"] == "3600"
    assert samples[0].evidence == ()


def test_parquet_table_has_the_same_questions(folder, tmp_path_factory):
    home = tmp_path_factory.mktemp("table")
    rows = []
    for item in (NEWS, CLIP):
        row = {name: value for name, value in item.items() if name not in ("candidates", "position")}
        options = [*item["candidates"], "N/A"][:5]
        rows.append(row | {f"option{index}": option for index, option in enumerate(options)})
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), home / "validation-00000-of-00001.parquet")

    assert list(LongVideoBench(home).samples()) == list(LongVideoBench(folder).samples())


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("C", "C"),
        ("Answer: C", "A"),
        ("The answer is C.", "C"),
        ("Best option: C", "C"),
        ("Based on the video, the answer is C.", "B"),
        ("After watching, I would choose option C because a red car passes", "A"),
        ("A person is seen, so the answer is (C).", "A"),
        ("C, not A or B.", "C"),
        ("Final Answer: C", "A"),
        ("**C**", "C"),
        ("(C) red", "C"),
        ("D. A book", "D"),
        ("[REQUEST ABORTED]", "E"),
        ("Found no reply, says the API.", "A"),
    ],
)
def test_reply_is_parsed_like_the_official_code(folder, reply, read):
    suite = LongVideoBench(folder)
    first = next(iter(suite.samples()))

    assert suite.parse_letter(first, reply) == read
    assert suite.official(first, reply) == float(read == "C")


@pytest.mark.parametrize("reply", ["c", "I cannot determine this.", ""])
def test_random_option_depends_only_on_seed_and_question(folder, reply):
    first, second = LongVideoBench(folder).samples()
    drawn = {LongVideoBench(folder, seed=seed).parse_letter(first, reply) for seed in range(40)}

    assert drawn == {"A", "B", "C", "D"}
    assert {LongVideoBench(folder, seed=7).parse_letter(first, reply) for _ in range(5)} == {
        LongVideoBench(folder, seed=7).parse_letter(first, "anything else")
    }
    assert {LongVideoBench(folder, seed=seed).parse_letter(second, reply) for seed in range(40)} == set(
        "ABCDE"
    )


def test_totals_split_by_length_and_category(folder):
    suite = LongVideoBench(folder)
    news, clip = suite.samples()

    assert suite.totals([(news, 1.0), (clip, 0.0)]) == {
        "overall": 0.5,
        "duration_group/3600": 1.0,
        "duration_group/15": 0.0,
        "question_category/T2E": 1.0,
        "question_category/S2A": 0.0,
        "level/L1-Perception": 0.5,
    }


def test_test_split_has_no_gold_but_exports_replies(folder, tmp_path):
    suite = LongVideoBench(folder, "test")
    samples = list(suite.samples())
    prediction = Prediction(sample=samples[0].id, system="ours", status="ok", said="The answer is C.")

    (path,) = suite.export(samples, [prediction], tmp_path / "out")

    assert samples[0].gold is None
    assert math.isnan(suite.official(samples[0], "C"))
    assert json.loads(path.read_text(encoding="utf-8")) == {"x1_0": "The answer is C."}


def test_video_is_found_by_its_path(folder):
    (folder / "videos").mkdir()
    (folder / "videos" / "x1.mp4").write_bytes(b"")

    assert LongVideoBench(folder).video("x1.mp4") == folder / "videos" / "x1.mp4"
    with pytest.raises(BadSuite, match="no video x2"):
        LongVideoBench(folder).video("x2.mp4")


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({name: value for name, value in NEWS.items() if name != "question_category"}, "question_category"),
        ({name: value for name, value in NEWS.items() if name != "correct_choice"}, "correct_choice"),
        (NEWS | {"correct_choice": 4}, "correct_choice"),
        (NEWS | {"candidates": "a cup"}, "candidates"),
    ],
)
def test_wrong_schema_names_the_field_and_the_source(tmp_path, row, named):
    (tmp_path / "lvb_val.json").write_text(json.dumps([row]), encoding="utf-8")

    with pytest.raises(BadSuite, match=rf"lvb_val\.json.*{named}.*longvideobench/LongVideoBench"):
        list(LongVideoBench(tmp_path).samples())


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(BadSuite, match=r"lvb_val\.json or validation-"):
        LongVideoBench(tmp_path).files()


def test_settings_state_the_split_and_the_seed(folder):
    assert LongVideoBench(folder).settings == {"split": "val", "seed": "0"}
    assert LongVideoBench(folder, "test", seed=3).settings == {"split": "test", "seed": "3"}
