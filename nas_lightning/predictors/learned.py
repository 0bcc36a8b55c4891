"""A ranker as a predictor: fitted to a few true accuracies of the table, it scores all others.

python train.py 'evaluation.predictors=[{_target_: nas_lightning.predictors.learned.Learned, labels: 50}]'
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas_lightning.predictors.base import Context, Predictor, PredictorError
from nas_lightning.predictors.encodings import Encoder, default_encoding, rank_gauss
from nas_lightning.predictors.ranker import RankerError, make_ranker


class Learned(Predictor):
    """Draws isomorphism classes, looks their true accuracies up, and orders the rest by what it learned of them.

    All members of a drawn class are left out of the scores (NaN), so that no twin of a training cell is judged.

    labels: classes that it is fitted to. ranker: a file of nas_lightning/predictors/rankers. encoding: names of
    nas_lightning/predictors/encodings.py, empty as in `default_encoding`. columns: scores computed before that stand
    beside the encoding (weak labels: a super-net's score, parameters).
    """

    needs = frozenset({"truth"})

    def __init__(
        self,
        *,
        labels: int = 50,
        ranker: str = "gaussian_process",
        encoding: Sequence[str] = (),
        columns: Sequence[str] = (),
        name: str = "learned",
    ):
        self.name, self.labels, self.ranker = name, labels, ranker
        self.encoding, self.columns = ",".join(encoding), ",".join(columns)
        make_ranker(ranker, 0)  # refuses an unknown name before anything is measured
        self.note = f"{labels} trained architectures, none of them scored"

    def __call__(self, context: Context) -> np.ndarray:
        archs, space = list(context.architectures), context.space
        assert context.table is not None  # it needs truth
        truth = context.table.accuracies(archs)
        keys = np.array([space.key(arch) for arch in archs])
        known = np.unique(keys[~np.isnan(truth)])
        if len(known) <= self.labels:
            raise PredictorError(
                f"{self.name} learns from {self.labels} architectures and scores others, but the table has "
                f"{len(known)} of these: evaluate more, or lower labels"
            )
        if missing := [name for name in self.columns.split(",") if name and name not in context.columns]:
            have = ", ".join(context.columns) or "none"
            raise PredictorError(f"{self.name} wants the column {missing[0]}, and what was scored before is {have}")
        drawn = np.random.default_rng([context.seed, self.labels]).choice(known, self.labels, replace=False)
        names = tuple(self.encoding.split(",")) if self.encoding else default_encoding(space, archs[0])
        beside = [rank_gauss(context.columns[name])[:, None] for name in self.columns.split(",") if name]
        features = np.concatenate([Encoder(space, names)(archs), *beside], axis=1)
        is_drawn = np.isin(keys, drawn)
        fitted = [int(np.flatnonzero((keys == key) & ~np.isnan(truth))[0]) for key in drawn.tolist()]
        try:
            model = make_ranker(self.ranker, context.seed).fit(features[fitted], truth[fitted])
        except RankerError as error:
            raise PredictorError(f"{self.name}: {error}") from None
        return np.where(is_drawn, np.nan, model.predict(features)[0])
