"""Gradient-boosted trees of LightGBM, regression.

Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", NeurIPS 2017.
"""

from __future__ import annotations

import numpy as np

from nas_lightning.predictors.boosting import boosted
from nas_lightning.predictors.ranker import Ranker, ranks, standardised


class GradientBoosting(Ranker):
    """Boosted trees on rank labels.

    rounds, learning_rate, leaves: of the boosting; min_leaf: labels that a leaf needs, fewer where there are few
    labels.
    """

    minimum = 4

    def __init__(
        self, *, seed: int = 0, rounds: int = 200, learning_rate: float = 0.05, leaves: int = 31, min_leaf: int = 5
    ):
        super().__init__(seed=seed)
        self.rounds = rounds
        self.options = {"learning_rate": learning_rate, "num_leaves": leaves, "min_data_in_leaf": min_leaf}

    def _fit(self, features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        targets = standardised(ranks(labels))
        self._model = boosted(
            features,
            targets,
            weights,
            rounds=self.rounds,
            options={"objective": "regression", **self.options},
            seed=self.seed,
        )

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self._model.predict(features), np.float64), np.zeros(len(features))
