"""TempCompass: its formats, and the official matching rules."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from recollect.evals.errors import BadSuite
from recollect.evals.records import Prediction
from recollect.evals.suites.tempcompass import FORMATS, TempCompass

MATCHING = "Which text is about what is shown?\nOption 1: She pours.\nOption 2: She stirs: fast."
FILES = {
    "multi-choice": {
        "77": {
            "action": [
                {"question": "What does she do?\nA. pours\nB. stirs\nC. tastes", "answer": "B. stirs"}
            ],
            "direction": [{"question": "Where to?\nA. left\nB. right", "answer": "A. left"}],
        },
        "77_reverse": {"direction": [{"question": "Where to?\nA. left\nB. right", "answer": "B. right"}]},
    },
    "yes_no": {
        "77": {
            "action": [
                {"question": "Is she stirring?", "answer": "yes"},
                {"question": "Is she tasting?", "answer": "no"},
            ]
        }
    },
    "caption_matching": {"77": {"action": [{"question": MATCHING, "answer": "Option 2: She stirs: fast."}]}},
    "captioning": {
        "77": {
            "action": [
                {
                    "question": "Say in a sentence that somebody stirs.",
                    "answer": "A. stirs",
                }
            ]
        }
    },
}
ABOUT = {
    "77": {
        "eval_dim": {
            "action": {"subject": "woman", "action": "stirring", "type": "fine-grained action"},
            "speed": None,
            "direction": {"subject": "woman", "direction": "left", "type": "object motion"},
        },
        "content": ["people"],
    }
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "questions").mkdir()
    for form, content in FILES.items():
        (tmp_path / "questions" / f"{form}.json").write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "meta_info.json").write_text(json.dumps(ABOUT), encoding="utf-8")
    return tmp_path


def by_id(suite: TempCompass) -> dict:
    return {sample.id.removeprefix("tempcompass/"): sample for sample in suite.samples()}


def test_questions_come_by_format_without_captioning(folder):
    ids = list(by_id(TempCompass(folder)))

    assert ids == [
        "multi-choice/77/action/0",
        "multi-choice/77/direction/0",
        "multi-choice/77_reverse/direction/0",
        "yes_no/77/action/0",
        "yes_no/77/action/1",
        "caption_matching/77/action/0",
    ]
    assert ids == list(by_id(TempCompass(folder)))


def test_question_is_split_from_its_options(folder):
    samples = by_id(TempCompass(folder))
    choice, match = samples["multi-choice/77/action/0"], samples["caption_matching/77/action/0"]

    assert (choice.question, choice.options, choice.gold) == (
        "What does she do?",
        ("pours", "stirs", "tastes"),
        "B",
    )
    assert match.options == ("Option 1: She pours.", "Option 2: She stirs: fast.")
    assert (match.gold, samples["yes_no/77/action/1"].gold) == ("B", "no")


def test_video_and_its_reverse_are_one_cluster(folder):
    assert {sample.cluster for sample in TempCompass(folder).samples()} == {"77"}


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("B", 1.0),
        ("B. stirs", 1.0),
        ("B. whatever", 1.0),
        ("B)", 1.0),
        ("B) stirs", 1.0),
        ("B</s>", 1.0),
        ("A. stirs", 0.0),
        ("A", 0.0),
        ("b", 0.0),
        ("(B)", 0.0),
        ("B stirs", 0.0),
        (" B", 0.0),
        ("stirs", 0.0),
        ("The answer is B.", 0.0),
        ("**B**", 0.0),
        ("", 0.0),
    ],
)
def test_choice_matches_a_letter_at_the_start(folder, reply, score):
    suite = TempCompass(folder)

    assert suite.official(by_id(suite)["multi-choice/77/action/0"], reply) == score


@pytest.mark.parametrize(
    ("reply", "when_yes", "when_no"),
    [
        ("yes", 1.0, 0.0),
        ("Yes, she is.", 1.0, 0.0),
        ("No.", 0.0, 1.0),
        ("Not really", 0.0, 1.0),
        ("Nothing", 0.0, 1.0),
        ("yesterday", 1.0, 0.0),
        (" yes", 0.0, 0.0),
        ("She is.", 0.0, 0.0),
        ("", 0.0, 0.0),
    ],
)
def test_yes_or_no_must_begin_the_reply(folder, reply, when_yes, when_no):
    suite = TempCompass(folder)
    samples = by_id(suite)

    assert suite.official(samples["yes_no/77/action/0"], reply) == when_yes
    assert suite.official(samples["yes_no/77/action/1"], reply) == when_no


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("Option 2", 1.0),
        ("Option 2.", 1.0),
        ("Option 2: She stirs: fast.", 1.0),
        ("She stirs", 1.0),
        ("(2) She stirs", 1.0),
        ("Option 1", 0.0),
        ("She pours.", 0.0),
        ("option 2", 0.0),
        ("B", 0.0),
        ("2", 0.0),
        ("She stirs: fast.", 0.0),
        ("", 0.0),
    ],
)
def test_caption_matches_whole_or_by_its_name(folder, reply, score):
    suite = TempCompass(folder)

    assert suite.official(by_id(suite)["caption_matching/77/action/0"], reply) == score


def test_written_caption_is_not_scored(folder):
    suite = TempCompass(folder, formats=("captioning",))
    (sample,) = suite.samples()

    assert sample.gold is None
    assert math.isnan(suite.official(sample, "She stirs."))


def test_overall_is_the_mean_of_the_format_means(folder):
    suite = TempCompass(folder, formats=FORMATS)
    wrong = {"tempcompass/multi-choice/77/direction/0", "tempcompass/yes_no/77/action/0"}
    scored = [
        (sample, math.nan if sample.gold is None else float(sample.id not in wrong))
        for sample in suite.samples()
    ]

    totals = suite.totals(scored)

    assert totals["format/multi-choice"] == pytest.approx(2 / 3)
    assert totals["format/yes_no"] == 0.5
    assert totals["multi-choice/aspect/direction"] == 0.5
    assert totals["multi-choice/finer aspect/object motion"] == 0.0
    assert totals["overall"] == pytest.approx((2 / 3 + 0.5 + 1.0) / 3)
    assert "format/captioning" not in totals


def test_export_matches_the_official_scripts(folder, tmp_path):
    suite = TempCompass(folder)
    samples = list(suite.samples())
    replies = ["B", "", "B", "Yes", "No", "Option 2"]
    predictions = [
        Prediction(sample=sample.id, system="mine", status="ok", said=reply)
        for sample, reply in zip(samples, replies, strict=True)
    ]

    paths = suite.export(samples, predictions, tmp_path / "out")

    assert [path.relative_to(tmp_path / "out").as_posix() for path in paths] == [
        f"predictions/mine/{form}.json" for form in FORMATS[:3]
    ]
    choices = json.loads(paths[0].read_text())
    assert choices["77"]["action"] == [{**FILES["multi-choice"]["77"]["action"][0], "prediction": "B"}]
    assert choices["77"]["direction"][0]["prediction"] == ""
    assert list(choices) == list(FILES["multi-choice"])


def test_missing_file_error_says_where_to_get_it(folder):
    (folder / "questions/yes_no.json").unlink()

    with pytest.raises(BadSuite, match=r"yes_no.json.*github.com/llyx97/TempCompass"):
        list(TempCompass(folder).samples())
    with pytest.raises(BadSuite, match="77_reverse"):
        TempCompass(folder).video("77_reverse")


@pytest.mark.parametrize(
    ("form", "item", "field"),
    [
        ("multi-choice", {"question": "What?\nA. x\nB. y", "answer": "C. z"}, "answer"),
        ("multi-choice", {"question": "What?\nA. x\nB. y"}, "answer"),
        ("yes_no", {"question": "Is it?", "answer": "maybe"}, "answer"),
        ("caption_matching", {"question": "Which?\nnone", "answer": "Option 1: x"}, "answer"),
        ("yes_no", {"question": None, "answer": "yes"}, "question"),
    ],
)
def test_wrong_field_is_named(folder, form, item, field):
    content = {"1": {"action": [item]}}
    (folder / "questions" / f"{form}.json").write_text(json.dumps(content), encoding="utf-8")

    with pytest.raises(BadSuite, match=field):
        list(TempCompass(folder, formats=(form,)).samples())
