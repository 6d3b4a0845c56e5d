"""Counterfactual twins differ in one fact and get the same questions."""

from __future__ import annotations

import random

import numpy as np
import pytest

from recollect.worlds.house.drawing import draw
from recollect.worlds.household import CounterfactualTwins, EventLog, pair_accuracy, twins
from recollect.worlds.household.shortcut_audits import alike, items_of, longest, recurring, shortest

SLOTS = ("who", "what", "where", "to")


@pytest.fixture(scope="module")
def pairs() -> list[CounterfactualTwins]:
    return [twins(seed, 300.0) for seed in range(30)]


def differences(pair: CounterfactualTwins) -> list[tuple[str, str, str]]:
    """In which slots which acts differ: slot, of the one, of the other."""
    first, second = (EventLog.of(house).between(0.0, 1e9) for house in (pair.first, pair.second))
    assert [(e.act.kind, e.act.room, e.span) for e in first] == [
        (e.act.kind, e.act.room, e.span) for e in second
    ]
    return [
        (slot, str(getattr(mine.act, slot)), str(getattr(theirs.act, slot)))
        for mine, theirs in zip(first, second, strict=True)
        for slot in SLOTS
        if getattr(mine.act, slot) != getattr(theirs.act, slot)
    ]


def test_twins_differ_in_exactly_one_fact(pairs):
    for pair in pairs:
        changes = differences(pair)
        assert changes
        assert {frozenset(values) for _, *values in changes} == {
            frozenset((pair.change.was, pair.change.now))
        }
        slots = {slot for slot, *_ in changes}
        assert slots <= ({"who", "to"} if pair.change.slot == "who" else {pair.change.slot})
        assert pair.change.slot == "who" or len(changes) == 1


def test_each_fact_is_tried(pairs):
    assert {pair.change.slot for pair in pairs} == {"who", "what", "where"}


def test_twins_are_drawn_alike_except_for_the_fact(pairs):
    for pair in pairs[:12]:
        start_s, end_s = pair.change.span
        apart = [t for t in np.arange(0.5, 290.0, 9.7) if not start_s - 45 < t < end_s + 45]
        assert all(
            np.array_equal(draw(pair.first.view(t), 0.25), draw(pair.second.view(t), 0.25)) for t in apart
        )
        near = np.arange(max(0.0, start_s - 20), end_s + 20, 0.5)
        assert any(
            not np.array_equal(draw(pair.first.view(t), 0.25), draw(pair.second.view(t), 0.25)) for t in near
        )


def test_twins_share_text_and_options_and_differ_in_the_answer(pairs):
    for pair in pairs:
        assert pair.samples
        for first, second in zip(pair.samples[::2], pair.samples[1::2], strict=True):
            assert (first.question, first.options, first.kind, first.asked_at_s) == (
                *(second.question, second.options, second.kind, second.asked_at_s),
            )
            assert first.gold != second.gold
            assert (first.group, first.cluster) == (second.group, second.cluster)
            assert first.video != second.video


def test_answers_from_the_text_are_never_right_about_both_twins(pairs):
    samples = [sample for pair in pairs for sample in pair.samples]
    rng = random.Random(0)
    replies = {}
    for sample in samples:
        replies.setdefault(sample.question, rng.choice(sample.options or ("yes", "no")))
    scores = {}
    for sample in samples:
        gold = sample.options["ABCD".index(str(sample.gold))] if sample.options else sample.gold
        scores[sample.id] = float(replies[sample.question] == gold)

    assert sum(scores.values()) > 0
    assert pair_accuracy(samples, scores) == 0.0
    assert pair_accuracy(samples, {sample.id: 1.0 for sample in samples}) == 1.0


def test_a_house_too_short_for_twins_is_an_error_with_a_remedy():
    with pytest.raises(ValueError, match="make the house longer"):
        twins(0, 1.0)


def test_no_trick_identifies_a_twin(pairs):
    """Whatever is guessed from the text is guessed of both, so at most one of them is right."""
    samples = [sample for pair in pairs for sample in pair.samples]
    items = items_of(samples)

    for trick in (longest, shortest, alike, recurring):
        guesses = trick(items)
        assert guesses[::2] == guesses[1::2]
