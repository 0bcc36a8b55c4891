"""Predictor-guided search: Bayesian optimisation over isomorphism classes.

White, Neiswanger, Savani, "BANANAS", AAAI 2021 (arXiv 1910.11858), section 3, for the loop; Wen et al., "Neural
Predictor for Neural Architecture Search", ECCV 2020 (arXiv 1912.00848), for a ranker over the whole space; Jones,
Schonlau, Welch, "Efficient Global Optimization of Expensive Black-Box Functions" (1998) for expected improvement.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas_lightning.errors import did_you_mean
from nas_lightning.search.predictor_search import PredictorSearch, best_first, expected_improvement
from nas_lightning.search.trial import Fidelities, SearchError
from nas_lightning.spaces.base import Space

ACQUISITIONS = ("expected_improvement", "thompson", "mean")


class PredictorGuided(PredictorSearch):
    """Fit a ranker to what was measured, measure what it thinks most of, again and again.

    ranker: a file of nas_lightning/predictors/rankers, or the dotted path of a class.
    encoding: names of nas_lightning/predictors/encodings.py; empty takes path counts where the space names its paths,
    else one-hot genes.
    acquisition: expected_improvement over the best prediction so far, thompson (independent draws from the
    predictions), or mean. The first two put a ranker without deviations into a committee of five.
    initial: random architectures before the ranker is asked; with weak labels the best half of them by their vote.
    batch: measured between two fits.
    pool: candidates drawn at the start where the space has more than 10,000 classes.
    mutants: candidates added a round there, mutations of the `parents` best.
    parents: how many are mutated.
    """

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        ranker: str = "gaussian_process",
        encoding: Sequence[str] = (),
        acquisition: str = "expected_improvement",
        initial: int = 10,
        batch: int = 1,
        pool: int = 1000,
        mutants: int = 100,
        parents: int = 5,
    ):
        if acquisition not in ACQUISITIONS:
            raise SearchError(
                f"acquisition={acquisition} is unknown: {did_you_mean(acquisition, ACQUISITIONS)}"
                f"choose one of {', '.join(ACQUISITIONS)}"
            )
        if mutants < 0 or parents < 1:
            raise SearchError("predictor_guided needs mutants >= 0 and parents >= 1")
        super().__init__(
            space,
            rng,
            fidelities,
            ranker=ranker,
            encoding=encoding,
            initial=initial,
            batch=batch,
            pool=pool,
            deviation=acquisition != "mean",
        )
        self.acquisition, self.mutants, self.parents = acquisition, mutants, parents

    def first_round(self, places: np.ndarray) -> list[int]:
        if self._weak is None:
            return super().first_round(places)
        top = best_first(self._weak.vote(), self.initial // 2)
        return [*top, *self.random_places(np.setdiff1d(places, top), self.initial - len(top))]

    def next_round(self) -> list[int]:
        self.mutate_the_best(self.parents, self.mutants)
        return super().next_round()

    def choose(self, mean: np.ndarray, deviation: np.ndarray, n: int) -> list[int]:
        if self.acquisition == "mean":
            return best_first(mean, n)
        if self.acquisition == "thompson":
            return best_first(mean + deviation * self.rng.standard_normal(len(mean)), n)
        return best_first(expected_improvement(mean, deviation, self.best_prediction), n)
