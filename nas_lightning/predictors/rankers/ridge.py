"""Linear regression with a Gaussian prior on the weights (scikit-learn's BayesianRidge).

MacKay, "Bayesian Interpolation", Neural Computation 4 (1992): prior and noise by the marginal likelihood.
"""

from __future__ import annotations

import numpy as np

from nas_lightning.predictors.ranker import Ranker, ranks, standardised


class Ridge(Ranker):
    """A weighted sum of the features, fitted to ranks; the posterior of the weights gives the deviation."""

    has_deviation = True

    def _fit(self, features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        from sklearn.linear_model import BayesianRidge

        self._model = BayesianRidge().fit(features, standardised(ranks(labels)), weights)

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._model.predict(features, return_std=True)
