"""What several runs show together: of videos of several lengths, or of the same videos in memories of several sizes.

    runs = [read_run(Path("world-10")), read_run(Path("world-1440"))]
    print(compared(runs))
    write_curves(runs, Path("curves.csv"))

Runs of one suite whose videos last as long and were watched in the same way are one ``Condition``: what they answered
is put together. Everything else has a column of its own, named after what sets it apart. Intervals are of clusters
drawn anew, and there is none of fewer than five.
"""

from __future__ import annotations

import csv
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .records import LAGS, Ingest
from .report import FEWEST_CLUSTERS, ORACLE, ReportedRun, ScoredAnswer, mean_of, told
from .statistics import Interval, interval_of
from .systems import OURS

ALL = "all"
"""Questions whose evidence is of any age, or of none."""
GIVEN = (ORACLE, "frames of the evidence")
"""These are told where the evidence is: nobody could have what they have for what they cost."""
_DAY_S = 86_400
_UNITS = (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 2 * _DAY_S))
"""Of lengths: name, seconds, and up to how many seconds it is used."""
_BOUND = re.compile(r"([\d,]+) bytes")
"""The part of a memory's name that tells its budget."""
_Floats = NDArray[np.float64]
_COLUMNS = (
    "suite",
    "length_s",
    "memory",
    "system",
    "lag",
    "questions",
    "accuracy",
    "low",
    "high",
    "lmm_calls",
    "tokens",
    "pictures",
    "seconds",
    "memory_bytes",
)


@dataclass(frozen=True, eq=False)
class Condition:
    """Videos of one suite that last as long, watched in the same way; with all that runs of these showed."""

    suite: str
    memory: str
    """Which kind of memory, as ``Ingest`` names it."""
    length_s: float | None
    """How long a video lasts, on average; None where no run tells."""
    apart: str
    """What else sets it apart from the others: its suite, and how it was watched; empty where these are the same."""
    bound: str
    """What a memory may take, ``at most 64 MB``; empty where it is the same in all of them."""
    systems: Sequence[str]
    """Those that answered, in the order of the runs."""
    scored: Sequence[ScoredAnswer]
    ingests: Sequence[Ingest]
    """One for each video that was watched."""

    @property
    def name(self) -> str:
        """All that sets it apart from the others: ``10 min, at most 64 MB``."""
        return _joined(name_of_length(self.length_s), self.apart, self.bound)

    @property
    def name_and_size(self) -> str:
        """The same with what a memory took: ``10 min: 62.1 MB of 64 MB``."""
        if self.memory_bytes is None:
            return self.name
        return f"{_joined(name_of_length(self.length_s), self.apart)}: {self.taken}"

    @property
    def kind(self) -> tuple[str, str]:
        """What it has in common with those that differ from it in length alone."""
        return self.suite, self.memory

    def of(self, system: str, lag: str = ALL) -> list[ScoredAnswer]:
        """What one system answered, to all questions or to those whose evidence is so old, by a name of ``LAGS``."""
        return [one for one in self.scored if one.prediction.system == system and lag in (ALL, one.lag)]

    @property
    def budget_bytes(self) -> int | None:
        """What a memory may take; None where there is no bound."""
        return _budget_bytes(self.memory)

    @property
    def memory_bytes(self) -> float | None:
        """What a memory took, on average; None where nothing was watched."""
        return fmean(one.memory_bytes for one in self.ingests) if self.ingests else None

    @property
    def taken(self) -> str:
        """The same for people, with its bound: ``62.1 MB of 64 MB``; empty where nothing was watched."""
        if self.memory_bytes is None:
            return ""
        budget = "" if self.budget_bytes is None else f" of {size(self.budget_bytes)}"
        return size(self.memory_bytes) + budget


@dataclass(frozen=True)
class MeasuredSystem:
    """What one system made of the questions of a condition: all, or those whose evidence is so old."""

    condition: Condition
    system: str
    lag: str
    questions: int
    accuracy: Interval
    lmm_calls: float
    """A question, as are ``tokens``, ``pictures`` and ``seconds``; nothing of them is for watching."""
    tokens: float
    pictures: float
    seconds: float


def compared(runs: Sequence[ReportedRun]) -> str:
    """Everything, as Markdown: by length, cost, age of the evidence, and accuracy against cost.

    Columns are conditions: runs of the same suite, length (to two digits) and memory are put together.
    """
    conditions = conditions_of(runs)
    if not conditions:
        return "Nothing that can be scored was answered yet.\n"
    found = {(one, system): measured(one, system) for one in conditions for system in one.systems}
    parts = [_watched(conditions), _by_length(conditions, found), _costs(found)]
    parts += [_retention(conditions), _against_cost(conditions, found)]
    return "\n".join(part for part in parts if part)


def write_curves(runs: Sequence[ReportedRun], path: Path) -> None:
    """One row for each condition, system and age of the evidence; ``all`` is of all questions.

    What a memory took is told of the condition, also where a system does not ask the memory.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        for condition in conditions_of(runs):
            for system in condition.systems:
                for lag in (ALL, *lags_of([condition], system)):
                    writer.writerow(_row(measured(condition, system, lag)))


def conditions_of(runs: Sequence[ReportedRun]) -> list[Condition]:
    """What runs are of, by suite, length, and what a memory may take. A run without scored answers is left out."""
    pooled: dict[tuple[str, str, str], list[ReportedRun]] = defaultdict(list)
    for run in runs:
        if run.scored:
            pooled[run.manifest.suite, name_of_length(_length_s(run)), _memory(run)].append(run)
    suites = list(dict.fromkeys(suite for suite, _, _ in pooled))
    memories = {memory for _, _, memory in pooled}
    shared = set.intersection(*(set(_traits(memory)) for memory in memories)) if memories else set()
    found = []
    for (suite, _, memory), some in pooled.items():
        *traits, bound = ("" if trait in shared else trait for trait in _traits(memory))
        lengths_s = [length_s for run in some if (length_s := _length_s(run)) is not None]
        found.append(
            Condition(
                suite=suite,
                memory=memory,
                length_s=fmean(lengths_s) if lengths_s else None,
                apart=_joined(suite if len(suites) > 1 else "", *traits),
                bound=bound,
                systems=list(dict.fromkeys(system for run in some for system in run.systems)),
                scored=[one for run in some for one in run.scored],
                ingests=list({one.video: one for run in some for one in run.ingests}.values()),
            )
        )

    def place(one: Condition) -> tuple[int, float, float, str]:
        # By the length that is told: one video more or less must not part the columns of a length.
        told_s = math.inf if one.length_s is None else math.prod(_rounded(one.length_s)[:2])
        budget = math.inf if one.budget_bytes is None else one.budget_bytes
        return suites.index(one.suite), told_s, budget, one.memory

    return sorted(found, key=place)


def systems_of(conditions: Sequence[Condition]) -> list[str]:
    """Those that answered anywhere."""
    return list(dict.fromkeys(system for one in conditions for system in one.systems))


def ours_of(conditions: Sequence[Condition]) -> str:
    """The system that all is about: recollect, or the first where it was not measured."""
    systems = systems_of(conditions)
    return OURS if OURS in systems else systems[0]


def lags_of(conditions: Sequence[Condition], system: str) -> list[str]:
    """The names of ``LAGS`` that occur in what a system was asked."""
    there = {one.lag for condition in conditions for one in condition.of(system)}
    return [name for name, *_ in LAGS if name in there]


def measured(condition: Condition, system: str, lag: str = ALL) -> MeasuredSystem:
    """What a system made of the questions that it was asked. Raises ``ValueError`` where there are none."""
    scored = condition.of(system, lag)
    usages = [one.prediction.usage for one in scored]
    return MeasuredSystem(
        condition=condition,
        system=system,
        lag=lag,
        questions=len(scored),
        accuracy=mean_of(scored),
        lmm_calls=fmean(usage.lmm_calls for usage in usages),
        tokens=fmean(usage.tokens for usage in usages),
        pictures=fmean(usage.pictures for usage in usages),
        seconds=fmean(one.seconds for one in scored),
    )


def slope_of(conditions: Sequence[Condition], system: str) -> Interval | None:
    """By how much accuracy changes where videos last ten times as long; None where all of them last as long.

    Of least squares over single questions, with a level of its own for each suite and kind of memory: the slope is
    of lengths alone. There is an interval where there are five clusters, and two lengths whichever is left out.
    """
    known = [one for one in conditions if one.length_s is not None and system in one.systems]
    kinds = list(dict.fromkeys(one.kind for one in known))
    parts: list[tuple[str, _Floats]] = []
    for condition in known:
        scores: dict[str, list[float]] = defaultdict(list)
        for one in condition.of(system):
            scores[one.sample.cluster].append(one.score)
        tens = math.log10(condition.length_s or 1.0)
        for cluster, values in scores.items():
            # Sums over the questions of a cluster are all that a line needs of them.
            part = np.zeros((len(kinds), 5))
            count, total = len(values), math.fsum(values)
            part[kinds.index(condition.kind)] = count, count * tens, total, count * tens**2, total * tens
            parts.append((cluster, part))
    if not parts:
        return None
    clusters = [cluster for cluster, _ in parts]
    sums = np.array([one for _, one in parts])
    slope = _slope(sums)
    if slope is None:
        return None
    without = (_slope(sums[np.array([one != cluster for one in clusters])]) for cluster in set(clusters))
    if len(set(clusters)) < FEWEST_CLUSTERS or any(one is None for one in without):
        return Interval(slope, math.nan, math.nan)
    # A draw that has one length alone shows no slope; they are few.
    return interval_of(lambda at: _slope(sums[at]) or 0.0, clusters)


def front_of(found: Sequence[MeasuredSystem]) -> set[str]:
    """The systems that no other is better than for the same or less, by tokens a question: the Pareto front.

    Those that are ``GIVEN`` the evidence do not count.
    """
    able = [one for one in found if one.system not in GIVEN]
    return {
        one.system
        for one in able
        if not any(
            other.tokens <= one.tokens
            and other.accuracy.value >= one.accuracy.value
            and (other.tokens, other.accuracy.value) != (one.tokens, one.accuracy.value)
            for other in able
        )
    }


def chance_of(conditions: Sequence[Condition]) -> float:
    """What guessing among the options is worth, of all questions; of those without options it is nothing."""
    samples = {one.sample.id: one.sample for condition in conditions for one in condition.scored}
    options = [len(sample.options) or (2 if sample.kind == "yes_no" else 0) for sample in samples.values()]
    return fmean(1 / count if count else 0.0 for count in options)


def name_of_length(length_s: float | None) -> str:
    """As people say it, to two digits: ``10 min``, ``1.5 h``, ``24 h``, ``7 days``."""
    if length_s is None:
        return "of unknown length"
    count, _, unit = _rounded(length_s)
    return f"{count:g} {unit}"


def size(count_bytes: float) -> str:
    """So many bytes, as people say it: ``62.1 MB``, ``1.2 GB``."""
    unit, unit_bytes = ("GB", 1e9) if count_bytes >= 999.5e6 else ("MB", 1e6)
    return f"{float(f'{count_bytes / unit_bytes:.3g}'):g} {unit}"


_Found = dict[tuple[Condition, str], MeasuredSystem]

# -- tables -------------------------------------------------------------------------------------------


def _watched(conditions: Sequence[Condition]) -> str:
    """A line for each condition: what was asked, and what watching took."""
    lines = []
    for one in conditions:
        asked = len({scored.sample.id for scored in one.scored})
        clusters = len({scored.sample.cluster for scored in one.scored})
        line = f"- {one.name}: {_count(asked, 'question')} of {_count(clusters, 'independent video')}."
        hours = sum(ingest.duration_s for ingest in one.ingests) / 3600
        if hours:
            took_s = sum(ingest.seconds for ingest in one.ingests)
            calls = sum(ingest.usage.lmm_calls for ingest in one.ingests)
            tokens = sum(ingest.usage.tokens for ingest in one.ingests)
            taken = sum(ingest.memory_bytes for ingest in one.ingests)
            line += (
                f" Watched {hours * 3600 / max(took_s, 1e-9):.1f} times as fast as they last,"
                f" with {calls / hours:,.0f} LMM calls and {tokens / hours:,.0f} tokens an hour of video,"
                f" into {one.taken} a video, {size(taken / hours)} an hour."
            )
        lines.append(line)
    return "\n".join([*lines, ""])


def _by_length(conditions: Sequence[Condition], found: _Found) -> str:
    """How right each system is in each condition, and what ten times the length does to it."""
    tells_slope = len({name_of_length(one.length_s) for one in conditions if one.length_s is not None}) > 1
    head = [one.name for one in conditions] + ["per tenfold"] * tells_slope
    rows = [f"| accuracy by length | {' | '.join(head)} |", f"|---{'|---' * len(head)}|"]
    for system in systems_of(conditions):
        there = [found.get((one, system)) for one in conditions]
        cells = ["–" if one is None else told(one.accuracy) for one in there]
        if tells_slope:
            slope = slope_of(conditions, system)
            cells.append("–" if slope is None else told(slope, "+"))
        rows.append(f"| {system} | {' | '.join(cells)} |")
    return "\n".join([*rows, ""])


def _costs(found: _Found) -> str:
    """What each system's answers cost in each condition."""
    rows = [
        "| a question costs | videos | LMM calls | tokens | pictures | s |",
        "|---|---|---|---|---|---|",
    ]
    for system in dict.fromkeys(system for _, system in found):
        rows += [
            f"| {system} | {one.condition.name} | {one.lmm_calls:.1f} | {one.tokens:,.0f} | {one.pictures:.1f}"
            f" | {one.seconds:.2f} |"
            for one in found.values()
            if one.system == system
        ]
    return "\n".join([*rows, ""])


def _retention(conditions: Sequence[Condition]) -> str:
    """What is still known of what is long past, of how large a memory; empty where no age of evidence is known."""
    system = ours_of(conditions)
    lags = lags_of(conditions, system)
    if not lags:
        return ""
    head = [one.name_and_size for one in conditions]
    rows = [f"| retention of {system} | {' | '.join(head)} |", f"|---{'|---' * len(head)}|"]
    for lag in lags:
        parts = [one.of(system, lag) for one in conditions]
        cells = [f"{told(mean_of(part))} of {len(part):,}" if part else "–" for part in parts]
        rows.append(f"| {lag} | {' | '.join(cells)} |")
    return "\n".join([*rows, ""])


def _against_cost(conditions: Sequence[Condition], found: _Found) -> str:
    """Which systems are worth what they cost."""
    rows = [
        "| accuracy against cost | system | tokens | LMM calls | right (95 %) | none is better for as little |",
        "|---|---|---|---|---|---|",
    ]
    for condition in conditions:
        some = sorted(
            (one for one in found.values() if one.condition is condition),
            key=lambda one: (one.tokens, one.lmm_calls, -one.accuracy.value),
        )
        front = front_of(some)
        rows += [
            f"| {condition.name} | {one.system} | {one.tokens:,.0f} | {one.lmm_calls:.1f} | {told(one.accuracy)}"
            f" | {'given the evidence' if one.system in GIVEN else 'yes' if one.system in front else ''} |"
            for one in some
        ]
    note = "Costs are of answers; what watching took is told above."
    return "\n".join([*rows, "", note, ""])


def _row(one: MeasuredSystem) -> dict[str, Any]:
    condition, accuracy = one.condition, one.accuracy
    length_s, memory_bytes = condition.length_s, condition.memory_bytes
    return {
        "suite": condition.suite,
        "length_s": None if length_s is None else round(length_s, 3),
        "memory": condition.memory,
        "system": one.system,
        "lag": one.lag,
        "questions": one.questions,
        "accuracy": round(accuracy.value, 4),
        "low": round(accuracy.low, 4) if accuracy.known else None,
        "high": round(accuracy.high, 4) if accuracy.known else None,
        "lmm_calls": round(one.lmm_calls, 4),
        "tokens": round(one.tokens, 2),
        "pictures": round(one.pictures, 4),
        "seconds": round(one.seconds, 4),
        "memory_bytes": None if memory_bytes is None else round(memory_bytes),
    }


# -- parts --------------------------------------------------------------------------------------------


def _length_s(run: ReportedRun) -> float | None:
    """How long its videos last, on average."""
    watched = {one.video: one.duration_s for one in run.ingests}
    if watched:
        return fmean(watched.values())
    asked = run.manifest.settings.get("lasts_s")
    return None if asked is None else float(asked)


def _memory(run: ReportedRun) -> str:
    """Which kind of memory, also where no system asked it."""
    return run.ingests[-1].memory if run.ingests else run.manifest.settings.get("watching", "")


def _traits(memory: str) -> list[str]:
    """The parts of a memory's name, and last what it may take."""
    traits = [part for part in memory.split(", ") if not _BOUND.fullmatch(part)]
    budget = _budget_bytes(memory)
    return [*traits, "no bound" if budget is None else f"at most {size(budget)}"]


def _budget_bytes(memory: str) -> int | None:
    bounds = (_BOUND.fullmatch(part) for part in memory.split(", "))
    return next((int(bound[1].replace(",", "")) for bound in bounds if bound), None)


def _rounded(length_s: float) -> tuple[float, float, str]:
    """To two digits: how many, of how many seconds each, and what these are called."""
    for unit, unit_s, below_s in _UNITS:
        count = float(f"{length_s / unit_s:.2g}")
        if count * unit_s < below_s:
            return count, unit_s, unit
        # Sixty minutes, even if rounded to, are an hour.
        length_s = max(length_s, below_s)
    return float(f"{length_s / _DAY_S:.2g}"), _DAY_S, "days"


def _slope(sums: _Floats) -> float | None:
    """Of the line through all parts, each kind at its own level; None where no kind has two lengths."""
    count, tens, total, squares, products = sums.sum(axis=0).T
    count = np.maximum(count, 1.0)
    spread = float((squares - tens**2 / count).sum())
    # What is left of one length alone is a rounding error.
    if spread <= 1e-9 * float(squares.sum()):
        return None
    return float((products - tens * total / count).sum()) / spread


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' if count != 1 else ''}"
