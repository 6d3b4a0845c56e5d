"""LVBench: its annotation lines, its abilities, and a parser that takes one character."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recollect.evals.errors import BadSuite
from recollect.evals.records import Prediction
from recollect.evals.suites.lvbench import LVBench, parse_letter, spans_s

TEAMS = {
    "uid": "17",
    "question": "Which team wins?\n(A) red\n(B) blue\n(C) green\n(D) none",
    "answer": "C",
    "question_type": ["key information retrieval"],
    "time_reference": "33:10-33:25",
}
WEATHER = TEAMS | {
    "uid": "18",
    "question": "How is the weather?\n(A) dry\n(B) wet\n(C) icy\n(D) hot",
    "answer": "A",
    "question_type": ["reasoning", "key information retrieval"],
    "time_reference": "01:02:03-01:02:03",
}
SUMMARY = TEAMS | {"uid": "3", "answer": "D", "question_type": ["summarization"], "time_reference": ""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, [TEAMS, WEATHER], [SUMMARY])
    return tmp_path


def write(folder: Path, *videos: list[dict[str, object]]) -> None:
    lines = [
        {"key": f"yt_{index}", "type": "sport", "video_info": {"fps": 25}, "qa": qa}
        for index, qa in enumerate(videos)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "video_info.meta.jsonl").write_text(text, encoding="utf-8")


def test_questions_keep_file_order_with_options_and_evidence(folder):
    samples = list(LVBench(folder).samples())

    assert [sample.id for sample in samples] == ["lvbench/17", "lvbench/18", "lvbench/3"]
    assert samples == list(LVBench(folder).samples())
    assert samples[0].question == "Which team wins?"
    assert samples[0].options == ("red", "blue", "green", "none")
    assert samples[0].gold == "C"
    assert [sample.evidence for sample in samples] == [((1990.0, 2005.0),), ((3723.0, 3724.0),), ()]
    assert [sample.cluster for sample in samples] == ["yt_0", "yt_0", "yt_1"]


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("C", "C"),
        ("Answer: C", "A"),
        ("The answer is C.", "T"),
        ("Based on the video, the answer is C.", "B"),
        ("After watching, I would choose option C because a red car passes", "A"),
        ("A person is seen, so the answer is (C).", "C"),
        ("C, not A or B.", "C"),
        ("Final Answer: C", "F"),
        ("**C**", "*"),
        ("(C) red", "C"),
        ("c", "c"),
        ("I cannot determine this.", "I"),
        ("[REQUEST ABORTED]", "["),
        ("Found no reply, says the API.", "F"),
        ("", ""),
        (")", ""),
        ("( ", ""),
    ],
)
def test_reply_is_parsed_like_the_official_code(folder, reply, read):
    suite = LVBench(folder)
    first = next(iter(suite.samples()))

    assert parse_letter(reply) == read
    assert suite.official(first, reply) == float(read == "C")


def test_question_counts_for_each_of_its_abilities(folder):
    suite = LVBench(folder)
    teams, weather, summary = suite.samples()

    assert suite.totals([(teams, 1.0), (weather, 0.0), (summary, 1.0)]) == {
        "overall": pytest.approx(2 / 3),
        "KIR": 0.5,
        "Rea": 0.0,
        "Sum": 1.0,
    }


@pytest.mark.parametrize(
    ("reference", "spans"),
    [
        ("00:15-00:19", ((15.0, 19.0),)),
        ("1:00:00-1:00:30", ((3600.0, 3630.0),)),
        ("00:10-00:20, 01:00-01:05", ((10.0, 20.0), (60.0, 65.0))),
        ("00:20-00:10", ()),
        ("throughout", ()),
    ],
)
def test_time_reference_is_converted_to_seconds(reference, spans):
    assert spans_s(reference) == spans


def test_answers_export_matches_the_official_scorer(folder, tmp_path):
    suite = LVBench(folder)
    samples = list(suite.samples())
    replies = ("(C) green", "The answer is A.")
    predictions = [
        Prediction(sample=sample.id, system="ours", status="ok", said=reply)
        for sample, reply in zip(samples, replies, strict=False)
    ]
    failed = Prediction(sample=samples[2].id, system="ours", status="error", said="D", error="no server")

    answers, result = suite.export(samples, [*predictions, failed], tmp_path / "out")

    assert json.loads(answers.read_text(encoding="utf-8")) == {"17": "C", "18": "T", "3": ""}
    assert json.loads(result.read_text(encoding="utf-8")) == {
        "Overall": pytest.approx(1 / 3),
        "KIR": 0.5,
        "Rea": 0.0,
        "Sum": 0.0,
    }


def test_video_is_found_by_its_key(folder):
    (folder / "all_videos").mkdir()
    (folder / "all_videos" / "yt_0.mp4").write_bytes(b"")

    assert LVBench(folder).video("yt_0") == folder / "all_videos" / "yt_0.mp4"
    with pytest.raises(BadSuite, match="no video yt_1"):
        LVBench(folder).video("yt_1")


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({name: value for name, value in TEAMS.items() if name != "answer"}, "answer"),
        (TEAMS | {"answer": "red"}, "answer"),
        (TEAMS | {"question": "Which team wins?"}, "question"),
        (TEAMS | {"question_type": ["guessing"]}, "question_type"),
        (TEAMS | {"question": "Who?\n(A) he\n(B) she"}, "answer"),
    ],
)
def test_wrong_schema_names_the_field_and_the_source(tmp_path, row, named):
    write(tmp_path, [row])

    with pytest.raises(BadSuite, match=rf"video_info\.meta\.jsonl.*{named}.*THUDM/LVBench"):
        list(LVBench(tmp_path).samples())


def test_missing_and_broken_files_are_refused(tmp_path):
    with pytest.raises(BadSuite, match=r"no video_info\.meta\.jsonl"):
        LVBench(tmp_path).files()

    (tmp_path / "video_info.meta.jsonl").write_text('{"key": "x"', encoding="utf-8")

    with pytest.raises(BadSuite, match="line 1"):
        list(LVBench(tmp_path).samples())
