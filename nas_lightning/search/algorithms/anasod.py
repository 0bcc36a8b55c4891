"""ANASOD: search the distribution of operations only.

Wan, Ru, Esperança, Li, "Approximate Neural Architecture Search via Operation Distribution Learning", WACV 2022
(arXiv 2111.04670): an architecture is stood for by how often each operation occurs, and any cell of these counts is as
good as another. Where operations stand is left to chance, so that it soon finds what is good and never the best.
"""

from __future__ import annotations

import numpy as np

from nas_lightning.search.predictor_search import PredictorSearch, best_first, expected_improvement
from nas_lightning.search.trial import Fidelities
from nas_lightning.spaces.base import Space


class ANASOD(PredictorSearch):
    """A Gaussian process on operation counts; a random candidate among those of the best counts is measured.

    initial: random architectures before the process is asked.
    batch: measured between two fits.
    pool: candidates drawn at the start where the space has more than 10,000 classes.
    """

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        initial: int = 10,
        batch: int = 1,
        pool: int = 1000,
    ):
        super().__init__(
            space,
            rng,
            fidelities,
            ranker="gaussian_process",
            encoding=("operations",),
            initial=initial,
            batch=batch,
            pool=pool,
            deviation=True,
        )

    def choose(self, mean: np.ndarray, deviation: np.ndarray, n: int) -> list[int]:
        order = self.rng.permutation(len(mean))  # equal counts have equal predictions: chance decides among them
        gains = np.round(expected_improvement(mean, deviation, self.best_prediction), 9)
        return [int(order[i]) for i in best_first(gains[order], n)]
