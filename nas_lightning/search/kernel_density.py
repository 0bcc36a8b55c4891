"""Kernel density on genomes, as BOHB uses it.

Genes without an order: Aitchison, Aitken, "Multivariate binary discrimination by the kernel method", Biometrika 63
(1976): a kernel keeps the choice of its centre with probability 1 - h and spreads h evenly over the c - 1 others.
Ordered genes: choice i of c lies at (i + 1/2) / c on the unit interval, and the kernel is a normal density there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class GenomeDensity:
    """A product kernel around every genome of `data`, int [n, genes], each gene with its own bandwidth.

    The bandwidth follows the normal reference rule ``1.06 sigma n^(-1 / (4 + d))``. Of an ordered gene sigma is the
    standard deviation on the unit interval; of another it is ``sqrt((1 - sum_k p_k^2) / 2)``, which no renaming of the
    choices changes and which is the deviation of the codes 0 and 1 where there are two choices. It is `min_bandwidth`
    at least, of ordered genes also half the distance of two choices, for a narrower kernel never leaves its own choice;
    of unordered genes it is ``(c - 1) / c`` at most, where the kernel is uniform.

    ordered: which genes have an order, bool [genes]; none by default.
    """

    def __init__(
        self,
        data: np.ndarray,
        cardinalities: Sequence[int],
        min_bandwidth: float = 1e-3,
        ordered: Sequence[bool] | None = None,
    ):
        self.data = np.asarray(data, np.int64)
        self.cardinalities = np.asarray(cardinalities, np.int64)
        n, d = self.data.shape
        self._ordered = np.zeros(d, bool) if ordered is None else np.asarray(ordered, bool)
        self._words, self._numbers = np.flatnonzero(~self._ordered), np.flatnonzero(self._ordered)
        self._centres = self._position(self.data)
        sigma = self._centres.std(axis=0)
        for j in self._words:
            shares = np.bincount(self.data[:, j], minlength=self.cardinalities[j]) / n
            sigma[j] = np.sqrt(max(0.0, 1 - float(shares @ shares)) / 2)
        most = np.where(self._ordered, np.inf, (self.cardinalities - 1) / self.cardinalities)
        least = np.maximum(min_bandwidth, np.where(self._ordered, 0.5 / self.cardinalities, 0))
        self.bandwidth = np.minimum(np.maximum(1.06 * sigma * n ** (-1 / (4 + d)), least), most)  # [genes]
        own = self.bandwidth[self._words]
        self._log_same = np.log1p(-own)
        with np.errstate(divide="ignore"):  # a gene with one choice: bandwidth 0, nothing ever differs
            self._log_other = np.log(own / np.maximum(self.cardinalities[self._words] - 1, 1))

    def _position(self, genomes: np.ndarray) -> np.ndarray:
        """Where choices lie on the unit interval, float64, for ordered genes."""
        return (genomes + 0.5) / self.cardinalities

    def log_density(self, genomes: np.ndarray) -> np.ndarray:
        """Log density of each genome, int [m, genes] -> float64 [m]."""
        terms = np.zeros((len(genomes), len(self.data)))  # [m, n]
        for same, other, j in zip(self._log_same, self._log_other, self._words, strict=True):
            terms += np.where(genomes[:, j, None] == self.data[None, :, j], same, other)
        place = self._position(genomes)
        for j in self._numbers:
            apart = (place[:, j, None] - self._centres[None, :, j]) / self.bandwidth[j]
            terms -= apart**2 / 2 + np.log(self.bandwidth[j])
        top = terms.max(axis=1, keepdims=True)
        return top[:, 0] + np.log(np.exp(terms - top).mean(axis=1))

    def sample(self, n: int, rng: np.random.Generator, widen: float = 1.0) -> np.ndarray:
        """Draw genomes, int64 [n, genes]: the centre of a random kernel, each gene redrawn with its bandwidth, which
        `widen` multiplies for ordered genes; those are truncated to the unit interval."""
        rows = rng.integers(len(self.data), size=n)
        out = self.data[rows]
        words = self._words
        if len(words):
            cards = self.cardinalities[words]
            shift = 1 + (rng.random((n, len(words))) * np.maximum(cards - 1, 1)).astype(np.int64)
            redrawn = rng.random((n, len(words))) < self.bandwidth[words]
            out[:, words] = np.where(redrawn, (out[:, words] + shift) % cards, out[:, words])
        for j in self._numbers:
            width, centres = widen * self.bandwidth[j], self._centres[rows, j]
            drawn = centres + width * rng.standard_normal(n)
            while (outside := (drawn < 0) | (drawn >= 1)).any():
                drawn[outside] = centres[outside] + width * rng.standard_normal(int(outside.sum()))
            out[:, j] = (drawn * self.cardinalities[j]).astype(np.int64)
        return out
