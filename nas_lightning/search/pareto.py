"""Several objectives at once. Points are float [n, m], and every column is to be minimised."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def dominates(points: np.ndarray) -> np.ndarray:
    """bool [n, n]: row i dominates column j, no worse anywhere and better somewhere."""
    a, b = points[:, None, :], points[None, :, :]
    return np.logical_and((a <= b).all(axis=2), (a < b).any(axis=2))


def nondominated_ranks(points: ArrayLike) -> np.ndarray:
    """Front number of every point, int64 [n]: 0 for the Pareto front, 1 for the front behind it …

    >>> nondominated_ranks([[1, 2], [2, 1], [2, 2], [3, 3]]).tolist()
    [0, 0, 1, 2]
    """
    p = np.asarray(points, np.float64)
    beats = dominates(p)
    remaining = np.ones(len(p), bool)
    ranks = np.zeros(len(p), np.int64)
    front = 0
    while remaining.any():
        first = remaining & ~beats[remaining].any(axis=0)
        ranks[first] = front
        remaining &= ~first
        front += 1
    return ranks


def pareto_front(points: ArrayLike) -> np.ndarray:
    """Indices of the non-dominated points, ascending; of several equal points the first.

    >>> pareto_front([[2, 1], [1, 2], [2, 2], [1, 2]]).tolist()
    [0, 1]
    """
    p = np.asarray(points, np.float64)
    front: list[int] = []
    # In lexicographic order a point can only be dominated by, or equal to, one that comes before it.
    for i in np.lexsort((np.arange(len(p)), *p.T[::-1])).tolist():
        if not any((p[j] <= p[i]).all() for j in front):
            front.append(i)
    return np.array(sorted(front), np.int64)


def crowding_distance(points: ArrayLike) -> np.ndarray:
    """How lonely every point of one front is, float64 [n]; the ends of each objective get infinity.

    Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II" (2002), section III-B.

    >>> crowding_distance([[0, 4], [1, 2], [4, 0]]).tolist()
    [inf, 2.0, inf]
    """
    p = np.asarray(points, np.float64)
    distance = np.zeros(len(p))
    for column in p.T:
        order = np.argsort(column, kind="stable")
        distance[order[[0, -1]]] = np.inf
        width = column[order[-1]] - column[order[0]]
        if width > 0 and np.isfinite(width):
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / width
    return distance


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """Volume that the points dominate, bounded by `reference` (worse than them in every objective).

    Points that are not better than the reference everywhere add nothing. Slices along the last objective: exact in any
    dimension, O(n^(m - 1)) at the usual few objectives (While et al., "A faster algorithm for calculating hypervolume",
    2006, section 2).

    >>> hypervolume([[1, 3], [2, 2], [3, 1]], reference=[4, 4])
    6.0
    """
    ref = np.asarray(reference, np.float64)
    p = np.asarray(points, np.float64).reshape(-1, len(ref))
    p = p[(p < ref).all(axis=1)]
    if not len(p):
        return 0.0
    if p.shape[1] == 1:
        return float(ref[0] - p[:, 0].min())
    p = p[pareto_front(p)]
    p = p[np.argsort(p[:, -1], kind="stable")]
    ends = np.append(p[1:, -1], ref[-1])
    return float(
        sum(
            (end - start) * hypervolume(p[: i + 1, :-1], ref[:-1])
            for i, (start, end) in enumerate(zip(p[:, -1], ends, strict=True))
            if end > start
        )
    )
