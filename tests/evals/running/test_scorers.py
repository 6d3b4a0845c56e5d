"""Answers are read as they were agreed, and each kind has its own measure."""

from __future__ import annotations

import pytest

from recollect.evals.records import Kind, Prediction, Sample, Value
from recollect.evals.scorers import evidence_recall, iou, parse_answer, score


def worth(kind: Kind, gold: Value, answer: Value | None, **also: object) -> float:
    sample = Sample(id="s", suite="s", video="v", cluster="v", kind=kind, question="?", gold=gold, **also)  # type: ignore[arg-type]
    return score(sample, Prediction(sample="s", system="x", status="ok", answer=answer))


@pytest.mark.parametrize(
    ("kind", "said", "read"),
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
def test_a_reply_is_read_in_the_form_that_was_agreed_and_no_other(
    kind: Kind, said: str, read: Value | None
) -> None:
    assert parse_answer(kind, said, options=4) == read


def test_no_answer_is_worth_nothing() -> None:
    assert worth("choice", "B", None) == 0.0


def test_words_are_the_same_whatever_their_case_accents_articles_and_signs() -> None:
    assert worth("text", "the café", "Cafe!") == 1.0
    assert worth("text", "a red box", "the blue box") == 0.0
    assert worth("text", "a red box", "crate", accepted=("The crate.",)) == 1.0


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
def test_an_order_is_worth_the_pairs_that_it_has_right(answer: tuple[str, ...], expected: float) -> None:
    assert worth("order", ("a", "b", "c"), answer) == pytest.approx(expected)


def test_a_stretch_is_right_where_half_of_it_and_the_true_one_is_shared() -> None:
    assert worth("span", ((10.0, 20.0),), ((10.0, 15.0),)) == 1.0
    assert worth("span", ((10.0, 20.0),), ((10.0, 14.9),)) == 0.0
    assert worth("span", ((10.0, 20.0), (40.0, 44.0)), ((41.0, 44.0),)) == 1.0
    assert iou((1.0, 2.0), (3.0, 4.0)) == 0.0


def test_alerts_count_when_they_come_in_time_and_each_once() -> None:
    assert worth("alerts", (10.0, 50.0), (12.0, 55.0)) == 1.0
    assert worth("alerts", (10.0, 50.0), (12.0, 13.0)) == pytest.approx(0.5)
    assert worth("alerts", (10.0,), (9.0,)) == 0.0, "it had not happened yet"
    assert worth("alerts", (), ()) == 1.0
    assert worth("alerts", (), (3.0,)) == 0.0


def test_a_checklist_is_worth_precision_and_recall_together() -> None:
    assert worth("checklist", ("a", "b"), ("The A", "b")) == 1.0
    assert worth("checklist", ("a", "b"), ("a", "c")) == pytest.approx(0.5)


def test_evidence_is_found_as_far_as_something_retrieved_touches_it() -> None:
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


def test_what_nobody_knows_the_answer_of_is_not_scored() -> None:
    sample = Sample(id="s", suite="s", video="v", cluster="v", kind="text", question="?")

    with pytest.raises(ValueError, match="is not known"):
        score(sample, Prediction(sample="s", system="x", status="ok", answer="a"))
