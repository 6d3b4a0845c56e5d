"""How sure a score is: intervals, differences of systems, and how small a difference could have been seen.

    clustered_mean(scores, videos)                    # Interval(value=0.62, low=0.58, high=0.66)
    paired = paired_difference(ours, theirs, videos)  # two systems on the same samples
    paired.difference, paired.p_value
    holm([paired.p_value, another.p_value])           # many comparisons in one table

Samples of one video are not independent, so what is drawn anew is the *cluster*: everything that was cut from the same
recording. Scores are one number a sample, clusters one label a sample, in the same order. Intervals are of 95 % and
p-values two-sided throughout. The same numbers and seed give the same result. Nothing here reads a file or knows
what a sample is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Scores = Sequence[float] | NDArray[Any]
"""One number for each sample."""
Labels = Sequence[str] | Sequence[int] | NDArray[Any]
"""One name for each sample, of the cluster or the group it belongs to."""

_Floats = NDArray[np.float64]
_Indices = NDArray[np.intp]

_RESAMPLES = 10_000
_FEW_CLUSTERS = 40
"""With fewer, percentiles are corrected for bias and skew."""
_ENUMERATED = 14
"""Up to so many clusters every pattern of signs is tried: 2 ** 13 of them, as one and its opposite are equal."""
_BATCH = 100_000
"""Clusters drawn at once: what fits a processor's cache takes a fifth of the time of ten times as many."""
_NORMAL = NormalDist()
_TAILS = (0.025, 0.975)
_POWER = 0.80


class Interval(NamedTuple):
    """An estimate and the 95 % interval around it."""

    value: float
    low: float
    """nan, as ``high`` is, where one cluster is all there is: then nothing is known of how clusters differ."""
    high: float

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return not math.isnan(self.low)


class Paired(NamedTuple):
    """How two systems differ on the same samples."""

    difference: Interval
    """The mean of ours less that of theirs, in the unit of the scores."""
    p_value: float
    """Of no difference, by flipping the signs of whole clusters."""
    mcnemar_p: float | None
    """A cross-check that takes samples as independent; None where a score is neither 0 nor 1."""
    discordance: float
    """The share of samples where the scores differ. For a system against itself, this is the noise."""


def clustered_mean(
    scores: Scores, clusters: Labels, *, groups: Labels | None = None, seed: int = 0
) -> Interval:
    """The mean over samples or, given groups such as a suite's tasks, the mean of the groups' means.

    Clusters are drawn anew 10,000 times and the whole statistic is computed of each draw; a group that a draw misses
    does not count in it. Fewer than 40 clusters get BCa intervals (Efron 1987), others percentiles. Few clusters
    still give too narrow ones.
    """
    values, cluster_of = _samples(scores, clusters)
    group_of = _codes(groups, len(values), "groups")
    shape = (_size(cluster_of), _size(group_of))
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (cluster_of, group_of), values)
    np.add.at(counts, (cluster_of, group_of), 1.0)

    def means(times: _Floats) -> _Floats:
        total, there = times @ sums, times @ counts
        of_groups: _Floats = np.divide(total, there, out=np.zeros_like(total), where=there > 0)
        mean: _Floats = of_groups.sum(axis=1) / (there > 0).sum(axis=1)
        return mean

    return _interval(means, shape[0], seed)


def interval_of(statistic: Callable[[_Indices], float], clusters: Labels, *, seed: int = 0) -> Interval:
    """Any statistic of the whole, such as a ratio of two means: it is told which samples to compute it of.

        interval_of(lambda at: risk_coverage_area(confidences[at], correct[at]), videos)

    It gets the places of samples in rising order, each as often as its cluster was drawn. It is called more than
    10,000 times, and every draw must have a value.
    """
    cluster_of = _codes(clusters, len(clusters), "clusters")
    places = np.arange(len(cluster_of))

    def values(times: _Floats) -> _Floats:
        drawn = times.astype(np.intp)
        return np.array([statistic(np.repeat(places, row[cluster_of])) for row in drawn], dtype=np.float64)

    return _interval(values, _size(cluster_of), seed)


def paired_difference(
    ours: Scores, theirs: Scores, clusters: Labels, *, groups: Labels | None = None, seed: int = 0
) -> Paired:
    """How two systems differ on the same samples, whose clusters are drawn together; groups as ``clustered_mean``."""
    our, cluster_of = _samples(ours, clusters)
    their = _values(theirs, len(our))
    difference = our - their
    both = np.concatenate([our, their])
    return Paired(
        difference=clustered_mean(difference, cluster_of, groups=groups, seed=seed),
        p_value=sign_flip_p(difference, cluster_of, groups=groups, seed=seed),
        mcnemar_p=mcnemar_p(our, their) if np.isin(both, (0.0, 1.0)).all() else None,
        discordance=float(np.mean(difference != 0)),
    )


def sign_flip_p(
    differences: Scores, clusters: Labels, *, groups: Labels | None = None, seed: int = 0
) -> float:
    """The p-value of a mean difference of nothing, were the two systems to change places in whole clusters.

    Exact for up to 14 clusters that differ, else by 10,000 draws, of which what was observed counts as one (Phipson
    and Smyth 2010). Few clusters cannot show much: with five, no p-value is below 1/16.
    """
    values, cluster_of = _samples(differences, clusters)
    group_of = _codes(groups, len(values), "groups")
    parts = np.bincount(cluster_of, weights=values / np.bincount(group_of)[group_of])
    # What cancels out within a cluster leaves a rounding error, which has no sign to flip.
    parts = parts[np.abs(parts) > 1e-12 * np.abs(values).max()]
    if not len(parts):
        return 1.0
    total = parts.sum()
    as_extreme = abs(total) - 1e-9 * np.abs(parts).sum()
    if len(parts) <= _ENUMERATED:
        patterns = np.arange(2 ** (len(parts) - 1))
        flips = (patterns[:, None] >> np.arange(len(parts))) & 1
        return float(np.mean(np.abs(total - 2 * (flips @ parts)) >= as_extreme))
    rng, extreme = np.random.default_rng(seed), 0
    for rows in _batches(len(parts)):
        flips = rng.integers(2, size=(rows, len(parts)), dtype=np.int8)
        extreme += int(np.count_nonzero(np.abs(total - 2 * (flips @ parts)) >= as_extreme))
    return (1 + extreme) / (1 + _RESAMPLES)


def mcnemar_p(ours: Scores, theirs: Scores) -> float:
    """The exact p-value of McNemar's test, for scores of 0 and 1 of independent samples."""
    our = _values(ours)
    their = _values(theirs, len(our))
    if not np.isin([our, their], (0.0, 1.0)).all():
        raise ValueError("McNemar's test is for scores of 0 and 1")
    better, worse = int((our > their).sum()), int((our < their).sum())
    differing = better + worse
    ways = total = 1
    for one in range(min(better, worse)):
        ways = ways * (differing - one) // (one + 1)
        total += ways
    return min(1.0, 2 * total / (1 << differing))


def wilson(successes: int, samples: int) -> Interval:
    """The share of independent samples that succeeded, with the interval of Wilson (1927): within 0 and 1 always."""
    if samples < 1:
        raise ValueError("there are no samples to take a share of")
    if not 0 <= successes <= samples:
        raise ValueError(f"{successes} of {samples} samples cannot have succeeded")
    z = _NORMAL.inv_cdf(_TAILS[1])
    share, shrink = successes / samples, 1 + z**2 / samples
    middle = (share + z**2 / (2 * samples)) / shrink
    half = z * math.sqrt(share * (1 - share) / samples + (z / (2 * samples)) ** 2) / shrink
    # At the ends the bound is the share itself, but for rounding.
    return Interval(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)))


def clustered_error(scores: Scores, clusters: Labels) -> float:
    """The standard error of the mean over samples, in closed form (Miller 2024, arXiv 2411.00640).

    Times √(k / (k - 1)) for k clusters, so that it is the usual one where each sample is its own cluster. nan where
    there is but one.
    """
    values, cluster_of = _samples(scores, clusters)
    count = _size(cluster_of)
    if count == 1:
        return math.nan
    away = np.bincount(cluster_of, weights=values - values.mean())
    return math.sqrt(count / (count - 1) * float(away @ away)) / len(values)


def design_effect(scores: Scores, clusters: Labels) -> float:
    """How many times the variance of the mean is what it would be, were samples independent.

    It is of variances: standard errors grow by its root. 1 where each sample is its own cluster; nan where there is
    one cluster, or all scores are equal.
    """
    values, cluster_of = _samples(scores, clusters)
    if np.ptp(values) == 0:
        return math.nan
    return (clustered_error(values, cluster_of) / clustered_error(values, np.arange(len(values)))) ** 2


def detectable_difference(samples: int, discordance: float, effect: float = 1.0) -> float:
    """The least true difference of two systems that shows at α = .05 in 80 of 100 such comparisons.

    Of paired scores: 0.052, that is 5.2 points, for 500 samples and a discordance of .17. Discordance is the share of
    samples where the two differ or, of scores between 0 and 1, the mean squared difference; effect is the design
    effect of the differences.
    """
    if samples < 1:
        raise ValueError("there are no samples to see a difference in")
    if not (discordance > 0 and effect > 0):
        raise ValueError(
            f"discordance ({discordance}) and design effect ({effect}) have to be greater than 0"
        )
    z = _NORMAL.inv_cdf(_TAILS[1]) + _NORMAL.inv_cdf(_POWER)
    return z * math.sqrt(effect * discordance / samples)


def detectable_difference_between(ours: Scores, theirs: Scores, clusters: Labels) -> float:
    """``detectable_difference`` for samples and systems such as these; nan where they leave it open.

    They do where there is one cluster, or where the two differ by as much on every sample.
    """
    our, cluster_of = _samples(ours, clusters)
    difference = our - _values(theirs, len(our))
    effect = design_effect(difference, cluster_of)
    if not effect > 0:
        return math.nan
    return detectable_difference(len(difference), float(np.mean(difference**2)), effect)


def holm(p_values: Scores) -> tuple[float, ...]:
    """The p-values of a family of comparisons, each adjusted for the others (Holm 1979), in the order they came in."""
    given = _values(p_values)
    if given.min() < 0 or given.max() > 1:
        raise ValueError("a p-value lies between 0 and 1")
    order = np.argsort(given, kind="stable")
    factors = np.arange(len(given), 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(given[order] * factors))
    return tuple(map(float, adjusted))


def risk_coverage_area(confidences: Scores, correct: Scores) -> float:
    """How often a system errs, averaged over how much it answers: AURC (Geifman, Uziel and El-Yaniv 2019).

    It answers what it is most confident of first, one sample more at a time. 0 is best; its error rate is what
    confidences without meaning come to. Samples of equal confidence count as in the mean over their orders.
    """
    sure = _values(confidences)
    wrong = 1.0 - _values(correct, len(sure))
    ties = np.unique(-sure, return_inverse=True)[1]
    wrong_in_tie = np.bincount(ties, weights=wrong) / np.bincount(ties)
    risks = np.cumsum(wrong_in_tie[np.sort(ties)]) / np.arange(1, len(sure) + 1)
    return float(risks.mean())


def _interval(values: Callable[[_Floats], _Floats], clusters: int, seed: int) -> Interval:
    """Of a statistic that is told, in each row, how often each cluster was drawn."""
    value = float(values(np.ones((1, clusters)))[0])
    if clusters == 1:
        return Interval(value, math.nan, math.nan)
    drawn = np.concatenate([values(times) for times in _draws(clusters, seed)])
    tails = _TAILS
    if clusters < _FEW_CLUSTERS:
        tails = _bca_tails(value, drawn, values(1.0 - np.eye(clusters)))
    low, high = np.quantile(drawn, tails)
    return Interval(value, float(low), float(high))


def _draws(clusters: int, seed: int) -> Iterator[_Floats]:
    """How often each cluster is drawn, one row a resample, as many clusters as there are."""
    rng = np.random.default_rng(seed)
    for rows in _batches(clusters):
        drawn = rng.integers(clusters, size=(rows, clusters)) + clusters * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * clusters)
        yield times.reshape(rows, clusters).astype(np.float64)


def _batches(clusters: int) -> Iterator[int]:
    """How many resamples to make at once, until all are."""
    rows = max(1, _BATCH // clusters)
    for begun in range(0, _RESAMPLES, rows):
        yield min(rows, _RESAMPLES - begun)


def _bca_tails(value: float, drawn: _Floats, without: _Floats) -> tuple[float, float]:
    """Which quantiles bound the interval, by the draws' bias and by the skew without each cluster in turn."""
    # Draws that equal the value, as many do where scores are 0 or 1, may be off by a rounding error.
    near = 1e-9 * float(np.ptp(drawn))
    below = float(np.mean(drawn < value - near) + np.mean(np.abs(drawn - value) <= near) / 2)
    bias = _NORMAL.inv_cdf(min(max(below, 0.5 / len(drawn)), 1 - 0.5 / len(drawn)))
    away = without.mean() - without
    spread = float(away @ away)
    skew = float((away**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0

    def moved(tail: float) -> float:
        z = bias + _NORMAL.inv_cdf(tail)
        return _NORMAL.cdf(bias + z / (1 - skew * z))

    return moved(_TAILS[0]), moved(_TAILS[1])


def _samples(scores: Scores, clusters: Labels) -> tuple[_Floats, _Indices]:
    values = _values(scores)
    return values, _codes(clusters, len(values), "clusters")


def _values(scores: Scores, length: int | None = None) -> _Floats:
    """As an array, if it is one finite number for each of so many samples."""
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"scores are one number a sample, not an array of shape {values.shape}")
    if not len(values):
        raise ValueError("there are no samples to compute anything of")
    if length is not None and len(values) != length:
        raise ValueError(f"the same samples have {length} scores and {len(values)} others")
    if not np.isfinite(values).all():
        raise ValueError("a score is nan or infinite; one that is missing has to be left out or be 0")
    return values


def _codes(labels: Labels | None, length: int, what: str) -> _Indices:
    """Labels as numbers from 0 on, by the labels' own order; all 0 where there are none."""
    if labels is None:
        return np.zeros(length, dtype=np.intp)
    if len(labels) != length:
        raise ValueError(f"there are {length} scores and {len(labels)} labels of {what}")
    if not length:
        raise ValueError("there are no samples to compute anything of")
    return np.unique(np.asarray(labels), return_inverse=True)[1]


def _size(codes: _Indices) -> int:
    return int(codes.max()) + 1
