"""Learning curves: a surrogate that gives every architecture one.

Yan, White, Savani, Hutter, "NAS-Bench-x11 and the Power of Learning Curves", NeurIPS 2021, arXiv 2111.03602, sections 3
and 5: curves are compressed by a singular value decomposition, its coefficients are predicted by boosted trees, and
noise is drawn like the residuals. Extrapolation from the first epochs: `nas_lightning.predictors.extrapolation`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.ensemble import GradientBoostingRegressor

from nas_lightning.errors import UserError


def energy(curves: np.ndarray, rank: int) -> np.ndarray:
    """Share of the squared curves [n, epochs] that their first 1, 2, … `rank` singular vectors hold, float64 [rank]."""
    singular = np.linalg.svd(np.asarray(curves, np.float64), compute_uv=False) ** 2
    return np.cumsum(singular)[:rank] / singular.sum()


def compressed(curves: np.ndarray, rank: int) -> np.ndarray:
    """The best approximation of this rank, float64 [n, epochs]; the curves are not centred."""
    left, singular, right = np.linalg.svd(np.asarray(curves, np.float64), full_matrices=False)
    return (left[:, :rank] * singular[:rank]) @ right[:rank]


@dataclass(eq=False)
class CurveSurrogate:
    """Curves from features: `fit` once, then `predict` (the expected curve) and `sample` (with noise).

    rank: singular vectors that are kept. rounds, depth, learning_rate: of the boosted trees, one model a vector.
    """

    rank: int = 6
    rounds: int = 200
    depth: int = 3
    learning_rate: float = 0.05
    seed: int = 0
    _trees: list[Any] = field(default_factory=list, repr=False)
    _basis: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)), repr=False)
    _residuals: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)), repr=False)

    def fit(self, features: np.ndarray, curves: np.ndarray) -> CurveSurrogate:
        """Learn from features float [n, d] and finite curves float [n, epochs]. Raises UserError for other input."""
        curves = np.asarray(curves, np.float64)
        if curves.ndim != 2 or len(curves) != len(features) or not np.isfinite(curves).all():
            raise UserError("a curve surrogate needs one whole, finite curve for every row of features")
        if not 1 <= self.rank <= min(curves.shape):
            raise UserError(f"rank={self.rank} does not fit {curves.shape[0]} curves of {curves.shape[1]} epochs")
        left, singular, right = np.linalg.svd(curves, full_matrices=False)
        self._basis = singular[: self.rank, None] * right[: self.rank]
        self._trees = [
            GradientBoostingRegressor(
                n_estimators=self.rounds,
                max_depth=self.depth,
                learning_rate=self.learning_rate,
                subsample=0.8,
                random_state=self.seed,
            ).fit(features, left[:, i])
            for i in range(self.rank)
        ]
        self._residuals = curves - left[:, : self.rank] @ self._basis
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Expected curves, float64 [n, epochs]."""
        return np.stack([tree.predict(features) for tree in self._trees], axis=1) @ self._basis

    def sample(self, features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Curves with noise, float64 [n, epochs]: residuals of training curves, smoothed by a Gaussian kernel (Scott's
        bandwidth), clipped at three deviations of their epoch and halved, as in the paper's code."""
        n, deviation = len(features), self._residuals.std(axis=0)
        width = len(self._residuals) ** (-1 / (self._residuals.shape[1] + 4))
        drawn = self._residuals[rng.integers(len(self._residuals), size=n)]
        noise = drawn + width * deviation * rng.standard_normal(drawn.shape)
        return self.predict(features) + np.clip(noise, -3 * deviation, 3 * deviation) / 2
