"""SynFlow: the flow of ones through absolute weights."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_lightning.nets.base import Network
from nas_lightning.scoring.zerocost.base import ZeroCost, positive_flow


def flow(network: Network, inputs: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(|w|, ∂R/∂|w|) of every kernel and matrix, float64; R is the sum of the outputs for an input of ones.

    Args:
        network: a stand-alone network.
        inputs: of which the shape counts, [B, C, H, W].

    Returns:
        One pair a weight, both of its shape.
    """
    parameters, _, total = positive_flow(network, inputs)
    weights = [p for p in parameters.values() if p.ndim > 1]
    found = torch.autograd.grad(total, weights, allow_unused=True, materialize_grads=True)
    return list(zip(weights, found, strict=True))


class Synflow(ZeroCost):
    """Σ |w · ∂R/∂w| with absolute weights, an input of ones and no batch norm, in float64; no image takes part.

    Tanaka et al., Pruning neural networks without any data (arXiv 2006.05467), section 5, as a score by Abdelfattah et
    al. (arXiv 2101.08134), section 3. In float32 it overflows.
    """

    name = "synflow"
    uses_images = False

    def of(self, network: Network, inputs: Tensor, targets: Tensor) -> float | Tensor:
        return torch.stack([(w * g).abs().sum() for w, g in flow(network, inputs)]).sum()
