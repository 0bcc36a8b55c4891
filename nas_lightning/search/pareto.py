"""Several objectives at once. Points are float [n, m], and every column is to be minimised."""

from __future__ import annotations

from dataclasses import dataclass

import moocore
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
    # In lexicographic order a point can only be dominated by, or equal to, one that comes before it: the first one left
    # is on the front, and takes away all that it dominates.
    left = np.lexsort((np.arange(len(p)), *p.T[::-1]))
    while len(left):
        front.append(int(left[0]))
        left = left[1:][~(p[left[1:]] >= p[left[0]]).all(axis=1)]
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
    """Volume that the points dominate, bounded by `reference` (worse than them in every objective), by `moocore`.

    Points that are not better than the reference everywhere add nothing.

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
    return float(moocore.hypervolume(p, ref=ref))


@dataclass(frozen=True)
class Indicators:
    """A found front against the true one, objectives scaled by the true front's utopia and nadir to [0, 1].

    `hypervolume` is bounded by the nadir, `share` is its part of the true front's (1 for the true front), and
    `distance` is the inverted generational distance, the mean distance from the true front's points to the nearest
    found one (0 for the true front). Lu et al., "Neural Architecture Search as Multiobjective Optimization
    Benchmarks" (EvoXBench), IEEE TEVC 2023, section V.
    """

    hypervolume: float
    share: float
    distance: float


def scaled(points: ArrayLike, front: ArrayLike) -> np.ndarray:
    """Points with the utopia of `front` at 0 and its nadir at 1 in every objective; a constant objective stays at 0."""
    p, f = np.asarray(points, np.float64), np.asarray(front, np.float64)
    low, width = f.min(axis=0), np.ptp(f, axis=0)
    return (p - low) / np.where(width > 0, width, 1.0)


def indicators(found: ArrayLike, front: ArrayLike) -> Indicators:
    """Judge `found` [n, m] by the true `front` [k, m]; everything is minimised. Raises ValueError for no points."""
    f = np.asarray(front, np.float64)
    p = np.asarray(found, np.float64).reshape(-1, f.shape[1])
    if not len(p) or not len(f):
        raise ValueError("indicators need a point that was found and a front to compare it with")
    ours, true, nadir = scaled(p, f), scaled(f, f), np.ones(f.shape[1])
    reached = hypervolume(ours, nadir)
    whole = hypervolume(true, nadir)
    return Indicators(reached, reached / whole if whole else float("nan"), float(moocore.igd(ours, ref=true)))
