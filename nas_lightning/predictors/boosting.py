"""LightGBM for few labels, the part that the two boosted rankers share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nas_lightning.predictors.ranker import RankerError


def boosted(
    features: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    rounds: int,
    options: Mapping[str, Any],
    seed: int,
    group: Sequence[int] | None = None,
) -> Any:
    """A fitted booster, the same bits for the same input on one machine.

    Leaves are made small enough for the labels at hand: LightGBM's default of 20 would leave one leaf below 40 labels.

    Args:
        features: float64 [n, d].
        targets: [n].
        weights: of the rows, [n].
        rounds: trees at most.
        options: LightGBM's, beyond those set here.
        seed: of all draws.
        group: sizes of the lists that are ranked, for lambdarank; None for regression.

    Returns:
        A ``lightgbm.Booster``.

    Raises:
        RankerError: LightGBM is not installed.
    """
    try:
        import lightgbm
    except ModuleNotFoundError:
        raise RankerError("this ranker needs LightGBM: install nas-lightning[predictors], or choose another") from None
    fixed = {"seed": seed, "num_threads": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1}
    smallest = max(1, min(options["min_data_in_leaf"], len(targets) // 10))
    parameters = {**options, **fixed, "min_data_in_leaf": smallest, "min_data_in_bin": 1, "feature_pre_filter": False}
    data = lightgbm.Dataset(features, targets, weight=weights, group=group, params=parameters)
    return lightgbm.train(parameters, data, rounds)
