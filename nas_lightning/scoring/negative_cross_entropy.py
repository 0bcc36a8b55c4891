"""−cross-entropy with shared weights."""

from __future__ import annotations

from nas_lightning.scoring.outputs import OutputScore


class NegativeCrossEntropy(OutputScore):
    """Mean −cross-entropy of the held-out images in nats: finer than accuracy where sub-nets are barely trained."""

    name = "negative_cross_entropy"
