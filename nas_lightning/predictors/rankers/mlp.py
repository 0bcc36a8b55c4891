"""A small fully connected network of scikit-learn.

White, Neiswanger, Savani, "BANANAS", AAAI 2021 (arXiv 1910.11858), section 4: 10 layers of 20 units, Adam. Its loss is
the mean absolute percentage error, scikit-learn's the squared error, here of standardised labels.
"""

from __future__ import annotations

import warnings

import numpy as np

from nas_lightning.predictors.ranker import Ranker, emphasise_top


class MLP(Ranker):
    """One network; BANANAS takes a committee of five.

    layers, units: hidden layers and their width; epochs: passes over the labels; learning_rate: of Adam.
    """

    minimum = 4

    def __init__(
        self, *, seed: int = 0, layers: int = 10, units: int = 20, epochs: int = 150, learning_rate: float = 0.01
    ):
        super().__init__(seed=seed)
        self.layers, self.units, self.epochs, self.learning_rate = layers, units, epochs, learning_rate

    def _fit(self, features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPRegressor

        self._model = MLPRegressor(
            hidden_layer_sizes=(self.units,) * self.layers,
            batch_size=min(32, len(labels)),
            learning_rate_init=self.learning_rate,
            max_iter=self.epochs,
            n_iter_no_change=self.epochs,
            random_state=self.seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is a setting
            self._model.fit(features, emphasise_top(labels), weights)

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._model.predict(features), np.zeros(len(features))
