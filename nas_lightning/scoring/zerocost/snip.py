"""SNIP: how much the loss changes if weights are taken away."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_lightning.nets.base import Network
from nas_lightning.scoring.zerocost.base import ZeroCost, gradients, weights_of


class Snip(ZeroCost):
    """Σ |w · ∂L/∂w| of the cross-entropy of one batch.

    Lee et al., SNIP (arXiv 1810.02340), section 4, as a score by Abdelfattah et al. (arXiv 2101.08134), section 3.
    """

    name = "snip"

    def of(self, network: Network, inputs: Tensor, targets: Tensor) -> float | Tensor:
        pairs = zip(weights_of(network), gradients(network, inputs, targets, loss=self.loss), strict=True)
        return torch.stack([(w.detach() * g).abs().sum() for w, g in pairs]).sum()
