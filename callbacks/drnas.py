"""DrNAS: the weights of the operations are drawn from a Dirichlet distribution whose concentration is learned."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Dirichlet
from torch.nn import functional as F

from nas_lightning.distributions.base import SELECTION_STREAM, WEIGHTS_STREAM, Distribution
from nas_lightning.distributions.bilevel import gradients
from nas_lightning.nets.relaxed import RelaxedPath
from nas_lightning.training.paths import StepPaths


class Drnas(Distribution):
    """Every edge sums its operations by weights ~ Dirichlet(elu(α) + 1), drawn anew at every step.

    Mechanism: a step moves α on one draw, by the reparametrised gradient of the draw, then the weights on another. At
    α = 0 the draws are uniform over the simplex. The strongest mean, (elu(α) + 1) / Σ, is derived.

    Source: Chen et al., DrNAS: Dirichlet Neural Architecture Search (arXiv 2006.10355), section 3;
    xiangning-chen/DrNAS (100 epochs on NAS-Bench-201).
    Fires: before every step of the weights. Cost: every operation of every edge is computed; one more pass a step.
    Does not: grow channels and drop operations in stages (the authors' progressive scheme); penalise the distance to
    Dirichlet(1) otherwise than by the L2 decay of α.
    Applies to: spaces with relaxed_paths (nasbench201, darts_nds).
    """

    def __init__(self, learning_rate: float = 3e-4, weight_decay: float = 1e-3, portion: float = 0.5) -> None:
        super().__init__("drnas", portion, learning_rate=learning_rate, weight_decay=weight_decay)

    def mixing(self) -> list[Tensor]:
        concentrations = [F.elu(alpha) + 1 for alpha in self.alphas]
        return [c / c.sum(-1, keepdim=True) for c in concentrations]

    def draw(self, step: int, stream: int) -> tuple[Tensor, ...]:
        """One draw per kind of cell, on the CPU in float64, keyed.

        Args:
            step: of the weights, over the whole training.
            stream: which of the draws of a step, so that no two share a key.

        Returns:
            Rows that sum to 1, [edges, operations] a kind.
        """
        found = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.generator(step, stream).initial_seed())
            for alpha in self.alphas:
                concentration = F.elu(alpha.double().cpu()) + 1
                found.append(Dirichlet(concentration).rsample().to(device=alpha.device, dtype=alpha.dtype))
        return tuple(found)

    def paths(self, step: int) -> StepPaths:
        with torch.no_grad():
            return StepPaths((RelaxedPath(self.draw(step, WEIGHTS_STREAM)),), 1.0)

    def slopes(self, images: Tensor, labels: Tensor, step: int, batch: Any) -> list[Tensor]:
        path = RelaxedPath(self.draw(step, SELECTION_STREAM))
        return gradients(self.selection_loss(images, labels, path, step), self.alphas)
