"""BANANAS.

White, Neiswanger, Savani, "BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search",
AAAI 2021 (arXiv 1910.11858), algorithm 1. The loss of its networks is the mean absolute percentage error, here the
squared error of labels on a scale that emphasises the top.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas_lightning.search.predictor_search import PredictorSearch, best_first
from nas_lightning.search.trial import Fidelities
from nas_lightning.spaces.base import Space


class BANANAS(PredictorSearch):
    """A committee of five small networks on path encodings; `mutants` mutations of the best compete by independent
    draws from its predictions.

    encoding: names of nas_lightning/predictors/encodings.py; empty takes paths where the space names them, else one-hot
    genes.
    initial: random architectures before the committee is asked.
    batch: measured a round.
    mutants: candidates a round. parents: the best that are mutated.
    """

    preferred_encoding = "paths"

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        encoding: Sequence[str] = (),
        initial: int = 10,
        batch: int = 10,
        mutants: int = 100,
        parents: int = 10,
    ):
        super().__init__(
            space,
            rng,
            fidelities,
            ranker="mlp",
            encoding=encoding,
            initial=initial,
            batch=batch,
            pool=max(initial, 2),
            deviation=True,
        )
        self.mutants, self.parents = mutants, parents

    def open_candidates(self) -> np.ndarray:
        """Mutants of the best that were not measured; everything before the first round."""
        places = super().open_candidates()
        if not self._told:
            return places
        best = sorted(self._told, key=lambda entry: -entry[2])[: self.parents]
        if self.can_grow:
            self.mutate_the_best(self.parents, self.mutants)
            if not len(super().open_candidates()):  # all of their neighbourhood has been measured
                self._grow(lambda: self.space.sample_unique(self.rng), self.batch)
            return super().open_candidates()
        found: set[int] = set()
        for _ in range(5 * self.mutants):
            key = self.space.key(self.space.mutate(best[int(self.rng.integers(len(best)))][1], self.rng))
            if key in self._place and key not in self._asked:
                found.add(self._place[key])
            if len(found) == self.mutants:
                break
        return np.array(sorted(found), np.int64) if found else places

    def choose(self, mean: np.ndarray, deviation: np.ndarray, n: int) -> list[int]:
        return best_first(mean + deviation * self.rng.standard_normal(len(mean)), n)
