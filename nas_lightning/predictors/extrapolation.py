"""Extrapolation of learning curves from their first epochs.

A support vector regression on the first values and their differences (Baker, Gupta, Raskar, Naik, "Accelerating Neural
Architecture Search using Performance Prediction", arXiv 1705.10823), or parametric families (Domhan, Springenberg,
Hutter, "Speeding up Automatic Hyperparameter Optimization of Deep Neural Networks by Extrapolation of Learning Curves",
IJCAI 2015) by SciPy's least squares.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.stats import loguniform, uniform
from sklearn.model_selection import KFold, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import NuSVR


@dataclass(frozen=True)
class SVR:
    """A fitted regression of standardised last values."""

    model: Any
    centre: float
    scale: float

    def predict(self, curves: np.ndarray) -> np.ndarray:
        """Last values of curves [n, k], float64 [n].

        Args:
            curves: [n, k], one value an epoch.

        Returns:
            float64 [n], in the unit of the curves.
        """
        return np.asarray(self.model.predict(curve_features(curves)) * self.scale + self.centre)


def curve_features(curves: np.ndarray) -> np.ndarray:
    """What the regression sees of curves [n, k]: values, first and second differences, mean and deviation.

    Args:
        curves: [n, k], one value an epoch.

    Returns:
        float64 [n, d].
    """
    return np.column_stack([curves, np.diff(curves), np.diff(curves, n=2), curves.mean(axis=1), curves.std(axis=1)])


def fitted_svr(curves: np.ndarray, last: np.ndarray, seed: int = 0, settings: int = 30) -> SVR:
    """A ν-SVR from curves [n, k] to their last values [n]; of random settings the best in three-fold validation.

    Args:
        curves: [n, k], one value an epoch.
        last: value at the last epoch, [n].
        seed: of all draws.
        settings: how many random settings are compared.

    Returns:
        The regression.
    """
    centre, scale = float(last.mean()), float(last.std()) or 1.0
    space = {
        "nusvr__C": loguniform(1e-3, 1e2),
        "nusvr__nu": uniform(0.05, 0.9),
        "nusvr__gamma": loguniform(1e-5, 1e1),
    }
    model = RandomizedSearchCV(
        make_pipeline(StandardScaler(), NuSVR()), space, n_iter=settings, cv=3, random_state=seed
    )
    return SVR(model.fit(curve_features(curves), (last - centre) / scale), centre, scale)


def svr_extrapolation(curves: np.ndarray, epochs: int, seed: int = 0, settings: int = 30, folds: int = 5) -> np.ndarray:
    """The last value of every curve [n, total] by a ν-SVR from its first `epochs`, each from folds without it.

    `settings` random settings are compared by cross-validation within the training folds.

    Args:
        curves: whole ones, [n, total].
        epochs: how many are looked at.
        seed: of all draws.
        settings: how many random settings are compared.
        folds: of which one is predicted by the others.

    Returns:
        float64 [n].
    """
    seen, last, out = curves[:, :epochs], curves[:, -1], np.empty(len(curves))
    for number, (train, test) in enumerate(KFold(folds, shuffle=True, random_state=seed).split(seen)):
        out[test] = fitted_svr(seen[train], last[train], seed + number, settings).predict(seen[test])
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

    Args:
        curve: [k], one value an epoch.
        total: the epoch that is asked for, k or later.

    Returns:
        A value in the unit of the curve.
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
