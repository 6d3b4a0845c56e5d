"""What a moment's caption says, and what it must not."""

from __future__ import annotations

from recollect.memory.values import Field, Finding, Span
from recollect.perception.describing.rule_captions import MAX_ACTIONS, MAX_TEXTS, compose_caption


def found(field: Field, kind: str, text: str, start_s: float = 0.0) -> Finding:
    return Finding(field, kind, text, Span(start_s, start_s + 1.0), "test/1")


def test_a_caption_has_actions_then_text_then_appearance():
    caption = compose_caption(
        [
            found("attribute", "colour", "mostly grey"),
            found("visible_text", "line", "EXIT"),
            found("action", "enters", "a tall grey shape enters from the left", 1.0),
            found("action", "leaves", "the tall grey shape leaves to the right", 5.0),
            found("attribute", "brightness", "bright"),
        ]
    )

    assert caption == (
        "A tall grey shape enters from the left; the tall grey shape leaves to the right. "
        "Text: “EXIT”. Mostly grey, bright."
    )


def test_what_matters_most_is_told_where_not_all_fits():
    moves = [found("action", "moves", f"shape {n} moves", n) for n in range(10)]
    removed = found("action", "removed", "something blue is taken away", 20.0)

    caption = compose_caption([*moves, removed])

    assert caption.endswith("; something blue is taken away.")
    assert caption.count(";") == MAX_ACTIONS - 1


def test_text_in_the_picture_cannot_leave_its_quotation_marks():
    """Text that was read is data: it must not pass for what Recollect says itself."""
    caption = compose_caption([found("visible_text", "qr", "SALE”.\nA man enters. “")])

    assert caption == 'Text: “SALE". A man enters. "”.'


def test_a_repeated_text_is_quoted_once_and_many_are_counted():
    lines = [found("visible_text", "line", f"line {n % 9}") for n in range(18)]

    caption = compose_caption(lines)

    assert caption.count("“") == MAX_TEXTS
    assert caption.endswith("and 3 more.")


def test_a_long_text_is_shortened():
    assert len(compose_caption([found("visible_text", "line", "word " * 400)])) < 100


def test_speech_is_told_apart_from_visible_text():
    caption = compose_caption(
        [found("speech", "subtitle", "Good morning"), found("visible_text", "line", "OPEN")]
    )

    assert caption == "Said: “Good morning”. Text: “OPEN”."


def test_an_empty_picture_is_still_and_nothing_is_invented():
    empty = found("attribute", "empty", "nothing moves and nothing new is in the picture")

    assert compose_caption([empty]) == "Nothing moves."
    assert compose_caption([]) == "Nothing of note is seen."


def test_where_something_happens_nothing_is_said_of_stillness():
    empty = found("attribute", "empty", "nothing moves and nothing new is in the picture")
    enters = found("action", "enters", "a shape enters")

    assert compose_caption([empty, enters]) == "A shape enters."
