"""BOP-Elites*: Bayesian optimisation towards one champion in every nested niche of a resource.

Kent, Branke, "BOP-Elites, a Bayesian Optimisation Algorithm for Quality-Diversity Search", arXiv 2005.04320; for
architectures, with random forests and nested niches: Schneider et al., arXiv 2208.00204, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_lightning.search.algorithm import Algorithm
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
        try:
            self.bounds = np.array([*sorted(float(bound) for bound in bounds), np.inf])
        except ValueError as error:
            raise SearchError(f"bounds of bop_elites are numbers: {error}") from None
        if len(minimise) != 1 or min(startup, candidates, trees) < 1:
            raise SearchError("bop_elites needs one measure to minimise, and startup, candidates and trees >= 1")
        self.measures, self.startup, self.candidates = tuple(minimise), startup, candidates
        self.trees, self.empty = trees, empty
        self._architectures: list[Any] = []
        self._values: list[float] = []
        self._resources: list[float] = []
        self._seen: set[Any] = set()

    def ask(self) -> Trial:
        return Trial(self._propose(), self.fidelities.full)

    def _propose(self) -> Any:
        if len(self._values) < self.startup:
            return self.space.sample(self.rng)
        values, resources = np.array(self._values), np.array(self._resources)
        inside = resources[:, None] < self.bounds
        champions = np.where(inside.any(axis=0), np.where(inside, values[:, None], -np.inf).argmax(axis=0), -1)
        parents = [self._architectures[row] for row in dict.fromkeys(champions.tolist()) if row >= 0]
        mutants = dict.fromkeys(
            self.space.mutate(parents[self.rng.integers(len(parents))], self.rng) for _ in range(self.candidates)
        )
        fresh = [mutant for mutant in mutants if mutant not in self._seen] or [self.space.sample(self.rng)]
        score = self._joint_improvement(fresh, np.where(champions < 0, self.empty, values[champions]))
        return fresh[int(np.argmax(score))]

    def _joint_improvement(self, candidates: list[Any], incumbents: np.ndarray) -> np.ndarray:
        from scipy.stats import norm  # takes a second to import: not for --help

        known = np.stack([self.space.one_hot(arch) for arch in self._architectures])
        new = np.stack([self.space.one_hot(arch) for arch in candidates])
        seed = int(self.rng.integers(2**31))
        mean, deviation = self._forest(known, np.array(self._values), new, seed)
        size, spread = self._forest(known, np.array(self._resources), new, seed + 1)
        held = norm.cdf((self.bounds - size[:, None]) / spread[:, None])  # [candidates, niches]
        gain = (mean[:, None] - incumbents) / deviation[:, None]
        improvement = deviation[:, None] * (gain * norm.cdf(gain) + norm.pdf(gain))
        return (held * improvement).sum(axis=1)

    def _forest(self, x: np.ndarray, y: np.ndarray, new: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation over trees, float64 [n] each; the deviation is never 0."""
        from sklearn.ensemble import RandomForestRegressor

        forest = RandomForestRegressor(self.trees, random_state=seed).fit(x, y)
        trees = np.stack([tree.predict(new) for tree in forest.estimators_])
        return trees.mean(axis=0), np.maximum(trees.std(axis=0), 1e-6 * max(float(np.ptp(y)), 1e-9))

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        self._seen.add(trial.architecture)
        if not np.isfinite(measurement.value):
            return
        self._architectures.append(trial.architecture)
        self._values.append(measurement.value)
        self._resources.append(measurement.measures[self.measures[0]])
