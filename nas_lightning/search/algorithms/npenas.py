"""NPENAS: evolution that a predictor filters.

Wei et al., "NPENAS: Neural Predictor Guided Evolution for Neural Architecture Search", IEEE TNNLS 2022 (arXiv
2003.12857), algorithm 1. The paper's predictor is a graph isomorphism network; here it is any ranker.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas_lightning.search.algorithms.bananas import BANANAS
from nas_lightning.search.predictor_search import best_first
from nas_lightning.search.trial import Fidelities
from nas_lightning.spaces.base import Space


class NPENAS(BANANAS):
    """`mutants` mutations of the best a round, of which the `batch` that the ranker puts first are measured.

    ranker: a file of nas_lightning/predictors/rankers, or the dotted path of a class.
    encoding: names of nas_lightning/predictors/encodings.py; empty takes path counts where the space names its paths,
    else one-hot genes.
    initial: random architectures before the ranker is asked.
    batch: measured a round. mutants: candidates a round. parents: the best that are mutated.
    """

    preferred_encoding = "path_counts"

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        ranker: str = "random_forest",
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
            encoding=encoding,
            initial=initial,
            batch=batch,
            mutants=mutants,
            parents=parents,
        )
        self.ranker, self.deviation = ranker, False

    def choose(self, mean: np.ndarray, deviation: np.ndarray, n: int) -> list[int]:
        return best_first(mean, n)
