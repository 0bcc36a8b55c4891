"""Adaptive stochastic natural gradient (ASNG): a distribution of operations per gene.

Akimoto et al., "Adaptive Stochastic Natural Gradient Method for One-Shot Neural Architecture Search", ICML 2019
(arXiv 1905.08537), algorithm 1; constants as in its released code. An operation distribution for the whole cell instead
(ANASOD, Wan et al., arXiv 2111.04670) cannot tell where an operation stands; see `anasod`.
"""

from __future__ import annotations

import math

import numpy as np

from nas_lightning.search.algorithm import Algorithm, decode
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import Space


class ASNG(Algorithm):
    """Draw `samples` genomes, move the probabilities of their genes along the natural gradient towards the better ones,
    by a step that grows while the steps agree.

    samples: genomes a step, two at least.
    alpha: threshold of the trust region. initial_step: its size at the start.
    Genomes that are no valid architecture are drawn again.
    """

    max_tries = 10_000

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        samples: int = 2,
        alpha: float = 1.5,
        initial_step: float = 1.0,
    ):
        super().__init__(space, rng, fidelities)
        if samples < 2 or alpha <= 0 or initial_step <= 0:
            raise SearchError("asng needs samples >= 2, alpha > 0 and initial_step > 0")
        cards = np.asarray(space.cardinalities)
        self.samples, self.alpha, self.initial_step = samples, alpha, initial_step
        self._exists = np.arange(cards.max()) < cards[:, None]  # [genes, choices]
        self.theta = self._exists / cards[:, None]
        self._floor = np.where(cards > 1, 1 / (len(cards) * np.maximum(cards - 1, 1)), 1.0)
        self._parameters = int((cards - 1).sum())
        self._delta, self._gamma = initial_step, 0.0
        self._direction = np.zeros(self._exists.shape)
        self._asked = 0
        self._told: list[tuple[float, tuple[int, ...]]] = []

    def ask(self) -> Trial | None:
        if self._asked == self.samples:
            return None
        cumulative = self.theta.cumsum(axis=1)
        cumulative[:, -1] = 1.0
        for _ in range(self.max_tries):
            genome = (self.rng.random(len(cumulative))[:, None] >= cumulative).sum(axis=1)
            architecture = decode(self.space, genome)
            if architecture is not None:
                self._asked += 1
                return Trial(architecture, self.fidelities.full, 0, tuple(genome.tolist()))
        raise SearchError(f"asng has drawn no valid {self.space.name} architecture in {self.max_tries} draws")

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        self._told.append((measurement.value, trial.tag))
        if len(self._told) == self.samples:
            self._step()
            self._told, self._asked = [], 0

    def _step(self) -> None:
        """One natural-gradient step with utilities ±1 for the best and worst quarter."""
        ordered = sorted(self._told, key=lambda entry: -entry[0])
        if ordered[0][0] == ordered[-1][0]:
            return
        quarter = math.ceil(self.samples / 4)
        gradient = np.zeros(self.theta.shape)
        for sign, entries in ((1, ordered[:quarter]), (-1, ordered[-quarter:])):
            for _, genome in entries:
                chosen = np.arange(self.theta.shape[1]) == np.array(genome)[:, None]
                gradient += sign * (chosen - self.theta) * self._exists / quarter
        # Under the Fisher metric of categorical variables the norm of a direction d is sqrt(sum d^2 / theta).
        safe = np.where(self.theta > 0, self.theta, 1.0)
        norm = math.sqrt(float((gradient**2 / safe).sum()))
        if norm == 0:
            return
        step = self._delta / norm
        self.theta = self._bounded(self.theta + step * gradient)
        beta = self._delta / math.sqrt(self._parameters)
        self._direction = (1 - beta) * self._direction + math.sqrt(beta * (2 - beta)) * gradient / (
            np.sqrt(safe) * norm
        )
        self._gamma = (1 - beta) ** 2 * self._gamma + beta * (2 - beta)
        growth = beta * (self._gamma - float((self._direction**2).sum()) / self.alpha)
        self._delta = min(self._delta * math.exp(-growth), self.initial_step * math.sqrt(self._parameters))

    def _bounded(self, theta: np.ndarray) -> np.ndarray:
        """No probability below the floor 1 / (genes (choices - 1)); every gene sums to 1."""
        theta = np.where(self._exists, np.maximum(theta, self._floor[:, None]), 0.0)
        slack = np.where(self._exists, theta - self._floor[:, None], 0.0)
        excess = theta.sum(axis=1) - 1
        share = slack / np.maximum(slack.sum(axis=1), 1e-300)[:, None]
        return theta - excess[:, None] * share
