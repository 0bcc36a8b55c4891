"""NSGA-II: evolution towards several objectives at once.

Deb, Pratap, Agarwal, Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Transactions on
Evolutionary Computation 6 (2002), section III; for architectures: Lu et al., "NSGA-Net", GECCO 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_lightning.search.algorithm import Algorithm, decode
from nas_lightning.search.pareto import crowding_distance, nondominated_ranks
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import Space


class NSGA2(Algorithm):
    """Parents and children compete for the next generation by front, then by crowding distance.

    population: size of a generation.
    minimise: what counts beside the value: params, macs, latency_ms …, as far as the objective measures it.
    crossover: probability that a child mixes the genes of two parents before it mutates; a mix that is no valid
    architecture is replaced by the first parent. A child that was evaluated before is bred again, `tries` times at
    most: copies would crowd a small space's generations.
    """

    tries = 20

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        population: int = 20,
        minimise: Sequence[str] = ("params",),
        crossover: float = 0.9,
    ):
        super().__init__(space, rng, fidelities)
        if population < 2 or not minimise or not 0 <= crossover <= 1:
            raise SearchError("nsga2 needs population >= 2, at least one measure to minimise, and crossover in [0, 1]")
        self.population, self.crossover, self.measures = population, crossover, tuple(minimise)
        self._parents: list[tuple[Any, np.ndarray]] = []  # architecture, point to be minimised
        self._order: np.ndarray = np.zeros((0, 2))  # front and minus crowding distance of the parents
        self._told: list[tuple[Any, np.ndarray]] = []
        self._asked = 0
        self._known: set[Any] = set()

    def ask(self) -> Trial | None:
        if self._asked == self.population:
            return None  # the generation is not complete
        self._asked += 1
        for _ in range(self.tries):
            child = self._breed() if self._parents else self.space.sample(self.rng)
            if child not in self._known:
                break
        self._known.add(child)
        return Trial(child, self.fidelities.full)

    def _tournament(self) -> Any:
        a, b = self.rng.integers(len(self._parents), size=2).tolist()
        return self._parents[a if tuple(self._order[a]) <= tuple(self._order[b]) else b][0]

    def _breed(self) -> Any:
        first, second = self._tournament(), self._tournament()
        if self.rng.random() < self.crossover:
            one, other = self.space.encode(first), self.space.encode(second)
            mixed = decode(self.space, np.where(self.rng.random(len(one)) < 0.5, one, other))
            first = first if mixed is None else mixed
        return self.space.mutate(first, self.rng)

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        point = np.array([-measurement.value, *(measurement.measures[name] for name in self.measures)])
        self._told.append((trial.architecture, point))
        if len(self._told) == self.population:
            self._select()
            self._told, self._asked = [], 0

    def _select(self) -> None:
        candidates = self._parents + self._told
        points = np.stack([point for _, point in candidates])
        ranks = nondominated_ranks(points)
        crowding = np.zeros(len(points))
        for front in range(int(ranks.max()) + 1):
            crowding[ranks == front] = crowding_distance(points[ranks == front])
        best = np.lexsort((np.arange(len(points)), -crowding, ranks))[: self.population]
        self._parents = [candidates[i] for i in best]
        self._order = np.stack([ranks[best], -crowding[best]], axis=1)
