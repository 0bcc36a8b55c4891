"""NAS-Bench-201's network for dense prediction: from a field to a field of the same size.

Tu, Roberts, Khodak, Shen, Sala, Talwalkar, "NAS-Bench-360", NeurIPS 2022 Datasets and Benchmarks, arXiv 2110.05668:
nothing is strided, the two residual blocks between stages widen only, and the linear layer reads every position by
itself in place of a global average. So is the network that NAS-Bench-360's code searches with on Darcy Flow; those that
made its table have a cell, with 1x1 convolutions where the width changes, in place of each residual block.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from nas_lightning.nets.nasbench201 import NB201Network, ReductionBlock
from nas_lightning.nets.norm import BatchNorm


class WideningBlock(ReductionBlock):
    """Residual block of stride 1, [B, C, H, W] -> [B, C', H, W]: two ReLU-conv3x3-BN; shortcut ReLU-conv1x1-BN."""

    def __init__(self, in_channels: int, channels: int, affine: bool, track: bool) -> None:
        super().__init__(in_channels, channels, affine, track)
        self.shortcut_norm = BatchNorm(channels, affine, track)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        y = self.first_norm(F.conv2d(x, self.first(3), padding=1))
        y = self.second_norm(F.conv2d(F.relu(y), self.second(3), padding=1))
        return y + self.shortcut_norm(F.conv2d(x, self.shortcut(1)))


class NB201DenseNetwork(NB201Network):
    """See the module's docstring. ``forward(x [B, C, H, W], arch) -> [B, num_classes, H, W]``; ``features`` gives
    [B, D, H, W]."""

    between_stages = WideningBlock

    def pool(self, x: Tensor) -> Tensor:
        return x

    def classify(self, features: Tensor, arch: Any = None) -> Tensor:
        read = self.drop_global(features).movedim(1, -1)  # [B, H, W, D]
        outputs: Tensor = self.classifier(read).movedim(-1, 1)
        return outputs
