"""The depth of a cell."""

from __future__ import annotations

import numpy as np

from nas_lightning.predictors.base import Context, Predictor


class Depth(Predictor):
    """Parametrised operations on the longest path from a cell's input to its output (`Space.depth`)."""

    name = "depth"
    note = "no training"

    def __call__(self, context: Context) -> np.ndarray:
        return np.array([float(context.space.depth(arch)) for arch in context.architectures])
