"""Reasoner protocol: plans the searches, inspects pictures, judges the evidence, and answers.

The graph decides when, a reasoner decides what:

    plan = reasoner.read(question, overview)                            # what to search for
    observation = reasoner.look(question, moment, pictures)             # what the pictures of a moment show
    judgement = reasoner.judge(question, plan, overview, moments)       # whether that is enough
    draft = reasoner.answer(question, plan, judgement, overview, moments)

Moments are passed as values, read from the memory. What a reasoner returns holds only ids and spans, so the graph's
state stays small. A reasoner never touches the store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from pydantic import BaseModel

from ..memory.values import Moment, Observation
from ..perception.sources.frame import Picture
from .answer import Question, WhyAbstained

ENOUGH = 0.7
"""From this sufficiency on the agent stops searching."""
ANSWERS_FROM = 0.5
"""From this sufficiency on a reasoner answers. Below it abstains and offers the nearest moments."""

Order = Literal["any", "first", "last"]


class Plan(BaseModel, frozen=True):
    """What to search for, in terms of the tools."""

    queries: tuple[str, ...] = ()
    """Words to search for."""
    kinds: tuple[str, ...] = ()
    """Finding kinds to list."""
    everything: bool = False
    """List the moments themselves in time order, whatever was found in them."""
    order: Order = "any"
    """Whether the question asks for the first or the last of something. Searches then start from that end."""
    ordered_queries: tuple[str, ...] = ()
    """Words for it. The first or last moments with most of these words are searched for, however many there are."""
    limit_per_kind: int = 6
    """How many moments of a kind to list in each stream."""
    uses_summaries: bool = False
    """The answer depends on the whole scope (how many, the longest), so the summaries of the overview are needed."""
    from_s: float | None = None
    to_s: float | None = None
    last_s: float | None = None
    """Only this many seconds before the end of each stream."""
    may_inspect: bool = False
    """Inspecting the pictures could help."""


class CitedSpan(BaseModel, frozen=True):
    """A span of a moment, or of a summary that represents forgotten moments, that supports an answer."""

    moment_id: str
    start_s: float
    end_s: float
    score: float
    text: str


class Judgement(BaseModel, frozen=True):
    """Whether the found memories are enough to answer."""

    sufficiency: float
    """0 (nothing) to 1 (it settles the question)."""
    cited: tuple[CitedSpan, ...] = ()
    """What matches, best first."""
    look_at: tuple[str, ...] = ()
    """Ids of moments whose pictures are worth inspecting, best first."""
    queries: tuple[str, ...] = ()
    """What to search for in the next round."""
    wider: bool = False
    """Whether searching further (``queries``, and the neighbours of what is cited) could help."""
    unread: bool = False
    """Whether moments were found that did not fit into this judgement. The next round can judge them."""
    missing: str = ""
    """What is missing, in words."""
    text: str = ""
    """The preliminary answer, from a reasoner that words it while judging."""
    choice: int | None = None
    """Index of the preliminary option."""
    written_by: str = ""
    """The model and prompt that judged. Empty if none did."""
    overrules: bool = False
    """It refutes the judgements before it. They are not used, however sufficient they were."""


class DraftAnswer(BaseModel, frozen=True):
    """An answer before the graph adds coverage, cost and trace."""

    text: str
    confidence: float
    choice: int | None = None
    """Index of the chosen option."""
    why: WhyAbstained | None = None
    """Why it abstains. None if it answers."""
    cited: tuple[CitedSpan, ...] = ()
    note: str = ""
    """What went wrong, for instance that the model failed."""


Pictures = Callable[[int], Sequence[tuple[float, Picture]]]
"""Decodes up to this many pictures of a moment, evenly spread, each with its time in stream seconds.

Decoding is expensive, so it happens on the call. The result is empty if the file no longer exists."""


class Reasoner(Protocol):
    """Plans, inspects, judges and answers one question."""

    @property
    def written_by(self) -> str:
        """Its name and revision, such as ``extractive/1``."""

    def read(self, question: Question, overview: Sequence[Moment]) -> Plan:
        """Plan what to search for. ``overview`` tiles the scope with the highest rungs."""

    def look(self, question: Question, moment: Moment, pictures: Pictures) -> Observation | None:
        """Inspect the pictures of a moment with the question in mind. None if nothing could be seen."""

    def judge(
        self, question: Question, plan: Plan, overview: Sequence[Moment], moments: Sequence[Moment]
    ) -> Judgement:
        """Grade the moments found so far.

        ``moments`` holds all found moments, the latest finds first. Forgotten moments are represented by the
        summaries above them.
        """

    def answer(
        self,
        question: Question,
        plan: Plan,
        judgement: Judgement,
        overview: Sequence[Moment],
        moments: Sequence[Moment],
    ) -> DraftAnswer:
        """Answer from the cited spans, or abstain and name the missing information."""
