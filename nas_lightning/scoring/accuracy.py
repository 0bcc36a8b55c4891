"""Accuracy with shared weights."""

from __future__ import annotations

from torch import Tensor

from nas_lightning.scoring.outputs import OutputSums
from nas_lightning.scoring.score import Measured


class Accuracy(Measured):
    """Share of held-out images that the sub-net classifies correctly, in [0, 1]."""

    name = "accuracy"
    meter = OutputSums

    def read(self, meter: OutputSums, images: int) -> Tensor:
        return meter.means(0, images)
