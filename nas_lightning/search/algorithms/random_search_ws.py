"""Random search with weight sharing.

Li, Talwalkar, "Random Search and Reproducibility for NAS", arXiv 1902.07638, section 3: once the shared weights are
trained, many random architectures are scored on a few batches, in sets of 1,000; the best 10 of each set are scored on
the full validation set; the best of those is trained by itself. Several trials are several seeds of this search.
"""

from __future__ import annotations

import numpy as np

from nas_lightning.search.algorithm import Algorithm
from nas_lightning.search.budget import Budget
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import Space


class RandomSearchWeightSharing(Algorithm):
    """Screens sets of random architectures at the lowest fidelity and evaluates the best of each set in full.

    set_size: architectures drawn for one set.
    keep: how many of a set are evaluated in full.
    sets: after so many sets the search ends (the paper's language model search scores 2,000 architectures).
    """

    needs_fidelities = True

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        set_size: int = 1000,
        keep: int = 10,
        sets: int = 2,
    ):
        super().__init__(space, rng, fidelities)
        if not 1 <= keep <= set_size or sets < 1:
            raise SearchError(
                f"random_search_ws needs 1 <= keep <= set_size and sets >= 1, got {keep}, {set_size}, {sets}"
            )
        self.set_size, self.keep, self.sets = set_size, keep, sets
        self._begin_set(0)

    def fit_budget(self, budget: Budget) -> None:
        """Cut a set that the budget does not pay for, and say so: half of one would be screened for nothing."""
        low, full = self.fidelities.levels[0], self.fidelities.full
        if budget.unit != "evaluations" or low == full:
            return
        self.keep = min(self.keep, max(1, int(budget.amount) // 2))
        affordable = max(self.keep, int((budget.amount - self.keep) * full / low))
        if affordable < self.set_size:
            self.notes.append(
                f"a set of {self.set_size} was cut to {affordable}, the best {self.keep} of it evaluated in full: "
                f"what {budget.amount:g} evaluations pay for"
            )
            self.set_size = affordable

    def _begin_set(self, number: int) -> None:
        self._set, self._asked, self._finalists_asked, self._finalists_told = number, 0, 0, 0
        self._screened: list[tuple[float, int, Trial]] = []

    def ask(self) -> Trial | None:
        if self._set == self.sets:
            return None
        if self._asked < self.set_size:
            self._asked += 1
            return Trial(self.space.sample(self.rng), self.fidelities.levels[0], 0, (self._set, 0, self._asked - 1))
        if len(self._screened) < self.set_size or self._finalists_asked == self.keep:
            return None
        if self._finalists_asked == 0:
            self._screened.sort(key=lambda entry: entry[:2])
        best = self._screened[self._finalists_asked][2]
        self._finalists_asked += 1
        return Trial(best.architecture, self.fidelities.full, 0, (self._set, 1, self._finalists_asked - 1))

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        _, stage, slot = trial.tag
        if stage == 0:
            self._screened.append((-measurement.value, slot, trial))
        else:
            self._finalists_told += 1
            if self._finalists_told == self.keep:
                self._begin_set(self._set + 1)
