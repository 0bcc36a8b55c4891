"""Random forest of scikit-learn.

Breiman, "Random Forests", Machine Learning 45 (2001).
"""

from __future__ import annotations

import numpy as np

from nas_lightning.predictors.ranker import Ranker, ranks


class RandomForest(Ranker):
    """Averages of trees on rank labels; the spread of the trees is the deviation.

    trees: how many.
    """

    has_deviation = True

    def __init__(self, *, seed: int = 0, trees: int = 100):
        super().__init__(seed=seed)
        self.trees = trees

    def _fit(self, features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        from sklearn.ensemble import RandomForestRegressor

        self._forest = RandomForestRegressor(self.trees, random_state=self.seed)
        self._forest.fit(features, ranks(labels), weights)

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = np.ascontiguousarray(features, np.float32)
        found = np.stack([tree.tree_.predict(rows)[:, 0] for tree in self._forest.estimators_])
        return found.mean(axis=0), found.std(axis=0)
