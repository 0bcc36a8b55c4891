"""REINFORCE with a categorical policy.

Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement learning", Machine Learning
8 (1992); as a search on NAS-Bench-201 (one softmax per edge, Adam, moving-average baseline): Dong, Yang,
arXiv 2001.00326, section 4; Ying et al., "NAS-Bench-101", appendix S3.
"""

from __future__ import annotations

import numpy as np

from nas_lightning.search.algorithm import Algorithm, decode
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import Space


class Reinforce(Algorithm):
    """Sample every gene from its own softmax; raise the probability of what did better than the moving average.

    learning_rate: of Adam on the logits.
    baseline_momentum: of the moving average of the rewards, corrected for its start at zero.
    Genomes that are no valid architecture are drawn again; the gradient does not account for the rejection.
    """

    max_tries = 10_000

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        learning_rate: float = 0.01,
        baseline_momentum: float = 0.9,
    ):
        super().__init__(space, rng, fidelities)
        if learning_rate <= 0 or not 0 <= baseline_momentum < 1:
            raise SearchError("reinforce needs learning_rate > 0 and 0 <= baseline_momentum < 1")
        self.learning_rate, self.momentum = learning_rate, baseline_momentum
        cards = np.asarray(space.cardinalities)
        self._exists = np.arange(cards.max()) < cards[:, None]  # [genes, choices]; genes may have fewer choices
        self.logits = np.where(self._exists, 1e-3 * rng.standard_normal(self._exists.shape), -np.inf)
        self._first, self._second = np.zeros(self._exists.shape), np.zeros(self._exists.shape)  # Adam's moments
        self._steps, self._numerator, self._denominator = 0, 0.0, 0.0

    @property
    def policy(self) -> np.ndarray:
        """Probability of each choice, float64 [genes, choices]."""
        weights = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    def ask(self) -> Trial:
        cumulative = self.policy.cumsum(axis=1)
        cumulative[:, -1] = 1.0  # rounding must not leave a gap above the last choice
        for _ in range(self.max_tries):
            genome = (self.rng.random(len(cumulative))[:, None] >= cumulative).sum(axis=1)
            architecture = decode(self.space, genome)
            if architecture is not None:
                return Trial(architecture, self.fidelities.full, 0, tuple(genome.tolist()))
        raise SearchError(f"the policy has drawn no valid {self.space.name} architecture in {self.max_tries} draws")

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        if not np.isfinite(measurement.value):  # a failed evaluation has no reward to compare with
            return
        self._numerator = self.momentum * self._numerator + (1 - self.momentum) * measurement.value
        self._denominator = self.momentum * self._denominator + (1 - self.momentum)
        advantage = measurement.value - self._numerator / self._denominator
        gradient = self.policy
        gradient[np.arange(len(gradient)), trial.tag] -= 1.0
        gradient *= advantage  # of -log p(genome) times the advantage
        self._steps += 1
        self._first += 0.1 * (gradient - self._first)
        self._second += 0.001 * (gradient**2 - self._second)
        first = self._first / (1 - 0.9**self._steps)
        second = self._second / (1 - 0.999**self._steps)
        self.logits = self.logits - self.learning_rate * first / (np.sqrt(second) + 1e-8)
