"""Successive halving.

Jamieson, Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS 2016, figure 3;
with a factor eta instead of 2 as in Li et al., "Hyperband", JMLR 18 (2018), section 3.
"""

from __future__ import annotations

import numpy as np

from nas_lightning.search.bracket import BracketSearch, halving_sizes
from nas_lightning.search.trial import Fidelities, SearchError
from nas_lightning.spaces.base import Space


class SuccessiveHalving(BracketSearch):
    """Start many at the lowest rung; the best 1/eta of each rung go on to a fidelity eta times higher.

    configurations: architectures that a bracket starts with; null takes eta to the number of promotions, which leaves
    one at the top.
    eta: the factor between rungs.
    """

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        configurations: int | None = None,
        eta: int = 3,
    ):
        super().__init__(space, rng, fidelities)
        self.rungs = fidelities.rungs(eta)
        n = eta ** (len(self.rungs) - 1) if configurations is None else configurations
        if n < 1:
            raise SearchError(f"successive_halving needs at least one configuration, got {configurations}")
        self.sizes = halving_sizes(n, eta, len(self.rungs))

    def plan_bracket(self, number: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return self.sizes, self.rungs
