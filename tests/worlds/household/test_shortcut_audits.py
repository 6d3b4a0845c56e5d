"""Shortcut audits: drawn questions pass every trick, and each trick finds its kind of leak."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from recollect.evals.records import Sample
from recollect.worlds.house import furnish
from recollect.worlds.household import audit, coverage, questions_about
from recollect.worlds.household.shortcut_audits import ALLOWED, TRICKS, items_of, measure


@pytest.mark.slow
@pytest.mark.parametrize("trick", TRICKS)
def test_real_questions_stand(many, trick):
    items = items_of(many)

    result = measure(trick, TRICKS[trick](items), items)

    assert result.items > 400
    assert result.passed, result


Leak = Callable[[int, list[str], random.Random], tuple[str, list[str]]]
"""From the number of a question, its options (the first is right) and luck: its text and the options, still in order."""


def leaky(leak: Leak, *, at: int | None = None) -> list[Sample]:
    """Questions of which something in the text gives the answer away."""
    rng, samples = random.Random("leaks"), []
    words = [f"{one}{other}" for one in "bdfgklmnprst" for other in ("alo", "eri", "ino", "uma")]
    for number in range(400):
        text, (right, *wrong) = leak(number, rng.sample(words, 4), rng)
        options = [right, *wrong]
        rng.shuffle(options)
        if at is not None:
            options.remove(right)
            options.insert(at, right)
        samples.append(
            Sample(
                id=f"leak/{number}",
                suite="leak",
                video=f"video {number // 8}",
                cluster=f"video {number // 8}",
                kind="choice",
                question=text,
                options=tuple(options),
                gold=chr(ord("A") + options.index(right)),
                asked_at_s=100.0,
                tags={"type": "leak"},
            )
        )
    return samples


def plain(number: int, words: list[str], rng: random.Random) -> tuple[str, list[str]]:
    return "Which is it?", words


def long(number: int, words: list[str], rng: random.Random) -> tuple[str, list[str]]:
    return "Which is it?", [f"{words[0]} and its lid", *words[1:]]


def short(number: int, words: list[str], rng: random.Random) -> tuple[str, list[str]]:
    return "Which is it?", [words[0], *(f"{word} and its lid" for word in words[1:])]


def middle(number: int, words: list[str], rng: random.Random) -> tuple[str, list[str]]:
    return "Which is it?", ["i" * 11, "i", "i" * 20, "i" * (3 if number % 2 else 30)]


def often(number: int, words: list[str], rng: random.Random) -> tuple[str, list[str]]:
    return "Which is it?", [f"the one of {number // 8}", *(f"{word} {number}" for word in words[1:])]


def seldom(number: int, words: list[str], rng: random.Random) -> tuple[str, list[str]]:
    return "Which is it?", [
        f"{words[0]} {number}",
        *(f"the {name} of {number // 8}" for name in ("one", "two", "three")),
    ]


def echoed(number: int, words: list[str], rng: random.Random) -> tuple[str, list[str]]:
    return f"Which is it, with {words[0]} or so?", words


def silent(number: int, words: list[str], rng: random.Random) -> tuple[str, list[str]]:
    return f"Which is it, not {', '.join(words[1:])}?", words


def amid(number: int, words: list[str], rng: random.Random) -> tuple[str, list[str]]:
    colour, kind, other, third = words
    return "Which is it?", [f"{colour} {kind}", f"{colour} {other}", f"{third} {kind}", f"{number} x"]


def favoured(number: int, words: list[str], rng: random.Random) -> tuple[str, list[str]]:
    return "Which is it?", ["the usual", *words[1:]]


def cued(number: int, words: list[str], rng: random.Random) -> tuple[str, list[str]]:
    colour = ("red", "blue", "green", "white")[number % 4]
    others = [name for name in ("red", "blue", "green", "white") if name != colour]
    cue = {"red": "fire", "blue": "sea", "green": "grass", "white": "snow"}[colour]
    return f"Which is it, thinking of {cue}?", [colour, *others]


LEAKS: dict[str, list[Sample]] = {
    "same place": leaky(plain, at=2),
    "longest option": leaky(long),
    "shortest option": leaky(short),
    "middling option": leaky(middle),
    "most recurring option": leaky(often),
    "least recurring option": leaky(seldom),
    "option most like the question": leaky(echoed),
    "option least like the question": leaky(silent),
    "option most like the others": leaky(amid),
    "majority of other videos": leaky(favoured),
    "majority of other questions": leaky(favoured),
    "nearest question of other videos": leaky(cued),
    "nearest of other questions": leaky(cued),
    "classifier on other videos": leaky(long),
    "classifier on other questions": leaky(favoured),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_each_kind_of_leak_is_found_by_its_trick(trick):
    items = items_of(LEAKS[trick])

    result = measure(trick, TRICKS[trick](items), items)

    assert result.margin > 0.15, result
    assert not result.passed


def test_questions_without_leaks_pass_every_trick():
    assert all(result.passed for result in audit(leaky(plain)))


def test_a_repeated_answer_is_found_within_its_video_only():
    samples = leaky(lambda number, words, rng: ("Which?", [f"v{number // 8}", *words[1:]]))
    items = items_of(samples)

    assert not measure("", TRICKS["majority of other questions"](items), items).passed
    assert measure("", TRICKS["majority of other videos"](items), items).passed


@pytest.mark.slow
def test_a_margin_within_sampling_error_passes(many):
    few = items_of(many[:12])

    result = measure(
        "few",
        [
            [item.gold] if number % 2 else [(item.gold + 1) % len(item.options)]
            for number, item in enumerate(few)
        ],
        few,
    )

    assert result.margin > ALLOWED
    assert result.error > 0


def sample(asked_at_s: float, *evidence: tuple[float, float]) -> Sample:
    return Sample(
        id=f"{asked_at_s} {evidence}",
        suite="s",
        video="v",
        cluster="v",
        kind="yes_no",
        question="?",
        asked_at_s=asked_at_s,
        evidence=evidence,
    )


def test_coverage_is_of_even_frames_and_of_the_last_seconds():
    samples = [
        sample(100.0, (24.0, 26.0)),
        sample(100.0, (30.0, 31.0)),
        sample(100.0, (97.0, 99.0)),
        sample(100.0),
    ]

    shares = coverage(samples, frames=(2, 100, 1000), last_s=(4.0, 80.0))

    assert shares == {
        "uniform 2": 1 / 3,
        "uniform 100": 1.0,
        "uniform 1000": 1.0,
        "last 4 s": 1 / 3,
        "last 80 s": 1.0,
    }


def test_longer_videos_need_more_frames():
    ten, hour = (
        [s for seed in range(2) for s in questions_about(furnish(seed, lasts_s), limit=20)]
        for lasts_s in (600.0, 3600.0)
    )

    assert coverage(hour)["uniform 64"] < coverage(ten)["uniform 64"]
    assert coverage(hour)["last 60 s"] < 0.5
