"""The agent's graph: when it stops, what it may see, what it leaves behind. Thinking is scripted."""

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


def moment(stream: str, number: int, caption: str, *kinds: str) -> Moment:
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
    moment("kitchen", 0, "a kettle is put down", "placed"),
    moment("kitchen", 1, "a cat enters", "enters"),
    moment("kitchen", 2, "the kettle boils"),
    moment("kitchen", 3, "a cat leaves", "leaves"),
    moment("kitchen", 4, "a kettle is taken away", "removed"),
]
GARDEN = [moment("garden", 0, "a kettle in the garden", "placed"), moment("garden", 1, "rain falls")]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    with MemoryStore.open(tmp_path / "memory.lance", write=True) as opened:
        for name in ("kitchen", "garden"):
            opened.put_stream(Stream(name, "file", f"{name}.mp4", f"content:{name}", "done", 4.0))
        opened.append([*KITCHEN, *GARDEN], [picture(one) for one in (*KITCHEN, *GARDEN)])
        yield opened


@pytest.fixture
def traces(tmp_path: Path) -> Iterator[TraceStore]:
    opened = open_traces(tmp_path / "traces.sqlite")
    yield opened
    opened.close()


Ask = Callable[..., Answer]


@pytest.fixture
def ask(store: MemoryStore, traces: TraceStore) -> Ask:
    """Asks with a reasoner; what a second look sees is given by ``sees``, and noted in ``looked``."""

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
    """A scripted reasoner that notes what it is shown, and does something while it judges."""

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


def cited(one: Moment, score: float = 0.9) -> CitedSpan:
    return CitedSpan(moment_id=one.id, start_s=one.span.start_s, end_s=one.span.end_s, score=score, text="it")


KETTLE = Plan(queries=("kettle",))
WIDER = Judgement(sufficiency=0.1, cited=(cited(KITCHEN[0]),), wider=True)


def spotted(one: Moment, text: str = "a hidden zebra") -> Observation:
    return Observation(
        text, (Finding("visible_text", "line", text, one.span, "text/2"),), "inspect/1", time.time()
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


def test_it_stops_when_nobody_wants_to_look_further(ask):
    answer = ask(ScriptedReasoner(plan=KETTLE, judgements=[Judgement(sufficiency=0.1)]))

    assert (answer.stop_reason, answer.usage.rounds) == ("nothing_new", 1)
    assert (answer.abstained, answer.why) == (True, "unclear")


def test_it_stops_when_a_round_brings_nothing_new(ask):
    again = Judgement(sufficiency=0.1, wider=True, queries=("kettle",))

    answer = ask(ScriptedReasoner(plan=KETTLE, judgements=[again] * 5), budget=Limits(rounds=5))

    assert (answer.stop_reason, answer.usage.rounds) == ("nothing_new", 2)


def test_it_goes_wider_only_where_searching_brings_nothing_new(ask):
    found = Judgement(sufficiency=0.1, cited=(cited(KITCHEN[2]),), wider=True, queries=("rain",))
    in_vain = Judgement(sufficiency=0.1, cited=(cited(KITCHEN[2]),), wider=True, queries=("zebra",))
    plan = Plan(queries=("boils",))

    searching, widening = (
        Watcher(plan=plan, judgements=[judgement, Judgement(sufficiency=0.1)])
        for judgement in (found, in_vain)
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


def test_it_says_so_where_nothing_is_remembered(ask):
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


def test_a_stretch_is_cited_once_at_its_best_place(ask):
    twice = (cited(KITCHEN[0]), cited(KITCHEN[2]), cited(KITCHEN[0], 0.3))

    answer = ask(ScriptedReasoner(plan=KETTLE, draft=DraftAnswer(text="", confidence=0.9, cited=twice)))

    assert [(item.span, item.score) for item in answer.evidence] == [
        (KITCHEN[0].span, 0.9),
        (KITCHEN[2].span, 0.9),
    ]


# -- second looks -------------------------------------------------------------------------------------


def test_no_moment_is_looked_at_twice_and_no_more_than_the_budget_allows(ask):
    looked: list[str] = []

    def sees(one: Moment) -> Observation:
        looked.append(one.id)
        return spotted(one, f"look {len(looked)}")

    first, second, third = KITCHEN[0].id, KITCHEN[2].id, KITCHEN[4].id
    judgements = [
        Judgement(sufficiency=0.1, look_at=(first,)),
        Judgement(sufficiency=0.1, look_at=(first, first, second)),
        Judgement(sufficiency=0.1, look_at=(second, third)),
        Judgement(sufficiency=0.1, look_at=(first, second, third)),
    ]

    ask(ScriptedReasoner(plan=KETTLE, judgements=judgements), sees=sees, budget=Limits(rounds=6, looks=3))

    assert looked == [first, second, third]


def test_no_look_is_taken_where_the_budget_allows_none(ask):
    looked: list[str] = []
    judgements = [Judgement(sufficiency=0.1, look_at=(KITCHEN[0].id,))] * 3

    answer = ask(
        ScriptedReasoner(plan=KETTLE, judgements=judgements),
        sees=lambda one: looked.append(one.id),
        budget=Limits(looks=0),
    )

    assert (looked, answer.stop_reason) == ([], "nothing_new")


def test_what_a_second_look_saw_is_judged_at_once_and_found_by_a_later_question(ask, store):
    looking = Watcher(
        plan=KETTLE,
        judgements=[Judgement(sufficiency=0.1, look_at=(KITCHEN[2].id,)), Judgement(sufficiency=0.9)],
    )
    ask(looking, sees=spotted)

    later = Watcher(plan=Plan(queries=("zebra",)), judgements=[Judgement(sufficiency=0.9)])
    ask(later)

    assert "a hidden zebra" in [found.text for one in looking.shown[1] for found in one.findings]
    assert [one.id for one in later.shown[0]] == [KITCHEN[2].id]
    assert [one.written_by for one in later.shown[0][0].observations] == ["observers/1", "inspect/1"]
    assert store.snapshot(as_of_s=WRITTEN_AT_S + 100).search("zebra") == []


def test_a_look_that_sees_nothing_changes_nothing(ask, store):
    before = store.snapshot().get([KITCHEN[2].id])
    judgements = [Judgement(sufficiency=0.1, look_at=(KITCHEN[2].id,)), Judgement(sufficiency=0.1)]

    ask(ScriptedReasoner(plan=KETTLE, judgements=judgements), sees=lambda one: None)

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
    elsewhere = (KITCHEN[0], KITCHEN[4], GARDEN[0])
    nosy = Judgement(
        sufficiency=0.1,
        cited=tuple(cited(one) for one in elsewhere),
        look_at=tuple(one.id for one in elsewhere),
        queries=("kettle garden",),
        wider=True,
    )
    looked: list[str] = []
    reasoner = Watcher(
        plan=plan,
        judgements=[nosy] * 3,
        draft=DraftAnswer(text="", confidence=0.5, cited=tuple(cited(one) for one in elsewhere)),
    )

    answer = ask(
        reasoner, streams=("kitchen",), from_s=12.0, to_s=38.0, sees=lambda one: looked.append(one.id)
    )

    seen = {one.id for shown in (*reasoner.shown, *reasoner.tiles) for one in shown}
    assert seen <= {one.id for one in KITCHEN[1:4]}
    assert looked == []
    assert answer.evidence == []
    assert [(item.stream, item.start_s, item.end_s) for item in answer.coverage] == [("kitchen", 12, 38)]


def test_what_was_written_after_the_point_in_time_is_not_seen(ask):
    reasoner = Watcher(plan=Plan(queries=("kettle cat rain",), everything=True, limit_per_kind=50))

    answer = ask(reasoner, as_of_s=WRITTEN_AT_S + 25.0)

    seen = {one.id for shown in (*reasoner.shown, *reasoner.tiles) for one in shown}
    assert seen == {KITCHEN[0].id, KITCHEN[1].id, GARDEN[0].id, GARDEN[1].id}
    assert {item.stream: item.watched_s for item in answer.coverage} == {"kitchen": 20, "garden": 20}


def test_what_is_written_while_it_thinks_is_not_seen_until_the_next_question(ask, store):
    new = moment("kitchen", 5, "a kettle explodes", "flash")
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

    assert new.id not in {one.id for shown in during.shown for one in shown}
    assert {item.stream: item.end_s for item in answer.coverage}["kitchen"] == 50
    assert new.id in {one.id for one in after.shown[0]}


@pytest.mark.parametrize(
    ("plan", "judgement"),
    [
        (Plan(queries=("kettle",), from_s=30.0, to_s=20.0), Judgement(sufficiency=0.1)),
        (Plan(everything=True, from_s=30.0, to_s=20.0), Judgement(sufficiency=0.1)),
        (Plan(queries=("kettle" * 1000,)), Judgement(sufficiency=0.1)),
        (Plan(everything=True, limit_per_kind=100_000), Judgement(sufficiency=0.1)),
        (KETTLE, Judgement(sufficiency=0.1, look_at=("made up",))),
        (KETTLE, Judgement(sufficiency=0.1, wider=True, cited=(cited(moment("attic", 7, "?")),))),
    ],
)
def test_a_reasoner_that_asks_for_nonsense_still_gets_to_answer(ask, plan, judgement):
    invented = DraftAnswer(
        text="So be it.", confidence=0.4, cited=(cited(moment("attic", 7, "?")), cited(KITCHEN[0]))
    )

    answer = ask(ScriptedReasoner(plan=plan, judgements=[judgement] * 4, draft=invented))

    assert answer.text == "So be it."
    assert {item.stream for item in answer.evidence} <= {"kitchen"}


# -- what it leaves behind ----------------------------------------------------------------------------


def test_the_state_is_small_and_holds_no_picture_and_no_caption(ask, store, traces):
    many = [
        moment("kitchen", number, f"a kettle and a very long caption {'x' * 500}") for number in range(5, 105)
    ]
    store.append(many, [picture(one) for one in many])
    judgements = [
        Judgement(sufficiency=0.1, wider=True, queries=("kettle caption",), cited=(cited(many[0]),))
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


# -- what of the memory it used -----------------------------------------------------------------------


def used(store: MemoryStore) -> list[tuple[str, str, float, float]]:
    """How which stretch of which stream was used."""
    rows = select(latest_view(store._tables.uses))
    return sorted((row["how"], row["stream"], row["start_s"], row["end_s"]) for row in rows)


ANSWERED = DraftAnswer(text="At 20 s.", confidence=0.9, cited=(cited(KITCHEN[2]), cited(KITCHEN[0])))
ABSTAINED = ANSWERED.model_copy(update={"why": "unclear"})
SURE = Judgement(sufficiency=0.9)


def test_what_an_answer_cites_is_noted_as_used(ask, store):
    before_s = time.time()

    ask(ScriptedReasoner(plan=KETTLE, judgements=[SURE], draft=ANSWERED))

    assert used(store) == [("cited", "kitchen", 0, 10), ("cited", "kitchen", 20, 30)]
    assert all(before_s <= row["at_s"] <= time.time() for row in select(latest_view(store._tables.uses)))


def test_what_an_abstention_offers_is_not_noted_as_used(ask, store):
    ask(ScriptedReasoner(plan=KETTLE, judgements=[SURE], draft=ABSTAINED))

    assert used(store) == []


def test_what_was_looked_at_again_is_noted_where_something_was_seen(ask, store):
    looks = Judgement(sufficiency=0.1, look_at=(KITCHEN[2].id, KITCHEN[0].id))

    ask(
        ScriptedReasoner(plan=KETTLE, judgements=[looks, SURE], draft=ABSTAINED),
        sees=lambda one: spotted(one) if one.id == KITCHEN[2].id else None,
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
def test_a_stretch_that_was_asked_about_is_noted_as_far_as_it_was_watched(ask, store, scope, noted):
    ask(ScriptedReasoner(plan=KETTLE, draft=ABSTAINED), **scope)

    assert used(store) == noted


def test_a_question_is_noted_in_one_commit_and_one_that_used_nothing_in_none(ask, store):
    commits = [store._commits.head().number]
    for draft, scope in ((ANSWERED, {"to_s": 40.0}), (ABSTAINED, {})):
        ask(ScriptedReasoner(plan=KETTLE, judgements=[SURE], draft=draft), **scope)
        commits.append(store._commits.head().number)

    assert [later - earlier for earlier, later in pairwise(commits)] == [1, 0]


def test_a_memory_that_cannot_be_written_answers_and_takes_note_of_nothing(ask, store):
    looks = Judgement(sufficiency=0.1, look_at=(KITCHEN[2].id,))
    reasoner = ScriptedReasoner(plan=KETTLE, judgements=[looks, SURE], draft=ANSWERED)

    with MemoryStore.open(store.path, min_free_bytes=1 << 60) as full:  # no disk has so much to spare
        with pytest.raises(DiskFull):
            full.note_uses([Use("kitchen", KITCHEN[0].span, "cited", time.time())])
        answer = ask(reasoner, memory=full, sees=spotted)

    assert (answer.text, answer.abstained) == ("At 20 s.", False)
    assert used(store) == []


def test_the_notes_of_one_question_are_bounded():
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
