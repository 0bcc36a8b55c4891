"""Label smoothing."""

from __future__ import annotations

from nas_lightning.heuristic import Heuristic


class LabelSmoothing(Heuristic):
    """Targets with a mass of `value` spread evenly over all K classes.

    Mechanism: cross-entropy against (1 − value)·one-hot + value / K.

    Source: Szegedy et al., Rethinking the Inception Architecture (arXiv 1512.00567), section 7.
    Fires: at every training step (read from the plan). Cost: none.
    Does not: change the cross-entropy that scores architectures.
    Applies to: all spaces.
    """

    factor = "label_smoothing"
    fields = ("protocol.label_smoothing",)

    def __init__(self, value: float | None = None) -> None:
        super().__init__(label_smoothing=value)
