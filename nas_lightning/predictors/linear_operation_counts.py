"""A linear model on operation counts, fitted on a few trained architectures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_lightning.predictors.base import Context, Predictor, PredictorError
from nas_lightning.spaces.base import Space


class LinearOperationCounts(Predictor):
    """Least squares from operation counts to the **rank** of the stand-alone accuracy among those fitted on.

    Ranks, since the few broken architectures of a space, at chance level, would bend a fit to accuracies.

    The fitted ones are drawn, keyed by the context's seed, from the table's architectures that are not isomorphic to a
    scored one. Where the table has fewer others than needed, scored ones fill up and are not scored (NaN).

    Args:
        fit_on: trained architectures.
        draws: seeds over which a table's row of this baseline is averaged.

    Raises:
        PredictorError: the table has fewer than `fit_on` architectures, or fewer than 2 would remain to score.
    """

    name = "linear_operation_counts"
    needs = frozenset({"truth"})

    def __init__(self, *, fit_on: int = 50, draws: int = 10) -> None:
        if fit_on < 2 or draws < 1:
            raise PredictorError(
                f"{self.name}: fit_on={fit_on} and draws={draws}; fit on at least 2 architectures, in 1 draw or more"
            )
        self.fit_on, self.draws = fit_on, draws
        self.note = f"{fit_on} trained architectures"

    def __call__(self, context: Context) -> np.ndarray:
        space, table = context.space, context.table
        assert table is not None
        rng = np.random.default_rng([self.fit_on, context.seed])
        pool = table.architectures()  # passed on as it is: tables recognise their own list
        accuracies = np.asarray(table.accuracies(pool), np.float64)
        keys = [space.key(a) for a in context.architectures]
        scored = set(keys)
        others: list[int] = []
        inside: list[int] = []
        for i in rng.permutation(len(pool)):  # keys are computed only as far as needed: NAS-Bench-101 has 423,624
            if not np.isnan(accuracies[i]):
                (inside if space.key(pool[i]) in scored else others).append(int(i))
            if len(others) == self.fit_on:
                break
        chosen = others + inside[: self.fit_on - len(others)]
        used = {space.key(pool[i]) for i in chosen}
        kept = np.array([key not in used for key in keys], bool)
        if len(chosen) < self.fit_on or kept.sum() < 2:
            raise PredictorError(
                f"{self.name} needs {self.fit_on} trained architectures and 2 others to score; the table has "
                f"{len(chosen)} and {int(kept.sum())} would remain; lower its fit_on"
            )
        from scipy.stats import rankdata

        design = _with_intercept([pool[i] for i in chosen], space)
        # Counts add up to a constant, so the columns are dependent: lstsq takes the solution of least norm.
        weights = np.linalg.lstsq(design, rankdata(accuracies[chosen]) / self.fit_on, rcond=None)[0]
        return np.where(kept, _with_intercept(context.architectures, space) @ weights, np.nan)


def _with_intercept(architectures: Sequence[Any], space: Space[Any]) -> np.ndarray:
    counts = np.array([space.operation_counts(a) for a in architectures], np.float64)
    return np.hstack([np.ones((len(counts), 1)), counts])
