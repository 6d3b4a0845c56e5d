"""StreamingBench: its four parts, its time rules, and its first-character parser."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from recollect.evals.errors import BadSuite
from recollect.evals.records import Prediction
from recollect.evals.suites.streamingbench import StreamingBench


def question(task: str, time_stamp: str, answer: str, options: list[str], text: str = "What now?") -> dict:
    return {
        "task_type": task,
        "question": text,
        "time_stamp": time_stamp,
        "answer": answer,
        "options": options,
        "required_ability": "working memory",
    }


def entry(video: str, *questions: dict) -> dict:
    return {
        "time": "[0:00:00 - 0:00:10]",
        "questions": list(questions),
        "video_categories": "cooking",
        "video_path": f"./videos/{video}",
    }


LETTERED = ["A. red", "B. blue", "C. green", "D. black"]
REAL = [
    entry("sample_1_real.mp4", question("Object Perception", "00:00:31", "C", LETTERED)),
    entry("sample_1_real.mp4", question("Counting", "00:03:10", "A", LETTERED)),
]
OMNI = [
    entry(
        "sample_2_omni.mp4",
        question("Source Discrimination", "0:02:00", "B", ["A.Ann", "B.Ben", "C.Cy", "D.Di"]),
        question("Misleading Context Understanding", "01:00:00", "D", LETTERED),
    )
]
SQA = [
    [
        entry(
            "sample_3_sqa.mp4",
            question(
                "Related Context Understanding",
                "00:00:41",
                "A",
                ["Mia", "Finn", "U.S. guest", "Zoe"],
                "Who stirs the soup?",
            ),
        ),
        entry(
            "sample_3_sqa.mp4",
            question(
                "Related Context Understanding",
                "00:02:50",
                "C",
                ["1.", "3.", "5.", "8."],
                "How many spoons does she take?",
            ),
        ),
    ]
]
PROACTIVE = [
    entry(
        "sample_4_proactive.mp4",
        {
            "task_type": "Proactive Output",
            "question": 'When the kettle steams, output "boiling".',
            "time_stamp": "00:04:20",
            "ground_truth_time_stamp": "00:04:30",
            "ground_truth_output": "boiling",
            "required_ability": "working memory",
        },
    )
]
FILES = {"real": REAL, "omni": OMNI, "sqa": SQA, "proactive": PROACTIVE}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "src" / "data"
    data.mkdir(parents=True)
    for part, content in FILES.items():
        (data / f"questions_{part}.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def by_id(suite: StreamingBench) -> dict:
    return {sample.id.removeprefix("streamingbench/"): sample for sample in suite.samples()}


def test_questions_come_by_part_in_file_order(folder):
    ids = list(by_id(StreamingBench(folder)))

    assert ids == ["real/0/0", "real/1/0", "omni/0/0", "omni/0/1", "sqa/0/0/0", "sqa/0/1/0", "proactive/0/0"]
    assert ids == list(by_id(StreamingBench(folder)))


def test_main_setting_uses_only_the_last_minute(folder):
    samples = by_id(StreamingBench(folder))

    assert (samples["real/0/0"].from_s, samples["real/0/0"].asked_at_s) == (0.0, 31.0)
    assert (samples["real/1/0"].from_s, samples["real/1/0"].asked_at_s) == (130.0, 190.0)
    assert (samples["omni/0/1"].from_s, samples["omni/0/1"].asked_at_s) == (3540.0, 3600.0)


def test_without_a_context_limit_all_earlier_video_is_used(folder):
    samples = by_id(StreamingBench(folder, context_s=None))

    assert [sample.from_s for key, sample in samples.items() if not key.startswith("proactive")] == [0.0] * 6


def test_only_the_letters_of_options_are_removed(folder):
    samples = by_id(StreamingBench(folder))

    assert samples["real/0/0"].options == ("red", "blue", "green", "black")
    assert samples["omni/0/0"].options == ("Ann", "Ben", "Cy", "Di")
    assert samples["sqa/0/0/0"].options == ("Mia", "Finn", "U.S. guest", "Zoe")


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("C", "C"),
        ("Answer: C", "A"),
        ("The answer is C.", "T"),
        ("Based on the video, the answer is C.", "B"),
        ("After watching, I would choose option C because a red car passes", "A"),
        ("A person is seen, so the answer is (C).", "A"),
        ("C, not A or B.", "C"),
        ("Final Answer: C", "F"),
        ("**C**", "*"),
        ("(C) red", "("),
        ("c", "c"),
        ("I cannot determine this", "I"),
        (" C", " "),
    ],
)
def test_first_character_of_the_reply_is_the_answer(folder, reply, letter):
    suite = StreamingBench(folder)
    sample = by_id(suite)["real/0/0"]

    right = [gold for gold in "ABCD" if suite.official(sample.model_copy(update={"gold": gold}), reply)]

    assert right == [gold for gold in "ABCD" if gold == letter]


def test_empty_replies_are_left_out_of_the_means(folder):
    suite = StreamingBench(folder, parts=("real", "omni"))
    replies = ["C", "", "B", "A"]

    scores = [suite.official(sample, reply) for sample, reply in zip(suite.samples(), replies, strict=True)]
    totals = suite.totals(list(zip(suite.samples(), scores, strict=True)))

    assert math.isnan(scores[1])
    assert totals["overall"] == pytest.approx(2 / 3)
    assert (totals["group/real"], totals["group/omni"], totals["group/contextual"]) == (1.0, 1.0, 0.0)
    assert "task/Counting" not in totals


def test_two_omni_tasks_count_as_contextual(folder):
    groups = {key: sample.tags["group"] for key, sample in by_id(StreamingBench(folder)).items()}

    assert groups["omni/0/0"] == "omni"
    assert groups["omni/0/1"] == groups["sqa/0/0/0"] == groups["proactive/0/0"] == "contextual"


def test_chained_question_contains_earlier_questions_and_answers(folder):
    suite = StreamingBench(folder)
    first, second = (by_id(suite)[key] for key in ("sqa/0/0/0", "sqa/0/1/0"))

    assert first.question == "Who stirs the soup?"
    assert (
        second.question
        == "Asked at 00:00:41: Who stirs the soup? The answer: Mia\nNow: How many spoons does she take?"
    )
    assert first.group == second.group == "streamingbench/sqa/0"


def test_proactive_question_waits_four_seconds(folder):
    sample = by_id(StreamingBench(folder))["proactive/0/0"]

    assert (sample.from_s, sample.asked_at_s, sample.gold) == (260.0, 274.0, (270.0,))


@pytest.mark.parametrize(
    ("reply", "with_words", "by_time"),
    [
        ("270: boiling", 1.0, 1.0),
        ("268 it is boiling now", 1.0, 1.0),
        ("272 s, boiling", 1.0, 1.0),
        ("267: boiling", 0.0, 0.0),
        ("273: boiling", 0.0, 0.0),
        ("270: Boiling", 0.0, 1.0),
        ("270", 0.0, 1.0),
        ("265: boiling\n270: boiling", 0.0, 0.0),
        ("", 0.0, 0.0),
        ("boiling", 0.0, 0.0),
    ],
)
def test_first_output_counts_and_is_right_within_two_seconds(folder, reply, with_words, by_time):
    sample = by_id(StreamingBench(folder))["proactive/0/0"]

    assert StreamingBench(folder).official(sample, reply) == with_words
    assert StreamingBench(folder, words=False).official(sample, reply) == by_time


def count(content: list, part: str, run: str) -> tuple[int, int]:
    """The numbers of counted and of right replies by the official ``count.py`` in a file of results."""
    entries = [entry for chain in content for entry in chain] if part == "sqa" else content
    items = [item for entry in entries for item in entry["questions"] if run in item]
    if part != "proactive":
        return len(items), sum(item[run][0] == item["answer"] for item in items)
    right = 0
    for item in items:
        last = item[run]["dialog_history"][-1]
        minutes, seconds = item["ground_truth_time_stamp"].split(":")[1:]
        in_time = abs(last["time"] - int(minutes) * 60 - int(seconds)) <= 2
        right += in_time and item["ground_truth_output"] in last["content"]
    return len(items), right


@pytest.mark.parametrize(("output", "right"), [("271: boiling", 1), ("", 0), ("280: boiling", 0)])
def test_exported_files_have_the_same_official_counts(folder, tmp_path, output, right):
    suite = StreamingBench(folder)
    samples = list(suite.samples())
    replies = ["C", "", "B", "C", "A", "B", output]
    predictions = [
        Prediction(sample=sample.id, system="mine", status="ok", said=reply)
        for sample, reply in zip(samples, replies, strict=True)
    ]

    paths = suite.export(samples, predictions, tmp_path / "out")

    assert [path.name for path in paths] == [f"{part}_output_mine.json" for part in FILES]
    contents = {part: json.loads(path.read_text()) for part, path in zip(FILES, paths, strict=True)}
    counted = {part: count(content, part, "mine") for part, content in contents.items()}
    assert counted == {"real": (1, 1), "omni": (2, 1), "sqa": (2, 1), "proactive": (1, right)}
    scores = [suite.official(sample, reply) for sample, reply in zip(samples, replies, strict=True)]
    assert [int(score) for score in scores if not math.isnan(score)] == [1, 1, 0, 1, 0, right]


def test_export_keeps_the_published_questions(folder, tmp_path):
    suite = StreamingBench(folder, parts=("omni",))

    (path,) = suite.export(
        list(suite.samples()),
        [Prediction(sample="streamingbench/omni/0/0", system="mine", status="ok", said="B")],
        tmp_path / "out",
    )

    written = json.loads(path.read_text())
    assert written[0]["questions"][0].pop("mine") == "B"
    assert written == OMNI


@pytest.mark.parametrize("place", ["src/data/videos", "data/real", "videos"])
def test_video_is_found_where_official_scripts_put_it(folder, place):
    (folder / place).mkdir(parents=True)
    (folder / place / "sample_1_real.mp4").write_bytes(b"")
    suite = StreamingBench(folder)

    assert suite.video(by_id(suite)["real/0/0"].video) == folder / place / "sample_1_real.mp4"


def test_missing_part_error_says_where_to_get_it(folder):
    (folder / "src/data/questions_sqa.json").unlink()

    with pytest.raises(BadSuite, match=r"questions_sqa.json.*github.com/THUNLP-MT/StreamingBench"):
        list(StreamingBench(folder).samples())
    assert len(list(StreamingBench(folder, parts=("real",)).samples())) == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [({"time_stamp": "soon"}, "time_stamp"), ({"answer": "E"}, "answer"), ({"options": ["A. x"]}, "options")],
)
def test_wrong_field_is_named(folder, change, field):
    bad = [entry("v.mp4", REAL[0]["questions"][0] | change)]
    (folder / "src/data/questions_real.json").write_text(json.dumps(bad), encoding="utf-8")

    with pytest.raises(BadSuite, match=field):
        list(StreamingBench(folder).samples())
