"""PC-DARTS: operations on a part of the channels, and weights of the edges beside those of the operations."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nas_lightning.distributions.mixture import Mixture
from nas_lightning.plan import PlanError


class PcDarts(Mixture):
    """First-order DARTS whose operations read the first of `part` equal parts of the channels, with edge weights β.

    Mechanism: the other channels pass an edge by, and all are shuffled; the whole edge is multiplied by softmax(β) over
    the edges into its node. α and β stand still for the first `warmup` of the steps. Derived is the strongest α·β.

    Source: Xu et al., PC-DARTS (arXiv 1907.05737), sections 3.2 and 3.3; yuhuixu1993/PC-DARTS (part 4, α's rate 6e-4,
    15 of 50 epochs of warm-up, batch 256).
    Fires: before the network is built (plan), before every step of the weights. Cost: an operation on 1/`part` of the
    channels; one more pass a step.
    Does not: apply to stand-alone networks, whose operations have all channels: inherited weights fit none of them.
    Applies to: spaces with relaxed_paths (nasbench201, darts_nds), where `part` divides the channels.
    """

    fields = (*Mixture.fields, "mapping.partial_channels")

    def __init__(
        self,
        part: int = 4,
        warmup: float = 0.3,
        learning_rate: float = 6e-4,
        weight_decay: float = 1e-3,
        portion: float = 0.5,
    ) -> None:
        super().__init__(
            "pc_darts",
            portion,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            options={"warmup": warmup},
            partial_channels=part,
        )
        if not 0 <= warmup < 1:
            raise PlanError(
                f"heuristics.distribution.warmup={warmup:g} is out of range; it is a share of the steps, at least 0 "
                "and below 1"
            )

    def shapes(self) -> list[tuple[int, ...]]:
        tables = self.relaxation.shapes
        return [*tables, *((edges,) for edges, _ in tables)]

    def mixing(self) -> list[Tensor]:
        n = len(self.relaxation.shapes)
        pairs = zip(self.alphas[:n], self.alphas[n:], self.relaxation.edges, strict=True)
        return [F.softmax(alpha, -1) * self.edge_weights(beta, edges)[:, None] for alpha, beta, edges in pairs]

    @staticmethod
    def edge_weights(beta: Tensor, edges: tuple[tuple[int, int], ...]) -> Tensor:
        """softmax of β [edges] over the edges into each node.

        Args:
            beta: logits, [edges].
            edges: (source, target) of each.

        Returns:
            [edges]; those into one node sum to 1.
        """
        targets = torch.tensor([target for _, target in edges], device=beta.device)
        weights = torch.zeros_like(beta)
        for target in targets.unique():
            into = targets == target
            weights = weights.masked_scatter(into, F.softmax(beta[into], 0))
        return weights

    def learns(self, step: int) -> bool:
        return step >= self.options["warmup"] * self.module.total_steps()
