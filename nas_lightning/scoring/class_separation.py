"""How well the later stages keep the classes apart."""

from __future__ import annotations

from torch import Tensor

from nas_lightning.scoring.probe import StageProbes
from nas_lightning.scoring.score import Measured


class ClassSeparation(Measured):
    """Geometric mean of R² and η² over the later stages (`StageProbes.class_separation`)."""

    name = "class_separation"
    meter = StageProbes

    def read(self, meter: StageProbes, images: int) -> Tensor:
        return meter.class_separation()
