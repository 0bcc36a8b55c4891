"""Heuristic 8, batch size."""

from __future__ import annotations

from nas_lightning.heuristic import Heuristic


class BatchSize(Heuristic):
    """Images per optimizer step over all ranks together: global, so that it means the same for any number of GPUs.

    Picture::

        B = 4   ▐████▌▐████▌▐████▌▐████▌   4 steps
        B = 8   ▐████████▌▐████████▌       2 steps, same rate

    Mechanism: step t trains on images [B, C, H, W], B = value, and an epoch has ⌊n_train / B⌋ steps; the remainder of
    its permutation is left out.

    Source: Yu, Ranftl, Salzmann (arXiv 2110.01154), low-fidelity factors.
    Fires: before the loader is built (plan). Cost: fewer, longer steps per epoch; memory in proportion.
    Does not: scale the learning rate or the epochs, so that a larger batch takes fewer steps; batch-norm normalises
    over each rank's share of the batch.
    Applies to: all spaces.
    """

    factor = "batch_size"
    fields = ("protocol.batch_size",)
    changes_draws = True

    def __init__(self, value: int | None = None) -> None:
        super().__init__(batch_size=value)
