"""Heuristic 7, train portion: how many of the training images train the weights."""

from __future__ import annotations

from nas_lightning.heuristic import Heuristic


class TrainPortion(Heuristic):
    """Share p of the training images that train the weights; the other (1 − p)·N are held out for scoring.

    Picture::

        images   ████████████████░░░░░░░░
                 train           held out: they score

    Mechanism: one permutation, keyed by the split's seed alone, orders the N images; the first ⌊p·N⌋ train.

    Source: Yu, Ranftl, Salzmann (arXiv 2110.01154), low-fidelity factors.
    Fires: before the data is split (plan). Cost: steps per epoch in proportion to p; fewer held-out images.
    Does not: move the split's permutation; a larger portion contains the smaller one. p = 1 leaves nothing to score
    with and is refused by the evaluator.
    Applies to: all spaces.
    """

    factor = "train_portion"
    fields = ("protocol.train_portion",)
    changes_draws = True

    def __init__(self, value: float | None = None) -> None:
        super().__init__(train_portion=value)
