"""Option drawing: draws the options of a question first and then the right one, so that the text reveals nothing.

    asking = AskingTime(log.until(600.0), rng, least_s=60.0, most_s=300.0)
    choose(asking, {"the red cup": [spec], "the blue box": [second, third], …})

Wrong options are right answers to other questions of the same form. So each option is right equally often. The kinds
of question are in ``question_kinds``.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ...evals.records import Kind
from .event_log import EventLog, LoggedEvent
from .oracle import OracleAnswer, answer
from .question_specs import Spec
from .question_wording import question

OPTIONS = 4
_SAMPLED = 160
"""The most acts that are tried for a question."""
_CALM_S = 0.05
_KEEPS_STILL_S = 4.0
"""The longest act, other than that of a sign, takes less."""


@dataclass(frozen=True, slots=True)
class QuestionDraft:
    """A question at one time, with its answer and options."""

    spec: Spec
    asked_at_s: float
    kind: Kind
    result: OracleAnswer
    options: tuple[str, ...] = ()
    hops: int = 1

    @property
    def text(self) -> str:
        """The text of the question."""
        return question(self.spec)


@dataclass
class AskingTime:
    """A time at which to ask a question, and how long before it the evidence should have ended."""

    log: EventLog
    """The event log, cut at that time."""
    rng: random.Random
    least_s: float = 0.0
    most_s: float = float("inf")
    luck: float = 0.5
    """From 0 to 1. It decides whether the right answer is yes, no or nothing. It is drawn once for a question and not
    for each attempt, so answers that are harder to draw are not rarer."""
    times_s: Sequence[float] = field(default_factory=tuple)
    """The only times at which questions may be asked. Empty for any time."""

    @property
    def now_s(self) -> float:
        """The time of the question."""
        return self.log.until_s

    @property
    def ends_s(self) -> float:
        """When the house's video ends."""
        return self.log.ends_s

    def acts(self, *kinds: str, or_earlier: bool = False) -> list[LoggedEvent]:
        """A shuffled sample of acts of these kinds that ended as long ago as the evidence should, or earlier."""
        from_s = 0.0 if or_earlier else self.now_s - self.most_s
        events = [e for e in self.log.between(from_s, self.now_s - self.least_s) if e.act.kind in kinds]
        return self.rng.sample(events, min(_SAMPLED, len(events)))

    def suits(self, result: OracleAnswer) -> bool:
        """Whether the evidence ended as long ago as it should."""
        if not result.evidence:
            return True
        lag_s = self.now_s - max(span.end_s for span in result.evidence)
        return self.least_s <= max(lag_s, 0.0) < self.most_s

    def at(self, time_s: float) -> EventLog:
        """The log cut at another time."""
        return self.log.until(time_s)

    def draft(
        self, spec: Spec, kind: Kind, options: Iterable[str] = (), *, hops: int = 1
    ) -> QuestionDraft | None:
        """Draft a question at this time. None if it has no answer."""
        result = answer(spec, self.log)
        return (
            QuestionDraft(spec, self.now_s, kind, result, tuple(options), hops)
            if result is not None
            else None
        )

    def other_times(self, number: int, *, from_s: float = 0.0) -> list[float]:
        """Times at which a question can be asked, in order."""
        if self.times_s:
            return sorted(time_s for time_s in self.times_s if time_s >= from_s)
        draws = (self.rng.uniform(from_s, self.ends_s) for _ in range(number))
        return sorted({calm(self.log, time_s) for time_s in draws})


def calm(log: EventLog, time_s: float) -> float:
    """The next time at which no act is in progress."""
    full_log = log.until(log.ends_s)
    for event in full_log.between(time_s, time_s + _KEEPS_STILL_S):
        if event.act.kind != "shows" and event.span.start_s <= time_s < event.span.end_s:
            return calm(log, event.span.end_s + _CALM_S)
    return min(round(time_s, 2), log.ends_s)


def pooled(specs: Iterable[Spec], log: EventLog) -> dict[str, list[Spec]]:
    """Group questions by their answers. Questions without an answer are left out."""
    pool: dict[str, list[Spec]] = {}
    for spec in dict.fromkeys(specs):
        result = answer(spec, log)
        if result is not None:
            pool.setdefault(str(result.value), []).append(spec)
    return pool


def choose(
    asking: AskingTime, pool: Mapping[str, Sequence[Spec]], *, always: str = "", hops: int = 1
) -> list[QuestionDraft]:
    """Choose a question from a pool, with four of its answers as options. Empty if it has fewer answers.

    Args:
        asking: The time of the question.
        pool: Questions of one form, by their answers.
        always: An answer that is always an option, and right as often as any other.
        hops: The number of acts that the answer depends on.

    """
    rng = asking.rng
    values = sorted(value for value in pool if value != always)
    rng.shuffle(values)
    needed = OPTIONS - bool(always)
    if len(values) < needed or (always and always not in pool):
        return []
    right = always if always and asking.luck < 1 / OPTIONS else rng.choice(values[:needed])
    spec = rng.choice(pool[right])
    wrong = _wrong_options(question(spec), right, values, always)
    if len(wrong) < OPTIONS - 1:
        return []
    draft = asking.draft(spec, "choice", mixed([right, *wrong], rng), hops=hops)
    return [draft] if draft else []


def _wrong_options(text: str, right: str, values: Sequence[str], always: str) -> list[str]:
    """Answers that the text does not mention. Empty if it mentions the right one."""
    if mentions(text, right):
        return []
    wrong = [value for value in values if value != right and not mentions(text, value)]
    return [*([always] if always and right != always else []), *wrong][: OPTIONS - 1]


def decide(asking: AskingTime, pool: Mapping[str, Sequence[Spec]]) -> list[QuestionDraft]:
    """Choose a yes-or-no question, with both answers equally likely. Empty unless both are possible."""
    if not pool.get("yes") or not pool.get("no"):
        return []
    spec = asking.rng.choice(pool["yes" if asking.luck < 1 / 2 else "no"])
    draft = asking.draft(spec, "yes_no")
    return [draft] if draft else []


def mixed(options: Iterable[str], rng: random.Random) -> tuple[str, ...]:
    """The options in random order."""
    mixing = sorted(options)
    rng.shuffle(mixing)
    return tuple(mixing)


def mentions(text: str, option: str) -> bool:
    """Whether a text names an option. A coat with a hat differs from one without."""
    return re.search(rf"\b{re.escape(option)}\b(?! and hat)", text) is not None
