"""The number of multiply-accumulates."""

from __future__ import annotations

import numpy as np

from nas_lightning.predictors.base import Context, Predictor


class MultiplyAccumulates(Predictor):
    """Multiply-accumulates of the stand-alone network's forward pass of one input, at the plan's size."""

    name = "macs"
    note = "no training"

    def __call__(self, context: Context) -> np.ndarray:
        return context.costs()[1].astype(np.float64)
