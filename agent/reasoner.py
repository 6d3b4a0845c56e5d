"""The seam where thinking happens.

The graph decides when; a reasoner decides what:

    plan = reasoner.read(question, overview)               # what to look for
    seen = reasoner.look(question, moment, pictures)       # a second look at its pixels
    judgement = reasoner.judge(question, plan, moments)    # is it enough, what fits best, where to look closer
    draft = reasoner.answer(question, plan, judgement, moments)

Moments are handed over as values, fresh from the memory; what goes back holds ids and spans only,
so the graph's state stays small. A reasoner never touches the store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from pydantic import BaseModel

from ..memory.values import Moment, Observation
from ..perception.sources.frame import Picture
from .answer import Question, WhyAbstained

ENOUGH = 0.7
"""From this sufficiency on the agent stops looking."""


Order = Literal["any", "first", "last"]


class Plan(BaseModel, frozen=True):
    """What to look for, as the tools understand it."""

    queries: tuple[str, ...] = ()
    """Words to search for."""
    kinds: tuple[str, ...] = ()
    """Kinds of finding to list."""
    everything: bool = False
    """List the moments themselves in time order, whatever was found in them."""
    order: Order = "any"
    """Whether the first or the last of something is asked for: then it is listed from that end."""
    sought: tuple[str, ...] = ()
    """Words for it, to search for what has most of them at that end, however many moments there are like it."""
    each: int = 6
    """How many of a kind to list in each stream."""
    tallies: bool = False
    """The whole scope counts (how many, the longest): the overview's tallies are needed."""
    from_s: float | None = None
    to_s: float | None = None
    last_s: float | None = None
    """Only this many seconds before each stream's end."""
    looks: bool = False
    """A second look at the pixels could help."""


class CitedSpan(BaseModel, frozen=True):
    """A stretch of a moment, or of what stands for forgotten ones, that speaks for an answer."""

    moment_id: str
    start_s: float
    end_s: float
    score: float
    text: str


class Judgement(BaseModel, frozen=True):
    """Whether what was found is enough."""

    sufficiency: float
    """0 (nothing) to 1 (it settles the question)."""
    cited: tuple[CitedSpan, ...] = ()
    """What fits, best first."""
    look_at: tuple[str, ...] = ()
    """Ids of moments at whose pixels a second look is worth its cost, best first."""
    queries: tuple[str, ...] = ()
    """What to search for next, if there is a next round."""
    wider: bool = False
    """Whether looking further (``queries``, and around what is cited) could help."""
    unread: bool = False
    """Whether moments were found that there was no room for; they can be judged in the next round."""
    missing: str = ""
    """What is missing, in words."""
    text: str = ""
    """The answer as it stands, from a reasoner that words it while judging."""
    choice: int | None = None
    """Index of the option as it stands."""
    written_by: str = ""
    """The model and prompt that judged; empty where none did."""
    overrules: bool = False
    """What was judged before was refuted: it is not answered with, however sure it was."""


class DraftAnswer(BaseModel, frozen=True):
    """An answer before the graph adds coverage, cost and trace."""

    text: str
    confidence: float
    choice: int | None = None
    """Index of the chosen option."""
    why: WhyAbstained | None = None
    """Set where it abstains."""
    cited: tuple[CitedSpan, ...] = ()
    note: str = ""
    """What the reader should know of how it came about, such as that the model failed."""


Pictures = Callable[[int], Sequence[tuple[float, Picture]]]
"""Gives at most so many pictures of a moment, spread evenly, each with its time in seconds; decoding
them is dear, so it is done when they are asked for. None are left where the file is gone."""


class Reasoner(Protocol):
    """Reads a question, judges what was found, and answers or abstains."""

    @property
    def written_by(self) -> str:
        """Its name and revision, such as ``extractive/1``."""

    def read(self, question: Question, overview: Sequence[Moment]) -> Plan:
        """Say what to look for. ``overview`` tiles the scope with the highest rungs."""

    def look(self, question: Question, moment: Moment, pictures: Pictures) -> Observation | None:
        """Look at a moment's pixels again, with the question in mind; None where nothing could be seen."""

    def judge(
        self, question: Question, plan: Plan, overview: Sequence[Moment], moments: Sequence[Moment]
    ) -> Judgement:
        """Grade what was found so far; ``moments`` are all found, in the order they were found.

        Where moments are forgotten, the memories above that stand for them are among these.
        """

    def answer(
        self,
        question: Question,
        plan: Plan,
        judgement: Judgement,
        overview: Sequence[Moment],
        moments: Sequence[Moment],
    ) -> DraftAnswer:
        """Answer from what is cited, or abstain and say what was missing."""


class ScriptedReasoner:
    """Says its lines in order. For tests, and for dry runs of the graph."""

    written_by = "scripted/1"

    def __init__(
        self,
        *,
        plan: Plan | None = None,
        judgements: Sequence[Judgement] = (),
        draft: DraftAnswer | None = None,
    ) -> None:
        self._plan = plan or Plan()
        self._judgements = iter(judgements)
        self._draft = draft or DraftAnswer(text="", confidence=0.0, why="unclear")

    def read(self, question: Question, overview: Sequence[Moment]) -> Plan:
        """The plan it was given."""
        return self._plan

    def look(self, question: Question, moment: Moment, pictures: Pictures) -> Observation | None:
        """Nothing: it has no eyes."""
        return None

    def judge(
        self, question: Question, plan: Plan, overview: Sequence[Moment], moments: Sequence[Moment]
    ) -> Judgement:
        """The next judgement it was given; once they are used up, that nothing is enough."""
        return next(self._judgements, Judgement(sufficiency=0.0))

    def answer(
        self,
        question: Question,
        plan: Plan,
        judgement: Judgement,
        overview: Sequence[Moment],
        moments: Sequence[Moment],
    ) -> DraftAnswer:
        """The draft it was given."""
        return self._draft
