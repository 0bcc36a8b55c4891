"""The norm of the gradient of one batch."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_lightning.nets.base import Network
from nas_lightning.scoring.zerocost.base import ZeroCost, gradients


class GradNorm(ZeroCost):
    """Σ over the layers of ‖∂L/∂w‖₂ of the cross-entropy of one batch.

    Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS (arXiv 2101.08134), section 3.
    """

    name = "grad_norm"

    def of(self, network: Network, inputs: Tensor, targets: Tensor) -> float | Tensor:
        return torch.stack([g.norm() for g in gradients(network, inputs, targets, loss=self.loss)]).sum()
