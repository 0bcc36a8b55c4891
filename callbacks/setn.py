"""SETN: uniformly random architectures train the weights, a template learns which of them are worth a look."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from nas_lightning.distributions.base import WEIGHTS_STREAM, Distribution
from nas_lightning.distributions.bilevel import gradients
from nas_lightning.plan import PlanError
from nas_lightning.training.paths import StepPaths


class Setn(Distribution):
    """The evaluator's softmax(α) per edge is learned on the template, the sum of all operations by it; the weights
    train on architectures drawn uniformly, and the best of the most probable ones is derived.

    Mechanism: a step moves the weights on one uniformly drawn architecture, then α on selection images with the full
    mixture. At the end of an epoch the `candidates` architectures of largest Σ ln softmax(α) are found exactly, and
    each is scored with the shared weights on one and the same batch of `batch_size` selection images.

    Source: Dong, Yang, One-Shot Neural Architecture Search via Self-Evaluated Template Network (arXiv 1910.05733);
    D-X-Y/AutoDL-Projects (SETN.py: 100 candidates, 512 images, 250 epochs on NAS-Bench-201).
    Fires: after every step of the weights; end of an epoch. Cost: one more pass a step, over all operations, and
    `candidates` scorings an epoch.
    Does not: give every candidate another batch, as the authors' code does (which adds noise of about two points);
    switch gradient clipping off, which is plan.protocol.gradient_clip=0.
    Applies to: spaces with relaxed_paths (nasbench201, darts_nds).
    """

    weights_first = True

    def __init__(
        self,
        candidates: int = 100,
        batch_size: int = 512,
        learning_rate: float = 3e-4,
        weight_decay: float = 1e-3,
        portion: float = 0.5,
    ) -> None:
        options = {"candidates": candidates, "batch_size": batch_size}
        super().__init__("setn", portion, learning_rate=learning_rate, weight_decay=weight_decay, options=options)
        if candidates < 1 or batch_size < 1:
            raise PlanError(
                f"heuristics.distribution.candidates={candidates} and batch_size={batch_size} must be at least 1"
            )

    def paths(self, step: int) -> StepPaths:
        rng = np.random.default_rng((self.module.seed, step, WEIGHTS_STREAM))
        return StepPaths((self.space.sample(rng),), 1.0)  # type: ignore[union-attr]

    def slopes(self, images: Tensor, labels: Tensor, step: int, batch: Any) -> list[Tensor]:
        return gradients(self.selection_loss(images, labels, self.relaxed(learned=True), step), self.alphas)

    def derive(self, epoch: int) -> Any:
        best = self.relaxation.best(self.weights(), self.options["candidates"])
        return self.best_by_accuracy(best, epoch, self.options["batch_size"])
