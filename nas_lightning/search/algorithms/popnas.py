"""POPNASv3: progressive search along a Pareto front, with exploration.

Falanti et al., "POPNASv3: A Pareto-optimal neural architecture search solution for image and time series
classification", Applied Soft Computing 145 (2023); its released code for the exploration step. Its second objective
is a predicted training time, here any measure of the objective, predicted by a ranker of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import moocore
import numpy as np

from nas_lightning.search.progressive import ProgressiveSearch
from nas_lightning.search.trial import Fidelities, SearchError
from nas_lightning.spaces.base import Space


class POPNAS(ProgressiveSearch):
    """Measure and grow the predicted Pareto front of every level, and beside it a few cells of rare operations.

    The best predicted of the front come first, `beam` of them at most. Before the last level up to `exploration` more
    are kept that have an operation which the front uses less than a fifth of the mean operation; POPNASv3 looks at
    rare inputs too. Of two architectures with equal predictions both stay: the released code drops both. Once
    everything has started again the best behind the front follow it, up to the beam.

    ranker: a file of nas_lightning/predictors/rankers, or the dotted path of a class.
    encoding: names of nas_lightning/predictors/encodings.py; empty takes path counts where the space names its paths,
    else one-hot genes.
    minimise: what counts beside the value: params, macs, latency_ms …, as far as the objective measures it.
    beam: classes kept a level; null shares a budget of evaluations evenly over the levels, and takes 16 under budgets
    of other units.
    exploration: classes added a level at most.
    """

    def __init__(
        self,
        space: Space,
        rng: np.random.Generator,
        fidelities: Fidelities,
        *,
        ranker: str = "gaussian_process",
        encoding: Sequence[str] = (),
        minimise: Sequence[str] = ("params",),
        beam: int | None = None,
        exploration: int = 4,
    ):
        super().__init__(space, rng, fidelities, ranker=ranker, encoding=encoding, beam=beam)
        if not minimise or exploration < 0:
            raise SearchError("popnas needs at least one measure to minimise, and exploration >= 0")
        self.measures, self.exploration = tuple(minimise), exploration

    def keep(self, classes: list[str], n: int, is_last: bool) -> list[str]:
        values = self.predicted(classes, self.values())
        if values is None:
            return self.first([classes[i] for i in self.rng.permutation(len(classes)).tolist()], n)
        columns = [-values]
        for name in self.measures:
            told = np.array([measurement.measures[name] for _, measurement in self._told.values()])
            small = self.predicted(classes, -told)
            if small is not None:  # None where all measured ones are of one size
                columns.append(-small)
        points = np.round(np.stack(columns, axis=1), 9)
        is_best = moocore.is_nondominated(points, keep_weakly=True)
        order = np.argsort(points[:, 0], kind="stable").tolist()
        front = [i for i in order if is_best[i]]
        if self.restarts:  # the fronts have been measured: what stands behind them is next
            front += [i for i in order if not is_best[i]]
        kept = self.first([classes[i] for i in front], n)
        if is_last:
            return kept
        rare, known = self._rare(kept), set(kept)
        others = [classes[i] for i in order if classes[i] not in known and self._counts(classes[i])[rare].any()]
        return [*kept, *others[: self.exploration]]

    def _counts(self, key: str) -> np.ndarray:
        return self.space.operation_counts(self._level[key][0])

    def _rare(self, front: list[str]) -> np.ndarray:
        """Whether an operation occurs in the front less than total / (5 · operations), bool [operations]."""
        counts = np.sum([self._counts(key) for key in front], axis=0)
        return np.asarray(counts < counts.sum() / (5 * len(counts)))
