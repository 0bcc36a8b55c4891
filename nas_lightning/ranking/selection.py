"""What a search finds that believes the predictions: measures of the top of a ranking.

Predictions and truth are float arrays [n], higher is better. Tied predictions are ordered by `ids`, one a row. NaN and
unequal lengths raise ValueError.

One rule for the borders, as with the correlations: constant predictions choose nothing (their top k would be the lowest
ids), a constant truth has no top, and one architecture has no order, so that measures of the order are ``nan`` there.
Means of accuracies ask for less: `final_search_performance` is defined for one architecture and for a constant truth,
`supernet_accuracy` and `optimization_gap` for anything but an empty set.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nas_lightning.ranking.checks import Ids, paired, top_k_indices
from nas_lightning.ranking.correlation import is_undefined, true_top


def true_ranks(truth: ArrayLike) -> np.ndarray:
    """Rank of each architecture by truth, int64 [n]: 1 + number strictly better. The best has rank 1, ties share it.

    Args:
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.

    Returns:
        int64 [n], 1 for the best.

    >>> true_ranks([0.5, 0.9, 0.9, 0.1]).tolist()
    [3, 1, 1, 4]
    """
    y = np.asarray(truth, np.float64)
    return 1 + len(y) - np.searchsorted(np.sort(y), y, side="right")


def ndcg_at_k(predictions: ArrayLike, truth: ArrayLike, ids: Ids, k: int) -> float:
    """Normalised discounted cumulative gain of the predicted top k.

    ``sum_i g_i / log2(i + 1)`` over positions i = 1..k of the predicted order, divided by the same sum of the true
    order; the gain g is the truth scaled to [0, 1] over the evaluated set (Järvelin, Kekäläinen 2002).

    Args:
        predictions: scores [n], higher is better.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.
        ids: one name a row, [n]; they order equal predictions.
        k: how many of the predicted best are looked at.

    Returns:
        From 0 to 1, 1 for the true order; nan where there is no order.

    >>> ndcg_at_k([1, 2, 3], [0.1, 0.2, 0.3], ids=[0, 1, 2], k=2)
    1.0
    """
    x, y = paired(predictions, truth)
    if is_undefined(x, y):
        return math.nan
    gains = (y - y.min()) / (y.max() - y.min())
    found = gains[top_k_indices(x, ids, k)]
    best = np.sort(gains)[::-1][:k]
    discounts = 1 / np.log2(np.arange(2, len(found) + 2))
    return float(found @ discounts / (best @ discounts))


def precision_at_top(predictions: ArrayLike, truth: ArrayLike, ids: Ids, percent: float) -> float:
    """Share of the predicted top `percent` (``ceil(n percent / 100)`` of them) that lie in the true top `percent`.

    Args:
        predictions: scores [n], higher is better.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.
        ids: one name a row, [n]; they order equal predictions.
        percent: size of the top, above 0 and up to 100.

    Returns:
        A share from 0 to 1; nan where there is no order.

    >>> precision_at_top([1, 2, 3, 4], [1, 4, 3, 2], ids=[0, 1, 2, 3], percent=50)
    0.5
    """
    x, y = paired(predictions, truth)
    good = true_top(y, percent)
    if is_undefined(x, y):
        return math.nan
    m = min(len(y), max(1, math.ceil(round(len(y) * percent / 100, 9))))
    return float(good[top_k_indices(x, ids, m)].mean())


def best_rank_at_k(predictions: ArrayLike, truth: ArrayLike, ids: Ids, k: int) -> float:
    """The best true rank (1 = best of the set) among the predicted top k.

    Args:
        predictions: scores [n], higher is better.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.
        ids: one name a row, [n]; they order equal predictions.
        k: how many of the predicted best are looked at.

    Returns:
        A rank from 1; nan where there is no order.

    >>> best_rank_at_k([4, 3, 2, 1], [0.1, 0.3, 0.2, 0.4], ids=[0, 1, 2, 3], k=2)
    2.0
    """
    x, y = paired(predictions, truth)
    return math.nan if is_undefined(x, y) else float(true_ranks(y)[top_k_indices(x, ids, k)].min())


def regret_at_k(predictions: ArrayLike, truth: ArrayLike, ids: Ids, k: int) -> float:
    """``max(truth) - max(truth of the predicted top k)``, in the unit of truth; 0 when the best is among them.

    Args:
        predictions: scores [n], higher is better.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.
        ids: one name a row, [n]; they order equal predictions.
        k: how many of the predicted best are looked at.

    Returns:
        0 or more, in the unit of truth; nan where there is no order.

    >>> regret_at_k([4, 3, 2, 1], [0.125, 0.25, 0.5, 1.0], ids=[0, 1, 2, 3], k=3)
    0.5
    """
    x, y = paired(predictions, truth)
    return math.nan if is_undefined(x, y) else float(y.max() - y[top_k_indices(x, ids, k)].max())


@dataclass(frozen=True)
class TopPercentiles:
    """True percentiles of the predicted top k: 100 is the best of the set, 0 the worst."""

    k: int
    minimum: float
    median: float
    maximum: float


def top_k_percentiles(predictions: ArrayLike, truth: ArrayLike, ids: Ids, k: int) -> TopPercentiles:
    """Where the predicted top k stand in truth: ``100 (1 - (rank - 1) / (n - 1))``, worst, median and best of the k.

    Args:
        predictions: scores [n], higher is better.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.
        ids: one name a row, [n]; they order equal predictions.
        k: how many of the predicted best are looked at.

    Returns:
        Percentiles from 0 (the worst of the set) to 100 (the best).

    >>> top_k_percentiles([5, 4, 3, 2, 1], [0.5, 0.1, 0.4, 0.3, 0.2], ids=range(5), k=3)
    TopPercentiles(k=3, minimum=0.0, median=75.0, maximum=100.0)
    """
    x, y = paired(predictions, truth)
    if is_undefined(x, y):
        return TopPercentiles(k, math.nan, math.nan, math.nan)
    values = 100 * (1 - (true_ranks(y)[top_k_indices(x, list(ids), k)] - 1) / (len(y) - 1))
    return TopPercentiles(k, float(values.min()), float(np.median(values)), float(values.max()))


@dataclass(frozen=True)
class SearchPerformance:
    """Stand-alone accuracy of the predicted top k, in the unit of truth; std is the population's (divisor k)."""

    mean: float
    std: float
    best: float
    k: int


def final_search_performance(predictions: ArrayLike, truth: ArrayLike, ids: Ids, k: int) -> SearchPerformance:
    """Mean, standard deviation and best of the stand-alone accuracies of the predicted top k (Yu et al., 2110.01154).

    ``k`` in the result is the number really taken, ``min(k, n)``; constant predictions take none of several. The ids
    are paired with their own accuracies here, once: pairing two sorted lists in another order is an error seen in the
    field.

    Args:
        predictions: scores [n], higher is better.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.
        ids: one name a row, [n]; they order equal predictions.
        k: how many of the predicted best are looked at.

    Returns:
        In the unit of truth; nan where the predictions choose nothing.

    >>> final_search_performance([1, 2, 3], [0.5, 0.75, 0.25], ids=[0, 1, 2], k=2)
    SearchPerformance(mean=0.5, std=0.25, best=0.75, k=2)
    """
    x, y = paired(predictions, truth)
    if not len(y) or (len(x) > 1 and bool(np.all(x == x[0]))):
        return SearchPerformance(math.nan, math.nan, math.nan, 0)
    found = y[top_k_indices(x, ids, k)]
    return SearchPerformance(float(found.mean()), float(found.std()), float(found.max()), len(found))


@dataclass(frozen=True)
class BeatsRandom:
    """``probability`` that the best found beats the best of ``n`` random draws from a table of ``table_size``."""

    probability: float
    n: int
    table_size: int
    better: int


def probability_beats_random(best_found: float, table: ArrayLike, n: int) -> BeatsRandom:
    """P > R: ``(1 - r / r_max)^n``, the probability that none of n random draws is strictly better than the best found.

    r is the number of architectures of the table with an accuracy strictly above `best_found`, r_max the size of the
    table; n is the number of random draws, by default of the callers the K of the top K (Yu et al., 2110.01154).
    Rows of the table that are NaN were not measured and do not count. nan for an empty table, and for one whose
    accuracies are all equal: there is nothing to beat.

    Args:
        best_found: quality of the best that was found.
        table: qualities of all architectures that a random search would draw from, [r_max]; NaN are left out.
        n: random draws that it is compared with.

    Returns:
        The probability, with the n and the table size that it holds for.

    Raises:
        ValueError: `n` below 1, and a `best_found` that is NaN.

    >>> probability_beats_random(0.8, [0.5, 0.8, 0.9, 0.7], n=2)
    BeatsRandom(probability=0.5625, n=2, table_size=4, better=1)
    """
    if n < 1:
        raise ValueError(f"{n} random draws cannot be compared with; n must be at least 1")
    if math.isnan(best_found):
        raise ValueError("the best found accuracy is NaN; give the accuracy of the best of the top K")
    values = np.asarray(table, np.float64)
    values = values[~np.isnan(values)]
    better = int((values > best_found).sum())
    size = len(values)
    is_defined = size > 0 and (size == 1 or values.min() < values.max())
    return BeatsRandom((1 - better / size) ** n if is_defined else math.nan, n, size, better)


def supernet_accuracy(predictions: ArrayLike) -> float:
    """Mean accuracy of the scored sub-nets with inherited weights; nan for an empty set.

    Args:
        predictions: accuracies with shared weights [n], fractions.

    Returns:
        A fraction.

    >>> supernet_accuracy([0.25, 0.75])
    0.5
    """
    x, _ = paired(predictions, predictions)
    return float(x.mean()) if len(x) else math.nan


def optimization_gap(predictions: ArrayLike, truth: ArrayLike) -> float:
    """``mean(truth - predictions)`` of accuracies: what training alone adds to shared weights; nan for an empty set.

    (Xie et al., "Weight-Sharing NAS: A Battle to Shrink the Optimization Gap".)

    Args:
        predictions: accuracies with shared weights [n], fractions.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.

    Returns:
        A fraction; negative where shared weights do better.

    >>> optimization_gap([0.25, 0.5], [0.75, 0.75])
    0.375
    """
    x, y = paired(predictions, truth)
    return float((y - x).mean()) if len(x) else math.nan
