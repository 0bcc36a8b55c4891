"""Predictors as the baselines of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nas_lightning.predictors.base import Context, Predictor, PredictorError, checked_scores
from nas_lightning.ranking.baselines import Baseline


def baselines_of(predictors: Sequence[Predictor], context: Context) -> list[Baseline]:
    """The baselines that can be computed here.

    One that is fitted on a few true accuracies is drawn `Predictor.draws` times, with seeds 0, 1, …. It is left out
    where there is no table, or one that is too small to fit and judge it.

    Args:
        predictors: what stands beside the super-net's scores.
        context: what predictors may look at.

    Returns:
        One entry a predictor, with a draw [n] a seed.
    """
    found = []
    for predictor in predictors:
        if "truth" not in predictor.needs:
            found.append(Baseline(predictor.name, checked_scores(predictor, context), predictor.note))
            continue
        if context.table is None:
            continue
        try:
            draws = [checked_scores(predictor, replace(context, seed=seed)) for seed in range(predictor.draws)]
        except PredictorError:
            continue
        left_out = max(int(np.isnan(scores).sum()) for scores in draws)
        share = f"{left_out} of the scored left out of its score" if left_out else "none of them scored"
        several = f", mean of {len(draws)} draws" if len(draws) > 1 else ""
        found.append(Baseline(predictor.name, np.stack(draws), f"{predictor.note}, {share}{several}"))
    return found
