"""Hyperband.

Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter
Optimization", JMLR 18 (2018), algorithm 1 and table 1.
"""

from __future__ import annotations

import math

import numpy as np

from nas_lightning.search.bracket import BracketSearch, halving_sizes
from nas_lightning.search.trial import Fidelities
from nas_lightning.spaces.base import Space


def hyperband_bracket(s: int, s_max: int, eta: float) -> tuple[int, ...]:
    """Sizes of the rungs of bracket s, which skips the lowest s_max - s rungs.

    Args:
        s: number of the bracket, s_max for the one with most rungs.
        s_max: number of rungs less one.
        eta: factor between rungs.

    Returns:
        Trials a rung, the lowest fidelity first.

    >>> [hyperband_bracket(s, 4, 3) for s in (4, 3, 2)]
    [(81, 27, 9, 3, 1), (34, 11, 3, 1), (15, 5, 1)]
    """
    configurations = math.ceil((s_max + 1) / (s + 1) * eta**s - 1e-9)
    return halving_sizes(configurations, eta, s + 1)


class Hyperband(BracketSearch):
    """Successive halving brackets from the most aggressive (many starters, lowest rung) to plain random search, again
    and again until the budget ends.

    eta: the factor between rungs.
    """

    def __init__(self, space: Space, rng: np.random.Generator, fidelities: Fidelities, *, eta: int = 3):
        super().__init__(space, rng, fidelities)
        self.eta, self.rungs = eta, fidelities.rungs(eta)

    def plan_bracket(self, number: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        s_max = len(self.rungs) - 1
        s = s_max - number % (s_max + 1)
        return hyperband_bracket(s, s_max, self.eta), self.rungs[s_max - s :]
