"""Accuracy with shared weights."""

from __future__ import annotations

from nas_lightning.scoring.outputs import OutputScore


class Accuracy(OutputScore):
    """Share of held-out images that the sub-net classifies correctly, in [0, 1]."""

    name = "accuracy"
