"""Learning curves: a surrogate that gives every architecture one, and extrapolation from the first epochs.

Yan, White, Savani, Hutter, "NAS-Bench-x11 and the Power of Learning Curves", NeurIPS 2021, arXiv 2111.03602, sections 3
and 5: curves are compressed by a singular value decomposition, its coefficients are predicted by boosted trees, and
noise is drawn like the residuals. Extrapolation: a support vector regression on the first epochs and their differences
(Baker et al., arXiv 1705.10823), or parametric families (Domhan et al., IJCAI 2015) by SciPy's least squares.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.stats import loguniform, uniform
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.model_selection import KFold, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import NuSVR


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
        """Learn from features float [n, d] and finite curves float [n, epochs]. Raises ValueError for other input."""
        curves = np.asarray(curves, np.float64)
        if curves.ndim != 2 or len(curves) != len(features) or not np.isfinite(curves).all():
            raise ValueError("a curve surrogate needs one whole, finite curve for every row of features")
        if not 1 <= self.rank <= min(curves.shape):
            raise ValueError(f"rank={self.rank} does not fit {curves.shape[0]} curves of {curves.shape[1]} epochs")
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


def curve_features(curves: np.ndarray) -> np.ndarray:
    """What the regression sees of curves [n, k]: values, first and second differences, mean and deviation."""
    return np.column_stack([curves, np.diff(curves), np.diff(curves, n=2), curves.mean(axis=1), curves.std(axis=1)])


def svr_extrapolation(curves: np.ndarray, epochs: int, seed: int = 0, settings: int = 30, folds: int = 5) -> np.ndarray:
    """The last value of every curve [n, total] by a ν-SVR from its first `epochs`, each from folds without it.

    `settings` random settings are compared by cross-validation within the training folds.
    """
    features, last = curve_features(curves[:, :epochs]), curves[:, -1]
    out = np.empty(len(curves))
    space = {
        "nusvr__C": loguniform(1e-3, 1e2),
        "nusvr__nu": uniform(0.05, 0.9),
        "nusvr__gamma": loguniform(1e-5, 1e1),
    }
    centre, scale = last.mean(), last.std() or 1.0
    for number, (train, test) in enumerate(KFold(folds, shuffle=True, random_state=seed).split(features)):
        model = RandomizedSearchCV(
            make_pipeline(StandardScaler(), NuSVR()), space, n_iter=settings, cv=3, random_state=seed + number
        )
        model.fit(features[train], (last[train] - centre) / scale)
        out[test] = model.predict(features[test]) * scale + centre
    return out


_FAMILIES: dict[str, tuple[Callable[..., np.ndarray], int]] = {
    "pow3": (lambda x, c, a, b: c - a * x ** (-np.abs(b)), 3),
    "log_power": (lambda x, a, b, c: a / (1 + (x / np.exp(b)) ** c), 3),
    "exp3": (lambda x, c, a, b: c - np.exp(-np.abs(a) * x + b), 3),
    "ilog2": (lambda x, c, a: c - a / np.log(x + 1), 2),
    "janoschek": (lambda x, c, a, b: c - a * np.exp(-np.abs(b) * x), 3),
}


def parametric_extrapolation(curve: np.ndarray, total: int) -> float:
    """The value at epoch `total`: mean of the families fitted to `curve` [k], weighted by one over their squared error.

    A curve that is already whole gives its own last point; where no family fits, the last point stands in.
    """
    k = len(curve)
    if k >= total:
        return float(curve[total - 1])
    x, found = np.arange(1, k + 1, dtype=np.float64), []
    low, high = curve.min() - np.ptp(curve) - 1e-9, curve.max() + np.ptp(curve) + 1e-9
    for family, parameters in _FAMILIES.values():
        start = [curve[-1], np.ptp(curve) + 1e-6, 0.5][:parameters]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", OptimizeWarning)
            try:
                fitted, _ = curve_fit(family, x, curve, p0=start, maxfev=2000)
            except RuntimeError:
                continue
            value = float(family(np.float64(total), *fitted))
            error = float(np.mean((family(x, *fitted) - curve) ** 2))
        if np.isfinite(value) and low <= value <= high:
            found.append((value, 1 / (error + 1e-12)))
    if not found:
        return float(curve[-1])
    values, weights = np.array(found).T
    return float(values @ weights / weights.sum())
