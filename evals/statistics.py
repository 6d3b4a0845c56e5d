"""Statistics: bootstrap confidence intervals, paired differences of systems, and the smallest detectable difference.

    >>> ours, theirs, videos = [1.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0], ["a", "a", "b", "c"]
    >>> clustered_mean(ours, videos).value
    0.75
    >>> paired_difference(ours, theirs, videos).difference.value
    0.5
    >>> holm([0.01, 0.04])
    (0.02, 0.04)

Samples of one video are not independent, so the bootstrap resamples *clusters*: everything that was cut from the same
recording. Scores are one number for each sample, clusters one label for each sample, in the same order. Intervals
cover 95 % and p-values are two-sided throughout. The same numbers and seed give the same result. This module reads no
file and does not know what a sample is.
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
"""One label for each sample: the cluster or the group that it belongs to."""

_Floats = NDArray[np.float64]
_Indices = NDArray[np.intp]

_RESAMPLES = 10_000
_FEW_CLUSTERS = 40
"""With fewer clusters, percentiles are corrected for bias and skew (BCa)."""
_MAX_ENUMERATED = 14
"""With up to this many clusters every sign pattern is tried: 2 ** 13, because opposite patterns give the same result."""
_BATCH = 100_000
"""Clusters drawn in one batch. A batch that fits the cache takes a fifth of the time of one ten times as large."""
_NORMAL = NormalDist()
_TAILS = (0.025, 0.975)
_POWER = 0.80


class Interval(NamedTuple):
    """An estimate and the 95 % interval around it."""

    value: float
    low: float
    """nan, like ``high``, if there are too few clusters to know how they differ."""
    high: float

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return not math.isnan(self.low)

    @classmethod
    def of_value(cls, value: float) -> Interval:
        """An estimate without an interval."""
        return cls(value, math.nan, math.nan)


class Paired(NamedTuple):
    """How two systems differ on the same samples."""

    difference: Interval
    """The mean of ours minus the mean of theirs, in the unit of the scores."""
    p_value: float
    """For the hypothesis of no difference, by flipping the signs of whole clusters."""
    mcnemar_p: float | None
    """A cross-check that treats samples as independent. None if any score is neither 0 nor 1."""
    discordance: float
    """The share of samples where the scores differ. For a system against itself, this is the noise."""

    def without_interval(self) -> Paired:
        """The same without the interval of the difference, for samples of too few clusters."""
        return self._replace(difference=Interval.of_value(self.difference.value))


def clustered_mean(
    scores: Scores, clusters: Labels, *, groups: Labels | None = None, seed: int = 0
) -> Interval:
    """The mean over samples or, given groups such as a suite's tasks, the mean of the groups' means.

    Clusters are resampled 10,000 times and the whole statistic is computed for each resample. A group that a resample
    misses does not count in it. Fewer than 40 clusters get BCa intervals (Efron 1987), more get percentile intervals.
    With few clusters both are too narrow.
    """
    values, cluster_of = _samples(scores, clusters)
    group_of = _codes(groups, len(values), "groups")
    shape = (_size(cluster_of), _size(group_of))
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (cluster_of, group_of), values)
    np.add.at(counts, (cluster_of, group_of), 1.0)

    def means(times: _Floats) -> _Floats:
        totals, sizes = times @ sums, times @ counts
        group_means: _Floats = np.divide(totals, sizes, out=np.zeros_like(totals), where=sizes > 0)
        mean: _Floats = group_means.sum(axis=1) / (sizes > 0).sum(axis=1)
        return mean

    return _interval(means, shape[0], seed)


def interval_of(statistic: Callable[[_Indices], float], clusters: Labels, *, seed: int = 0) -> Interval:
    """An interval for any statistic, such as a ratio of two means.

        interval_of(lambda rows: risk_coverage_area(confidences[rows], correct[rows]), videos)

    The statistic gets the indices of samples in rising order, each as often as its cluster was drawn. It is called
    more than 10,000 times, and must return a number for every resample.
    """
    cluster_of = _codes(clusters, len(clusters), "clusters")
    indices = np.arange(len(cluster_of))

    def values(times: _Floats) -> _Floats:
        drawn = times.astype(np.intp)
        return np.array([statistic(np.repeat(indices, row[cluster_of])) for row in drawn], dtype=np.float64)

    return _interval(values, _size(cluster_of), seed)


def paired_difference(
    ours: Scores, theirs: Scores, clusters: Labels, *, groups: Labels | None = None, seed: int = 0
) -> Paired:
    """How two systems differ on the same samples. For clusters and groups see ``clustered_mean``."""
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
    """The p-value of no mean difference: a permutation test that swaps the two systems in whole clusters.

    Exact for up to 14 clusters that differ. Otherwise from 10,000 draws, where the observed data counts as one draw
    (Phipson and Smyth 2010). Few clusters limit the result: with five, no p-value is below 1/16.
    """
    values, cluster_of = _samples(differences, clusters)
    group_of = _codes(groups, len(values), "groups")
    parts = np.bincount(cluster_of, weights=values / np.bincount(group_of)[group_of])
    # Differences that cancel within a cluster leave a rounding error. Its sign means nothing, so it is dropped.
    parts = parts[np.abs(parts) > 1e-12 * np.abs(values).max()]
    if not len(parts):
        return 1.0
    total = parts.sum()
    as_extreme = abs(total) - 1e-9 * np.abs(parts).sum()
    if len(parts) <= _MAX_ENUMERATED:
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
        raise ValueError("McNemar's test needs scores of 0 and 1")
    better, worse = int((our > their).sum()), int((our < their).sum())
    differing = better + worse
    ways = total = 1
    for count in range(min(better, worse)):
        ways = ways * (differing - count) // (count + 1)
        total += ways
    return min(1.0, 2 * total / (1 << differing))


def wilson(successes: int, samples: int) -> Interval:
    """The share of independent samples that succeeded, with Wilson's interval (1927), which stays within 0 and 1."""
    if samples < 1:
        raise ValueError("there are no samples")
    if not 0 <= successes <= samples:
        raise ValueError(f"{successes} of {samples} samples cannot have succeeded")
    z = _NORMAL.inv_cdf(_TAILS[1])
    share, shrink = successes / samples, 1 + z**2 / samples
    middle = (share + z**2 / (2 * samples)) / shrink
    half = z * math.sqrt(share * (1 - share) / samples + (z / (2 * samples)) ** 2) / shrink
    # At 0 and 1 the bound equals the share, except for rounding.
    return Interval(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)))


def clustered_error(scores: Scores, clusters: Labels) -> float:
    """The standard error of the mean over samples, in closed form (Miller 2024, arXiv 2411.00640).

    Times √(k / (k - 1)) for k clusters, so that it equals the usual standard error if each sample is its own cluster.
    nan for a single cluster.
    """
    values, cluster_of = _samples(scores, clusters)
    count = _size(cluster_of)
    if count == 1:
        return math.nan
    deviations = np.bincount(cluster_of, weights=values - values.mean())
    return math.sqrt(count / (count - 1) * float(deviations @ deviations)) / len(values)


def design_effect(scores: Scores, clusters: Labels) -> float:
    """The variance of the mean, divided by the variance it would have if samples were independent.

    Standard errors grow by its square root. 1 if each sample is its own cluster. nan for a single cluster, or if all
    scores are equal.
    """
    values, cluster_of = _samples(scores, clusters)
    if np.ptp(values) == 0:
        return math.nan
    return (clustered_error(values, cluster_of) / clustered_error(values, np.arange(len(values)))) ** 2


def detectable_difference(samples: int, discordance: float, effect: float = 1.0) -> float:
    """The smallest true difference of two systems that a test at α = .05 detects with 80 % power.

    For paired scores: 0.052, that is 5.2 points, for 500 samples and a discordance of .17. The discordance is the
    share of samples where the two systems differ or, for scores between 0 and 1, the mean squared difference.
    ``effect`` is the design effect of the differences.
    """
    if samples < 1:
        raise ValueError("there are no samples")
    if not (discordance > 0 and effect > 0):
        raise ValueError(f"discordance ({discordance}) and design effect ({effect}) must be greater than 0")
    z = _NORMAL.inv_cdf(_TAILS[1]) + _NORMAL.inv_cdf(_POWER)
    return z * math.sqrt(effect * discordance / samples)


def detectable_difference_between(ours: Scores, theirs: Scores, clusters: Labels) -> float:
    """``detectable_difference`` for these samples and systems.

    nan for a single cluster, or if the two systems differ by the same amount on every sample.
    """
    our, cluster_of = _samples(ours, clusters)
    difference = our - _values(theirs, len(our))
    effect = design_effect(difference, cluster_of)
    if not effect > 0:
        return math.nan
    return detectable_difference(len(difference), float(np.mean(difference**2)), effect)


def holm(p_values: Scores) -> tuple[float, ...]:
    """The p-values of a family of comparisons, adjusted for each other (Holm 1979), in the given order."""
    raw = _values(p_values)
    if raw.min() < 0 or raw.max() > 1:
        raise ValueError("a p-value lies between 0 and 1")
    order = np.argsort(raw, kind="stable")
    factors = np.arange(len(raw), 0, -1)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(raw[order] * factors))
    return tuple(map(float, adjusted))


def risk_coverage_area(confidences: Scores, correct: Scores) -> float:
    """AURC: the error rate, averaged over all levels of coverage (Geifman, Uziel and El-Yaniv 2019).

    Coverage grows by one sample at a time, the most confident first. 0 is best, and meaningless confidences give the
    overall error rate. Samples of equal confidence count as the mean over their possible orders.
    """
    confidence = _values(confidences)
    wrong = 1.0 - _values(correct, len(confidence))
    ties = np.unique(-confidence, return_inverse=True)[1]
    wrong_in_tie = np.bincount(ties, weights=wrong) / np.bincount(ties)
    risks = np.cumsum(wrong_in_tie[np.sort(ties)]) / np.arange(1, len(confidence) + 1)
    return float(risks.mean())


def _interval(values: Callable[[_Floats], _Floats], clusters: int, seed: int) -> Interval:
    """An interval for a statistic whose input says, in each row, how often each cluster was drawn."""
    value = float(values(np.ones((1, clusters)))[0])
    if clusters == 1:
        return Interval.of_value(value)
    drawn = np.concatenate([values(times) for times in _draws(clusters, seed)])
    tails = _TAILS
    if clusters < _FEW_CLUSTERS:
        tails = _bca_tails(value, drawn, values(1.0 - np.eye(clusters)))
    low, high = np.quantile(drawn, tails)
    return Interval(value, float(low), float(high))


def _draws(clusters: int, seed: int) -> Iterator[_Floats]:
    """How often each cluster is drawn, with one row for each resample."""
    rng = np.random.default_rng(seed)
    for rows in _batches(clusters):
        drawn = rng.integers(clusters, size=(rows, clusters)) + clusters * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * clusters)
        yield times.reshape(rows, clusters).astype(np.float64)


def _batches(clusters: int) -> Iterator[int]:
    """The sizes of the batches, in resamples."""
    rows = max(1, _BATCH // clusters)
    for start in range(0, _RESAMPLES, rows):
        yield min(rows, _RESAMPLES - start)


def _bca_tails(value: float, drawn: _Floats, without: _Floats) -> tuple[float, float]:
    """The quantiles that bound a BCa interval, from the bias of the resamples and the jackknife's skew."""
    # Many resamples equal the value if scores are 0 or 1. They may differ by a rounding error.
    tolerance = 1e-9 * float(np.ptp(drawn))
    ties = float(np.mean(np.abs(drawn - value) <= tolerance))
    below = float(np.mean(drawn < value - tolerance)) + ties / 2
    bias = _NORMAL.inv_cdf(min(max(below, 0.5 / len(drawn)), 1 - 0.5 / len(drawn)))
    deviations = without.mean() - without
    spread = float(deviations @ deviations)
    skew = float((deviations**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0

    def moved(tail: float) -> float:
        z = bias + _NORMAL.inv_cdf(tail)
        return _NORMAL.cdf(bias + z / (1 - skew * z))

    return moved(_TAILS[0]), moved(_TAILS[1])


def _samples(scores: Scores, clusters: Labels) -> tuple[_Floats, _Indices]:
    values = _values(scores)
    return values, _codes(clusters, len(values), "clusters")


def _values(scores: Scores, length: int | None = None) -> _Floats:
    """The scores as an array. Raises ``ValueError`` unless they are one finite number for each sample."""
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"scores must be one number for each sample, not an array of shape {values.shape}")
    if not len(values):
        raise ValueError("there are no samples")
    if length is not None and len(values) != length:
        raise ValueError(f"the two lists of scores have different lengths: {length} and {len(values)}")
    if not np.isfinite(values).all():
        raise ValueError("a score is nan or infinite. Leave missing scores out, or set them to 0.")
    return values


def _codes(labels: Labels | None, length: int, name: str) -> _Indices:
    """Labels as numbers from 0, in sorted order of the labels. All 0 without labels."""
    if labels is None:
        return np.zeros(length, dtype=np.intp)
    if len(labels) != length:
        raise ValueError(f"there are {length} scores and {len(labels)} labels of {name}")
    if not length:
        raise ValueError("there are no samples")
    return np.unique(np.asarray(labels), return_inverse=True)[1]


def _size(codes: _Indices) -> int:
    return int(codes.max()) + 1
