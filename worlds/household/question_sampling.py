"""Question sampling: questions about a house as samples of an evaluation, with all kinds and lags in turn.

    samples = questions_about(furnish(7, 3600.0), seed=1, limit=60)
    samples[0].question, samples[0].options, samples[0].gold, samples[0].evidence

The same house and seed give the same questions. For each kind, the lag between the evidence and the question is spread
over ``LAGS`` (of ``records``).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count

from ...evals.records import LAGS, Sample, Value, name_of_lag
from ...memory.values import Span
from ..house import House
from .event_log import EventLog
from .option_drawing import AskingTime, QuestionDraft, calm
from .question_kinds import KINDS
from .question_specs import Spec

SUITE = "living"
LENGTHS = (("1 min", 180.0), ("5 min", 450.0), ("10 min", 1800.0), ("1 h", 3 * 3600.0), ("6 h", 12 * 3600.0))
"""The names of lengths, each with its upper bound in seconds. Longer videos are ``24 h``."""
_TRIES, _ANYWHERE = 14, 3
"""Attempts for a question, and how many of the last ones accept any lag."""
_ONCE = frozenset({"usual"})
"""Kinds with so few answers in a house that the first question would reveal much of a second one."""
_DRY_ROUNDS = 3
"""The sampling ends after this many rounds without a new question."""


def questions_about(
    house: House,
    *,
    seed: int | str = 0,
    limit: int = 40,
    asked_at: Sequence[float] = (),
    kinds: Iterable[str] = tuple(KINDS),
) -> list[Sample]:
    """Draw up to ``limit`` questions about a house, in order of time.

    Args:
        house: The house.
        seed: Another seed draws other questions about the same house.
        limit: The most questions.
        asked_at: The only times at which to ask, in seconds. Empty for any time.
        kinds: Names of ``KINDS``.

    """
    asker = QuestionSampler(house, random.Random(f"living {house.seed} {seed}"), asked_at)
    drafts = asker.ask(tuple(kinds), limit)
    return samples_of(drafts, house, asker.rng)


def lag_of(draft: QuestionDraft) -> str:
    """The name of the time between the end of the evidence and the question."""
    if draft.kind == "alerts":
        return "ahead"
    if not draft.result.evidence:
        return "none"
    lag_s = max(0.0, draft.asked_at_s - max(span.end_s for span in draft.result.evidence))
    return name_of_lag(lag_s)


def length_of(seconds: float) -> str:
    """The name of a video's length."""
    return next((name for name, most_s in LENGTHS if seconds < most_s), "24 h")


def video_of(house: House) -> str:
    """A name of the house's video that reveals neither its seed nor its twin."""
    return hashlib.sha256(f"{house.seed} {house.duration_s}".encode()).hexdigest()[:12]


class QuestionSampler:
    """Draws questions about one house, without repeating one."""

    def __init__(self, house: House, rng: random.Random, asked_at: Sequence[float] = ()) -> None:
        self.rng = rng
        self._log = EventLog.of(house)
        self.times_s = [calm(self._log, time_s) for time_s in asked_at]
        self._lags = [lag for lag in LAGS if lag[1] < (max(self.times_s or [house.duration_s]))]
        self._asked: set[Spec] = set()
        self._proven: set[object] = set()

    def ask(self, kinds: Sequence[str], limit: int) -> list[tuple[str, int, QuestionDraft]]:
        """Draw questions, each with its kind and the number of its group."""
        drafted: list[tuple[str, int, QuestionDraft]] = []
        turns = {kind: count(self.rng.randrange(len(self._lags))) for kind in kinds}
        dry, groups = 0, count()
        while dry < _DRY_ROUNDS and len(drafted) < limit:
            drafted_before = len(drafted)
            for kind in self.rng.sample(tuple(kinds), len(kinds)):
                new_drafts = self._drafts(kind, next(turns[kind]))
                if new_drafts and len(drafted) + len(new_drafts) <= limit:
                    group = next(groups)
                    drafted += [(kind, group, draft) for draft in new_drafts]
                    self._asked.add(new_drafts[0].spec)
                    kinds = [name for name in kinds if name not in _ONCE or name != kind]
                    self._proven |= {_proof(draft) for draft in new_drafts}
            dry = dry + 1 if len(drafted) == drafted_before else 0
        return sorted(drafted, key=lambda entry: entry[2].asked_at_s)

    def _drafts(self, kind: str, turn: int) -> list[QuestionDraft]:
        """Draw a question with the lag whose turn it is, or with any lag if that fails."""
        spare: list[QuestionDraft] = []
        luck = self.rng.random()
        for attempt in range(_TRIES):
            name, least_s, most_s = self._lags[turn % len(self._lags)]
            anywhere = attempt >= _TRIES - _ANYWHERE
            moment = self._moment(*((0.0, float("inf")) if anywhere else (least_s, most_s)), luck)
            drafts = KINDS[kind](moment) if moment else []
            if not drafts or any(map(self._known, drafts)):
                continue
            if lag_of(drafts[-1]) in (name, "none", "ahead"):
                return drafts
            spare = spare or drafts
        return spare

    def _moment(self, least_s: float, most_s: float, luck: float) -> AskingTime | None:
        rng, ends_s = self.rng, self._log.ends_s
        if self.times_s:
            times_s = [time_s for time_s in self.times_s if time_s > least_s]
            now_s = rng.choice(times_s) if times_s else None
        else:
            now_s = calm(self._log, rng.uniform(min(least_s + 5.0, ends_s), ends_s))
        if now_s is None:
            return None
        return AskingTime(self._log.until(now_s), rng, least_s, most_s, luck, self.times_s)

    def _known(self, draft: QuestionDraft) -> bool:
        return draft.spec in self._asked or _proof(draft) in self._proven


def _proof(draft: QuestionDraft) -> object:
    """A key that is equal for questions with the same answer and evidence."""
    if not draft.result.evidence:
        return draft.spec
    ends = tuple(round(span.start_s, 3) for span in draft.result.evidence)
    return ends, draft.result.value


def samples_of(
    drafts: Sequence[tuple[str, int, QuestionDraft]], house: House, rng: random.Random
) -> list[Sample]:
    """Make samples of the drafts of one house."""
    video = video_of(house)
    groups = [group for _, group, _ in drafts]
    deck: list[int] = []
    return [
        sample_of(
            draft if groups.count(group) > 1 else _dealt(draft, deck, rng),
            f"{SUITE}/{video}/{number}",
            video,
            kind=kind,
            length=length_of(house.duration_s),
            cluster=video,
            group=f"{video}/{group}" if groups.count(group) > 1 else None,
        )
        for number, (kind, group, draft) in enumerate(drafts)
    ]


def _dealt(draft: QuestionDraft, deck: list[int], rng: random.Random) -> QuestionDraft:
    """Put the right option at the next position of a deck, so that each position is right equally often in a video."""
    if draft.kind != "choice":
        return draft
    if not deck:
        deck += rng.sample(range(len(draft.options)), len(draft.options))
    options = [option for option in draft.options if option != draft.result.value]
    options.insert(deck.pop(), str(draft.result.value))
    return replace(draft, options=tuple(options))


def sample_of(
    draft: QuestionDraft, name: str, video: str, *, kind: str, length: str, cluster: str, group: str | None
) -> Sample:
    """Make a sample of one draft."""
    gold: Value = draft.result.value
    if draft.kind == "alerts":
        gold = tuple(round(span_at, 3) for span_at in draft.result.value if isinstance(span_at, float))  # type: ignore[union-attr]
    elif draft.kind == "span":
        gold = _rounded(draft.result.evidence)
    if draft.kind == "choice":
        gold = chr(ord("A") + draft.options.index(str(gold)))
    tags = {"type": kind, "lag": lag_of(draft), "hops": str(draft.hops), "length": length}
    return Sample(
        id=name,
        suite=SUITE,
        video=video,
        cluster=cluster,
        kind=draft.kind,
        question=draft.text,
        options=draft.options,
        gold=gold,
        asked_at_s=draft.asked_at_s,
        evidence=_rounded(draft.result.evidence),
        group=group,
        tags=tags,
    )


def _rounded(spans: Iterable[Span]) -> tuple[tuple[float, float], ...]:
    return tuple((round(span.start_s, 3), round(span.end_s, 3)) for span in spans)
