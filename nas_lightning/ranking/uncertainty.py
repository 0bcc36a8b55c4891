"""How far a ranking number can be trusted: intervals over architectures, and the ceilings that noise sets.

The architectures of an evaluated set are a random draw from the space, so Kendall's tau on them has a sampling error
(standard deviation about 0.03 at n = 200); and the ground truth itself is noisy, so that not even a perfect predictor
reaches 1. Comparisons between settings are in `nas_lightning.ranking.comparison`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from nas_lightning.ranking.checks import paired
from nas_lightning.ranking.correlation import kendall_tau

# Above this many architectures the pair matrix (n² bytes and its float copy) costs more than sorting every replicate.
_PAIR_MATRIX_LIMIT = 1000


FEWEST = 10
"""Architectures below which a bootstrap says nothing."""


@dataclass(frozen=True)
class Interval:
    """A percentile interval of `level`; `replicates` counts those that were defined (not nan)."""

    estimate: float
    low: float
    high: float
    level: float
    replicates: int


def percentile_interval(estimate: float, replicates: np.ndarray, level: float = 0.95) -> Interval:
    """The central `level` of the defined replicates; nan bounds where none is defined.

    Args:
        estimate: of the statistic on the data itself.
        replicates: of the statistic on resamples, [replicates]; nan where it is undefined.
        level: share of the replicates that the interval holds, between 0 and 1.

    Returns:
        Estimate, bounds, level, and how many replicates were defined.

    Raises:
        ValueError: a `level` that is not between 0 and 1.

    >>> percentile_interval(0.5, np.arange(101) / 100, 0.5)
    Interval(estimate=0.5, low=0.25, high=0.75, level=0.5, replicates=101)
    """
    if not 0 < level < 1:
        raise ValueError(f"a level of {level} is no probability between 0 and 1; 0.95 is usual")
    defined = replicates[~np.isnan(replicates)]
    if not len(defined) or math.isnan(estimate):
        return Interval(estimate, math.nan, math.nan, level=level, replicates=len(defined))
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(estimate), float(low), float(high), level=level, replicates=len(defined))


@lru_cache(maxsize=4)
def resample_counts(n: int, replicates: int, seed: int) -> np.ndarray:
    """How often each of n items is drawn in each replicate of n draws with replacement, int64 [replicates, n].

    Read-only, and remembered: a study compares many settings on the same draws.

    Args:
        n: how many items there are.
        replicates: how many resamples are drawn.
        seed: of the draws; the same seed gives the same numbers.

    Returns:
        int64 [replicates, n], every row of which sums to n.
    """
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=replicates)
    counts.flags.writeable = False
    return counts


def affordable_replicates(n: int, most: int = 1000) -> int:
    """Replicates of a bootstrap over n architectures: `most` up to some thousands, then fewer, at least 50.

    Args:
        n: architectures.
        most: what is drawn where that is cheap.

    Returns:
        A number from 50 to `most`.

    >>> [affordable_replicates(n) for n in (200, 15_625, 423_624)]
    [1000, 192, 50]
    """
    return min(most, max(50, 3_000_000 // max(n, 1)))


def tau_of_counts(predictions: np.ndarray, truth: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of every resample at once, float64 [replicates]; copies of one architecture are ties.

    With S_ij = sign(x_i - x_j) sign(y_i - y_j) and the draw counts w, the numerator is ``w S w / 2`` and the pairs not
    tied in x ``w |sign(x_i - x_j)| w / 2``: three matrix products, O(replicates n²). Where the matrix would not fit,
    every replicate is sorted instead, O(replicates n log n).

    Args:
        predictions: scores [n], higher is better.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.
        counts: how often each row is drawn, [replicates, n] (`resample_counts`).

    Returns:
        float64 [replicates]; nan where a resample has no order.
    """
    if len(predictions) > _PAIR_MATRIX_LIMIT:
        repeat = (np.repeat(np.arange(len(predictions)), row) for row in counts)
        return np.array([kendall_tau(predictions[index], truth[index]) for index in repeat])
    # float64 holds these sums exactly: they stay below 1000² · the largest count².
    w = counts.astype(np.float64)
    with np.errstate(invalid="ignore"):
        sign_x = np.sign(predictions[:, None] - predictions[None, :])
        sign_y = np.sign(truth[:, None] - truth[None, :])
    sign_x[np.isnan(sign_x)] = 0  # inf - inf: a tie
    sign_y[np.isnan(sign_y)] = 0
    score, pairs_x, pairs_y = (np.einsum("rn,rn->r", w @ m, w) for m in (sign_x * sign_y, sign_x**2, sign_y**2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((pairs_x > 0) & (pairs_y > 0), score / np.sqrt(pairs_x * pairs_y), np.nan)


def bootstrap_kendall_tau(
    predictions: ArrayLike, truth: ArrayLike, replicates: int = 1000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Percentile bootstrap interval of tau-b over architectures; the same numbers for the same seed.

    Of fewer than `FEWEST` architectures there is no interval (nan): their resamples are few, and mostly copies.

    Args:
        predictions: scores [n], higher is better.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.
        replicates: how many resamples are drawn.
        level: share of the replicates that the interval holds, between 0 and 1.
        seed: of the draws; the same seed gives the same numbers.

    Returns:
        tau-b on the data itself, and the interval.

    >>> x = np.arange(50.0)
    >>> bootstrap_kendall_tau(x, x).low > 0.9
    True
    """
    x, y = paired(predictions, truth)
    if len(x) < FEWEST:
        return percentile_interval(kendall_tau(x, y), np.empty(0), level)
    return percentile_interval(kendall_tau(x, y), tau_of_counts(x, y, resample_counts(len(x), replicates, seed)), level)


def bootstrap(
    statistic: Callable[[np.ndarray], float], n: int, replicates: int = 1000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Percentile bootstrap of any statistic of an index array int64 [n]: ``statistic(index) -> float``.

    Args:
        statistic: of the rows int64 [n] that are looked at, with repetitions.
        n: how many rows there are.
        replicates: how many resamples are drawn.
        level: share of the replicates that the interval holds, between 0 and 1.
        seed: of the draws; the same seed gives the same numbers.

    Returns:
        The statistic of all rows once, and the interval.

    >>> values = np.arange(10.0)
    >>> bootstrap(lambda index: values[index].mean(), 10).estimate
    4.5
    """
    if n < 1:
        return percentile_interval(math.nan, np.empty(0), level)
    rows = resample_counts(n, replicates, seed)
    drawn = np.array([statistic(np.repeat(np.arange(n), row)) for row in rows])
    return percentile_interval(statistic(np.arange(n)), drawn, level)


@dataclass(frozen=True)
class NoiseCeiling:
    """Mean tau-b between the mean accuracies of two random halves of a table's seeds, and its spread over splits."""

    tau: float
    std: float
    seeds_per_half: int
    seeds: int
    splits: int
    n: int


def noise_ceiling(seed_accuracies: ArrayLike, splits: int = 100, seed: int = 0) -> NoiseCeiling:
    """How well the ground truth predicts itself: the tau that a repetition of its own measurement would reach.

    ``mean over splits of tau_b(mean of half A, mean of half B)``, halves of ``floor(seeds / 2)`` seeds each, drawn
    without replacement (an odd seed is left out of a split). The whole table, all seeds averaged, is less noisy than a
    half, so this is a cautious ceiling: print `seeds_per_half` with it.

    `seed_accuracies`: float [n architectures, seeds]; rows with a NaN are dropped and `n` counts the rest.

    Args:
        seed_accuracies: float [n, seeds]; rows with NaN are left out.
        splits: into two halves, drawn at random.
        seed: of the draws; the same seed gives the same numbers.

    Returns:
        Mean and standard deviation of tau over the splits, seeds per half, seeds, splits, and n.

    Raises:
        ValueError: fewer than 2 seeds.

    >>> noise_ceiling([[0.5, 0.5], [0.6, 0.7], [0.8, 0.9]]).tau
    1.0
    """
    values = np.asarray(seed_accuracies, np.float64)
    if values.ndim != 2 or values.shape[1] < 2:
        raise ValueError(
            f"a noise ceiling needs accuracies of shape [architectures, at least 2 seeds], not {values.shape}; "
            "report it as not available for this table"
        )
    values = values[~np.isnan(values).any(axis=1)]
    rng = np.random.default_rng(seed)
    half = values.shape[1] // 2
    # Two seeds can be split in one way only: repeating it would only pretend to more splits.
    splits = 1 if values.shape[1] == 2 else splits
    taus = []
    for _ in range(splits):
        order = rng.permutation(values.shape[1])
        taus.append(kendall_tau(values[:, order[:half]].mean(axis=1), values[:, order[half : 2 * half]].mean(axis=1)))
    return NoiseCeiling(
        float(np.mean(taus)), float(np.std(taus)), half, seeds=values.shape[1], splits=splits, n=len(values)
    )


def proxy_ceiling(validation: ArrayLike, test: ArrayLike) -> float:
    """tau-b between stand-alone validation and test accuracy: what a predictor of the validation accuracy can reach.

    Rows where either is NaN are left out.

    Args:
        validation: stand-alone validation qualities [n].
        test: stand-alone test qualities [n].

    Returns:
        tau-b in [−1, 1], or nan.

    Raises:
        ValueError: unequal lengths.

    >>> proxy_ceiling([0.1, 0.2, 0.3, float("nan")], [0.1, 0.3, 0.2, 0.5]) == kendall_tau([1, 2, 3], [1, 3, 2])
    True
    """
    x, y = np.asarray(validation, np.float64), np.asarray(test, np.float64)
    if x.shape != y.shape:
        raise ValueError(
            f"validation accuracies of shape {x.shape} do not pair with test accuracies of shape {y.shape}"
        )
    keep = ~(np.isnan(x) | np.isnan(y))
    return kendall_tau(x[keep], y[keep])
