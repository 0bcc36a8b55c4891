"""Fisher: how much the loss changes if channels are taken away."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_lightning.nets.base import Network
from nas_lightning.scoring.zerocost.base import ZeroCost
from nas_lightning.scoring.zerocost.watch import CONVOLUTION, LINEAR, Watch


class Fisher(ZeroCost):
    """Σ over channels of the batch's mean of ½ (Σ over places of a · ∂L/∂a)², a the outputs of convolutions and linear
    layers.

    Theis et al. (arXiv 1801.05787), Turner et al., BlockSwap (arXiv 1906.04113), equation 2, as a score by Abdelfattah
    et al. (arXiv 2101.08134), section 3.
    """

    name = "fisher"

    def of(self, network: Network, inputs: Tensor, targets: Tensor) -> float | Tensor:
        activations: list[Tensor] = []
        with Watch(CONVOLUTION + LINEAR, lambda before, after: activations.append(after)):
            outputs = network(inputs)
        loss = self.loss(outputs, targets)
        found = torch.autograd.grad(loss, activations, allow_unused=True, materialize_grads=True)
        effects = [
            (a.detach() * g).flatten(2).sum(2) if a.ndim > 2 else a.detach() * g
            for a, g in zip(activations, found, strict=True)
        ]  # [B, channels] each
        return torch.stack([effect.double().square().mean(0).sum() / 2 for effect in effects]).sum()
