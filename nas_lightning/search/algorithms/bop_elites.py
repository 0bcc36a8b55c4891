"""BOP-Elites*: Bayesian optimisation towards one champion in every nested niche of a resource.

Kent, Branke, "BOP-Elites, a Bayesian Optimisation Algorithm for Quality-Diversity Search", arXiv 2005.04320; for
architectures, with random forests and nested niches: Schneider et al., arXiv 2208.00204, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_lightning.search.algorithm import Algorithm
from nas_lightning.search.joint_improvement import Elites, niche_bounds
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import Space


class BOPElites(Algorithm):
    """Two forests on one-hot genomes, of the value and of the resource; among mutants of the champions, take the one
    with the largest sum over niches of P(in the niche) times its expected improvement over the niche's champion.

    minimise: the resource, one measure.
    bounds: upper bounds of the niches, numbers; everything is always a niche, too. Without any it is plain search.
    startup: random trials before the first model.
    candidates: mutants that are compared.
    trees: of each forest.
    empty: the value of a niche without champion.
    """

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        minimise: Sequence[str] = ("params",),
        bounds: Sequence[str] = (),
        startup: int = 10,
        candidates: int = 100,
        trees: int = 30,
        empty: float = 0.0,
    ):
        super().__init__(space, rng, fidelities)
        if min(startup, candidates, trees) < 1:
            raise SearchError("bop_elites needs startup, candidates and trees >= 1")
        self.elites = Elites(space, niche_bounds("bop_elites", minimise, bounds), trees, empty)
        self.measures, self.startup, self.candidates = tuple(minimise), startup, candidates
        self._seen: set[Any] = set()

    def ask(self) -> Trial:
        return Trial(self._propose(), self.fidelities.full)

    def _propose(self) -> Any:
        if len(self.elites) < self.startup:
            return self.space.sample(self.rng)
        return self.elites.propose(self.candidates, self._seen, self.rng)

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        self._seen.add(trial.architecture)
        if np.isfinite(measurement.value):
            self.elites.add(trial.architecture, measurement.value, measurement.measures[self.measures[0]])
