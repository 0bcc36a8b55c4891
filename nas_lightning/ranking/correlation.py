"""Correlations between predictions and truth. Both are float arrays [n], and higher is better in both.

One rule for the borders, in every function: NaN or unequal lengths raise ValueError; fewer than 2 architectures, or a
constant side, have no correlation and give ``nan``, never a number.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from nas_lightning.ranking.checks import Ids, checked_ids, order_by_prediction, paired, plain

SPARSE_THRESHOLD = 0.001
"""Bin width of the sparse Kendall tau, as a fraction of accuracy: 0.1 % (Yu et al., arXiv 2110.01154, code)."""

FEW = 128
"""Up to so many architectures, counting all pairs is ten times as fast as sorting them; the counts are the same."""


def is_undefined(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether two arrays [n] hold no order to compare: fewer than 2 rows, or one side constant.

    Args:
        x: numbers [n].
        y: numbers [n].

    Returns:
        True where every correlation of the two is nan.
    """
    return len(x) < 2 or bool(np.all(x == x[0])) or bool(np.all(y == y[0]))


def kendall_tau(predictions: ArrayLike, truth: ArrayLike) -> float:
    """Kendall's tau-b, O(n log n).

    ``(C - D) / sqrt((P - T_x) (P - T_y))`` with C concordant and D discordant pairs, ``P = n (n - 1) / 2`` pairs in
    all, T_x and T_y the pairs tied in either array (Kendall 1945). Counts are 64-bit: exact at n = 423,624.

    Args:
        predictions: scores [n], higher is better.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.

    Returns:
        tau-b in [−1, 1]; nan where there is no order to compare.

    >>> kendall_tau([1, 2, 3, 4], [1, 2, 4, 3])
    0.6666666666666666
    >>> kendall_tau([1, 1, 1], [1, 2, 3])
    nan
    """
    x, y = paired(predictions, truth)
    if is_undefined(x, y):
        return math.nan
    if len(x) <= FEW:
        return _tau_of_all_pairs(x, y)
    order = np.lexsort((y, x))
    rank_x, rank_y = _dense_ranks(x[order]), _dense_ranks(y[order])
    pairs = len(x) * (len(x) - 1) // 2
    tied_x, tied_y = _tied_pairs(rank_x), _tied_pairs(rank_y)
    tied_both = _tied_pairs(rank_x * (int(rank_y.max()) + 1) + rank_y)
    # Pairs tied in x stand in ascending order of y, so every inversion of y is a discordant pair.
    discordant = _inversions(rank_y)
    concordant = pairs - tied_x - tied_y + tied_both - discordant
    # Python integers: their product is exact where 64 bits would overflow (n above 78,000).
    return (concordant - discordant) / math.sqrt((pairs - tied_x) * (pairs - tied_y))


def _tau_of_all_pairs(x: np.ndarray, y: np.ndarray) -> float:
    """The same from the counts of all pairs, O(n²)."""
    # Compared, not subtracted: infinities are ordered too.
    one, other = (np.greater.outer(v, v).astype(np.int8) - np.less.outer(v, v) for v in (x, y))
    difference = int((one * other).sum(dtype=np.int64)) // 2  # every pair stands there twice
    return difference / math.sqrt((np.count_nonzero(one) // 2) * (np.count_nonzero(other) // 2))


def _dense_ranks(values: np.ndarray) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _tied_pairs(ranks: np.ndarray) -> int:
    counts = np.unique(ranks, return_counts=True)[1].astype(np.int64)
    return int((counts * (counts - 1) // 2).sum())


def _inversions(ranks: np.ndarray) -> int:
    """Pairs i < j with ranks[i] > ranks[j], bit by bit from the highest, O(n log n log max).

    Two unequal ranks differ first in one bit: within a group of equal higher bits (kept in input order by stable
    sorting), an inversion is a 1 before a 0.
    """
    total = 0
    for bit in range(int(ranks.max()).bit_length() - 1, -1, -1):
        group, ones = ranks >> (bit + 1), (ranks >> bit) & 1
        before = np.cumsum(ones) - ones
        starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
        sizes = np.diff(np.r_[starts, len(ranks)])
        total += int(((before - np.repeat(before[starts], sizes)) * (1 - ones)).sum())
        ranks = ranks[np.argsort(ranks >> bit, kind="stable")]
    return total


def spearman(predictions: ArrayLike, truth: ArrayLike) -> float:
    """Spearman's rho: Pearson's correlation of the ranks, ties at their average rank.

    Args:
        predictions: scores [n], higher is better.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.

    Returns:
        rho in [−1, 1]; nan where there is no order to compare.

    >>> round(spearman([1, 2, 3, 4], [10, 20, 40, 30]), 12)
    0.8
    """
    x, y = paired(predictions, truth)
    if is_undefined(x, y):
        return math.nan
    from scipy.stats import rankdata

    return pearson(rankdata(x), rankdata(y))


def pearson(predictions: ArrayLike, truth: ArrayLike) -> float:
    """Pearson's r: ``cov(x, y) / (std(x) std(y))``; nan where an infinity takes part.

    Args:
        predictions: scores [n], higher is better.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.

    Returns:
        r in [−1, 1]; nan where there is no order to compare.

    >>> round(pearson([1, 2, 3], [2, 4, 7]), 6)
    0.993399
    """
    x, y = paired(predictions, truth)
    if is_undefined(x, y) or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return math.nan
    # Scaled before squaring, so that neither huge nor tiny values over- or underflow.
    x, y = x - x.mean(), y - y.mean()
    x, y = x / np.abs(x).max(initial=0) if np.any(x) else x, y / np.abs(y).max(initial=0) if np.any(y) else y
    norm = math.sqrt(float(x @ x)) * math.sqrt(float(y @ y))
    return math.nan if norm == 0 else float(np.clip(x @ y / norm, -1.0, 1.0))


def weighted_kendall_tau(predictions: ArrayLike, truth: ArrayLike) -> float:
    """Kendall's tau with hyperbolic weights: an exchange among the best architectures costs more.

    Pair (i, j) weighs ``1 / (1 + r_i) + 1 / (1 + r_j)`` with r the rank from the top, 0 the best; mean of the value
    with ranks by (predictions, truth) and by (truth, predictions) (Vigna, "A weighted correlation index for rankings
    with ties", WWW 2015).

    Args:
        predictions: scores [n], higher is better.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.

    Returns:
        The weighted tau in [−1, 1]; nan where there is no order to compare.

    >>> weighted_kendall_tau([1, 2, 3, 4], [1, 2, 4, 3]) < kendall_tau([1, 2, 3, 4], [1, 2, 4, 3])
    True
    """
    x, y = paired(predictions, truth)
    if is_undefined(x, y):
        return math.nan
    from scipy.stats import weightedtau

    return float(weightedtau(x, y).statistic)


def accuracy_bins(truth: ArrayLike, threshold: float = SPARSE_THRESHOLD, *, fractions: bool = True) -> np.ndarray:
    """Dense bin ranks of accuracies in [0, 1], int64 [n]: ``floor(truth / threshold)``, renumbered without gaps.

    `fractions=False` is for qualities of another unit.

    Args:
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.
        threshold: bin width in the unit of truth: 0.001 is 0.1 % of accuracy.
        fractions: whether truth has to lie in [0, 1].

    Returns:
        int64 [n], from 0 for the lowest bin that is used.

    Raises:
        ValueError: accuracies outside [0, 1] (percent, as a rule) where they are fractions, and a threshold that is not
            positive.

    >>> accuracy_bins([0.9012, 0.9018, 0.9105, 0.5], 0.01).tolist()
    [1, 1, 2, 0]
    """
    y = plain(truth)
    if not threshold > 0:
        raise ValueError(f"threshold {threshold} is no bin width; give a positive fraction of accuracy such as 0.001")
    if fractions and len(y) and (y.min() < 0 or y.max() > 1):
        raise ValueError(
            f"accuracies from {y.min():g} to {y.max():g} are no fractions in [0, 1]; divide percentages by 100"
        )
    return np.unique(np.floor(y / threshold), return_inverse=True)[1].reshape(-1).astype(np.int64)


def sparse_kendall_tau(
    predictions: ArrayLike, truth: ArrayLike, ids: Ids, threshold: float = SPARSE_THRESHOLD, *, fractions: bool = True
) -> float:
    """Sparse Kendall tau (s-KdT), reference definition: differences below `threshold` do not count.

    ``tau_b(sort(b), b in the order of the predictions)`` with b the bin ranks of the true accuracies: b goes up by one
    whenever ``floor(accuracy / threshold)`` goes up. The prediction is thus cut into bins of the ground truth's sizes,
    and only the order between bins counts (Yu et al., arXiv 2110.01154, section 3, and its code).

    `truth` are fractions in [0, 1], unless `fractions=False` says otherwise. Tied predictions are ordered by `ids` (one
    a row, distinct), so that the value does not depend on the order of the input. Print `threshold` with the number: a
    post-hoc tool of the same authors uses 0.01. nan where all accuracies fall into one bin, or the predictions are
    constant.

    Args:
        predictions: scores [n], higher is better.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.
        ids: one name a row, [n]; they order equal predictions.
        threshold: bin width in the unit of truth: 0.001 is 0.1 % of accuracy.
        fractions: whether truth has to lie in [0, 1].

    Returns:
        s-KdT in [−1, 1], or nan.

    >>> sparse_kendall_tau([0.1, 0.2, 0.3], [0.9001, 0.9004, 0.95], ids=[0, 1, 2])
    1.0
    >>> sparse_kendall_tau([0.2, 0.1, 0.3], [0.9001, 0.9004, 0.95], ids=[0, 1, 2])  # 0.03 % apart: no mistake
    1.0
    >>> sparse_kendall_tau([0.1, 0.3, 0.2], [0.9001, 0.9104, 0.95], ids=[0, 1, 2]) < 1
    True
    """
    x, y = paired(predictions, truth)
    key = checked_ids(ids, len(x), x, y)
    bins = accuracy_bins(y, threshold, fractions=fractions)
    if is_undefined(x, bins):
        return math.nan
    return kendall_tau(np.sort(bins), bins[order_by_prediction(x, key, y)])


def binned_kendall_tau(
    predictions: ArrayLike, truth: ArrayLike, threshold: float = SPARSE_THRESHOLD, *, fractions: bool = True
) -> float:
    """``tau_b(predictions, floor(truth / threshold))``: accuracies of one bin are ties, predictions stay as they are.

    Often called sparse Kendall tau too, but about 0.01 lower than the reference definition (`sparse_kendall_tau`).

    Args:
        predictions: scores [n], higher is better.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.
        threshold: bin width in the unit of truth: 0.001 is 0.1 % of accuracy.
        fractions: whether truth has to lie in [0, 1].

    Returns:
        tau-b in [−1, 1]; nan where all accuracies fall into one bin.

    >>> binned_kendall_tau([0.2, 0.1, 0.3], [0.9001, 0.9004, 0.95]) == kendall_tau([0.2, 0.1, 0.3], [0, 0, 1])
    True
    """
    x, y = paired(predictions, truth)
    return kendall_tau(x, accuracy_bins(y, threshold, fractions=fractions))


def true_top(truth: ArrayLike, percent: float) -> np.ndarray:
    """Mask of the true top `percent`, bool [n]: the best ``ceil(n percent / 100)``, at least 1, and their ties.

    Args:
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.
        percent: size of the top, above 0 and up to 100.

    Returns:
        bool [n]; more than ``percent`` of the rows only where the last place is shared.

    Raises:
        ValueError: a `percent` that is not above 0 and at most 100.

    >>> true_top([0.1, 0.4, 0.3, 0.2], 50).tolist()
    [False, True, True, False]
    """
    if not 0 < percent <= 100:
        raise ValueError(f"the top {percent} % is no part of the space; give a percentage above 0 and up to 100")
    y = plain(truth)
    if not len(y):
        return np.zeros(0, bool)
    # Rounding guards against 100 * 0.07 being a hair above 7.
    m = min(len(y), max(1, math.ceil(round(len(y) * percent / 100, 9))))
    return y >= np.partition(y, len(y) - m)[len(y) - m]


def kendall_tau_in_top(predictions: ArrayLike, truth: ArrayLike, percent: float) -> float:
    """`kendall_tau` among the architectures of the true top `percent` alone: does the score tell the good ones apart?

    Args:
        predictions: scores [n], higher is better.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.
        percent: size of the top, above 0 and up to 100.

    Returns:
        tau-b in [−1, 1]; nan where fewer than two are left, or all are alike.

    >>> kendall_tau_in_top([1, 2, 4, 3], [0.1, 0.2, 0.3, 0.4], 50)
    -1.0
    """
    x, y = paired(predictions, truth)
    keep = true_top(y, percent)
    return kendall_tau(x[keep], y[keep])
