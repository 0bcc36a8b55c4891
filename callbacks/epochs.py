"""Heuristic 12, number of epochs."""

from __future__ import annotations

from nas_lightning.heuristic import Heuristic


class Epochs(Heuristic):
    """Passes over the training part; the learning-rate schedule stretches with it.

    Source: Yu21, hyper-parameters. Fires: before the Trainer is built (plan). Cost: time in proportion.
    Does not: count several paths of one step as several epochs; compare by passes (result.json, cost) as well.
    Applies to: all three spaces.
    """

    factor = "epochs"
    fields = ("protocol.epochs",)

    def __init__(self, value: int | None = None) -> None:
        super().__init__(epochs=value)
