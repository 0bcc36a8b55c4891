"""Heuristic 4, dropout: of paths and before the classifier."""

from __future__ import annotations

from typing import Any

from nas_lightning.heuristic import Heuristic, NotApplicableError
from nas_lightning.plan import Plan
from nas_lightning.spaces import Space


class Dropout(Heuristic):
    """``path``: per-sample zeroing of a cell's output; ``global_``: dropout of the features before the classifier.

    Picture::

        cell 1   ━━━━━━━━━━▶   rate p/3
        cell 2   ━━━━━━╳━━━▶   rate 2p/3
        cell 3   ━━━╳━━╳━━━▶   rate p, then the classifier

    Mechanism: cell l of L (from 0) keeps a sample with probability 1 − path·(l + 1)/L and divides what it keeps by that
    probability, so that the expectation stays; global dropout likewise with one rate. Draws are keyed by (seed, step).

    Source: Huang et al., Stochastic Depth (arXiv 1603.09382), section 3; Srivastava et al. 2014;
    Yu, Ranftl, Salzmann (arXiv 2110.01154).
    Fires: in the forward pass of training. Cost: one multiplication per cell.
    Does not: act at evaluation, or drop single operations inside a cell.
    Applies to: all spaces; path needs path_dropout (cells whose output can be dropped).
    """

    factor = "dropout"
    fields = ("mapping.path_dropout", "mapping.global_dropout")
    shares_weights = True

    def __init__(self, path: float | None = None, global_: float | None = None) -> None:
        super().__init__(path_dropout=path, global_dropout=global_)

    def check(self, plan: Plan, space: Space[Any]) -> None:
        if self.values.get("mapping.path_dropout") and "path_dropout" not in space.capabilities:
            raise NotApplicableError(
                f"heuristics.dropout.path does not apply to space={space.name}, whose network has no cells whose "
                "output could be dropped; leave it out"
            )
