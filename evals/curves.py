"""Curves: how accuracy depends on the length of videos, on the age of the evidence, and on cost.

    condition = conditions_of(runs)[0]
    measure(condition, "recollect").accuracy          # Interval(value=0.62, low=0.58, high=0.66)
    length_slope(conditions_of(runs), "recollect")    # the change of accuracy for ten times the length

Intervals come from a bootstrap over clusters. There is no interval for fewer than five clusters.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from .conditions import ALL, Condition
from .report import MIN_CLUSTERS, ORACLE, mean_of, option_count
from .statistics import Interval, interval_of

ORACLE_SYSTEMS = (ORACLE, "frames of the evidence")
"""Systems that are given the evidence. No real system could get it at their cost."""
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MeasuredSystem:
    """The results of one system in a condition: for all questions, or for those with evidence of one age."""

    condition: Condition
    system: str
    lag: str
    questions: int
    accuracy: Interval
    lmm_calls: float
    """The mean of a question, like ``tokens``, ``pictures`` and ``seconds``. The cost of watching is not included."""
    tokens: float
    pictures: float
    seconds: float


def measure(condition: Condition, system: str, lag: str = ALL) -> MeasuredSystem:
    """The results of a system in a condition. Raises ``ValueError`` if it was asked no such question."""
    answers = condition.of(system, lag)
    usages = [answer.prediction.usage for answer in answers]
    return MeasuredSystem(
        condition=condition,
        system=system,
        lag=lag,
        questions=len(answers),
        accuracy=mean_of(answers),
        lmm_calls=fmean(usage.lmm_calls for usage in usages),
        tokens=fmean(usage.tokens for usage in usages),
        pictures=fmean(usage.pictures for usage in usages),
        seconds=fmean(answer.seconds for answer in answers),
    )


def length_slope(conditions: Sequence[Condition], system: str) -> Interval | None:
    """The change of accuracy for ten times the length of videos. None if all videos have the same length.

    The slope of a least-squares fit over single questions, with a separate intercept for each suite and kind of
    memory, so that only lengths matter. There is an interval if there are at least five clusters, and still two
    lengths after any one cluster is left out.
    """
    clusters, sums = _regression_sums(conditions, system)
    slope = _slope(sums) if clusters else None
    if slope is None:
        return None
    labels = np.array(clusters)
    leave_one_out = (_slope(sums[labels != cluster]) for cluster in set(clusters))
    if len(set(clusters)) < MIN_CLUSTERS or any(other_slope is None for other_slope in leave_one_out):
        return Interval.of_value(slope)
    # A resample that holds a single length shows no slope. Such resamples are few.
    return interval_of(lambda rows: _slope(sums[rows]) or 0.0, clusters)


def _regression_sums(conditions: Sequence[Condition], system: str) -> tuple[list[str], _Floats]:
    """The sums that a least-squares fit needs, for each pair of condition and cluster.

    The array has the shape (pairs, kinds of condition, 5). The sums are the number of questions, and the sums of the
    logarithm of length, score, squared logarithm and logarithm times score. The list has the cluster of each pair.
    """
    measured = [
        condition
        for condition in conditions
        if condition.length_s is not None and system in condition.systems
    ]
    kinds = list(dict.fromkeys(condition.kind for condition in measured))
    clusters: list[str] = []
    parts: list[_Floats] = []
    for condition in measured:
        scores: dict[str, list[float]] = defaultdict(list)
        for answer in condition.of(system):
            scores[answer.sample.cluster].append(answer.score)
        tens = math.log10(condition.length_s or 1.0)
        for cluster, values in scores.items():
            part = np.zeros((len(kinds), 5))
            count, total = len(values), math.fsum(values)
            part[kinds.index(condition.kind)] = count, count * tens, total, count * tens**2, total * tens
            clusters.append(cluster)
            parts.append(part)
    return clusters, np.array(parts)


def _slope(sums: _Floats) -> float | None:
    """The slope of the fit, with an intercept for each kind. None if no kind has two lengths."""
    count, tens, total, squares, products = sums.sum(axis=0).T
    count = np.maximum(count, 1.0)
    spread = float((squares - tens**2 / count).sum())
    # A single length leaves only a rounding error.
    if spread <= 1e-9 * float(squares.sum()):
        return None
    return float((products - tens * total / count).sum()) / spread


def pareto_front(measured: Sequence[MeasuredSystem]) -> set[str]:
    """The systems on the Pareto front of accuracy and tokens: no other system is as good for as few tokens.

    Systems that are given the evidence do not count.
    """
    candidates = [system for system in measured if system.system not in ORACLE_SYSTEMS]
    return {
        candidate.system
        for candidate in candidates
        if not any(_dominates(other, candidate) for other in candidates)
    }


def _dominates(better: MeasuredSystem, worse: MeasuredSystem) -> bool:
    return (
        better.tokens <= worse.tokens
        and better.accuracy.value >= worse.accuracy.value
        and (better.tokens, better.accuracy.value) != (worse.tokens, worse.accuracy.value)
    )


def chance_level(conditions: Sequence[Condition]) -> float:
    """The mean score of guessing among the options. A question without options counts 0."""
    samples = {answer.sample.id: answer.sample for condition in conditions for answer in condition.scored}
    counts = [option_count(sample) for sample in samples.values()]
    return fmean(1 / count if count else 0.0 for count in counts)
