"""Zen-score: how much the features move with the input, with the scale that batch norm takes away put back."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_lightning.nets.base import Network
from nas_lightning.scoring.zerocost.base import ZeroCost
from nas_lightning.scoring.zerocost.watch import BATCH_NORM, POOLING_AT_THE_END, Watch

STEP = 0.01


class Zen(ZeroCost):
    """log of the mean |f(x + 0.01 e) − f(x)| before the last pooling, plus Σ over batch norms of log √(mean variance).

    x and e are standard normal, weights too, so that images and labels take no part. Lin et al., Zen-NAS (arXiv
    2102.01063), algorithm 1.
    """

    name = "zen"
    uses_images = False

    def initialize(self, network: Network) -> None:
        for parameter in network.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter)

    def of(self, network: Network, inputs: Tensor, targets: Tensor) -> float | Tensor:
        device = inputs.device
        generator = torch.Generator("cpu").manual_seed(0)
        shape = (self.batch_size, *inputs.shape[1:])
        x, e = (torch.randn(shape, generator=generator).to(device, inputs.dtype) for _ in range(2))
        with torch.no_grad():
            features, scales = [], []
            for images in (x, x + STEP * e):
                last: list[Tensor] = []
                moments: list[Tensor] = []
                with (
                    Watch(POOLING_AT_THE_END, lambda before, after, last=last: last.append(before)),  # type: ignore[misc]
                    Watch(BATCH_NORM, lambda before, after, m=moments: m.append(before.var((0, 2, 3)).mean())),  # type: ignore[misc]
                ):
                    network(images)
                features.append(last[-1])
                scales.append(torch.stack(moments).double())
            moved = (features[1] - features[0]).abs().double().mean()
            return moved.log() + scales[0].sqrt().log().sum()
