"""Statistics: intervals, tests and detectable differences against published and simulated values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recollect.evals.statistics import (
    Interval,
    clustered_error,
    clustered_mean,
    design_effect,
    detectable_difference,
    detectable_difference_between,
    holm,
    interval_of,
    mcnemar_p,
    paired_difference,
    risk_coverage_area,
    sign_flip_p,
    wilson,
)

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

Z = 1.959964
P_VALUES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)


def clustered(seed: int, *, clusters: int, shared: float = 1.0) -> tuple[Floats, Codes]:
    """Scores around 0 in clusters of 2 to 9 samples. ``shared`` scales the part that a cluster has in common."""
    rng = np.random.default_rng(seed)
    cluster_of = np.repeat(np.arange(clusters), rng.integers(2, 10, clusters))
    scores = shared * rng.normal(size=clusters)[cluster_of] + rng.normal(size=len(cluster_of))
    return scores, cluster_of


def two_systems(seed: int = 0, samples: int = 600) -> tuple[Floats, Floats, Codes]:
    """Scores of two systems that are right about mostly the same, easy samples. A video has twelve samples."""
    rng = np.random.default_rng(seed)
    clusters = np.arange(samples) // 12
    easy = rng.normal(size=samples) + 0.5 * rng.normal(size=samples)[clusters]
    scores_a, scores_b = (easy + 0.4 * rng.normal(size=samples) > hard for hard in (-0.4, -0.2))
    return scores_a.astype(float), scores_b.astype(float), clusters


def own_clusters(scores: Sequence[float]) -> range:
    """Clusters of one sample each."""
    return range(len(scores))


def half_width(interval: Interval) -> float:
    return (interval.high - interval.low) / 2


def test_interval_of_a_mean_matches_the_clustered_error() -> None:
    scores, clusters = clustered(1, clusters=400)

    interval = clustered_mean(scores, clusters)

    assert interval.value == pytest.approx(scores.mean())
    assert half_width(interval) == pytest.approx(Z * clustered_error(scores, clusters), rel=0.03)


@pytest.mark.slow
def test_about_95_percent_of_intervals_cover_the_mean() -> None:
    """For 50 clusters the coverage is 94 %, also in closed form. Three standard errors of 400 sets are 3.5 %."""
    sets = [clustered(seed, clusters=50) for seed in range(400)]

    intervals = [clustered_mean(scores, clusters) for scores, clusters in sets]
    blind = [Z * clustered_error(scores, np.arange(len(scores))) for scores, _ in sets]

    assert np.mean([interval.low <= 0 <= interval.high for interval in intervals]) == pytest.approx(
        0.94, abs=0.035
    )
    assert np.mean([abs(scores.mean()) <= half for (scores, _), half in zip(sets, blind, strict=True)]) < 0.8


def test_interval_of_few_clusters_follows_their_skew() -> None:
    scores = np.exp(np.random.default_rng(3).normal(size=20))

    interval = clustered_mean(scores, np.arange(20))

    assert interval.high - interval.value > 1.3 * (interval.value - interval.low)


def test_bca_agrees_with_scipy() -> None:
    """The expected values are of ``scipy.stats.bootstrap`` 1.17.1 with a million resamples."""
    scores = [0.1, 0.2, 0.2, 0.3, 0.4, 0.4, 0.5, 0.9, 1.6, 3.1]

    interval = clustered_mean(scores, own_clusters(scores))

    assert interval.low == pytest.approx(0.380, abs=0.015)
    assert interval.high == pytest.approx(1.630, abs=0.03)


def test_single_cluster_has_no_interval() -> None:
    interval = clustered_mean([1.0, 0.0, 1.0, 1.0], ["day1"] * 4)

    assert interval.value == 0.75
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert not interval.known
    assert clustered_mean([1.0, 0.0], ["day1", "day2"]).known


def test_equal_scores_give_an_interval_of_no_width() -> None:
    assert clustered_mean([1.0] * 6, [1, 1, 2, 2, 3, 3]) == (1.0, 1.0, 1.0)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.3, 1.0]), min_size=2, max_size=60),
    st.floats(-5, 5),
    st.floats(0.1, 10),
)
def test_interval_shifts_and_scales_with_its_scores(scores: list[float], by: float, times: float) -> None:
    clusters = [index // 2 for index in range(len(scores))]
    moved = [by + times * score for score in scores]

    interval = clustered_mean(scores, clusters)

    expected = [by + times * bound for bound in interval]
    assert clustered_mean(moved, clusters) == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_interval_depends_on_the_seed_and_not_on_labels() -> None:
    scores, clusters = clustered(4, clusters=50)
    named = [f"video{label:02}" for label in clusters]

    assert clustered_mean(scores, clusters) == clustered_mean(scores, named)
    assert clustered_mean(scores, clusters) != clustered_mean(scores, clusters, seed=1)


def test_macro_mean_weighs_groups_equally() -> None:
    scores = [1.0] * 8 + [0.0] * 2
    groups = ["recall"] * 8 + ["count"] * 2

    assert clustered_mean(scores, own_clusters(scores), groups=groups).value == 0.5
    assert clustered_mean(scores, own_clusters(scores)).value == 0.8


def test_interval_of_a_macro_mean_uses_the_whole_statistic() -> None:
    scores, clusters = clustered(5, clusters=50)
    groups = np.arange(len(scores)) % 3

    def macro(rows: NDArray[np.intp]) -> float:
        return float(np.mean([scores[rows][groups[rows] == group].mean() for group in range(3)]))

    interval = interval_of(macro, clusters)

    assert clustered_mean(scores, clusters, groups=groups) == pytest.approx(interval)


def test_group_missing_in_a_resample_does_not_count() -> None:
    scores = [0.0, 1.0, 0.0, 1.0]

    interval = clustered_mean(scores, [1, 2, 3, 4], groups=["a", "a", "a", "b"])

    assert interval.value == pytest.approx((1 / 3 + 1) / 2)
    assert 0.0 <= interval.low <= interval.high <= 1.0


def test_paired_interval_is_narrower_than_single_intervals() -> None:
    scores_a, scores_b, clusters = two_systems()

    paired = paired_difference(scores_a, scores_b, clusters)

    assert paired.difference.value == pytest.approx(scores_a.mean() - scores_b.mean())
    assert half_width(paired.difference) < half_width(clustered_mean(scores_a, clusters))
    assert half_width(paired.difference) < half_width(clustered_mean(scores_b, clusters))
    assert paired.discordance == np.mean(scores_a != scores_b)


def test_swapping_systems_negates_the_difference() -> None:
    scores_a, scores_b, clusters = two_systems()

    forward, backward = (
        paired_difference(scores_a, scores_b, clusters),
        paired_difference(scores_b, scores_a, clusters),
    )

    assert tuple(forward.difference) == pytest.approx(
        (-backward.difference.value, -backward.difference.high, -backward.difference.low), abs=1e-3
    )
    assert (forward.p_value, forward.mcnemar_p) == (backward.p_value, backward.mcnemar_p)


def test_system_does_not_differ_from_itself() -> None:
    scores, _, clusters = two_systems()

    paired = paired_difference(scores, scores, clusters)

    assert paired == ((0.0, 0.0, 0.0), 1.0, 1.0, 0.0)


def test_sign_flips_agree_with_mcnemar_if_independent() -> None:
    scores_a, scores_b, _ = two_systems(samples=300)

    paired = paired_difference(scores_a, scores_b, np.arange(300))

    assert paired.mcnemar_p is not None
    assert paired.p_value == pytest.approx(paired.mcnemar_p, abs=0.015)


def test_fractional_scores_have_no_mcnemar() -> None:
    assert paired_difference([0.5, 1.0], [0.0, 1.0], [1, 2]).mcnemar_p is None


def test_few_clusters_use_every_sign_pattern() -> None:
    parts = [3.0, -1.0, 2.0, 0.5, 4.0, -0.25]

    totals = [abs(np.dot(signs, parts)) for signs in product([1, -1], repeat=6)]

    assert sign_flip_p(parts, own_clusters(parts)) == np.mean(np.array(totals) >= sum(parts))
    assert sign_flip_p([1.0] * 5, [1, 2, 3, 4, 5]) == 1 / 16
    assert sign_flip_p([1.0] * 5, [1] * 5) == 1.0


def test_drawn_sign_patterns_approximate_all_of_them() -> None:
    """For 20 equal differences with 15 gains, the p-value is a binomial tail."""
    differences = [1.0] * 15 + [-1.0] * 5

    tail = 2 * sum(math.comb(20, losses) for losses in range(6)) / 2**20

    assert sign_flip_p(differences, own_clusters(differences)) == pytest.approx(tail, abs=0.006)


def test_p_values_are_uniform_without_a_difference() -> None:
    sets = [clustered(seed, clusters=12) for seed in range(500)]
    ps = np.array([sign_flip_p(scores, clusters) for scores, clusters in sets])

    for level in (0.05, 0.25, 0.5, 0.75):
        assert np.mean(ps <= level) == pytest.approx(level, abs=3 * math.sqrt(level * (1 - level) / 500))


def test_ignoring_clusters_makes_p_values_too_small() -> None:
    sets = [clustered(seed, clusters=20, shared=2.0) for seed in range(60)]

    aware = np.mean([sign_flip_p(scores, clusters) <= 0.05 for scores, clusters in sets])
    blind = np.mean([sign_flip_p(scores, np.arange(len(scores))) <= 0.05 for scores, _ in sets])

    assert aware <= 0.12
    assert blind > 0.25


def test_groups_determine_the_weight_of_a_cluster() -> None:
    """If groups have equal weights, a single sample of one group weighs as much as the four of the other."""
    differences = [-1.0, 1.0, 1.0, 1.0, 1.0]
    groups = ["a", "b", "b", "b", "b"]

    assert sign_flip_p(differences, [1, 2, 3, 4, 5]) == 12 / 32
    assert sign_flip_p(differences, [1, 2, 3, 4, 5], groups=groups) == 1.0


def test_mcnemar_is_a_binomial_tail() -> None:
    scores_a = [1.0] * 9 + [0.0] * 2 + [1.0] * 30
    scores_b = [0.0] * 9 + [1.0] * 2 + [1.0] * 30

    assert mcnemar_p(scores_a, scores_b) == pytest.approx(2 * (1 + 11 + 55) / 2**11)
    assert mcnemar_p(scores_a, scores_a) == 1.0
    assert mcnemar_p([1.0, 0.0], [0.0, 1.0]) == 1.0
    assert mcnemar_p([1.0] * 5_000, [0.0] * 5_000) == 0.0


def test_wilson_matches_published_values() -> None:
    """Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20 and 1 of 29."""
    assert wilson(81, 263)[1:] == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148)[1:] == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20)[1:] == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1, 29)[1:] == pytest.approx((0.0061, 0.1718), abs=5e-5)


@given(st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_stays_within_0_and_1_and_covers_the_share(counted: tuple[int, int]) -> None:
    share, low, high = wilson(*counted)
    mirrored = wilson(counted[1] - counted[0], counted[1])

    assert 0.0 <= low <= share <= high <= 1.0
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((low, high), abs=1e-12)


def test_clustered_error_matches_the_paper() -> None:
    """Miller 2024: the variance of single scores and the covariances within a cluster, written as loops."""
    scores, clusters = clustered(6, clusters=30)
    n, deviations = len(scores), scores - scores.mean()

    covariances = sum(
        deviations[i] * deviations[j]
        for i in range(n)
        for j in range(n)
        if clusters[i] == clusters[j] and i != j
    )
    expected = math.sqrt((sum(deviations**2) + covariances) / n**2)

    assert clustered_error(scores, clusters) == pytest.approx(expected * math.sqrt(30 / 29))
    assert clustered_error(scores, np.arange(n)) == pytest.approx(np.std(scores, ddof=1) / math.sqrt(n))
    assert math.isnan(clustered_error(scores, np.zeros(n)))


def test_design_effect_follows_the_correlation_in_clusters() -> None:
    rng = np.random.default_rng(7)
    clusters = np.repeat(np.arange(4_000), 5)
    scores = rng.normal(size=4_000)[clusters] + math.sqrt(3) * rng.normal(size=20_000)

    assert design_effect(scores, clusters) == pytest.approx(1 + (5 - 1) * 0.25, rel=0.05)
    assert design_effect(scores, np.arange(20_000)) == pytest.approx(1.0)
    assert design_effect(np.repeat(rng.normal(size=500), 5), clusters[:2_500]) == pytest.approx(5.0, rel=0.01)


def test_design_effect_is_nan_for_one_cluster_or_equal_scores() -> None:
    assert math.isnan(design_effect([0.0, 1.0], [1, 1]))
    assert math.isnan(design_effect([1.0, 1.0], [1, 2]))


@pytest.mark.parametrize(
    ("samples", "points"),
    [
        (297, (6.7, 7.8, 8.9)),
        (500, (5.2, 6.0, 6.9)),
        (900, (3.9, 4.5, 5.1)),
        (1_463, (3.0, 3.5, 4.0)),
        (2_700, (2.2, 2.6, 3.0)),
    ],
)
def test_more_samples_detect_a_smaller_difference(samples: int, points: tuple[float, float, float]) -> None:
    detected = [100 * detectable_difference(samples, discordance) for discordance in (0.17, 0.23, 0.30)]

    assert detected == pytest.approx(points, abs=0.06)


def test_design_effect_of_four_doubles_the_detectable() -> None:
    assert detectable_difference(500, 0.2, 4.0) == pytest.approx(2 * detectable_difference(500, 0.2))


def test_detectable_difference_has_80_percent_power() -> None:
    rng = np.random.default_rng(8)
    difference = detectable_difference(500, 0.2)
    chances = [0.1 - difference / 2, 0.8, 0.1 + difference / 2]

    differences = rng.choice([-1.0, 0.0, 1.0], size=(2_000, 500), p=chances)
    z = differences.mean(axis=1) / (differences.std(axis=1) / math.sqrt(500))

    assert np.mean(z > Z) == pytest.approx(0.80, abs=0.03)


def test_detectable_difference_follows_observed_variance() -> None:
    scores_a, scores_b, clusters = two_systems()
    discordance = float(np.mean(scores_a != scores_b))
    effect = design_effect(scores_a - scores_b, clusters)

    detected = detectable_difference_between(scores_a, scores_b, clusters)

    assert detected == pytest.approx(detectable_difference(600, discordance, effect))
    assert math.isnan(detectable_difference_between(scores_a, scores_a, clusters))
    assert math.isnan(detectable_difference_between(scores_a, scores_b, np.zeros(600)))


def test_holm_matches_a_manual_computation() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.6, 0.7]) == (1.0, 1.0)


@given(P_VALUES)
def test_holm_lies_between_the_p_value_and_bonferroni(given_ps: list[float]) -> None:
    adjusted = holm(given_ps)

    bonferroni = [min(1.0, p * len(given_ps)) for p in given_ps]
    assert all(
        p <= adjusted_p <= upper for p, adjusted_p, upper in zip(given_ps, adjusted, bonferroni, strict=True)
    )
    assert [adjusted[index] for index in np.argsort(given_ps, kind="stable")] == sorted(adjusted)


def test_aurc_matches_a_manual_computation() -> None:
    confidences, correct = [0.9, 0.8, 0.3, 0.6], [1.0, 0.0, 0.0, 1.0]

    assert risk_coverage_area(confidences, correct) == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    assert risk_coverage_area([0.9, 0.8], [1.0, 1.0]) == 0.0


def test_equal_confidences_count_as_the_mean_over_orders() -> None:
    correct = [1.0, 0.0, 1.0, 0.0]

    one_way = risk_coverage_area([0.9, 0.51, 0.5, 0.4], correct)
    other_way = risk_coverage_area([0.9, 0.5, 0.51, 0.4], correct)

    assert risk_coverage_area([0.9, 0.5, 0.5, 0.4], correct) == pytest.approx((one_way + other_way) / 2)
    assert risk_coverage_area([0.5] * 4, correct) == pytest.approx(0.5)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=20))
def test_aurc_depends_only_on_the_order_of_confidences(answered: list[tuple[int, bool]]) -> None:
    sure, right = zip(*answered, strict=True)

    area = risk_coverage_area(sure, right)

    assert 0.0 <= area <= 1.0
    assert risk_coverage_area([math.exp(value) for value in sure[::-1]], right[::-1]) == pytest.approx(area)


def test_interval_of_any_statistic() -> None:
    scores_a, scores_b, clusters = two_systems(samples=240)

    interval = interval_of(lambda rows: float(scores_a[rows].sum() / scores_b[rows].sum()), clusters)

    assert interval.value == pytest.approx(scores_a.sum() / scores_b.sum())
    assert interval.low < interval.value < interval.high


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: clustered_mean([], []), "no samples"),
        (lambda: clustered_mean([1.0], [1, 2]), "1 scores and 2 labels of clusters"),
        (lambda: clustered_mean([1.0], [1], groups=["a", "b"]), "1 scores and 2 labels of groups"),
        (lambda: clustered_mean([1.0, math.nan], [1, 2]), "nan"),
        (lambda: clustered_mean(np.zeros((2, 2)), [1, 2]), "shape"),
        (lambda: interval_of(len, []), "no samples"),
        (lambda: paired_difference([1.0, 0.0], [1.0], [1, 2]), "different lengths: 2 and 1"),
        (lambda: mcnemar_p([0.5], [1.0]), "0 and 1"),
        (lambda: wilson(0, 0), "no samples"),
        (lambda: wilson(3, 2), "3 of 2"),
        (lambda: detectable_difference(0, 0.2), "no samples"),
        (lambda: detectable_difference(10, 0.0), "greater than 0"),
        (lambda: holm([]), "no samples"),
        (lambda: holm([1.2]), "between 0 and 1"),
        (lambda: risk_coverage_area([0.5], [1.0, 0.0]), "different lengths: 1 and 2"),
    ],
)
def test_invalid_input_raises_a_clear_error(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
