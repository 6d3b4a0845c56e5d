"""Questions about forgotten spans: summaries are found and cited, and nothing forgotten is denied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from recollect import Limits, Recollect
from recollect.agent.evidence import MAX_SPANS
from recollect.agent.forgotten_spans import merge_tombstones
from recollect.agent.prompt_building import JudgeReply, LookReply, PlanReply
from recollect.cli.printing import print_answer
from recollect.memory import Finding, Gap, KeyFrame, MemoryStore, Moment, Observation, Span, Stream, moment_id
from recollect.memory.ladder.summaries import evenly, summarise
from recollect.memory.values import Field, Rung, Tombstone
from recollect.perception.lmm import ClipPart, TextPart
from recollect.perception.sources.content_identity import content_id_of
from recollect.testing.scripted_lmm import ScriptedLmm

MOMENTS = (("event", "frame"), ("event", "children"))
"""The losses after which events represent their moments."""
EVENTS = (*MOMENTS, ("hour", "frame"), ("hour", "children"))
"""And hours their events."""


def new_finding(
    field: Field, kind: str, text: str, start_s: float, end_s: float, **detail: str | float
) -> Finding:
    return Finding(field, kind, text, Span(start_s, end_s), "test/1", detail=detail)


def visit(start_s: float, end_s: float, colour: str = "grey") -> list[Finding]:
    who = {"shape": "tall", "colour": colour}
    return [
        new_finding("action", "enters", f"a tall {colour} shape enters", start_s, start_s + 1, **who),
        new_finding("action", "visit", f"a tall {colour} shape is there", start_s, end_s, **who),
    ]


FINDINGS = [
    *[finding for times in ((5, 12), (65, 69), (80, 88), (91, 93)) for finding in visit(*times)],
    *visit(200, 205, "red"),
    new_finding("visible_text", "line", "OPEN 9-17", 0, 60),
    new_finding("action", "flash", "a flash of light", 71, 72),
    new_finding("visible_text", "line", "ORDER 66", 94, 97),
    new_finding("action", "typed", 'the text "make test" is typed', 98, 99),
    new_finding("visible_text", "line", "CLOSED FOR STOCKTAKING", 180, 240),
]
"""Four minutes in front of a shop: a minute is an event, and all of it an hour."""


def jpeg(shade: int) -> bytes:
    encoded, data = cv2.imencode(".jpg", np.full((90, 160, 3), shade, np.uint8))
    assert encoded
    return data.tobytes()


def moments_of(stream: str, lasts_s: float = 10.0, count: int = 24) -> list[Moment]:
    moments = []
    for number in range(count):
        span = Span(number * lasts_s, (number + 1) * lasts_s)
        # The moment in which a visit ends reports all of it. Of anything else, each moment reports its part.
        seen = [
            Finding(f.field, f.kind, f.text, part, f.written_by, detail=f.detail)
            for f in FINDINGS
            if (part := f.span if f.kind == "visit" else f.span.clipped_to(span)) is not None
            and (f.kind != "visit" or span.contains(f.span.end_s))
        ]
        light = new_finding("attribute", "brightness", "bright", span.start_s, span.end_s, value=number / 100)
        observation = Observation(
            "; ".join(f.text for f in seen) or "nothing moves", (*seen, light), "observers/1", 1000 + number
        )
        moments.append(
            Moment(
                moment_id(stream, 0, "moment", span.start_s),
                stream,
                0,
                span,
                (observation,),
                frame_ids=(f"{stream}-{number}",),
            )
        )
    return moments


def parent(rung: Rung, children: Sequence[Moment]) -> Moment:
    span = children[0].span.hull(children[-1].span)
    return Moment(
        moment_id(children[0].stream, 0, rung, span.start_s),
        children[0].stream,
        0,
        span,
        (summarise(children, span),),
        rung=rung,
        child_ids=tuple(child.id for child in children),
        frame_ids=tuple(evenly([key for child in children for key in child.frame_ids], 4)),
    )


def pictures(moments: Sequence[Moment]) -> list[KeyFrame]:
    return [
        KeyFrame(key, moment.stream, moment.span.start_s, 0, "1/1000", 160, 90, jpeg(40 + number))
        for number, moment in enumerate(moments)
        for key in moment.frame_ids
    ]


SHOP = moments_of("shop")
MINUTES = [parent("event", SHOP[at : at + 6]) for at in range(0, 24, 6)]
HOUR = parent("hour", MINUTES)
SECOND_MINUTE = Span(60, 120)

Forget = Callable[..., None]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A live stream, so nothing outside the memory exists. The minute after it was not watched."""
    path = tmp_path / "memory.lance"
    with MemoryStore.open(path, write=True) as store:
        store.put_stream(Stream("shop", "live", "rtsp://shop", "shop", "stopped", 4.0))
        # What came later ended the shop's epoch, so that its hour will never be part of a day.
        store.append([*SHOP, *MINUTES, HOUR], pictures(SHOP))
        store.put_gap(Gap("gap", "shop", 0, Span(240, 300), "stalled"))
    return path


@pytest.fixture
def without(shop: Path, evict: Forget) -> Callable[..., Recollect]:
    """The shop's memory after losses: ``without(*MOMENTS, within=Span(0, 60))``."""

    def opened(*losses: tuple[str, str], within: Span | None = None, **options: object) -> Recollect:
        with MemoryStore.open(shop, write=True) as store:
            evict(store, *losses, inside=within)
        return Recollect(shop, **options)  # type: ignore[arg-type]

    return opened


# -- summaries are found and cited ------------------------------------------------------------


@pytest.mark.parametrize(("losses", "memory_id"), [(MOMENTS, MINUTES[1].id), (EVENTS, HOUR.id)])
def test_a_line_kept_by_a_summary_is_cited_with_its_time(without, losses, memory_id):
    with without(*losses) as memory:
        answer = memory.ask("When does the sign say 'ORDER 66'?")

    assert not answer.abstained
    assert (answer.evidence[0].span, answer.evidence[0].memory_id) == (Span(94, 97), memory_id)
    assert answer.evidence[0].text == "ORDER 66"


@pytest.mark.slow
@pytest.mark.parametrize("losses", [(), MOMENTS, EVENTS])
@pytest.mark.parametrize(
    ("question", "start_s"),
    [
        ("When does the first person arrive?", 5),
        ("When does the last person arrive?", 200),
        ("Which visitor stays longest?", 80),
        ("When is it brightest?", 230),
        ("When is it darkest?", 0),
        ("When is there a flash?", 71),
    ],
)
def test_summaries_give_the_first_last_longest_and_extreme(without, losses, question, start_s):
    with without(*losses) as memory:
        answer = memory.ask(question)

    assert not answer.abstained
    assert answer.evidence[0].start_s == start_s


@pytest.mark.slow
@pytest.mark.parametrize("within", [None, SECOND_MINUTE, Span(0, 60)])
@pytest.mark.parametrize("losses", [(), MOMENTS, EVENTS])
def test_a_count_is_the_same_whatever_is_forgotten_below(without, losses, within):
    with without(*losses, within=within) as memory:
        answer = memory.ask("How many people arrive?")

    assert answer.text.startswith("5 arrivals")
    assert "not taken into account" not in answer.text


def test_the_longest_visit_is_cited_with_its_full_length(without):
    with without(*EVENTS) as memory:
        assert memory.ask("Which visitor stays longest?").evidence[0].span == Span(80, 88)


@pytest.mark.parametrize(("nth", "start_s"), [("second", 65), ("fourth", 91), ("fifth", 200)])
def test_ordinals_count_findings_whose_times_are_forgotten(without, nth, start_s):
    with without(*MOMENTS, within=SECOND_MINUTE) as memory:
        assert memory.ask(f"When does the {nth} person arrive?").evidence[0].start_s == start_s


@pytest.mark.slow
@pytest.mark.parametrize(
    "question",
    [
        "When does the third person arrive?",  # it came between two that are known
        "Which visitor stays shortest?",
        "How long does the second visitor stay?",
        "When does the blue one come in?",
        "Which command is typed in the terminal?",
        "What happened after the flash?",
        "What happens at 1:10?",
    ],
)
def test_what_no_summary_has_is_reported_as_forgotten(without, question):
    with without(*MOMENTS, within=SECOND_MINUTE) as memory:
        answer = memory.ask(question)

    assert (answer.abstained, answer.why) == (True, "forgotten")
    assert "in shop is forgotten" in answer.text
    assert answer.confidence < 0.5


def test_a_summary_does_not_answer_a_question_about_now(without):
    with without(*MOMENTS) as memory:
        assert memory.ask("What is to be seen now?").why == "forgotten"


def test_moments_beside_a_forgotten_minute_answer_as_before(without):
    with without(*MOMENTS, within=SECOND_MINUTE) as memory:
        answer = memory.ask("What happens at 3:25?")

    assert not answer.abstained
    assert all(item.start_s >= 190 for item in answer.evidence)


# -- nothing forgotten is denied ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("question", "scope", "why"),
    [
        ("When does it say 'FREE BEER'?", {}, "forgotten"),
        ("When does it say 'FREE BEER'?", {"from_s": 0.0, "to_s": 90.0}, "forgotten"),
        ("When does it say 'FREE BEER'?", {"from_s": 120.0, "to_s": 240.0}, "not_seen"),
        ("When does it say 'FREE BEER'?", {"from_s": 240.0, "to_s": 300.0}, "not_watched"),
        ("When does it say 'OPEN 9-17'?", {"from_s": 70.0, "to_s": 90.0}, "forgotten"),
        ("When is there a dissolve?", {}, "forgotten"),
        ("When does a dog appear?", {}, "needs_model"),
        ("When does a dog appear?", {"from_s": 60.0, "to_s": 120.0}, "forgotten"),
    ],
)
def test_forgotten_memories_prevent_a_claim_of_not_seen(without, question, scope, why):
    with without(*MOMENTS, within=SECOND_MINUTE) as memory:
        answer = memory.ask(question, **scope)

    assert (answer.abstained, answer.why) == (True, why)
    assert ("is forgotten" in answer.text) == (why == "forgotten")


def test_a_forgotten_scope_is_not_called_unwatched(without):
    with without(*MOMENTS, within=SECOND_MINUTE) as memory:
        answer = memory.ask("What happens?", from_s=70, to_s=90)

    assert answer.text == (
        "What was seen at 1:10.0–1:30.0 in shop is forgotten, so there is nothing left to answer from."
    )
    assert answer.coverage[0].watched_s == 20


def test_a_count_names_the_forgotten_span_that_it_leaves_out(without):
    with without(*MOMENTS, within=SECOND_MINUTE) as memory:
        answer = memory.ask("How many people arrive?", from_s=90, to_s=240)

    assert answer.text.startswith("1 arrival")
    assert answer.text.endswith(
        "What was seen at 1:30.0–2:00.0 in shop is forgotten, and is not taken into account."
    )
    assert answer.confidence <= 0.5


def test_without_pictures_alone_the_answers_stay_the_same(without):
    with without(("event", "frame")) as memory:
        denied = memory.ask("When does it say 'FREE BEER'?")
        answers = [memory.ask(f"What happens at {time}?") for time in ("1:05", "1:12")]
        kept = {frame.id for frame in memory.frames([key for moment in SHOP for key in moment.frame_ids])}

    assert denied.why == "not_seen"
    assert denied.coverage[0].forgotten == ()
    assert {key for answer in answers for item in answer.evidence for key in item.frame_ids} <= kept
    assert len(kept) == 16


# -- how it is reported -------------------------------------------------------------------------------------


def test_adjacent_forgotten_spans_are_merged_and_clipped(without):
    with without(*MOMENTS, within=Span(0, 180)) as memory:
        [everywhere] = memory.ask("What happens?").coverage
        [scoped] = memory.ask("What happens?", from_s=30, to_s=150).coverage

    [span] = everywhere.forgotten
    assert (span.start_s, span.end_s, span.lost, span.cause) == (0, 180, "moment", "budget")
    assert span.forgotten_at.endswith("+00:00")
    assert everywhere.forgotten_s == 180
    assert [(part.start_s, part.end_s) for part in scoped.forgotten] == [(30, 150)]


def test_forgotten_spans_of_different_loss_stay_apart():
    tombstones = [
        Tombstone(
            str(minute), "shop", 0, Span(minute * 60, minute * 60 + 60), lost, cause, 1000.0 + minute, 0.0
        )  # type: ignore[arg-type]
        for minute, (lost, cause) in enumerate(
            [
                ("moment", "budget"),
                ("moment", "budget"),
                ("moment", "asked"),
                ("event", "asked"),
                ("frame", "budget"),
            ]
        )
    ]

    merged = merge_tombstones(tombstones, None)

    assert [(tombstone.span, tombstone.lost, tombstone.cause) for tombstone in merged] == [
        (Span(0, 120), "moment", "budget"),
        (Span(120, 180), "moment", "asked"),
        (Span(180, 240), "event", "asked"),
    ]
    assert merged[0].forgotten_at_s == 1001.0


@pytest.mark.slow
def test_the_list_of_forgotten_spans_stays_short(tmp_path, evict):
    path = tmp_path / "memory.lance"
    moments = moments_of("shop", count=60)
    with MemoryStore.open(path, write=True) as store:
        store.put_stream(Stream("shop", "live", "rtsp://shop", "shop", "stopped", 4.0))
        store.append([*moments, *(parent("event", [moment]) for moment in moments)])
        for moment in moments[::2]:
            evict(store, ("event", "children"), inside=moment.span)

    with Recollect(path) as memory:
        [coverage] = memory.ask("What happens?").coverage

    assert len(coverage.forgotten) == MAX_SPANS
    assert coverage.forgotten[-1].start_s == moments[-2].span.start_s
    assert coverage.forgotten_s == 300


def test_the_command_prints_the_forgotten_span(without, capsys):
    with without(*MOMENTS, within=SECOND_MINUTE) as memory:
        print_answer(memory.ask("How many people arrive?"))

    assert "  no longer stored: 1:00.0–2:00.0 of shop (moments, evicted)\n" in capsys.readouterr().out


# -- with a video LMM -----------------------------------------------------------------------------------

PLANNED = PlanReply(queries=["order 66"], from_s=None, to_s=None, order="any")


def judged(sufficiency: str, *cites: str, **more: object) -> JudgeReply:
    fields = {"answer": "", "choice": None, "missing": "", "look_at": [], "queries": [], **more}
    return JudgeReply(cites=list(cites), sufficiency=sufficiency, **fields)  # type: ignore[arg-type]


def looked(sufficiency: str, seen: str, answer: str = "") -> LookReply:
    return LookReply(seen=seen, sufficiency=sufficiency, visible_text=[], answer=answer, choice=None)  # type: ignore[arg-type]


def prompts(lmm: ScriptedLmm) -> list[str]:
    return [call.prompt.name for call in lmm.asked]


def test_a_model_judges_and_cites_summaries_of_forgotten_moments(without):
    lmm = ScriptedLmm(PLANNED, judged("all", "M1", answer="At 1:34."))

    with without(*MOMENTS, lmm=lmm) as memory:
        answer = memory.ask("Which order is called?")

    assert (answer.text, answer.evidence[0].memory_id) == ("At 1:34.", MINUTES[1].id)
    # Four pictures of a minute cannot refute it, so no inspection is spent on it.
    assert prompts(lmm) == ["plan", "judge"]
    texts = [part.text for part in lmm.asked[1].prompt.parts if isinstance(part, TextPart)]
    assert any('name="M1"' in text and "ORDER 66" in text for text in texts)


@pytest.mark.parametrize(
    ("scope", "planned", "why"),
    [
        ({}, (None, None), "forgotten"),
        ({}, (90.0, 130.0), "forgotten"),
        ({}, (130.0, 180.0), "not_seen"),
        ({"from_s": 120.0, "to_s": 240.0}, (None, None), "not_seen"),
    ],
)
def test_a_model_that_finds_nothing_admits_what_is_forgotten(without, scope, planned, why):
    plan = PLANNED.model_copy(update={"from_s": planned[0], "to_s": planned[1]})
    lmm = ScriptedLmm(
        otherwise=lambda prompt: plan if prompt.name == "plan" else judged("none", missing="which animal")
    )

    with without(*MOMENTS, within=SECOND_MINUTE, lmm=lmm, limits=Limits(rounds=1)) as memory:
        answer = memory.ask("Which animal is there?", **scope)

    assert (answer.abstained, answer.why) == (True, why)
    assert answer.text.startswith("I cannot tell: which animal.")


def test_a_forgotten_scope_costs_no_call(without):
    lmm = ScriptedLmm()

    with without(*MOMENTS, lmm=lmm) as memory:
        answer = memory.ask("Which animal is there?", from_s=70, to_s=90)

    assert (answer.why, answer.usage.lmm_calls) == ("forgotten", 0)


def test_a_summary_is_inspected_in_its_own_pictures(without):
    lmm = ScriptedLmm(
        PLANNED, judged("little", "M1", look_at=["M1"]), looked("all", "A grey coat.", "A grey coat.")
    )

    with without(*MOMENTS, lmm=lmm) as memory:
        answer = memory.ask("Who calls order 66?")

    [clip] = [part for part in lmm.asked[2].prompt.parts if isinstance(part, ClipPart)]
    assert clip.times_s == (0.0, 20.0, 30.0, 50.0)
    assert answer.text == "A grey coat."
    assert len(answer.evidence[0].frame_ids) == 4


def test_a_camera_moment_without_pictures_costs_no_call(without):
    without_pictures = SHOP[7]
    lmm = ScriptedLmm(
        PlanReply(queries=["flash of light"], from_s=70.0, to_s=80.0, order="any"),
        judged("little", "M1", look_at=["M1"]),
        judged("most", "M2", answer="At 1:11."),
    )

    with without(("event", "frame"), lmm=lmm) as memory:
        answer = memory.ask("What makes a flash there?")

    assert without_pictures.frame_ids[0] not in MINUTES[1].frame_ids
    assert prompts(lmm) == ["plan", "judge", "judge"]
    assert (answer.text, answer.evidence[0].frame_ids) == ("At 1:11.", ())


def test_now_is_judged_by_descriptions_if_no_pictures_are_left(shop):
    with MemoryStore.open(shop, write=True) as store:
        newest = moments_of("shop", count=31)[-1]
        store.append([newest])  # without the picture that it names
    lmm = ScriptedLmm(judged("most", "M2", answer="Nothing moves."))

    with Recollect(shop, lmm=lmm) as memory:
        answer = memory.ask("What is to be seen now?")

    assert prompts(lmm) == ["judge"]
    assert answer.text == "Nothing moves."


def test_a_file_moment_without_pictures_is_inspected_in_the_file(tmp_path, short_video, evict):
    path = tmp_path / "memory.lance"
    moments = moments_of("film", lasts_s=0.3, count=6)
    with MemoryStore.open(path, write=True) as store:
        store.put_stream(Stream("film", "file", str(short_video), content_id_of(short_video), "done", 4.0))
        store.append([*moments, parent("event", moments)], pictures(moments))
        evict(store, ("event", "frame"))
        kept = {frame.id for frame in store.snapshot().frames([f"film-{number}" for number in range(6)])}
    lmm = ScriptedLmm(
        PlanReply(queries=["arrives"], from_s=0.3, to_s=0.6, order="any"),
        judged("little", "M1", look_at=["M1"]),
        looked("all", "A square.", "A square."),
    )

    with Recollect(path, lmm=lmm) as memory:
        answer = memory.ask("What happens there?")

    assert "film-1" not in kept
    assert prompts(lmm) == ["plan", "judge", "look"]
    assert (answer.text, answer.evidence[0].frame_ids) == ("A square.", ())
