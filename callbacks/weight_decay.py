"""Heuristic 13, weight decay."""

from __future__ import annotations

from nas_lightning.heuristic import Heuristic


class WeightDecay(Heuristic):
    """L2 penalty, added to the gradient as SGD does.

    Source: Yu21, hyper-parameters. Fires: at every optimizer step. Cost: none.
    Does not: touch parameters outside the step's paths, whose gradient is absent rather than zero.
    Applies to: all three spaces.
    """

    factor = "weight_decay"
    fields = ("protocol.weight_decay",)

    def __init__(self, value: float | None = None) -> None:
        super().__init__(weight_decay=value)
