"""Its network, for both roles: stem, three layers, global average pool, linear."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from nas_lightning.nets.base import Network, global_average
from nas_lightning.nets.candidates import Candidates
from nas_lightning.nets.kernel import SharedKernel, new_linear
from nas_lightning.nets.norm import BatchNorm
from nas_lightning.plan import Mapping

KERNEL_SIZE = {1: 3, 2: 5}


class ConvBN(nn.Module):
    """Convolution of stride 1 and batch-norm, [B, in, H, W] -> [B, out, H, W]."""

    def __init__(self, inputs: int, outputs: int, size: int, affine: bool, track: bool) -> None:
        super().__init__()
        self.size, self.kernel = size, SharedKernel(outputs, inputs, (size,))
        self.norm = BatchNorm(outputs, affine, track)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.conv2d(x, self.kernel(self.size), padding=self.size // 2))


class ToyNetwork(Network):
    """All operations as super-net, those of `arch` as stand-alone network, under the same names."""

    def __init__(
        self, mapping: Mapping, num_classes: int, in_channels: int = 3, track: bool = False, arch: Any = None
    ) -> None:
        super().__init__(mapping, num_classes, in_channels, track=track, arch=arch)
        width, affine = self.mapping.channels, self.mapping.bn_affine

        def operation(choice: int) -> nn.Module:
            return ConvBN(width, width, KERNEL_SIZE[choice], affine, track) if choice else nn.Identity()

        self.stem = ConvBN(in_channels, width, 3, affine, track)
        self.layers = nn.ModuleList(
            Candidates(operation, range(3) if arch is None else (arch.operations[layer],)) for layer in range(3)
        )
        self.classifier = new_linear(width, num_classes)

    def features(self, x: Tensor, arch: Any = None, stages: list[Tensor] | None = None) -> Tensor:
        x = F.relu(self.stem(x))
        for layer, choice in zip(self.layers, self.architecture(arch).operations, strict=True):
            x = F.relu(layer(x, choice))
        return global_average(x)
