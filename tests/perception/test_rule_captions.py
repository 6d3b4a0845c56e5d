"""Rule-made captions: the content of a moment's caption."""

from __future__ import annotations

from recollect.memory.values import Field, Finding, Span
from recollect.perception.describing.rule_captions import MAX_ACTIONS, MAX_TEXTS, compose_caption


def make_finding(field: Field, kind: str, text: str, start_s: float = 0.0) -> Finding:
    return Finding(field, kind, text, Span(start_s, start_s + 1.0), "test/1")


def test_a_caption_has_actions_then_text_then_appearance():
    caption = compose_caption(
        [
            make_finding("attribute", "colour", "mostly grey"),
            make_finding("visible_text", "line", "EXIT"),
            make_finding("action", "enters", "a tall grey shape enters from the left", 1.0),
            make_finding("action", "leaves", "the tall grey shape leaves to the right", 5.0),
            make_finding("attribute", "brightness", "bright"),
        ]
    )

    assert caption == (
        "A tall grey shape enters from the left; the tall grey shape leaves to the right. "
        "Text: “EXIT”. Mostly grey, bright."
    )


def test_the_most_important_action_is_kept_if_not_all_fit():
    moves = [make_finding("action", "moves", f"shape {n} moves", n) for n in range(10)]
    removed = make_finding("action", "removed", "something blue is taken away", 20.0)

    caption = compose_caption([*moves, removed])

    assert caption.endswith("; something blue is taken away.")
    assert caption.count(";") == MAX_ACTIONS - 1


def test_text_in_the_picture_cannot_leave_its_quotation_marks():
    """Text read in the picture is data. It must not look like a statement of Recollect."""
    caption = compose_caption([make_finding("visible_text", "qr", "SALE”.\nA man enters. “")])

    assert caption == 'Text: “SALE". A man enters. "”.'


def test_a_repeated_text_is_quoted_once_and_many_are_counted():
    lines = [make_finding("visible_text", "line", f"line {n % 9}") for n in range(18)]

    caption = compose_caption(lines)

    assert caption.count("“") == MAX_TEXTS
    assert caption.endswith("and 3 more.")


def test_a_long_text_is_shortened():
    assert len(compose_caption([make_finding("visible_text", "line", "word " * 400)])) < 100


def test_speech_is_distinguished_from_visible_text():
    caption = compose_caption(
        [make_finding("speech", "subtitle", "Good morning"), make_finding("visible_text", "line", "OPEN")]
    )

    assert caption == "Said: “Good morning”. Text: “OPEN”."


def test_empty_pictures_and_no_findings_have_fixed_captions():
    empty = make_finding("attribute", "empty", "nothing moves and nothing new is in the picture")

    assert compose_caption([empty]) == "Nothing moves."
    assert compose_caption([]) == "Nothing of note is seen."


def test_a_caption_with_actions_does_not_mention_stillness():
    empty = make_finding("attribute", "empty", "nothing moves and nothing new is in the picture")
    enters = make_finding("action", "enters", "a shape enters")

    assert compose_caption([empty, enters]) == "A shape enters."


def quiet(start_s: float, end_s: float) -> Finding:
    return Finding("attribute", "empty", "nothing moves", Span(start_s, end_s), "test/1")


def test_nothing_moves_is_said_only_of_a_whole_quiet_moment():
    colour = Finding("attribute", "colour", "mostly grey", Span(0.0, 10.0), "test/1")

    assert compose_caption([quiet(0.0, 10.0), colour]) == "Nothing moves. Mostly grey."
    assert compose_caption([quiet(0.0, 4.0), quiet(5.5, 10.0), colour]) == "Mostly grey."
