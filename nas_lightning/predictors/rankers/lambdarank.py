"""LambdaRank by boosted trees of LightGBM.

Burges, "From RankNet to LambdaRank to LambdaMART: An Overview", MSR-TR-2010-82; for architectures: Zhang et al.,
"AceNAS", arXiv 2108.03001, section 3.2, with whose relevance the labels are graded. The paper's ranker is a graph
network; the λ of its released code takes ranks from the labels instead of the predictions, LightGBM's does not.
"""

from __future__ import annotations

import numpy as np

from nas_lightning.predictors.boosting import boosted
from nas_lightning.predictors.ranker import Ranker, relevance

GRADES = 20


class LambdaRank(Ranker):
    """Boosted trees whose gradient is that of NDCG: order at the top counts most, values do not count at all.

    rounds, learning_rate, leaves: of the boosting; min_leaf: labels that a leaf needs, fewer where there are few
    labels.
    """

    minimum = 4

    def __init__(
        self, *, seed: int = 0, rounds: int = 200, learning_rate: float = 0.05, leaves: int = 31, min_leaf: int = 3
    ):
        super().__init__(seed=seed)
        self.rounds = rounds
        self.options = {"learning_rate": learning_rate, "num_leaves": leaves, "min_data_in_leaf": min_leaf}

    def _fit(self, features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        options = {
            "objective": "lambdarank",
            "label_gain": [2**i - 1 for i in range(GRADES + 1)],
            "lambdarank_truncation_level": len(labels),
            **self.options,
        }
        targets = np.rint(relevance(labels, top=GRADES))
        self._model = boosted(
            features, targets, weights, rounds=self.rounds, options=options, seed=self.seed, group=[len(labels)]
        )

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self._model.predict(features), np.float64), np.zeros(len(features))
