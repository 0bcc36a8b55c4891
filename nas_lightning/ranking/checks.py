"""What every metric asks of its two arrays before it computes anything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

Ids = Sequence[str] | Sequence[int] | np.ndarray


def paired(predictions: ArrayLike, truth: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 [n]. Raises ValueError for other shapes, unequal lengths, and NaN.

    A NaN has no rank: dropping it silently would change the evaluated set, ranking it would invent a number.
    Infinities are ordered and stay.
    """
    x, y = np.asarray(predictions, np.float64), np.asarray(truth, np.float64)
    if x.ndim != 1 or y.ndim != 1 or len(x) != len(y):
        raise ValueError(
            f"predictions of shape {x.shape} do not pair with truth of shape {y.shape}; give two arrays of one length"
        )
    for name, values in (("predictions", x), ("truth", y)):
        missing = int(np.isnan(values).sum())
        if missing:
            raise ValueError(
                f"{missing} of {len(values)} {name} are NaN; remove these architectures explicitly and report how many"
            )
    return x, y


def checked_ids(ids: Ids, n: int) -> np.ndarray:
    """The architecture ids as an array [n]. Raises ValueError when their number is not `n`."""
    array = np.asarray(ids)
    if array.shape != (n,):
        raise ValueError(f"{n} architectures need {n} ids to break ties by, but ids have shape {array.shape}")
    return array


def order_by_prediction(predictions: np.ndarray, ids: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Indices from the worst to the best prediction, int64 [n]; ties in ascending order of id, never of input.

    Raises ValueError where two architectures of equal prediction share an id but not the truth: their order would
    then depend on the input. (Copies of one architecture, as a bootstrap draws them, are welcome.)
    """
    order = np.lexsort((ids, predictions))
    a, b = order[:-1], order[1:]
    clash = (predictions[a] == predictions[b]) & (ids[a] == ids[b]) & (truth[a] != truth[b])
    if clash.any():
        raise ValueError(f"two architectures share the id {ids[a[clash][0]]}: ties cannot be broken; make ids distinct")
    return order


def top_k_indices(predictions: ArrayLike, ids: Ids, k: int) -> np.ndarray:
    """Indices of the `k` highest predictions, best first, int64 [min(k, n)]; ties in ascending order of id.

    >>> top_k_indices([0.1, 0.9, 0.5, 0.9], ["a", "d", "c", "b"], 3).tolist()
    [3, 1, 2]
    """
    if k < 1:
        raise ValueError(f"the top {k} architectures cannot be taken; k must be at least 1")
    x = np.asarray(predictions, np.float64)
    if np.isnan(x).any():
        raise ValueError("predictions hold NaN, which cannot be ranked; remove these architectures explicitly")
    array = checked_ids(ids, len(x))
    return np.lexsort((array, -x))[:k]
