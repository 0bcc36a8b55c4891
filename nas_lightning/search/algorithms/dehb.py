"""DEHB: Hyperband whose configurations evolve by differential evolution.

Awad, Mallik, Hutter, "DEHB: Evolutionary Hyperband for Scalable, Robust and Efficient Hyperparameter Optimization",
IJCAI 2021, section 4 and algorithm 1: one population a fidelity; in the first round of brackets configurations are
drawn at random and promoted as in successive halving; afterwards every trial is a mutant of its own fidelity's
population whose parents are the best of the fidelity below.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nas_lightning.search.algorithm import Algorithm, decode
from nas_lightning.search.algorithms.hyperband import hyperband_bracket
from nas_lightning.search.trial import Fidelities, Measurement, SearchError, Trial
from nas_lightning.spaces.base import Space


@dataclass
class _Population:
    """Vectors in [0, 1) and their values at one fidelity; `next` is the slot that the next mutant competes for."""

    vectors: list[np.ndarray] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    next: int = 0

    def best(self, n: int) -> list[np.ndarray]:
        order = np.argsort(-np.array(self.values), kind="stable")[:n]
        return [self.vectors[i] for i in order]


class DEHB(Algorithm):
    """Genes live in the unit cube; a gene's value is the part of [0, 1) that its number lies in.

    eta: the factor between rungs.
    differential_weight: F of rand/1, ``a + F (b − c)``; numbers that leave the cube are drawn anew.
    crossover: probability that a gene comes from the mutant; one always does.

    A vector that is no architecture is drawn again, `tries` times, then at random.
    """

    needs_fidelities = True
    tries = 20

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        eta: int = 3,
        differential_weight: float = 0.5,
        crossover: float = 0.5,
    ):
        super().__init__(space, rng, fidelities)
        if not 0 < differential_weight <= 2 or not 0 <= crossover <= 1:
            raise SearchError("dehb needs 0 < differential_weight <= 2 and crossover in [0, 1]")
        self.rungs, self.weight, self.crossover = fidelities.rungs(eta), differential_weight, crossover
        s_max = len(self.rungs) - 1
        self._brackets = [hyperband_bracket(s_max - i, s_max, eta) for i in range(s_max + 1)]
        self._cards = np.asarray(space.cardinalities)
        self._populations = [_Population() for _ in self.rungs]
        # A fidelity's population is as large as the largest rung that meets it.
        self._sizes = [
            max(sizes[rung - start] for start, sizes in enumerate(self._brackets) if rung >= start)
            for rung in range(len(self.rungs))
        ]
        self._iteration, self._rung, self._asked = 0, 0, 0
        self._pending: dict[tuple[int, ...], tuple[np.ndarray, int]] = {}  # vector, slot it competes for (-1: joins)
        self._told: list[tuple[float, int, np.ndarray]] = []  # of this rung, for promotion in the first round
        self._promoted: list[np.ndarray] = []

    @property
    def _start(self) -> int:
        """The lowest rung of the bracket at work."""
        return self._iteration % len(self.rungs)

    def ask(self) -> Trial | None:
        sizes = self._brackets[self._start]
        if self._asked == sizes[self._rung]:
            return None  # the rung is not told to its end
        level = self._start + self._rung
        vector, slot, paid = self._propose(level)
        tag = (self._iteration, self._rung, self._asked)
        self._pending[tag] = (vector, slot)
        self._asked += 1
        return Trial(self._architecture(vector), self.rungs[level], paid, tag)

    def _propose(self, level: int) -> tuple[np.ndarray, int, int]:
        """Vector, the slot that it competes for, and the fidelity already paid for."""
        population, first_round = self._populations[level], self._iteration == 0
        if first_round and self._rung:
            return self._promoted[self._asked], -1, self.rungs[level - 1]
        if len(population.vectors) < self._sizes[level] and (level == self._start or first_round):
            return self._valid(lambda: self.rng.random(len(self._cards))), -1, 0
        slot = population.next % len(population.vectors)
        population.next += 1
        if level > self._start:
            parents = self._populations[level - 1].best(max(3, self._brackets[self._start][self._rung]))
        else:
            parents = population.vectors
        target = population.vectors[slot]
        return self._valid(lambda: self._mutant(target, parents)), slot, 0

    def _mutant(self, target: np.ndarray, parents: list[np.ndarray]) -> np.ndarray:
        pool = list(parents)
        while len(pool) < 3:
            pool.append(self.rng.random(len(self._cards)))
        a, b, c = (pool[i] for i in self.rng.choice(len(pool), 3, replace=False))
        mutant = a + self.weight * (b - c)
        outside = (mutant < 0) | (mutant >= 1)
        mutant = np.where(outside, self.rng.random(len(mutant)), mutant)
        taken = self.rng.random(len(mutant)) < self.crossover
        taken[self.rng.integers(len(mutant))] = True
        return np.where(taken, mutant, target)

    def _valid(self, draw: Any) -> np.ndarray:
        for _ in range(self.tries):
            vector = draw()
            if self._architecture(vector) is not None:
                return vector
        genome = self.space.encode(self.space.sample(self.rng))
        return (genome + self.rng.random(len(genome))) / self._cards

    def _architecture(self, vector: np.ndarray) -> Any:
        return decode(self.space, np.minimum((vector * self._cards).astype(np.int64), self._cards - 1))

    def tell(self, trial: Trial, measurement: Measurement) -> None:
        vector, slot = self._pending.pop(trial.tag)
        population = self._populations[self._start + self._rung]
        if slot < 0:
            population.vectors.append(vector)
            population.values.append(measurement.value)
        elif measurement.value >= population.values[slot]:
            population.vectors[slot], population.values[slot] = vector, measurement.value
        self._told.append((-measurement.value, trial.tag[2], vector))
        sizes = self._brackets[self._start]
        if len(self._told) < sizes[self._rung]:
            return
        self._told.sort(key=lambda entry: entry[:2])
        self._rung += 1
        self._promoted = [entry[2] for entry in self._told[: sizes[self._rung]]] if self._rung < len(sizes) else []
        if self._rung == len(sizes):
            self._iteration, self._rung = self._iteration + 1, 0
        self._told, self._asked = [], 0
