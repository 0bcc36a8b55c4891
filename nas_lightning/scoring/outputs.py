"""Sums over the outputs on held-out images, and the two scores that are read off them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nas_lightning.scoring.score import Meter, Seen


class OutputSums(Meter):
    """Correct answers and −cross-entropy in nats, summed over the held-out images, float64 [n, 2]."""

    def __init__(self, n: int, num_classes: int, device: torch.device) -> None:
        super().__init__(n, num_classes, device)
        self.sums = torch.zeros(n, 2, dtype=torch.float64, device=device)

    def add(self, seen: Seen) -> None:
        if seen.outputs is not None:
            self.sums[seen.row, 0] += (seen.outputs.argmax(1) == seen.targets).sum()
            self.sums[seen.row, 1] -= F.cross_entropy(seen.outputs, seen.targets, reduction="sum")

    def means(self, column: int, images: int) -> Tensor:
        """Per image, float64 [n]."""
        return self.sums[:, column] / images
