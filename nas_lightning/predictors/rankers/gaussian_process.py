"""Gaussian process with a squared-exponential kernel.

Rasmussen, Williams, "Gaussian Processes for Machine Learning" (2006), algorithm 2.1 and section 5.4.1. Length scale and
noise come from a grid, the amplitude in closed form, by the marginal likelihood: nine Cholesky factorisations of a
hundred labels take milliseconds, where a gradient search over the same would take most of a second.
"""

from __future__ import annotations

import numpy as np

from nas_lightning.predictors.ranker import Ranker, emphasise_top


class GaussianProcess(Ranker):
    """The posterior of a function of the features, given labels on the scale of `emphasise_top`.

    length_scales: grid, in units of the root mean square distance of the training rows.
    noises: grid, variance of the noise as a share of the kernel's amplitude.
    """

    has_deviation = True

    def __init__(
        self,
        *,
        seed: int = 0,
        length_scales: tuple[float, ...] = (0.3, 0.6, 1.2),
        noises: tuple[float, ...] = (0.01, 0.05, 0.2),
    ):
        super().__init__(seed=seed)
        self.length_scales, self.noises = length_scales, noises

    def _fit(self, features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        from scipy.linalg import solve_triangular

        targets = emphasise_top(labels)
        self._centre = features.mean(axis=0)
        self._rows = features - self._centre
        squared = _squared_distances(self._rows, self._rows)
        unit = float(np.sqrt(squared.mean())) or 1.0
        best, kept = -np.inf, np.eye(len(targets))
        for length in (scale * unit for scale in self.length_scales):
            kernel = np.exp(-squared / (2 * length**2))
            for noise in self.noises:
                factor = np.linalg.cholesky(kernel + np.diag(noise / weights))
                white = solve_triangular(factor, targets, lower=True)
                amplitude = float(white @ white) / len(targets)
                likelihood = -0.5 * len(targets) * np.log(amplitude) - np.log(np.diag(factor)).sum()
                if likelihood > best:
                    best, self._length, self._amplitude = likelihood, length, amplitude
                    kept, self._white = factor, white
        self._inverse = solve_triangular(kept, np.eye(len(targets)), lower=True)

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        squared = _squared_distances(self._rows, np.asarray(features, np.float64) - self._centre)  # [n, m]
        kernel = np.exp(squared / (-2 * self._length**2))
        explained = self._inverse @ kernel  # [n, m]
        variance = np.maximum(1 - np.einsum("nm,nm->m", explained, explained), 1e-9)
        return explained.T @ self._white, np.sqrt(self._amplitude * variance)


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Between rows, float64 [len(a), len(b)]."""
    return np.maximum((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T, 0)
