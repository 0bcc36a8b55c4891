"""Random search with asynchronous successive halving (ASHA).

Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020 (arXiv 1810.05934), algorithm 2;
as early stopping for random architecture search: Li, Talwalkar, arXiv 1902.07638, section 4.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any

import numpy as np

from nas_lightning.search.algorithm import Algorithm
from nas_lightning.search.trial import Fidelities, Measurement, Trial
from nas_lightning.spaces.base import Space


class ASHA(Algorithm):
    """Promote, from the highest rung downwards, whoever is among the best 1/eta of what its rung has told so far and
    was not promoted yet; where nobody is, start a new random architecture at the lowest rung. It never waits.

    eta: the factor between rungs, and the inverse of the share that is promoted.
    """

    needs_fidelities = True

    def __init__(self, space: Space, rng: np.random.Generator, fidelities: Fidelities, *, eta: int = 3):
        super().__init__(space, rng, fidelities)
        self.eta, self.rungs = eta, fidelities.rungs(eta)
        self._told: list[list[tuple[float, int]]] = [[] for _ in self.rungs]  # (-value, configuration), best first
        self._waiting: list[list[tuple[float, int]]] = [[] for _ in self.rungs]  # the same, without the promoted
        self._configurations: list[Any] = []

    def _promotable(self, rung: int) -> int | None:
        """The best configuration of the rung that is not promoted yet, if it is among the best 1/eta."""
        if not self._waiting[rung]:
            return None
        best = self._waiting[rung][0]
        rank = bisect_left(self._told[rung], best)
        return best[1] if rank < int(len(self._told[rung]) / self.eta) else None

    def ask(self) -> Trial:
        for rung in reversed(range(len(self.rungs) - 1)):
            configuration = self._promotable(rung)
            if configuration is not None:
                del self._waiting[rung][0]
                architecture = self._configurations[configuration]
                return Trial(architecture, self.rungs[rung + 1], self.rungs[rung], (configuration, rung + 1))
        architecture = self.space.sample(self.rng)
        self._configurations.append(architecture)
        return Trial(architecture, self.rungs[0], 0, (len(self._configurations) - 1, 0))

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        configuration, rung = trial.tag
        entry = (-measurement.value, configuration)  # equal values: the older configuration first
        insort(self._told[rung], entry)
        insort(self._waiting[rung], entry)
