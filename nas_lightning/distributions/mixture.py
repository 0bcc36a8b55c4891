"""Distributions that train weights and α on sums of all operations, α by the first order."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from nas_lightning.distributions.base import Distribution
from nas_lightning.distributions.bilevel import gradients
from nas_lightning.training.paths import StepPaths


class Mixture(Distribution):
    """The weights train on Σ mixing·operation, and α follows the loss of the same sum on selection images."""

    def paths(self, step: int) -> StepPaths:
        return StepPaths((self.relaxed(learned=False),), 1.0)

    def slopes(self, images: Tensor, labels: Tensor, step: int, batch: Any) -> list[Tensor]:
        return gradients(self.selection_loss(images, labels, self.relaxed(learned=True), step), self.alphas)
