"""Kernel density on categorical genomes.

Aitchison, Aitken, "Multivariate binary discrimination by the kernel method", Biometrika 63 (1976): along one gene with
c choices a kernel keeps the choice of its centre with probability 1 - h and spreads h evenly over the c - 1 others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class CategoricalDensity:
    """A product kernel around every genome of `data`, int [n, genes], each gene with its own bandwidth.

    The bandwidth follows the normal reference rule ``1.06 sigma n^(-1 / (4 + d))``, where sigma is the standard
    deviation of the gene's one-hot code (``sqrt(1 - sum_k p_k^2)``), which no renaming of the choices changes. It is
    kept between `min_bandwidth` and ``(c - 1) / c``, where the kernel is uniform.
    """

    def __init__(self, data: np.ndarray, cardinalities: Sequence[int], min_bandwidth: float = 1e-3):
        self.data = np.asarray(data, np.int64)
        self.cardinalities = np.asarray(cardinalities, np.int64)
        n, d = self.data.shape
        shares = [np.bincount(self.data[:, j], minlength=c) / n for j, c in enumerate(self.cardinalities)]
        sigma = np.sqrt([max(0.0, 1 - float(p @ p)) for p in shares])
        most = (self.cardinalities - 1) / self.cardinalities
        self.bandwidth = np.minimum(np.maximum(1.06 * sigma * n ** (-1 / (4 + d)), min_bandwidth), most)  # [genes]
        self._log_same = np.log1p(-self.bandwidth)
        with np.errstate(divide="ignore"):  # a gene with one choice: bandwidth 0, nothing ever differs
            self._log_other = np.log(self.bandwidth / np.maximum(self.cardinalities - 1, 1))

    def log_density(self, genomes: np.ndarray) -> np.ndarray:
        """Log probability of each genome, int [m, genes] -> float64 [m]."""
        same = genomes[:, None, :] == self.data[None, :, :]  # [m, n, genes]
        terms = np.where(same, self._log_same, self._log_other).sum(axis=2)  # [m, n]
        top = terms.max(axis=1, keepdims=True)
        return top[:, 0] + np.log(np.exp(terms - top).mean(axis=1))

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw genomes, int64 [n, genes]: the centre of a random kernel, each gene redrawn with its bandwidth."""
        centres = self.data[rng.integers(len(self.data), size=n)]
        shift = 1 + (rng.random(centres.shape) * np.maximum(self.cardinalities - 1, 1)).astype(np.int64)
        other = (centres + shift) % self.cardinalities
        return np.where(rng.random(centres.shape) < self.bandwidth, other, centres)
