"""How a question is drawn so that its text gives nothing away: the options first, then which of them is right.

    moment = AskingTime(log.until(600.0), rng, least_s=60.0, most_s=300.0)
    choose(moment, {"the red cup": [spec], "the blue box": [other, third], …})

Wrong options are right answers to questions of the same form that could as well have been asked, so that any option is
right as often as any other. It knows no kind of question; those are in ``kinds``.
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
"""So many acts are looked at for a question."""
_CALM_S = 0.05
_KEEPS_STILL_S = 4.0
"""No act but a sign's takes so long."""


@dataclass(frozen=True, slots=True)
class QuestionDraft:
    """A question at one time, with its answer, before its options are mixed."""

    spec: Spec
    asked_at_s: float
    kind: Kind
    found: OracleAnswer
    options: tuple[str, ...] = ()
    hops: int = 1

    @property
    def text(self) -> str:
        """The question in words."""
        return question(self.spec)


@dataclass
class AskingTime:
    """A time at which something is to be asked, and how long ago the last of what it is about should have ended."""

    log: EventLog
    """Cut at that time."""
    rng: random.Random
    least_s: float = 0.0
    most_s: float = float("inf")
    luck: float = 0.5
    """From 0 to 1, drawn once for a question however often it is tried, so that what is harder to find is as likely:
    whether yes, no or nothing is right hangs on it."""
    times_s: Sequence[float] = field(default_factory=tuple)
    """The only times at which anything may be asked; empty where any will do."""

    @property
    def now_s(self) -> float:
        """The time of the question."""
        return self.log.until_s

    @property
    def ends_s(self) -> float:
        """When the life ends."""
        return self.log.ends_s

    def acts(self, *kinds: str, of_old: bool = False) -> list[LoggedEvent]:
        """Some acts of these kinds that ended when the question's should have, mixed; ``of_old``: or earlier."""
        from_s = 0.0 if of_old else self.now_s - self.most_s
        events = [e for e in self.log.between(from_s, self.now_s - self.least_s) if e.act.kind in kinds]
        return self.rng.sample(events, min(_SAMPLED, len(events)))

    def suits(self, found: OracleAnswer) -> bool:
        """Whether the evidence lies as far back as it should."""
        if not found.evidence:
            return True
        lag_s = self.now_s - max(span.end_s for span in found.evidence)
        return self.least_s <= max(lag_s, 0.0) < self.most_s

    def at(self, time_s: float) -> EventLog:
        """The log cut at another time."""
        return self.log.until(time_s)

    def draft(
        self, spec: Spec, kind: Kind, options: Iterable[str] = (), *, hops: int = 1
    ) -> QuestionDraft | None:
        """The question now, where it has an answer."""
        found = answer(spec, self.log)
        return (
            QuestionDraft(spec, self.now_s, kind, found, tuple(options), hops) if found is not None else None
        )

    def other_times(self, number: int, *, from_s: float = 0.0) -> list[float]:
        """Times at which something can be asked, in order."""
        if self.times_s:
            return sorted(time_s for time_s in self.times_s if time_s >= from_s)
        draws = (self.rng.uniform(from_s, self.ends_s) for _ in range(number))
        return sorted({calm(self.log, time_s) for time_s in draws})


def calm(log: EventLog, time_s: float) -> float:
    """The next time at which nobody is about to do something."""
    whole = log.until(log.ends_s)
    for event in whole.between(time_s, time_s + _KEEPS_STILL_S):
        if event.act.kind != "shows" and event.span.start_s <= time_s < event.span.end_s:
            return calm(log, event.span.end_s + _CALM_S)
    return min(round(time_s, 2), log.ends_s)


def pooled(specs: Iterable[Spec], log: EventLog) -> dict[str, list[Spec]]:
    """Questions by their answers, without those that have none."""
    pool: dict[str, list[Spec]] = {}
    for spec in dict.fromkeys(specs):
        found = answer(spec, log)
        if found is not None:
            pool.setdefault(str(found.value), []).append(spec)
    return pool


def choose(
    moment: AskingTime, pool: Mapping[str, Sequence[Spec]], *, always: str = "", hops: int = 1
) -> list[QuestionDraft]:
    """A question out of a pool with four answers of it as options; none where there are fewer.

    Args:
        moment: When it is asked.
        pool: Questions of one form, by their answers.
        always: An answer that is always an option, and right as often as any other.
        hops: How many acts it goes over.

    """
    rng = moment.rng
    values = sorted(value for value in pool if value != always)
    rng.shuffle(values)
    wanted = OPTIONS - bool(always)
    if len(values) < wanted or (always and always not in pool):
        return []
    right = always if always and moment.luck < 1 / OPTIONS else rng.choice(values[:wanted])
    spec = rng.choice(pool[right])
    text = question(spec)
    others = [value for value in values if value != right and not mentions(text, value)]
    others = [*([always] if always and right != always else []), *others][: OPTIONS - 1]
    if len(others) < OPTIONS - 1 or mentions(text, right):
        return []
    draft = moment.draft(spec, "choice", mixed([right, *others], rng), hops=hops)
    return [draft] if draft else []


def decide(moment: AskingTime, pool: Mapping[str, Sequence[Spec]]) -> list[QuestionDraft]:
    """A question to be answered by yes or no, either as likely; none where only one of them could be right."""
    if not pool.get("yes") or not pool.get("no"):
        return []
    spec = moment.rng.choice(pool["yes" if moment.luck < 1 / 2 else "no"])
    draft = moment.draft(spec, "yes_no")
    return [draft] if draft else []


def mixed(options: Iterable[str], rng: random.Random) -> tuple[str, ...]:
    """The options in another order."""
    mixing = sorted(options)
    rng.shuffle(mixing)
    return tuple(mixing)


def mentions(text: str, option: str) -> bool:
    """Whether a text names an option: a coat with a hat is another than one without."""
    return re.search(rf"\b{re.escape(option)}\b(?! and hat)", text) is not None
