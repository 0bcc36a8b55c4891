"""PNAS: progressive neural architecture search.

Liu et al., "Progressive Neural Architecture Search", ECCV 2018 (arXiv 1712.00559), algorithm 1. The paper's predictor
is an ensemble of five networks, its beam 256 and its steps are blocks of two operations; here a ranker of choice says
what is kept, and the space says what a step is.
"""

from __future__ import annotations

from nas_lightning.search.predictor_search import best_first
from nas_lightning.search.progressive import ProgressiveSearch


class PNAS(ProgressiveSearch):
    """Measure and grow the predicted best of every level, from the smallest architectures to complete ones.

    ranker: a file of nas_lightning/predictors/rankers, or the dotted path of a class.
    encoding: names of nas_lightning/predictors/encodings.py; empty takes path counts where the space names its paths,
    else one-hot genes.
    beam: classes measured and grown a level; null shares a budget of evaluations evenly over the levels, and takes 16
    under budgets of other units.
    """

    def keep(self, classes: list[str], n: int, is_last: bool) -> list[str]:
        scores = self.predicted(classes, self.values()) if len(classes) > n else None  # all are kept
        order = self.rng.permutation(len(classes)).tolist() if scores is None else best_first(scores, len(classes))
        return self.first([classes[i] for i in order], n)
