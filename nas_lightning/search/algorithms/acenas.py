"""AceNAS: learning to rank architectures from weak labels and a few trainings.

Zhang et al., "AceNAS: Learning to Rank Ace Neural Architectures with Weak Supervision of Weight Sharing",
2021 (arXiv 2108.03001), section 3; five rounds of B/5, half predicted top, half random, as in its released code. The
paper's ranker is a graph network that is trained on weak labels first and fine-tuned then; here the weak labels are
features beside the encoding, and boosted trees with LambdaRank's gradient the default.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas_lightning.search.budget import Budget
from nas_lightning.search.predictor_search import PredictorSearch, best_first
from nas_lightning.search.trial import Fidelities, SearchError
from nas_lightning.spaces.base import Space


class AceNAS(PredictorSearch):
    """Measure a portion, half of it the ranker's top among what was not measured, half random; fit anew, `rounds`
    times.

    The top half of the first portion is the best by the vote of the weak labels; without weak labels it is random too.

    rounds: portions that a budget of evaluations is cut into.
    portion: measured a round where the budget is none of evaluations.
    ranker: a file of nas_lightning/predictors/rankers, or the dotted path of a class.
    encoding: names of nas_lightning/predictors/encodings.py; empty takes path counts where the space names its paths,
    else one-hot genes.
    top_share: of a portion; the rest is random.
    pool: candidates drawn at the start where the space has more than 10,000 classes.
    """

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        rounds: int = 5,
        portion: int = 10,
        ranker: str = "lambdarank",
        encoding: Sequence[str] = (),
        top_share: float = 0.5,
        pool: int = 4000,
    ):
        if rounds < 1 or not 0 <= top_share <= 1:
            raise SearchError("acenas needs rounds >= 1 and top_share in [0, 1]")
        super().__init__(
            space,
            rng,
            fidelities,
            ranker=ranker,
            encoding=encoding,
            initial=portion,
            batch=portion,
            pool=pool,
            deviation=False,
        )
        self.planned, self.top_share = rounds, top_share

    def fit_budget(self, budget: Budget) -> None:
        """Cut a budget of evaluations into `rounds` portions; a small one into as many as the ranker can learn from."""
        if budget.unit != "evaluations":
            return
        portion = max(self.minimum, int(budget.amount / self.planned + 1e-9))
        if portion * self.planned > budget.amount:
            self.notes.append(
                f"{budget.amount:g} evaluations are fewer than {self.planned} portions of the {self.minimum} labels "
                f"that the ranker needs: portions of {portion}"
            )
        self.initial = self.batch = portion

    def first_round(self, places: np.ndarray) -> list[int]:
        vote = np.zeros(len(places)) if self._weak is None else self._weak.vote()
        return self._halves(places, vote, self.initial, blind=self._weak is None)

    def choose(self, mean: np.ndarray, deviation: np.ndarray, n: int) -> list[int]:
        return self._halves(np.arange(len(mean)), mean, n)

    def _halves(self, places: np.ndarray, scores: np.ndarray, n: int, blind: bool = False) -> list[int]:
        """`top_share` of n places by their scores, the rest drawn from the others."""
        top = [] if blind else places[best_first(scores, round(self.top_share * n))].tolist()
        return [*top, *self.random_places(np.setdiff1d(places, top), n - len(top))]
