"""How much of the labels a linear map reads from the classifier's features."""

from __future__ import annotations

from torch import Tensor

from nas_lightning.scoring.probe import StageProbes
from nas_lightning.scoring.score import Measured


class LinearProbe(Measured):
    """Explained variance of a linear probe of the classifier's features (`nas_lightning/scoring/probe.py`)."""

    name = "linear_probe"
    meter = StageProbes

    def read(self, meter: StageProbes, images: int) -> Tensor:
        return meter.linear_probe()
