"""Heuristic 13, weight decay."""

from __future__ import annotations

from nas_lightning.heuristic import Heuristic


class WeightDecay(Heuristic):
    """L2 penalty of weight `value`, or `scale` times the starting point's; added to the gradient as SGD does.

    Picture::

        λ = 0   w ████████████████   as the gradient says
        λ > 0   w ████████▅▅▃▃▂▂▁▁   shrinks at its own steps

    Mechanism: g ← g + λ·w for every parameter w of the step's paths, batch-norm's scale and shift included, before the
    momentum; w is the whole shared tensor, also where a path reads a slice of it. A step shrinks w by rate · λ · w, so
    that values for networks that read images say so in `inputs`, and do not apply to recurrent ones.

    Source: Yu, Ranftl, Salzmann (arXiv 2110.01154), hyper-parameters.
    Fires: at every optimizer step (read from the plan). Cost: none.
    Does not: touch parameters outside the step's paths, whose gradient is absent rather than zero.
    Applies to: all spaces.
    """

    factor = "weight_decay"
    fields = ("protocol.weight_decay",)

    def __init__(self, value: float | None = None, scale: float | None = None, inputs: str | None = None) -> None:
        super().__init__(scale=scale, inputs=inputs, weight_decay=value)
