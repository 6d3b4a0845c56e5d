"""The agent's graph: when it stops, what it may see, and what it writes. The reasoner is scripted."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from recollect import Recollect
from recollect.agent.answer import Answer, Evidence, Question
from recollect.agent.graph import build_agent
from recollect.agent.limits import Limits, Spending
from recollect.agent.reasoner import CitedSpan, DraftAnswer, Judgement, Plan, Reasoner
from recollect.agent.state import AgentDependencies
from recollect.agent.traces import TraceStore, open_traces
from recollect.agent.usage_records import uses_of
from recollect.memory import Finding, KeyFrame, MemoryStore, Moment, Observation, Span, Stream, moment_id
from recollect.memory.errors import DiskFull
from recollect.memory.storage.tables import latest_view, select
from recollect.memory.values import Use
from recollect.testing.scripted_reasoner import ScriptedReasoner
from recollect.tools.toolbox import Scope, Toolbox

WRITTEN_AT_S = 1000.0


def new_moment(stream: str, number: int, caption: str, *kinds: str) -> Moment:
    """Ten seconds of a stream, written when they were over, with a finding of each kind."""
    span = Span(number * 10.0, number * 10.0 + 10.0)
    found = tuple(Finding("action", kind, f"something {kind}", span, "motion/1") for kind in kinds)
    return Moment(
        id=moment_id(stream, 0, "moment", span.start_s),
        stream=stream,
        epoch=0,
        span=span,
        observations=(Observation(caption, found, "observers/1", WRITTEN_AT_S + span.end_s),),
        frame_ids=(f"{stream}-{number}",),
    )


def picture(of: Moment) -> KeyFrame:
    return KeyFrame(of.frame_ids[0], of.stream, of.span.start_s, 0, "1/1000", 4, 3, b"jpeg" * 4096)


KITCHEN = [
    new_moment("kitchen", 0, "a kettle is put down", "placed"),
    new_moment("kitchen", 1, "a cat enters", "enters"),
    new_moment("kitchen", 2, "the kettle boils"),
    new_moment("kitchen", 3, "a cat leaves", "leaves"),
    new_moment("kitchen", 4, "a kettle is taken away", "removed"),
]
GARDEN = [new_moment("garden", 0, "a kettle in the garden", "placed"), new_moment("garden", 1, "rain falls")]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    with MemoryStore.open(tmp_path / "memory.lance", write=True) as opened:
        for name in ("kitchen", "garden"):
            opened.put_stream(Stream(name, "file", f"{name}.mp4", f"content:{name}", "done", 4.0))
        opened.append([*KITCHEN, *GARDEN], [picture(moment) for moment in (*KITCHEN, *GARDEN)])
        yield opened


@pytest.fixture
def traces(tmp_path: Path) -> Iterator[TraceStore]:
    opened = open_traces(tmp_path / "traces.sqlite")
    yield opened
    opened.close()


Ask = Callable[..., Answer]


@pytest.fixture
def ask(store: MemoryStore, traces: TraceStore) -> Ask:
    """Ask with a reasoner. ``sees`` is the inspector."""

    def asking(
        reasoner: Reasoner,
        *,
        budget: Limits | None = None,
        as_of_s: float | None = None,
        sees: Callable[[Moment], Observation | None] | None = None,
        memory: MemoryStore = store,
        **question: Any,
    ) -> Answer:
        asked = Question.checked("When?", as_of_s=as_of_s, **question)
        snapshot, trace_id = memory.snapshot(as_of_s=as_of_s), uuid.uuid4().hex
        deps = AgentDependencies(
            tools=Toolbox(snapshot, Scope(asked.streams, asked.span), sees),
            snapshot=snapshot,
            store=memory,
            reasoner=reasoner,
            spending=Spending(budget or Limits()),
            trace_id=trace_id,
            as_of="now",
        )
        agent = build_agent(traces)
        config = {"configurable": {"thread_id": trace_id}}
        state = agent.invoke({"question": asked.model_dump()}, config, context=deps, durability="sync")
        return Answer.model_validate(state["answer"])

    return asking


class Watcher(ScriptedReasoner):
    """A scripted reasoner that records what it is shown, and runs ``meanwhile`` while it judges."""

    def __init__(self, *, meanwhile: Callable[[], None] = lambda: None, **script: Any) -> None:
        super().__init__(**script)
        self.meanwhile = meanwhile
        self.shown: list[list[Moment]] = []
        self.tiles: list[list[Moment]] = []

    def judge(
        self, question: Question, plan: Plan, overview: Sequence[Moment], moments: Sequence[Moment]
    ) -> Judgement:
        self.tiles.append(list(overview))
        self.shown.append(list(moments))
        self.meanwhile()
        return super().judge(question, plan, overview, moments)


def cited(moment: Moment, score: float = 0.9) -> CitedSpan:
    return CitedSpan(
        moment_id=moment.id, start_s=moment.span.start_s, end_s=moment.span.end_s, score=score, text="it"
    )


KETTLE = Plan(queries=("kettle",))
WIDER = Judgement(sufficiency=0.1, cited=(cited(KITCHEN[0]),), wider=True)


def spotted(moment: Moment, text: str = "a hidden zebra") -> Observation:
    return Observation(
        text, (Finding("visible_text", "line", text, moment.span, "text/2"),), "inspect/1", time.time()
    )


# -- when it stops ------------------------------------------------------------------------------------


def test_it_stops_as_soon_as_it_knows_enough(ask):
    enough = Judgement(sufficiency=0.9, cited=(cited(KITCHEN[2]),))
    reasoner = Watcher(
        plan=KETTLE,
        judgements=[enough],
        draft=DraftAnswer(text="At 20 s.", confidence=0.9, cited=enough.cited),
    )

    answer = ask(reasoner)

    assert (answer.text, answer.abstained, answer.stop_reason) == ("At 20 s.", False, "sufficient")
    assert (answer.usage.rounds, len(reasoner.shown)) == (1, 1)
    assert [(item.stream, item.span, item.frame_ids) for item in answer.evidence] == [
        ("kitchen", KITCHEN[2].span, ("kitchen-2",))
    ]


def test_it_stops_if_the_judgement_asks_for_nothing_more(ask):
    answer = ask(ScriptedReasoner(plan=KETTLE, judgements=[Judgement(sufficiency=0.1)]))

    assert (answer.stop_reason, answer.usage.rounds) == ("nothing_new", 1)
    assert (answer.abstained, answer.why) == (True, "unclear")


def test_it_stops_when_a_round_brings_nothing_new(ask):
    again = Judgement(sufficiency=0.1, wider=True, queries=("kettle",))

    answer = ask(ScriptedReasoner(plan=KETTLE, judgements=[again] * 5), budget=Limits(rounds=5))

    assert (answer.stop_reason, answer.usage.rounds) == ("nothing_new", 2)


def test_it_goes_wider_only_if_a_search_brings_nothing_new(ask):
    fruitful = Judgement(sufficiency=0.1, cited=(cited(KITCHEN[2]),), wider=True, queries=("rain",))
    fruitless = Judgement(sufficiency=0.1, cited=(cited(KITCHEN[2]),), wider=True, queries=("zebra",))
    plan = Plan(queries=("boils",))

    searching, widening = (
        Watcher(plan=plan, judgements=[judgement, Judgement(sufficiency=0.1)])
        for judgement in (fruitful, fruitless)
    )
    for reasoner in (searching, widening):
        ask(reasoner, budget=Limits(rounds=2))

    assert [len(shown) for shown in searching.shown] == [1, 2]
    assert [len(shown) for shown in widening.shown] == [1, 3]


def test_it_stops_after_its_rounds(ask):
    widening = [Judgement(sufficiency=0.1, wider=True, queries=(word,)) for word in ("cat", "rain", "boils")]

    answer = ask(ScriptedReasoner(plan=KETTLE, judgements=widening), budget=Limits(rounds=2))

    assert (answer.stop_reason, answer.usage.rounds) == ("rounds", 2)


def test_it_stops_when_its_time_is_up_and_keeps_the_best_so_far(ask):
    reasoner = Watcher(plan=KETTLE, judgements=[WIDER] * 3, meanwhile=lambda: time.sleep(0.02))

    answer = ask(reasoner, budget=Limits(seconds=0.01))

    assert (answer.stop_reason, answer.usage.rounds) == ("budget", 1)


def test_an_empty_scope_is_reported_as_nothing_remembered(ask):
    answer = ask(ScriptedReasoner(plan=KETTLE), from_s=5000.0)

    assert (answer.stop_reason, answer.evidence) == ("nothing_remembered", [])


def test_the_best_judgement_is_kept_and_not_the_last(ask):
    class Repeater(ScriptedReasoner):
        def answer(
            self, question: Question, plan: Plan, judgement: Judgement, *rest: Sequence[Moment]
        ) -> DraftAnswer:
            return DraftAnswer(text=judgement.missing, confidence=judgement.sufficiency)

    better = Judgement(sufficiency=0.6, wider=True, queries=("cat",), missing="the better one")
    worse = Judgement(sufficiency=0.2, missing="the worse one")

    assert ask(Repeater(plan=KETTLE, judgements=[better, worse])).text == "the better one"


def test_a_span_is_cited_once_at_its_best_rank(ask):
    twice = (cited(KITCHEN[0]), cited(KITCHEN[2]), cited(KITCHEN[0], 0.3))

    answer = ask(ScriptedReasoner(plan=KETTLE, draft=DraftAnswer(text="", confidence=0.9, cited=twice)))

    assert [(item.span, item.score) for item in answer.evidence] == [
        (KITCHEN[0].span, 0.9),
        (KITCHEN[2].span, 0.9),
    ]


# -- inspections -------------------------------------------------------------------------------------


def test_no_moment_is_inspected_twice_or_beyond_the_limits(ask):
    inspected: list[str] = []

    def sees(moment: Moment) -> Observation:
        inspected.append(moment.id)
        return spotted(moment, f"look {len(inspected)}")

    first, second, third = KITCHEN[0].id, KITCHEN[2].id, KITCHEN[4].id
    judgements = [
        Judgement(sufficiency=0.1, look_at=(first,)),
        Judgement(sufficiency=0.1, look_at=(first, first, second)),
        Judgement(sufficiency=0.1, look_at=(second, third)),
        Judgement(sufficiency=0.1, look_at=(first, second, third)),
    ]

    ask(ScriptedReasoner(plan=KETTLE, judgements=judgements), sees=sees, budget=Limits(rounds=6, looks=3))

    assert inspected == [first, second, third]


def test_no_moment_is_inspected_if_the_limits_allow_none(ask):
    inspected: list[str] = []
    judgements = [Judgement(sufficiency=0.1, look_at=(KITCHEN[0].id,))] * 3

    answer = ask(
        ScriptedReasoner(plan=KETTLE, judgements=judgements),
        sees=lambda moment: inspected.append(moment.id),
        budget=Limits(looks=0),
    )

    assert (inspected, answer.stop_reason) == ([], "nothing_new")


def test_an_inspection_is_judged_and_found_by_later_questions(ask, store):
    looking = Watcher(
        plan=KETTLE,
        judgements=[Judgement(sufficiency=0.1, look_at=(KITCHEN[2].id,)), Judgement(sufficiency=0.9)],
    )
    ask(looking, sees=spotted)

    later = Watcher(plan=Plan(queries=("zebra",)), judgements=[Judgement(sufficiency=0.9)])
    ask(later)

    assert "a hidden zebra" in [finding.text for moment in looking.shown[1] for finding in moment.findings]
    assert [moment.id for moment in later.shown[0]] == [KITCHEN[2].id]
    assert [moment.written_by for moment in later.shown[0][0].observations] == ["observers/1", "inspect/1"]
    assert store.snapshot(as_of_s=WRITTEN_AT_S + 100).search("zebra") == []


def test_an_inspection_that_sees_nothing_changes_nothing(ask, store):
    before = store.snapshot().get([KITCHEN[2].id])
    judgements = [Judgement(sufficiency=0.1, look_at=(KITCHEN[2].id,)), Judgement(sufficiency=0.1)]

    ask(ScriptedReasoner(plan=KETTLE, judgements=judgements), sees=lambda moment: None)

    assert store.snapshot().get([KITCHEN[2].id]) == before


# -- what it may see ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "plan",
    [
        Plan(queries=("kettle",)),
        Plan(queries=("kettle",), from_s=0.0, to_s=10_000.0),
        Plan(kinds=("placed", "removed"), uses_summaries=True),
        Plan(everything=True, limit_per_kind=50),
        Plan(everything=True, last_s=10_000.0),
        Plan(queries=("kettle", "rain"), everything=True, from_s=40.0),
    ],
)
def test_nothing_out_of_scope_is_seen_whatever_the_plan_says(ask, plan):
    out_of_scope = (KITCHEN[0], KITCHEN[4], GARDEN[0])
    nosy = Judgement(
        sufficiency=0.1,
        cited=tuple(cited(moment) for moment in out_of_scope),
        look_at=tuple(moment.id for moment in out_of_scope),
        queries=("kettle garden",),
        wider=True,
    )
    inspected: list[str] = []
    reasoner = Watcher(
        plan=plan,
        judgements=[nosy] * 3,
        draft=DraftAnswer(text="", confidence=0.5, cited=tuple(cited(moment) for moment in out_of_scope)),
    )

    answer = ask(
        reasoner,
        streams=("kitchen",),
        from_s=12.0,
        to_s=38.0,
        sees=lambda moment: inspected.append(moment.id),
    )

    shown_ids = {moment.id for shown in (*reasoner.shown, *reasoner.tiles) for moment in shown}
    assert shown_ids <= {moment.id for moment in KITCHEN[1:4]}
    assert inspected == []
    assert answer.evidence == []
    assert [(item.stream, item.start_s, item.end_s) for item in answer.coverage] == [("kitchen", 12, 38)]


def test_what_was_written_after_as_of_is_not_seen(ask):
    reasoner = Watcher(plan=Plan(queries=("kettle cat rain",), everything=True, limit_per_kind=50))

    answer = ask(reasoner, as_of_s=WRITTEN_AT_S + 25.0)

    shown_ids = {moment.id for shown in (*reasoner.shown, *reasoner.tiles) for moment in shown}
    assert shown_ids == {KITCHEN[0].id, KITCHEN[1].id, GARDEN[0].id, GARDEN[1].id}
    assert {item.stream: item.watched_s for item in answer.coverage} == {"kitchen": 20, "garden": 20}


def test_what_is_written_meanwhile_is_seen_by_the_next_question(ask, store):
    new = new_moment("kitchen", 5, "a kettle explodes", "flash")
    added: list[Moment] = []

    def append() -> None:
        if not added:
            added.append(new)
            store.append([new])

    judgements = [
        Judgement(sufficiency=0.1, wider=True, queries=("explodes",)),
        Judgement(sufficiency=0.1, wider=True, queries=("kettle explodes",), cited=(cited(KITCHEN[4]),)),
    ]
    during = Watcher(plan=KETTLE, judgements=judgements, meanwhile=append)
    answer = ask(during)
    after = Watcher(plan=KETTLE)
    ask(after)

    assert new.id not in {moment.id for shown in during.shown for moment in shown}
    assert {item.stream: item.end_s for item in answer.coverage}["kitchen"] == 50
    assert new.id in {moment.id for moment in after.shown[0]}


@pytest.mark.parametrize(
    ("plan", "judgement"),
    [
        (Plan(queries=("kettle",), from_s=30.0, to_s=20.0), Judgement(sufficiency=0.1)),
        (Plan(everything=True, from_s=30.0, to_s=20.0), Judgement(sufficiency=0.1)),
        (Plan(queries=("kettle" * 1000,)), Judgement(sufficiency=0.1)),
        (Plan(everything=True, limit_per_kind=100_000), Judgement(sufficiency=0.1)),
        (KETTLE, Judgement(sufficiency=0.1, look_at=("made up",))),
        (KETTLE, Judgement(sufficiency=0.1, wider=True, cited=(cited(new_moment("attic", 7, "?")),))),
    ],
)
def test_a_reasoner_with_invalid_arguments_still_answers(ask, plan, judgement):
    invented = DraftAnswer(
        text="So be it.", confidence=0.4, cited=(cited(new_moment("attic", 7, "?")), cited(KITCHEN[0]))
    )

    answer = ask(ScriptedReasoner(plan=plan, judgements=[judgement] * 4, draft=invented))

    assert answer.text == "So be it."
    assert {item.stream for item in answer.evidence} <= {"kitchen"}


# -- what it writes ----------------------------------------------------------------------------


def test_the_state_is_small_and_holds_no_picture_and_no_caption(ask, store, traces):
    moments = [
        new_moment("kitchen", number, f"a kettle and a very long caption {'x' * 500}")
        for number in range(5, 105)
    ]
    store.append(moments, [picture(moment) for moment in moments])
    judgements = [
        Judgement(sufficiency=0.1, wider=True, queries=("kettle caption",), cited=(cited(moments[0]),))
        for _ in range(3)
    ]

    ask(
        ScriptedReasoner(
            plan=Plan(queries=("kettle",), everything=True, limit_per_kind=100), judgements=judgements
        ),
        sees=spotted,
    )

    ((size, holds_picture, holds_caption, steps),) = traces.conn.execute(
        "SELECT max(length(checkpoint)), max(instr(checkpoint, CAST('jpegjpeg' AS BLOB))),"
        " max(instr(checkpoint, CAST('very long caption' AS BLOB))), count(*) FROM checkpoints"
    )
    ((largest_write,),) = traces.conn.execute("SELECT max(length(value)) FROM writes")
    assert steps > 8
    assert size < 64 << 10
    assert largest_write < 64 << 10
    assert (holds_picture, holds_caption) == (0, 0)


def test_only_the_newest_traces_are_kept(tmp_path, store):
    path = tmp_path / "memory.lance"
    with Recollect(path, reasoner=ScriptedReasoner(plan=KETTLE)) as memory:
        ids = [memory.ask(f"When was it {number}?").trace_id for number in range(4)]
    traces = open_traces(path / "questions.sqlite")

    traces.trim(keep=2)
    traces.close()

    with Recollect(path) as memory:
        assert [bool(memory.trace(trace_id)) for trace_id in ids] == [False, False, True, True]


def test_each_memory_keeps_the_traces_of_its_own_questions(tmp_path, store):
    with MemoryStore.open(tmp_path / "yard.lance", write=True) as yard_store:
        yard_store.put_stream(Stream("garden", "file", "garden.mp4", "content:garden", "done", 4.0))
        yard_store.append(GARDEN)

    with Recollect(store.path) as kitchen, Recollect(tmp_path / "yard.lance") as yard:
        kitchen_id = kitchen.ask("When was the kettle put down?").trace_id
        yard_id = yard.ask("When does rain fall?").trace_id
        kept = [bool(memory.trace(key)) for memory in (kitchen, yard) for key in (kitchen_id, yard_id)]

    assert kept == [True, False, False, True]


# -- recorded uses -----------------------------------------------------------------------


def used(store: MemoryStore) -> list[tuple[str, str, float, float]]:
    """The recorded uses: how, of which stream, from and to."""
    rows = select(latest_view(store._tables.uses))
    return sorted((row["how"], row["stream"], row["start_s"], row["end_s"]) for row in rows)


ANSWERED = DraftAnswer(text="At 20 s.", confidence=0.9, cited=(cited(KITCHEN[2]), cited(KITCHEN[0])))
ABSTAINED = ANSWERED.model_copy(update={"why": "unclear"})
SURE = Judgement(sufficiency=0.9)


def test_what_an_answer_cites_is_recorded_as_used(ask, store):
    before_s = time.time()

    ask(ScriptedReasoner(plan=KETTLE, judgements=[SURE], draft=ANSWERED))

    assert used(store) == [("cited", "kitchen", 0, 10), ("cited", "kitchen", 20, 30)]
    assert all(before_s <= row["at_s"] <= time.time() for row in select(latest_view(store._tables.uses)))


def test_what_an_abstention_offers_is_not_recorded_as_used(ask, store):
    ask(ScriptedReasoner(plan=KETTLE, judgements=[SURE], draft=ABSTAINED))

    assert used(store) == []


def test_an_inspection_is_recorded_as_use_if_it_saw_something(ask, store):
    looks = Judgement(sufficiency=0.1, look_at=(KITCHEN[2].id, KITCHEN[0].id))

    ask(
        ScriptedReasoner(plan=KETTLE, judgements=[looks, SURE], draft=ABSTAINED),
        sees=lambda moment: spotted(moment) if moment.id == KITCHEN[2].id else None,
    )

    assert used(store) == [("looked", "kitchen", 20, 30)]


@pytest.mark.parametrize(
    ("scope", "noted"),
    [
        ({"from_s": 5.0, "to_s": 15.0}, [("asked", "garden", 5, 15), ("asked", "kitchen", 5, 15)]),
        ({"from_s": 30.0}, [("asked", "kitchen", 30, 50)]),
        ({"to_s": 1000.0, "streams": ("garden",)}, [("asked", "garden", 0, 20)]),
        ({"from_s": 1000.0}, []),
        ({}, []),
    ],
)
def test_the_asked_span_is_recorded_as_far_as_it_was_watched(ask, store, scope, noted):
    ask(ScriptedReasoner(plan=KETTLE, draft=ABSTAINED), **scope)

    assert used(store) == noted


def test_uses_take_one_commit_and_no_uses_take_none(ask, store):
    commits = [store._commits.head().number]
    for draft, scope in ((ANSWERED, {"to_s": 40.0}), (ABSTAINED, {})):
        ask(ScriptedReasoner(plan=KETTLE, judgements=[SURE], draft=draft), **scope)
        commits.append(store._commits.head().number)

    assert [later - earlier for earlier, later in pairwise(commits)] == [1, 0]


def test_a_memory_on_a_full_disk_answers_and_records_no_uses(ask, store):
    looks = Judgement(sufficiency=0.1, look_at=(KITCHEN[2].id,))
    reasoner = ScriptedReasoner(plan=KETTLE, judgements=[looks, SURE], draft=ANSWERED)

    with MemoryStore.open(store.path, min_free_bytes=1 << 60) as full:  # no disk has this much free space
        with pytest.raises(DiskFull):
            full.note_uses([Use("kitchen", KITCHEN[0].span, "cited", time.time())])
        answer = ask(reasoner, memory=full, sees=spotted)

    assert (answer.text, answer.abstained) == ("At 20 s.", False)
    assert used(store) == []


def test_the_uses_of_one_question_are_limited():
    streams = {f"camera {number}": 100.0 for number in range(20)}
    evidence = [
        Evidence(stream="kitchen", start_s=at, end_s=at + 1, text="", memory_id="m", score=1.0)
        for at in range(20)
    ]
    answer = Answer(
        text="", confidence=1.0, evidence=evidence, as_of="now", stop_reason="sufficient", trace_id=""
    )
    question = Question.checked("When?", from_s=5.0)

    uses = uses_of(question, answer, KITCHEN, streams, at_s=1000.0)

    assert Counter(use.how for use in uses) == {"cited": 8, "looked": 4, "asked": 8}
