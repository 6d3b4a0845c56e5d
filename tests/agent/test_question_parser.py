"""What the question parser understands."""

import pytest

from recollect.agent.question_parser import read_question
from recollect.memory.values import Span


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("When does the sign change?", "when"),
        ("How many people visit?", "how_many"),
        ("How long does the visitor stay?", "how_long"),
        ("What happens at the counter?", "describe"),
        ("Who came in?", "who"),
        ("Is there a face?", "yes_no"),
        ("Which file is named?", "what"),
    ],
)
def test_the_kind_of_question_is_recognised(question, asks):
    assert read_question(question).asks == asks


@pytest.mark.parametrize(
    ("question", "span"),
    [
        ("What happens at 1:20?", Span(78.0, 82.0)),
        ("What happens between 0:10 and 0:20?", Span(10.0, 20.0)),
        ("Who is shown between 1.5 and 3.6 seconds?", Span(1.5, 3.6)),
        ("What happens after 2 minutes?", Span(120.0, float("inf"))),
        ("What happens before 1:00:00?", Span(0.0, 3600.0)),
        ("What happens in the first 30 seconds?", Span(0.0, 30.0)),
    ],
)
def test_times_in_a_question_become_a_span(question, span):
    assert read_question(question).span == span


def test_the_last_minute_is_counted_from_the_end():
    parsed = read_question("What happened in the last 2 minutes?")

    assert parsed.last_s == 120.0
    assert parsed.span is None


@pytest.mark.parametrize(
    ("question", "pick", "nth"),
    [
        ("When is the second cut?", "nth", 2),
        ("When is the 3rd arrival?", "nth", 3),
        ("When does the last visitor leave?", "last", 1),
        ("Which visitor stays longest?", "longest", 1),
        ("When is it darkest?", "lowest", 1),
        ("What is on the screen now?", "newest", 1),
        ("When does someone enter?", "all", 1),
    ],
)
def test_order_and_extremes_are_recognised(question, pick, nth):
    parsed = read_question(question)

    assert (parsed.pick, parsed.nth) == (pick, nth)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("When is the box taken away?", "removed"),
        ("When is the bottle put back?", "placed"),
        ("Who put the yellow bag on the table?", "placed"),
        ("When does someone arrive?", "enters"),
        ("How many cuts are there?", "cut"),
        ("When is nobody in the picture?", "empty"),
        ("When does the camera zoom in?", "camera_zoom_in"),
        ("When does the camera zoom out?", "camera_zoom_out"),
        ("What does the QR code say?", "qr"),
    ],
)
def test_verbs_become_kinds_of_finding(question, kind):
    assert kind in read_question(question).kinds


@pytest.mark.parametrize(
    ("question", "worn", "held"),
    [
        ("Did the man in the blue coat take the blue cup?", ("blue",), ("blue",)),
        ("When does the woman in red leave?", ("red",), ()),
        ("Who wears a black and white winter coat?", ("black", "white"), ()),
        ("Where is the green and the yellow box?", (), ("green", "yellow")),
        ("Is it red?", (), ("red",)),
    ],
)
def test_a_colour_belongs_to_clothes_or_to_another_thing(question, worn, held):
    parsed = read_question(question)

    assert (parsed.worn_colours, parsed.object_colours) == (worn, held)


def test_a_garment_is_observable_if_its_colour_is_named():
    assert "coat" in read_question("When does the man in the coat arrive?").unobservable_words
    assert "coat" not in read_question("When does the man in the blue coat arrive?").unobservable_words


def test_quoted_text_is_kept_letter_by_letter():
    assert read_question("When is 'git push' run?").quoted == ("git push",)
    assert read_question('Where does it say "35.93 GiB"?').quoted == ("35.93 GiB",)


def test_quoted_words_trigger_no_rule():
    parsed = read_question("What came after it said 'the last 5 minutes, first come first served'?")

    assert (parsed.pick, parsed.last_s, parsed.kinds) == ("all", None, ())
    assert parsed.relation == "after"
    assert "served" in parsed.anchor


def test_a_capitalised_name_keeps_its_common_words():
    assert set(read_question("When is the To Do list shown?").content_words) >= {"to", "do", "list"}


def test_words_that_no_observer_recognises_are_listed():
    parsed = read_question("When does a dog appear?")

    assert parsed.unobservable_words == ("dog",)
    assert parsed.existence_only


def test_an_apostrophe_is_not_a_quotation():
    assert read_question("What is on the person's table when they don't move?").quoted == ()


@pytest.mark.parametrize("text", ["?", "…", "1:99:99", "(((", "at :20", "between and", "'" * 50, "🐶 when?"])
def test_nonsense_is_parsed_without_an_error(text):
    read_question(text)
