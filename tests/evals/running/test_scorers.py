"""Replies are parsed strictly, and each kind of answer has its own score."""

from __future__ import annotations

import pytest

from recollect.evals.records import Kind, Prediction, Sample, Value
from recollect.evals.scorers import evidence_recall, iou, parse_answer, score


def score_of(kind: Kind, gold: Value, answer: Value | None, **fields: object) -> float:
    sample = Sample(id="s", suite="s", video="v", cluster="v", kind=kind, question="?", gold=gold, **fields)  # type: ignore[arg-type]
    return score(sample, Prediction(sample="s", system="x", status="ok", answer=answer))


@pytest.mark.parametrize(
    ("kind", "reply", "parsed"),
    [
        ("choice", "B", "B"),
        ("choice", "E", None),
        ("choice", "The answer is B.", None),
        ("choice", "b", None),
        ("choice", "AB", None),
        ("choice", "", None),
        ("yes_no", "Yes", "yes"),
        ("yes_no", "maybe", None),
        ("number", "12", 12.0),
        ("number", "twelve", None),
        ("number", "3 of 5", None),
        ("order", "a key; a box", ("a key", "a box")),
        ("span", "1.5-4", ((1.5, 4.0),)),
        ("span", "later", None),
        ("alerts", "", ()),
        ("alerts", "3.5 9", (3.5, 9.0)),
    ],
)
def test_reply_must_have_the_agreed_form(kind: Kind, reply: str, parsed: Value | None) -> None:
    assert parse_answer(kind, reply, options=4) == parsed


def test_missing_answer_scores_zero() -> None:
    assert score_of("choice", "B", None) == 0.0


def test_text_score_ignores_case_accents_articles_punctuation() -> None:
    assert score_of("text", "the café", "Cafe!") == 1.0
    assert score_of("text", "a red box", "the blue box") == 0.0
    assert score_of("text", "a red box", "crate", accepted=("The crate.",)) == 1.0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (("a", "b", "c"), 1.0),
        (("b", "a", "c"), 2 / 3),
        (("c", "b", "a"), 0.0),
        (("a", "b"), 0.0),
        (("a", "b", "d"), 0.0),
    ],
)
def test_order_score_is_the_share_of_right_pairs(answer: tuple[str, ...], expected: float) -> None:
    assert score_of("order", ("a", "b", "c"), answer) == pytest.approx(expected)


def test_span_is_right_from_an_iou_of_one_half() -> None:
    assert score_of("span", ((10.0, 20.0),), ((10.0, 15.0),)) == 1.0
    assert score_of("span", ((10.0, 20.0),), ((10.0, 14.9),)) == 0.0
    assert score_of("span", ((10.0, 20.0), (40.0, 44.0)), ((41.0, 44.0),)) == 1.0
    assert iou((1.0, 2.0), (3.0, 4.0)) == 0.0


def test_alert_must_be_in_time_and_counts_once() -> None:
    assert score_of("alerts", (10.0, 50.0), (12.0, 55.0)) == 1.0
    assert score_of("alerts", (10.0, 50.0), (12.0, 13.0)) == pytest.approx(0.5)
    assert score_of("alerts", (10.0,), (9.0,)) == 0.0, "it had not happened yet"
    assert score_of("alerts", (), ()) == 1.0
    assert score_of("alerts", (), (3.0,)) == 0.0


def test_checklist_score_is_f1() -> None:
    assert score_of("checklist", ("a", "b"), ("The A", "b")) == 1.0
    assert score_of("checklist", ("a", "b"), ("a", "c")) == pytest.approx(0.5)


def test_evidence_recall_counts_overlapped_spans() -> None:
    sample = Sample(
        id="s",
        suite="s",
        video="v",
        cluster="v",
        kind="text",
        question="?",
        evidence=((1.0, 2.0), (10.0, 20.0)),
    )

    assert evidence_recall(sample, [(0.0, 5.0)]) == 0.5
    assert evidence_recall(sample, [(0.0, 1.5), (19.0, 30.0)]) == 1.0
    assert evidence_recall(sample.model_copy(update={"evidence": ()}), [(0.0, 1.5)]) is None


def test_sample_without_gold_is_not_scored() -> None:
    sample = Sample(id="s", suite="s", video="v", cluster="v", kind="text", question="?")

    with pytest.raises(ValueError, match="is not known"):
        score(sample, Prediction(sample="s", system="x", status="ok", answer="a"))
