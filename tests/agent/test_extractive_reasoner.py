"""The extractive reasoner answers from observations, and abstains if they do not suffice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from recollect import Recollect
from recollect.memory.ladder.builder import Ladder
from recollect.memory.store import MemoryStore
from recollect.memory.values import Field, Finding, FrameCounts, Moment, Observation, Span, Stream, moment_id

COUNTS = FrameCounts(captured=125, stored=0, sampled_out=105, merged=20)


def finding(
    field: Field, kind: str, text: str, start_s: float, end_s: float, **detail: str | float
) -> Finding:
    return Finding(field, kind, text, Span(start_s, end_s), "test/1", detail=detail)


def shop_findings() -> list[Finding]:
    """Two minutes in front of a shop."""
    return [
        finding("visible_text", "line", "OPEN 9-17", 0, 60, first_s=0.0),
        finding("visible_text", "line", "CLOSED FOR STOCKTAKING", 60, 120, first_s=60.0),
        finding(
            "action", "enters", "a tall red shape enters from the left", 10, 11, shape="tall", colour="red"
        ),
        finding(
            "action", "visit", "a tall red shape is there 0:10.0–0:18.0", 10, 18, value=8.0, shape="tall"
        ),
        finding(
            "action", "leaves", "the tall red shape leaves to the right", 17, 18, shape="tall", colour="red"
        ),
        finding(
            "action", "enters", "a tall blue shape enters from the right", 30, 31, shape="tall", colour="blue"
        ),
        finding(
            "action", "visit", "a tall blue shape is there 0:30.0–0:52.0", 30, 52, value=22.0, shape="tall"
        ),
        finding(
            "action", "removed", "something yellow is taken away from the middle", 41, 42, colour="yellow"
        ),
        finding("action", "flash", "a flash of light", 76, 76.5),
        finding("action", "typed", 'the text "$ backup --all" is typed', 91, 94),
        finding("speech", "subtitle", "Please leave the parcel on the counter.", 21, 23),
    ]


def write(path: Path, name: str, findings: list[Finding], *, moments: int = 24) -> None:
    with MemoryStore.open(path, write=True) as store:
        store.put_stream(Stream(name, "file", f"{name}.mp4", f"blake2b:{name}", "done", 4.0, moments * 5.0))
        ladder, rows = Ladder(name), []
        for index in range(moments):
            span = Span(index * 5.0, index * 5.0 + 5.0)
            own = [
                Finding(f.field, f.kind, f.text, part, f.written_by, detail=f.detail)
                for f in findings
                if (
                    part := f.span
                    if f.kind == "visit" and span.contains(f.span.end_s)
                    else f.span.clipped_to(span)
                )
                and (f.kind != "visit" or span.contains(f.span.end_s))
            ]
            own.append(
                finding(
                    "attribute", "brightness", "bright", *(span.start_s, span.end_s), value=0.5 + index / 100
                )
            )
            moment = Moment(
                moment_id(name, 0, "moment", span.start_s),
                name,
                0,
                span,
                (Observation("; ".join(f.text for f in own), tuple(own), "observers/1", 1000.0 + index),),
                counts=COUNTS,
            )
            rows += [moment, *ladder.push(moment)]
        store.append([*rows, *ladder.flush()])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recollect]:
    path = tmp_path_factory.mktemp("extractive") / "shop.lance"
    write(path, "shop", shop_findings())
    with Recollect(path) as memory:
        yield memory


def test_text_is_found_with_the_time_it_could_be_read(shop):
    answer = shop.ask("When does the sign say CLOSED?")

    assert not answer.abstained
    assert "CLOSED FOR STOCKTAKING" in answer.text
    assert answer.evidence[0].span == Span(60.0, 120.0)


def test_a_quotation_that_was_never_read_is_not_claimed(shop):
    answer = shop.ask("When does it say 'FREE BEER'?")

    assert answer.abstained
    assert answer.why == "not_seen"


@pytest.mark.parametrize(
    "question", ["When does a dog appear?", "When does the vase fall over?", "What is the man wearing?"]
)
def test_what_only_a_video_model_recognises_is_not_claimed(shop, question):
    answer = shop.ask(question)

    assert answer.abstained
    assert answer.why == "needs_model"
    assert answer.confidence <= 0.3


def test_an_abstention_offers_the_nearest_moments(shop):
    assert shop.ask("When does a dog appear?").evidence


def test_visits_are_counted_over_the_whole_stream(shop):
    answer = shop.ask("How many visits are there?")

    assert answer.text.startswith("2 visits")
    assert (answer.evidence[0].start_s, answer.evidence[0].end_s) == (10.0, 52.0)


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("How many people came in in the last 100 seconds?", "1 arrival, 0:30.0"),
        ("How many people came in between 0:05 and 0:40?", "2 arrivals, 0:10.0"),
        ("How many people came in between 0:15 and 0:25?", "0 arrivals, 0:15.0"),
        ("How many times did somebody in red come in?", "1 arrival, 0:10.0"),
        ("How many yellow things were taken away before 0:50?", "1 thing taken away, 0:41.0"),
        ("How many things were taken away from the centre?", "1 thing taken away, 0:41.0"),
    ],
)
def test_a_count_respects_the_named_time_colours_and_side(shop, question, text):
    answer = shop.ask(question)

    assert not answer.abstained
    assert answer.text.startswith(text)


@pytest.mark.parametrize(
    "question",
    ["How many different people came in?", "How many blue things were taken away?"],
    ids=["different people", "never seen"],
)
def test_what_cannot_be_counted_is_not_answered(shop, question):
    assert shop.ask(question).abstained


def test_a_colour_is_not_counted_if_not_every_finding_is_read(tmp_path):
    path = tmp_path / "busy.lance"
    arrivals = [
        finding(
            "action", "enters", "a tall red shape enters", 5.0 * n, 5.0 * n + 1, shape="tall", colour="red"
        )
        for n in range(130)
    ]
    write(path, "busy", arrivals, moments=140)

    with Recollect(path) as memory:
        assert memory.ask("How many people came in?").text.startswith("130 arrivals")
        assert memory.ask("How many people in red came in?").abstained
        assert memory.ask("How many people in red came in before 5:00?").text.startswith("60 arrivals")


@pytest.mark.parametrize(
    ("question", "start_s"),
    [
        ("When does the first person arrive?", 10.0),
        ("When does the second person arrive?", 30.0),
        ("When does the last person arrive?", 30.0),
        ("When does the blue one come in?", 30.0),
        ("When is something taken away?", 41.0),
    ],
)
def test_order_and_colour_pick_one_of_several(shop, question, start_s):
    answer = shop.ask(question)

    assert not answer.abstained
    assert answer.evidence[0].start_s == start_s


@pytest.mark.parametrize(
    ("question", "start_s"),
    [
        ("When did it last say 'WAIT HERE'?", 2495.0),
        ("When did it first say 'WAIT HERE'?", 5.0),
        ("When did it say 'WAIT HERE' for the third time?", 25.0),
        ("When did it last say 'WAIT HERE' before 20:00?", 1195.0),
    ],
)
def test_of_hundreds_of_matches_the_one_in_order_is_cited(tmp_path, question, start_s):
    signs = [
        finding("visible_text", "line", "WAIT HERE" if number % 2 else "NOW SERVING", at_s, at_s + 5.0)
        for number, at_s in enumerate(range(0, 2500, 5))
    ]
    write(tmp_path / "queue.lance", "queue", signs, moments=500)

    with Recollect(tmp_path / "queue.lance") as memory:
        answer = memory.ask(question)

    assert answer.evidence[0].start_s == start_s


def test_the_longest_visit_is_found(shop):
    assert shop.ask("Which visitor stays longest?").evidence[0].span == Span(30.0, 52.0)


def test_how_long_is_answered_in_seconds(shop):
    assert "About 8.0 s" in shop.ask("How long does the first visitor stay?").text


def test_the_brightest_moment_is_the_one_with_the_highest_value(shop):
    assert shop.ask("When is it brightest?").evidence[0].span == Span(115.0, 120.0)


def test_what_happened_after_something_comes_after_it(shop):
    answer = shop.ask("What happened after the flash?")

    assert not answer.abstained
    assert answer.evidence[0].end_s > 76.5


def test_what_was_typed_is_quoted(shop):
    assert "$ backup --all" in shop.ask("Which command is typed in the terminal?").text


def test_what_was_said_is_found_by_its_words(shop):
    answer = shop.ask("What does the narrator say about the parcel?")

    assert "parcel on the counter" in answer.text
    assert answer.evidence[0].start_s == 21.0


def test_speech_about_something_never_mentioned_is_not_claimed(shop):
    assert shop.ask("What does the narrator say about whales?").abstained


def test_a_named_time_is_described(shop):
    answer = shop.ask("What happens at 0:42?")

    assert not answer.abstained
    assert "taken away" in answer.text


def test_now_is_the_newest_moment(shop):
    assert shop.ask("What is to be seen now?").evidence[0].end_s == 120.0


def test_the_text_of_now_is_the_newest_text(shop):
    answer = shop.ask("Which word is on the sign right now?")

    assert "CLOSED" in answer.text
    assert answer.evidence[0].end_s == 120.0


def test_a_time_that_was_never_watched_is_reported_as_such(shop):
    answer = shop.ask("What happens?", from_s=500.0, to_s=600.0)

    assert answer.abstained
    assert answer.why == "not_watched"


def test_nothing_outside_the_asked_span_is_cited(shop):
    answer = shop.ask("When does someone arrive?", from_s=0.0, to_s=20.0)

    assert all(evidence.start_s < 20.0 for evidence in answer.evidence)


def test_the_option_that_was_read_is_chosen(shop):
    answer = shop.ask(
        "What does the second sign say?", options=["OPEN ALL DAY", "CLOSED FOR STOCKTAKING", "FOR SALE"]
    )

    assert answer.choice == "B"


def test_yes_needs_evidence_and_otherwise_it_abstains(shop):
    supported = shop.ask("Does something blue come in?", options=["no", "yes"])
    unsupported = shop.ask("Does something green come in?", options=["no", "yes"])

    assert (supported.choice, supported.abstained) == ("B", False)
    assert supported.text.startswith("Yes: ")
    assert (unsupported.choice, unsupported.abstained) == (None, True)


@pytest.mark.parametrize(
    ("question", "choice"), [("Which sign came first?", "A"), ("Which sign came last?", "B")]
)
def test_of_options_that_were_read_the_one_in_order_is_chosen(shop, question, choice):
    assert shop.ask(question, options=["OPEN 9-17", "CLOSED FOR STOCKTAKING"]).choice == choice


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recollect]:
    """Two people at a counter: one in red takes something blue, one in blue something red, and puts something down."""
    red, blue = (
        finding("actor", "shape", f"a tall {colour} shape", *span, shape="tall", colour=colour)
        for colour, span in (("red", (10, 18)), ("blue", (30, 52)))
    )
    taken = [
        finding("action", "removed", f"something {colour} is taken away from the left", *span, colour=colour)
        for colour, span in (("blue", (13, 14)), ("red", (41, 42)))
    ]
    put = finding("action", "placed", "something yellow is put down on the right", 46, 47, colour="yellow")
    path = tmp_path_factory.mktemp("extractive") / "counter.lance"
    write(path, "counter", [red, blue, *taken, put])
    with Recollect(path) as memory:
        yield memory


PEOPLE = ["the man in the red coat", "the woman in the blue coat and hat", "the man in the green jacket"]


@pytest.mark.parametrize(
    ("question", "start_s"),
    [
        ("When did the man in the blue coat take the red cup?", 41.0),
        ("When did the woman in the red coat take the blue cup?", 13.0),
        ("When did the one in blue put something yellow on the counter?", 46.0),
    ],
)
def test_colours_of_clothes_are_not_taken_for_colours_of_things(counter, question, start_s):
    answer = counter.ask(question)

    assert not answer.abstained
    assert answer.evidence[0].start_s == start_s


@pytest.mark.parametrize(
    ("question", "choice"), [("Who took the blue cup?", "A"), ("Who took the red cup?", "B")]
)
def test_who_did_it_is_decided_by_the_colour_of_the_shape(counter, question, choice):
    answer = counter.ask(question, options=PEOPLE)

    assert answer.choice == choice
    assert "while a tall" in answer.evidence[0].text


def test_what_somebody_took_is_decided_by_its_colour(counter):
    question = "What did the woman in the blue coat take?"

    assert counter.ask(question, options=["the blue cup", "the red cup", "the green cup"]).choice == "B"


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("Who took the red cup?", ["the man in the blue coat", "the woman in the blue coat"]),
        ("Who took the white cup?", PEOPLE),
        ("Who gave the red cup to the man in the green jacket?", PEOPLE),
    ],
    ids=["two wear the same", "no such colour", "no observer sees it"],
)
def test_no_option_is_chosen_if_colours_do_not_tell_people_apart(counter, question, options):
    answer = counter.ask(question, options=options)

    assert answer.choice is None
    assert answer.abstained


def test_no_option_is_guessed(shop):
    answer = shop.ask("What animal is in the shop?", options=["a cat", "a dog", "a horse"])

    assert answer.choice is None
    assert answer.abstained


def test_the_same_question_gets_the_same_answer(shop):
    first, second = (shop.ask("When does the second person arrive?") for _ in range(2))

    assert (first.text, first.evidence, first.confidence) == (second.text, second.evidence, second.confidence)


def test_without_a_named_stream_every_stream_is_cited(tmp_path):
    write(tmp_path / "two.lance", "east", shop_findings())
    write(tmp_path / "two.lance", "west", shop_findings())

    with Recollect(tmp_path / "two.lance") as memory:
        evidence = memory.ask("When does the first person arrive?").evidence

    assert {item.stream for item in evidence[:2]} == {"east", "west"}
