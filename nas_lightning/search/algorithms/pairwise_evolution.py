"""Large-scale evolution's pairwise tournament.

Real et al., "Large-Scale Evolution of Image Classifiers", ICML 2017 (arXiv 1703.01041), section 3.1: two random
individuals are compared, the worse dies, a mutant of the better takes its place. Its eleven mutations grow networks
and inherit weights; on a fixed space only the tournament carries over.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nas_lightning.search.algorithm import Algorithm
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import Space


class PairwiseEvolution(Algorithm):
    """The worse of a random pair is killed, a mutation of the better one is measured.

    population: how many live at a time (1,000 in the paper, for 25,600 and more trainings).
    """

    def __init__(self, space: Space, rng: np.random.Generator, fidelities: Fidelities, *, population: int = 20):
        super().__init__(space, rng, fidelities)
        if population < 2:
            raise SearchError(f"pairwise_evolution needs population >= 2, got {population}")
        self._size, self._asked = population, 0
        self._living: list[tuple[float, Any]] = []

    def ask(self) -> Trial:
        self._asked += 1
        if self._asked <= self._size or len(self._living) < 2:
            return Trial(self.space.sample(self.rng), self.fidelities.full)
        i, j = self.rng.choice(len(self._living), 2, replace=False).tolist()
        worse, better = (i, j) if self._living[i][0] < self._living[j][0] else (j, i)
        parent = self._living[better][1]
        del self._living[worse]
        return Trial(self.space.mutate(parent, self.rng), self.fidelities.full)

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        self._living.append((measurement.value, trial.architecture))
