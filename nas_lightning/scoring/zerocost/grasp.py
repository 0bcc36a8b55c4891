"""GraSP: whether weights help the gradient flow."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_lightning.nets.base import Network
from nas_lightning.scoring.zerocost.base import ZeroCost, gradients, weights_of


class Grasp(ZeroCost):
    """−Σ w · (H g), with g the gradient and H the Hessian of the cross-entropy of one batch.

    Wang et al., GraSP (arXiv 2002.07376), section 4, as a score by Abdelfattah et al. (arXiv 2101.08134), section 3.
    """

    name = "grasp"

    def of(self, network: Network, inputs: Tensor, targets: Tensor) -> float | Tensor:
        weights = weights_of(network)
        first = gradients(network, inputs, targets, loss=self.loss, graph=True)
        product = torch.stack([(g.detach() * g).sum() for g in first]).sum()  # its gradient is H g
        second = torch.autograd.grad(product, weights, allow_unused=True, materialize_grads=True)
        return -torch.stack([(w.detach() * hg).sum() for w, hg in zip(weights, second, strict=True)]).sum()
