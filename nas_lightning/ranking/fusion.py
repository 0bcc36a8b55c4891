"""Prediction fusion: several scores of the same architectures as one, under a name of its own in the results."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from nas_lightning.errors import UserError

FUSION = "fusion("
"""How the name of every fused score begins."""


def rank_average(predictions: Mapping[str, ArrayLike]) -> tuple[str, np.ndarray]:
    """Mean of the scores' ranks, and the name that the fused score bears: ``fusion(a + b)``.

    Ranks run from 0 (worst) to 1 (best) over the n architectures, ties at their average rank, so that scores of any
    unit (checkpoints, seeds, a super-net and a free baseline) weigh the same.

    Args:
        predictions: at least one score by name, [n] each.

    Returns:
        The name of the fusion, and the mean ranks, float64 [n] in [0, 1].

    Raises:
        UserError: fewer than two scores, unequal lengths, and NaN.

    >>> rank_average({"supernet": [0.1, 0.3, 0.2], "parameters": [10, 30, 10]})
    ('fusion(supernet + parameters)', array([0.125, 1.   , 0.375]))
    """
    from scipy.stats import rankdata

    if len(predictions) < 2:
        raise UserError(f"fusion needs at least two scores, not {len(predictions)}")
    columns = {name: np.asarray(values, np.float64) for name, values in predictions.items()}
    if len({column.shape for column in columns.values()}) > 1:
        shapes = ", ".join(f"{name} {column.shape}" for name, column in columns.items())
        raise UserError(f"scores of different architectures cannot be fused: {shapes}")
    for name, column in columns.items():
        if np.isnan(column).any():
            raise UserError(f"score {name} holds NaN, which has no rank; fuse over architectures that all scores have")
    n = max(1, len(next(iter(columns.values()))) - 1)
    ranks = np.mean([(rankdata(column) - 1) / n for column in columns.values()], axis=0)
    return f"{FUSION}{' + '.join(columns)})", ranks
