"""OVO-Bench: reading, questions, official scores and export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recollect.evals.errors import BadSuite
from recollect.evals.records import Prediction
from recollect.evals.suites.ovo import OvoBench

ITEMS = [
    {
        "id": 7,
        "task": "EPM",
        "video": "Ego4D/clips/u.mp4",
        "realtime": 214.3,
        "question": "Where is the mug?",
        "answer": "sink",
        "options": ["table", "shelf", "sink", "floor"],
        "gt": 2,
    },
    {
        "id": 8,
        "task": "HLD",
        "video": "COIN/v.mp4",
        "realtime": 30,
        "question": "Which dog barks?",
        "answer": "Unable to answer",
        "options": ["Rex", "Unable to answer"],
        "gt": 1,
    },
    {
        "id": 9,
        "task": "OCR",
        "video": "COIN/v.mp4",
        "realtime": 12.0,
        "question": "What does the sign say?",
        "answer": "OUT",
        "options": ["IN", "OUT"],
        "gt": 1,
    },
    {
        "id": 1500,
        "task": "REC",
        "video": "perception/p.mp4",
        "activity": "clap their hands",
        "start_times": [2.0, 15.0],
        "end_times": [4.0, 18.5],
        "test_info": [{"realtime": 9, "count": 1}, {"realtime": 18.6, "count": 2}],
    },
    {
        "id": 1600,
        "task": "SSR",
        "video": "COIN/v.mp4",
        "tutorial": "Make tea",
        "all_steps": ["boil water", "pour"],
        "start_time": [1.0, 9.0],
        "end_time": [8.0, 12.0],
        "test_info": [
            {"realtime": 5, "step": "boil water", "type": 1},
            {"realtime": 6, "step": "pour", "type": 0},
        ],
    },
    {
        "id": 1700,
        "task": "CRR",
        "video": "MovieNet/m.mp4",
        "question": "Who opens the door?",
        "answer": "the cook",
        "ask_time": 100,
        "clue_time": 110,
        "test_info": [{"realtime": 104, "type": 0}, {"realtime": 114, "type": 1}],
    },
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data" / "src_videos" / "Ego4D" / "clips").mkdir(parents=True)
    (tmp_path / "data" / "src_videos" / "Ego4D" / "clips" / "u.mp4").write_bytes(b"")
    write(tmp_path, ITEMS)
    return tmp_path


def write(folder: Path, items: object) -> None:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "ovo_bench_new.json").write_text(json.dumps(items), encoding="utf-8")


def by_id(suite: OvoBench) -> dict:
    return {sample.id: sample for sample in suite.samples()}


def test_each_question_and_each_forward_test_point_is_a_sample(folder):
    ids = [sample.id for sample in OvoBench(folder).samples()]

    assert ids == [
        "ovo/7",
        "ovo/8",
        "ovo/9",
        "ovo/1500/0",
        "ovo/1500/1",
        "ovo/1600/0",
        "ovo/1600/1",
        "ovo/1700/0",
        "ovo/1700/1",
    ]
    assert ids == [sample.id for sample in OvoBench(folder).samples()]


def test_question_sees_up_to_its_second_rounded_up(folder):
    samples = by_id(OvoBench(folder))

    assert samples["ovo/7"].asked_at_s == 215.0
    assert samples["ovo/9"].asked_at_s == 12.0
    assert samples["ovo/1500/1"].asked_at_s == 19.0


def test_test_point_question_contains_its_subject(folder):
    samples = by_id(OvoBench(folder))

    assert samples["ovo/1500/0"].question.endswith("this: clap their hands?")
    assert samples["ovo/1600/1"].question.endswith("moment: pour")
    assert samples["ovo/1700/0"].question.endswith("now: Who opens the door?")


def test_counted_actions_before_the_question_are_the_evidence(folder):
    samples = by_id(OvoBench(folder))

    assert samples["ovo/1500/0"].evidence == ((2.0, 4.0),)
    assert samples["ovo/1500/1"].evidence == ((2.0, 4.0), (15.0, 18.5))
    assert samples["ovo/1500/1"].gold == 2.0


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("C", 1.0),
        ("Answer: C", 1.0),
        ("The answer is C.", 1.0),
        ("Based on the video, the answer is C.", 1.0),
        ("After watching, I would choose option C because a red car passes", 1.0),
        ("A person is seen, so the answer is (C).", 1.0),
        ("C, not A or B.", 1.0),
        ("Final Answer: C", 1.0),
        ("**C**", 1.0),
        ("(C) red", 1.0),
        ("c", 0.0),
        ("I cannot determine this", 0.0),
        ("", 0.0),
    ],
)
def test_choice_is_right_if_the_reply_contains_its_letter(folder, reply, score):
    suite = OvoBench(folder)

    assert suite.official(by_id(suite)["ovo/7"], reply) == score


def test_reply_with_several_letters_is_right_for_each(folder):
    suite = OvoBench(folder)
    sample = by_id(suite)["ovo/7"]

    reply = "C, not A or B."

    assert [suite.official(sample.model_copy(update={"gold": gold}), reply) for gold in "ABCD"] == [
        1,
        1,
        1,
        0,
    ]


@pytest.mark.parametrize(
    ("reply", "score"), [("2", 1.0), ("2 times", 1.0), ("2 of 5", 0.0), ("two", 0.0), ("02", 0.0), ("", 0.0)]
)
def test_digits_of_a_reply_are_joined_to_one_number(folder, reply, score):
    suite = OvoBench(folder)

    assert suite.official(by_id(suite)["ovo/1500/1"], reply) == score


@pytest.mark.parametrize(
    ("reply", "when_yes", "when_no"),
    [
        ("Yes", 1.0, 0.0),
        ("No", 0.0, 1.0),
        ("Y", 1.0, 0.0),
        ("N", 0.0, 1.0),
        ("Yes or No", 1.0, 1.0),
        ("Not sure", 0.0, 1.0),
        ("yes", 0.0, 0.0),
        ("Y.", 0.0, 0.0),
        ("", 0.0, 0.0),
    ],
)
def test_capitalized_yes_or_no_matches_anywhere(folder, reply, when_yes, when_no):
    suite = OvoBench(folder)
    samples = by_id(suite)

    assert suite.official(samples["ovo/1600/0"], reply) == when_yes
    assert suite.official(samples["ovo/1700/0"], reply) == when_no


def test_overall_is_the_mean_of_group_means(folder):
    suite = OvoBench(folder)
    wrong = {"ovo/8", "ovo/1500/0", "ovo/1700/0", "ovo/1700/1"}
    scored = [(sample, float(sample.id not in wrong)) for sample in suite.samples()]

    totals = suite.totals(scored)

    assert totals["task/REC"] == 0.5
    assert totals["group/backward"] == 0.5
    assert totals["group/realtime"] == 1.0
    assert totals["group/forward"] == pytest.approx((0.5 + 1.0 + 0.0) / 3)
    assert totals["overall"] == pytest.approx((0.5 + 1.0 + 0.5) / 3)


def test_separate_total_leaves_out_hallucination(folder):
    suite = OvoBench(folder)
    scored = [(sample, float(sample.tags["task"] != "HLD")) for sample in suite.samples()]

    totals = suite.totals(scored)

    assert (totals["task/HLD"], totals["group/backward"], totals["group/backward without HLD"]) == (0, 0.5, 1)
    assert totals["overall"] == pytest.approx(2.5 / 3)
    assert totals["overall without HLD"] == 1.0


def official_score(results: dict) -> dict[str, list[int]]:
    """The counts of the official scorer in a results file, by task."""
    scores: dict[str, list[int]] = {}
    for result in results["backward"] + results["realtime"]:
        right = result["response"] is not None and result["ground_truth"] in result["response"]
        scores.setdefault(result["task"], []).append(int(right))
    for result in results["forward"]:
        for point in result["test_info"]:
            gold = str(point["count"]) if "count" in point else ("No", "Yes")[point["type"]]
            scores.setdefault(result["task"], []).append(int(gold in (point["response"] or "")))
    return scores


def test_export_has_the_same_score_by_official_rules(folder, tmp_path):
    suite = OvoBench(folder)
    samples = list(suite.samples())
    replies = dict(
        zip((s.id for s in samples), ["C", "A", "B", "1", "3", "Yes", "Yes", "No", ""], strict=True)
    )
    predictions = [
        Prediction(sample=key, system="my/model", status="ok", said=reply) for key, reply in replies.items()
    ]

    (path,) = suite.export(samples, predictions, tmp_path / "results")

    assert path == tmp_path / "results/my-model/my-model_EPM_HLD_OCR_REC_SSR_CRR_offline_1.json"
    results = json.loads(path.read_text())
    assert official_score(results) == {
        "EPM": [1],
        "HLD": [0],
        "OCR": [1],
        "REC": [1, 0],
        "SSR": [1, 0],
        "CRR": [1, 0],
    }
    assert [suite.official(sample, replies[sample.id]) for sample in samples] == [1, 0, 1, 1, 0, 1, 0, 1, 0]
    assert results["forward"][1]["tutorial"] == "Make tea"
    assert results["forward"][2]["test_info"][1]["response"] is None


def test_failed_reply_is_exported_as_no_response(folder, tmp_path):
    suite = OvoBench(folder)
    samples = [next(suite.samples())]
    failed = Prediction(sample="ovo/7", system="x", status="error", said="FAILED after C retries")

    (path,) = suite.export(samples, [failed], tmp_path)

    assert json.loads(path.read_text())["backward"][0]["response"] is None


def test_video_is_found_by_its_official_name(folder):
    assert OvoBench(folder).video("Ego4D/clips/u.mp4").is_file()
    with pytest.raises(BadSuite, match=r"COIN/v.mp4.*huggingface.co/datasets/JoeLeelyf/OVO-Bench"):
        OvoBench(folder).video("COIN/v.mp4")


def test_missing_annotations_error_says_where_to_get_them(tmp_path):
    with pytest.raises(BadSuite, match=r"ovo_bench_new.json.*github.com/JoeLeelyf/OVO-Bench"):
        list(OvoBench(tmp_path).samples())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"realtime": None}, "realtime"),
        ({"options": "table"}, "options"),
        ({"gt": 4}, "gt"),
        ({"task": "XYZ"}, "task"),
        ({"question": 3}, "question"),
    ],
)
def test_wrong_field_is_named(tmp_path, change, field):
    write(tmp_path, [ITEMS[0] | change])

    with pytest.raises(BadSuite, match=field):
        list(OvoBench(tmp_path).samples())


def test_invalid_json_is_refused(tmp_path):
    (tmp_path / "ovo_bench_new.json").write_text("[{", encoding="utf-8")

    with pytest.raises(BadSuite, match="no JSON"):
        list(OvoBench(tmp_path).samples())
