"""BOHB: Hyperband whose first rungs are drawn from a model instead of at random.

Falkner, Klein, Hutter, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", ICML 2018, algorithm 2 and
section 3.2, with the settings and the sizes of brackets of the authors' HpBandSter. Genes that the space calls ordered
have normal kernels, the others Aitchison-Aitken kernels (kernel_density.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nas_lightning.search.algorithm import decode
from nas_lightning.search.algorithms.hyperband import Hyperband
from nas_lightning.search.bracket import halving_sizes
from nas_lightning.search.kernel_density import GenomeDensity
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import Space


class BOHB(Hyperband):
    """Fit one density l to the best genomes of the highest fidelity that has told enough of them, another density g to
    the rest; draw candidates from l and take the one with the largest l / g.

    eta: the factor between rungs.
    random_fraction: share of the draws that stay random.
    candidates: how many are drawn from l for one proposal.
    good_share: share of the observations that counts as good.
    min_bandwidth: smallest bandwidth of a kernel.
    bandwidth_factor: by which ordered genes are drawn more widely than the density is.
    min_points: observations that each density needs; null takes the number of genes plus one.
    """

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        eta: int = 3,
        random_fraction: float = 1 / 3,
        candidates: int = 64,
        good_share: float = 0.15,
        min_bandwidth: float = 0.001,
        bandwidth_factor: float = 3.0,
        min_points: int | None = None,
    ):
        super().__init__(space, rng, fidelities, eta=eta)
        if not 0 <= random_fraction <= 1 or not 0 < good_share < 1 or candidates < 1:
            raise SearchError("bohb needs random_fraction in [0, 1], good_share between 0 and 1, and candidates >= 1")
        if not min_bandwidth > 0 or not bandwidth_factor > 0:
            raise SearchError("bohb needs min_bandwidth and bandwidth_factor above 0")
        if min_points is not None and min_points < 1:
            raise SearchError(f"bohb needs at least one point for a density, got min_points={min_points}")
        self.random_fraction, self.candidates, self.good_share = random_fraction, candidates, good_share
        self.min_bandwidth, self.bandwidth_factor = min_bandwidth, bandwidth_factor
        self._ordered = getattr(space, "ordered_genes", None)
        self.min_points = len(space.cardinalities) + 1 if min_points is None else min_points
        self._genomes: dict[int, list[np.ndarray]] = {}  # by fidelity
        self._values: dict[int, list[float]] = {}
        self._model: tuple[GenomeDensity, GenomeDensity] | None = None

    def plan_bracket(self, number: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """As HpBandSter: ``floor((s_max + 1) / (s + 1)) eta^s`` configurations start, 27, 9, 6, 4 with four rungs."""
        s_max = len(self.rungs) - 1
        s = s_max - number % (s_max + 1)
        start = int((s_max + 1) / (s + 1)) * self.eta**s
        return halving_sizes(start, self.eta, s + 1), self.rungs[s_max - s :]

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        super().tell(trial, measurement)
        self._genomes.setdefault(trial.fidelity, []).append(self.space.encode(trial.architecture))
        self._values.setdefault(trial.fidelity, []).append(measurement.value)
        self._model = None

    def _fit(self) -> tuple[GenomeDensity, GenomeDensity] | None:
        if self._model is None:
            enough = [level for level, values in self._values.items() if len(values) >= self.min_points + 2]
            if not enough:
                return None
            level = max(enough)
            order = np.argsort(-np.asarray(self._values[level]), kind="stable")
            genomes = np.stack(self._genomes[level])[order]
            n_good = max(self.min_points, int(self.good_share * len(genomes)))
            n_bad = max(self.min_points, len(genomes) - n_good)
            cards = self.space.cardinalities
            self._model = (
                GenomeDensity(genomes[:n_good], cards, self.min_bandwidth, self._ordered),
                GenomeDensity(genomes[-n_bad:], cards, self.min_bandwidth, self._ordered),
            )
        return self._model

    def draw(self) -> Any:
        model = self._fit()
        if model is None or self.rng.random() < self.random_fraction:
            return self.space.sample(self.rng)
        good, bad = model
        genomes = good.sample(self.candidates, self.rng, self.bandwidth_factor)
        score = good.log_density(genomes) - bad.log_density(genomes)
        for i in np.argsort(-score, kind="stable"):
            architecture = decode(self.space, genomes[i])
            if architecture is not None:
                return architecture
        return self.space.sample(self.rng)  # no candidate is a valid cell (NAS-Bench-101): draw as if without a model
