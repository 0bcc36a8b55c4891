"""Expected joint improvement of elites: how much an architecture promises over the champions of nested niches.

Kent, Branke, "BOP-Elites, a Bayesian Optimisation Algorithm for Quality-Diversity Search", arXiv 2005.04320; with
random forests and nested niches of a resource: Schneider et al., arXiv 2208.00204, section 3.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from nas_lightning.search.trial import SearchError
from nas_lightning.spaces.base import Space


def niche_bounds(name: str, minimise: Sequence[str], bounds: Sequence[str]) -> np.ndarray:
    """Upper bounds of nested niches, ascending, infinity last, float64. Raises SearchError for what is no number."""
    if len(minimise) != 1:
        raise SearchError(f"{name} needs one measure to minimise, not {len(minimise)}: its niches bound one resource")
    try:
        return np.array([*sorted(float(bound) for bound in bounds), np.inf])
    except ValueError as error:
        raise SearchError(f"bounds of {name} are numbers: {error}") from None


class Elites:
    """What is known of values and resources, the champions so far, and which of new candidates promises most.

    bounds: of the niches ``resource < bound``, ascending, infinity last.
    trees: of each of two forests on one-hot genomes, of the value and of the resource.
    empty: the value of a niche without champion.
    """

    def __init__(self, space: Space, bounds: np.ndarray, trees: int, empty: float):
        self.space, self.bounds, self.trees, self.empty = space, bounds, trees, empty
        self.architectures: list[Any] = []
        self._one_hot: list[np.ndarray] = []
        self._values: list[float] = []
        self._resources: list[float] = []

    def __len__(self) -> int:
        return len(self._values)

    def add(self, architecture: Any, value: float, resource: float) -> None:
        self.architectures.append(architecture)
        self._one_hot.append(self.space.one_hot(architecture).astype(np.float32))
        self._values.append(value)
        self._resources.append(resource)

    def champions(self) -> np.ndarray:
        """Number of the best of every niche, int64 [niches], -1 where it is empty."""
        if not self._values:
            return np.full(len(self.bounds), -1)
        inside = np.array(self._resources)[:, None] < self.bounds
        best = np.where(inside, np.array(self._values)[:, None], -np.inf).argmax(axis=0)
        return np.where(inside.any(axis=0), best, -1)

    def mutants(self, count: int, rng: np.random.Generator) -> list[Any]:
        """Distinct mutants of random champions."""
        parents = [self.architectures[row] for row in dict.fromkeys(self.champions().tolist()) if row >= 0]
        drawn = (self.space.mutate(parents[rng.integers(len(parents))], rng) for _ in range(count))
        return list(dict.fromkeys(drawn))

    def propose(self, count: int, seen: Container[Any], rng: np.random.Generator) -> Any:
        """The most promising of `count` mutants of the champions that are not in `seen`; a fresh draw where all are."""
        mutants = self.mutants(count, rng)
        fresh = [mutant for mutant in mutants if mutant not in seen] or [self.space.sample(rng)]
        return self.most_promising(fresh, rng)

    def most_promising(self, candidates: Sequence[Any], rng: np.random.Generator) -> Any:
        """The candidate with the largest sum over niches of P(in the niche) times its expected improvement there."""
        from scipy.special import ndtr  # takes a while to import: not for --help

        champions, values = self.champions(), np.array(self._values)
        incumbents = np.where(champions < 0, self.empty, values[champions])
        known = np.stack(self._one_hot)
        new = np.stack([self.space.one_hot(arch) for arch in candidates]).astype(np.float32)
        mean, deviation = self._forest(known, values, new, rng)
        size, spread = self._forest(known, np.array(self._resources), new, rng)
        held = ndtr((self.bounds - size[:, None]) / spread[:, None])  # [candidates, niches]
        gain = (mean[:, None] - incumbents) / deviation[:, None]
        density = np.exp(-(gain**2) / 2) / np.sqrt(2 * np.pi)
        improvement = deviation[:, None] * (gain * ndtr(gain) + density)
        return candidates[int(np.argmax((held * improvement).sum(axis=1)))]

    def _forest(
        self, x: np.ndarray, y: np.ndarray, new: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation over bootstrapped trees, float64 [n] each; the deviation is never 0.

        scikit-learn's forest spends most of its time on checks and copies that hundreds of small fits cannot afford.
        """
        import sklearn
        from sklearn.tree import DecisionTreeRegressor

        predictions = np.empty((self.trees, len(new)))
        with sklearn.config_context(skip_parameter_validation=True, assume_finite=True):
            for i in range(self.trees):
                drawn = np.bincount(rng.integers(len(y), size=len(y)), minlength=len(y)).astype(np.float64)
                tree = DecisionTreeRegressor(random_state=int(rng.integers(2**31)))
                tree.fit(x, y, sample_weight=drawn, check_input=False)
                predictions[i] = tree.tree_.predict(new)[:, 0]
        return predictions.mean(axis=0), np.maximum(predictions.std(axis=0), 1e-6 * max(float(np.ptp(y)), 1e-9))
