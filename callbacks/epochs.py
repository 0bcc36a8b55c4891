"""Heuristic 12, number of epochs."""

from __future__ import annotations

from nas_lightning.heuristic import Heuristic


class Epochs(Heuristic):
    """Passes over the training part: `value`, or `scale` times the starting point's; the schedule stretches with it.

    Picture::

        half      █▇▅▃▁
        default   ██▇▇▆▅▃▂▁▁          the rate falls once,
        double    █████▇▇▇▇▆▆▅▅▃▃▂▂▁▁▁   over the whole run

    Mechanism: epochs · ⌊n_train / batch⌋ optimizer steps, over which the learning rate falls once from peak to minimum.

    Source: Yu, Ranftl, Salzmann (arXiv 2110.01154), hyper-parameters. Fires: before the Trainer is built (plan).
    Cost: time in proportion.
    Does not: count several paths of one step as several epochs; compare by passes (result.json, cost) as well.
    Applies to: all spaces.
    """

    factor = "epochs"
    fields = ("protocol.epochs",)

    def __init__(self, value: int | None = None, scale: float | None = None) -> None:
        super().__init__(scale=scale, epochs=value)
