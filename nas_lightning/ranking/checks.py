"""What every metric asks of its two arrays before it computes anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Ids = Sequence[str] | Sequence[int] | np.ndarray


def paired(predictions: ArrayLike, truth: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 [n].

    A NaN has no rank: dropping it silently would change the evaluated set, ranking it would invent a number.
    Infinities are ordered and stay.

    Args:
        predictions: scores [n], higher is better.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.

    Returns:
        (predictions, truth), float64 [n] each.

    Raises:
        ValueError: other shapes, unequal lengths, and NaN.
    """
    x, y = plain(predictions), plain(truth)
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


def plain(values: ArrayLike) -> np.ndarray:
    """float64 array of an array, a list or a tensor, also a differentiable one, on a GPU, or of half precision.

    Args:
        values: numbers of any shape.

    Returns:
        float64, the same shape, on the CPU.
    """
    given: Any = values
    if hasattr(given, "detach"):  # a tensor, without importing torch
        given = given.detach().cpu().double().numpy()
    return np.asarray(given, np.float64)


def checked_ids(ids: Ids, n: int, *columns: np.ndarray) -> np.ndarray:
    """The architecture ids as an array [n].

    Args:
        ids: one name a row, [n]; they order equal predictions.
        n: how many rows there are.
        columns: values [n] that rows of one id must share.

    Returns:
        The ids, [n].

    Raises:
        ValueError: their number is not `n`, or one id has different values in `columns` [n]: two architectures then
            share it. Copies of one architecture, as a bootstrap draws them, are welcome.
    """
    given: Any = ids
    array = np.asarray(given.detach().cpu().numpy() if hasattr(given, "detach") else given)
    if array.shape != (n,):
        raise ValueError(f"{n} architectures need {n} ids to break ties by, but ids have shape {array.shape}")
    order = np.argsort(array, kind="stable")
    same = array[order][1:] == array[order][:-1]
    for values in columns if same.any() else ():
        clash = same & (values[order][1:] != values[order][:-1])
        if clash.any():
            raise ValueError(f"two architectures share the id {array[order][1:][clash][0]}; make ids distinct")
    return array


def order_by_prediction(predictions: np.ndarray, ids: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Indices from the worst to the best prediction, int64 [n]; ties in ascending order of id, never of input.

    Args:
        predictions: scores [n], higher is better.
        ids: one name a row, [n]; they order equal predictions.
        truth: stand-alone qualities [n], higher is better; accuracies as fractions.

    Returns:
        int64 [n]: the worst first.

    Raises:
        ValueError: two architectures of equal prediction share an id but not the truth: their order would then depend
            on the input. Copies of one architecture, as a bootstrap draws them, are welcome.
    """
    order = np.lexsort((ids, predictions))
    a, b = order[:-1], order[1:]
    clash = (predictions[a] == predictions[b]) & (ids[a] == ids[b]) & (truth[a] != truth[b])
    if clash.any():
        raise ValueError(f"two architectures share the id {ids[a[clash][0]]}: ties cannot be broken; make ids distinct")
    return order


def top_k_indices(predictions: ArrayLike, ids: Ids, k: int) -> np.ndarray:
    """Indices of the `k` highest predictions, best first, int64 [min(k, n)]; ties in ascending order of id.

    Args:
        predictions: scores [n], higher is better.
        ids: one name a row, [n]; they order equal predictions.
        k: how many of the predicted best are looked at.

    Returns:
        int64 [min(k, n)]: the best first.

    Raises:
        ValueError: `k` below 1, and NaN among the predictions.

    >>> top_k_indices([0.1, 0.9, 0.5, 0.9], ["a", "d", "c", "b"], 3).tolist()
    [3, 1, 2]
    """
    if k < 1:
        raise ValueError(f"the top {k} architectures cannot be taken; k must be at least 1")
    x = plain(predictions)
    if np.isnan(x).any():
        raise ValueError("predictions hold NaN, which cannot be ranked; remove these architectures explicitly")
    array = checked_ids(ids, len(x), x)
    return np.lexsort((array, -x))[:k]
