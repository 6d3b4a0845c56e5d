"""Conditions: groups of runs that are compared as one, by suite, video length and kind of memory.

    for condition in conditions_of([read_run(Path("world-10")), read_run(Path("world-1440"))]):
        print(condition.name)            # "10 min", "24 h"

Runs of one suite whose videos last equally long and were watched in the same way form one ``Condition``. Their
answers are pooled. A condition is named after what distinguishes it from the others.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from .records import LAGS, Ingest
from .report import ReportedRun, ScoredAnswer
from .systems import OURS

ALL = "all"
"""Questions with evidence of any age, or without evidence."""
_DAY_S = 86_400
_UNITS = (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 2 * _DAY_S))
"""Units of length: name, seconds, and the length in seconds below which the unit is used."""
_BUDGET = re.compile(r"([\d,]+) bytes")
"""The part of a memory's name that states its budget."""


@dataclass(frozen=True, eq=False)
class Condition:
    """Videos of one suite that last equally long and were watched in the same way, with all results of their runs."""

    suite: str
    memory: str
    """The kind of memory, in the words of ``Ingest.memory``."""
    length_s: float | None
    """The mean length of a video. None if no run states it."""
    traits: str
    """What distinguishes it besides length and budget: its suite and watch settings. Empty if all share them."""
    budget_name: str
    """The budget of a memory, such as ``at most 64 MB``. Empty if all conditions share it."""
    systems: Sequence[str]
    """The systems with answers, in the order of the runs."""
    scored: Sequence[ScoredAnswer]
    ingests: Sequence[Ingest]
    """One for each video that was watched."""

    @property
    def name(self) -> str:
        """What distinguishes it from the others: ``10 min, at most 64 MB``."""
        return _joined(name_of_length(self.length_s), self.traits, self.budget_name)

    @property
    def name_and_size(self) -> str:
        """The name, with the size of a memory instead of its budget: ``10 min: 62.1 MB of 64 MB``."""
        if self.memory_bytes is None:
            return self.name
        return f"{_joined(name_of_length(self.length_s), self.traits)}: {self.memory_size}"

    @property
    def kind(self) -> tuple[str, str]:
        """Suite and memory. Conditions of one kind differ only in length."""
        return self.suite, self.memory

    def of(self, system: str, lag: str = ALL) -> list[ScoredAnswer]:
        """The answers of one system, to all questions or to those whose evidence has this age (a name of ``LAGS``)."""
        return [
            answer
            for answer in self.scored
            if answer.prediction.system == system and lag in (ALL, answer.lag)
        ]

    @property
    def budget_bytes(self) -> int | None:
        """The budget of a memory. None without one."""
        return _budget_bytes(self.memory)

    @property
    def memory_bytes(self) -> float | None:
        """The mean size of a memory. None if nothing was watched."""
        return fmean(ingest.memory_bytes for ingest in self.ingests) if self.ingests else None

    @property
    def memory_size(self) -> str:
        """The mean size of a memory in words, with its budget: ``62.1 MB of 64 MB``. Empty if nothing was watched."""
        if self.memory_bytes is None:
            return ""
        budget = "" if self.budget_bytes is None else f" of {format_bytes(self.budget_bytes)}"
        return format_bytes(self.memory_bytes) + budget


def conditions_of(runs: Sequence[ReportedRun]) -> list[Condition]:
    """Group runs by suite, length and memory, and sort the groups. Runs without scored answers are left out."""
    pools: dict[tuple[str, str, str], list[ReportedRun]] = defaultdict(list)
    for run in runs:
        if run.scored:
            pools[run.manifest.suite, name_of_length(_length_s(run)), _memory(run)].append(run)
    suites = list(dict.fromkeys(suite for suite, _, _ in pools))
    shared_traits = _shared_traits(memory for _, _, memory in pools)
    conditions = [
        _pooled(suite, memory, pool, shared_traits, names_suite=len(suites) > 1)
        for (suite, _, memory), pool in pools.items()
    ]
    return sorted(conditions, key=lambda condition: _sort_key(condition, suites))


def _pooled(
    suite: str, memory: str, runs: Sequence[ReportedRun], shared_traits: set[str], *, names_suite: bool
) -> Condition:
    *traits, budget_name = ("" if trait in shared_traits else trait for trait in _traits(memory))
    lengths_s = [length_s for run in runs if (length_s := _length_s(run)) is not None]
    return Condition(
        suite=suite,
        memory=memory,
        length_s=fmean(lengths_s) if lengths_s else None,
        traits=_joined(suite if names_suite else "", *traits),
        budget_name=budget_name,
        systems=list(dict.fromkeys(system for run in runs for system in run.systems)),
        scored=[answer for run in runs for answer in run.scored],
        ingests=list({ingest.video: ingest for run in runs for ingest in run.ingests}.values()),
    )


def _sort_key(condition: Condition, suites: Sequence[str]) -> tuple[int, float, float, str]:
    # By the rounded length: one video more or less must not separate the columns of one length.
    length_s = math.inf if condition.length_s is None else math.prod(_rounded(condition.length_s)[:2])
    budget = math.inf if condition.budget_bytes is None else condition.budget_bytes
    return suites.index(condition.suite), length_s, budget, condition.memory


def systems_of(conditions: Sequence[Condition]) -> list[str]:
    """The systems with answers in any condition."""
    return list(dict.fromkeys(system for condition in conditions for system in condition.systems))


def ours_of(conditions: Sequence[Condition]) -> str:
    """The system that the comparison is about: recollect, or the first system if it was not measured."""
    systems = systems_of(conditions)
    return OURS if OURS in systems else systems[0]


def lags_of(conditions: Sequence[Condition], system: str) -> list[str]:
    """The names of ``LAGS`` that occur among the answers of a system."""
    existing = {answer.lag for condition in conditions for answer in condition.of(system)}
    return [name for name, *_ in LAGS if name in existing]


def name_of_length(length_s: float | None) -> str:
    """A length in words, to two digits: ``10 min``, ``1.5 h``, ``24 h``, ``7 days``."""
    if length_s is None:
        return "of unknown length"
    count, _, unit = _rounded(length_s)
    return f"{count:g} {unit}"


def format_bytes(size_bytes: float) -> str:
    """A size to three digits: ``62.1 MB``, ``1.2 GB``."""
    unit, unit_bytes = ("GB", 1e9) if size_bytes >= 999.5e6 else ("MB", 1e6)
    return f"{float(f'{size_bytes / unit_bytes:.3g}'):g} {unit}"


def _length_s(run: ReportedRun) -> float | None:
    """The mean length of its videos."""
    watched = {ingest.video: ingest.duration_s for ingest in run.ingests}
    if watched:
        return fmean(watched.values())
    requested = run.manifest.settings.get("lasts_s")
    return None if requested is None else float(requested)


def _memory(run: ReportedRun) -> str:
    """The kind of memory, also for a run whose systems did not use it."""
    return run.ingests[-1].memory if run.ingests else run.manifest.settings.get("watching", "")


def _shared_traits(memories: Iterable[str]) -> set[str]:
    """The traits that all memories have."""
    traits = [set(_traits(memory)) for memory in memories]
    return set.intersection(*traits) if traits else set()


def _traits(memory: str) -> list[str]:
    """The parts of a memory's name, with its budget last."""
    traits = [part for part in memory.split(", ") if not _BUDGET.fullmatch(part)]
    budget = _budget_bytes(memory)
    return [*traits, "no bound" if budget is None else f"at most {format_bytes(budget)}"]


def _budget_bytes(memory: str) -> int | None:
    budgets = (_BUDGET.fullmatch(part) for part in memory.split(", "))
    return next((int(match[1].replace(",", "")) for match in budgets if match), None)


def _rounded(length_s: float) -> tuple[float, float, str]:
    """A length to two digits: the number of units, the seconds of a unit, and the name of the unit."""
    for unit, unit_s, below_s in _UNITS:
        count = float(f"{length_s / unit_s:.2g}")
        if count * unit_s < below_s:
            return count, unit_s, unit
        # A length that rounds up to 60 minutes counts as one hour.
        length_s = max(length_s, below_s)
    return float(f"{length_s / _DAY_S:.2g}"), _DAY_S, "days"


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
