"""Regularised (aging) evolution.

Real, Aggarwal, Huang, Le, "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019
(arXiv 1802.01548), algorithm 1.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from nas_lightning.search.algorithm import Algorithm
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import Space


class RegularizedEvolution(Algorithm):
    """Mutate the best of a random sample of the population; the oldest dies, however good it is.

    population: how many live at a time.
    sample: tournament size, drawn with replacement.
    """

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        population: int = 10,
        sample: int = 3,
    ):
        super().__init__(space, rng, fidelities)
        if population < 1 or sample < 1:
            raise SearchError(
                f"regularized_evolution needs population >= 1 and sample >= 1, got {population}, {sample}"
            )
        self.sample, self._asked, self._size = sample, 0, population
        self._population: deque[tuple[float, Any]] = deque(maxlen=population)  # the oldest drops out on the left

    def ask(self) -> Trial:
        self._asked += 1
        # With several trials in flight the first children may be due before anyone has come back.
        if self._asked <= self._size or not self._population:
            return Trial(self.space.sample(self.rng), self.fidelities.full)
        members = self._population
        chosen = [members[i] for i in self.rng.integers(len(members), size=self.sample).tolist()]
        parent = max(chosen, key=lambda member: member[0])
        return Trial(self.space.mutate(parent[1], self.rng), self.fidelities.full)

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        self._population.append((measurement.value, trial.architecture))

    def learn(self, trial: Trial, measurement: Measurement) -> None:
        """A given architecture is a member of the first population."""
        self._asked += 1
        self.tell(trial, measurement)
