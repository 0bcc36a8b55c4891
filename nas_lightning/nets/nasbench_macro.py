"""The NAS-Bench-Macro network (Su et al., CVPR 2021, section 5), as super-net and as stand-alone network.

Stem conv3x3 C + BN-ReLU; three stages of 2, 3 and 3 layers at 2C, 4C and 8C, the first layer of each of stride 2;
conv1x1 to 40 C + BN-ReLU, global average pool, linear. A layer is one of three blocks: identity (a strided conv1x1 + BN
where the shape changes), or an inverted residual (MobileNetV2) of expansion 3 and kernel 3x3, or of 6 and 5x5.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from nas_lightning.nets.base import Network, global_average
from nas_lightning.nets.candidates import Candidates
from nas_lightning.nets.kernel import SharedKernel, new_linear
from nas_lightning.nets.norm import BatchNorm
from nas_lightning.plan import Mapping
from nas_lightning.spaces.nasbench_macro import BLOCKS, HEAD, OPERATIONS, STAGES


class ConvBN(nn.Module):
    """Convolution and batch-norm: [B, in, H, W] -> [B, out, H/stride, W/stride]."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        mapping: Mapping,
        track: bool,
        stride: int = 1,
        groups: int = 1,
        affine: bool | None = None,
    ) -> None:
        super().__init__()
        self.size, self.stride, self.groups = size, stride, groups
        self.kernel = SharedKernel(outputs, inputs // groups, (size,))
        self.norm = BatchNorm(outputs, mapping.bn_affine if affine is None else affine, track)

    def forward(self, x: Tensor) -> Tensor:
        stride = self.stride
        if self.size == 1 and stride > 1:  # the same numbers; oneDNN's gradient of a strided 1x1 kernel with two input
            x, stride = x[:, :, ::stride, ::stride], 1  # channels writes beyond its memory (torch 2.15 on a CPU)
        x = F.conv2d(x, self.kernel(self.size), stride=stride, padding=self.size // 2, groups=self.groups)
        normalised: Tensor = self.norm(x)
        return normalised


class InvertedResidual(nn.Module):
    """conv1x1-BN-ReLU to the hidden width, depthwise conv-BN-ReLU, conv1x1-BN; plus the input where shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, operation: int, mapping: Mapping, track: bool) -> None:
        super().__init__()
        expansion, size = BLOCKS[operation]
        hidden = expansion * inputs
        self.expand = ConvBN(inputs, hidden, 1, mapping=mapping, track=track)
        self.depthwise = ConvBN(hidden, hidden, size, mapping=mapping, track=track, stride=stride, groups=hidden)
        self.project = ConvBN(hidden, outputs, 1, mapping=mapping, track=track)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(F.relu(self.depthwise(F.relu(self.expand(x)))))
        return x + y if self.shortcut else y


def block(operation: int, inputs: int, outputs: int, stride: int, mapping: Mapping, track: bool) -> nn.Module:
    """The block `operation` of a layer of this shape."""
    if operation in BLOCKS:
        return InvertedResidual(inputs, outputs, stride, operation=operation, mapping=mapping, track=track)
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return ConvBN(inputs, outputs, 1, mapping=mapping, track=track, stride=stride)


class NBMacroNetwork(Network):
    """NAS-Bench-Macro, see the module's docstring."""

    def __init__(
        self, mapping: Mapping, num_classes: int, in_channels: int = 3, track: bool = False, arch: Any = None
    ) -> None:
        super().__init__(mapping, num_classes, in_channels, track=track, arch=arch)
        mapping, width = self.mapping, self.mapping.channels
        self.stem = ConvBN(in_channels, width, 3, mapping=mapping, track=track, affine=mapping.affine_outside)
        self.layers = nn.ModuleList()
        for stage in STAGES:
            for layer in stage:
                inputs, stride = width, 2 if layer == stage[0] else 1
                width *= stride
                offered = range(len(OPERATIONS)) if arch is None else (arch.operations[layer],)
                self.layers.append(
                    Candidates(
                        lambda op, i=inputs, o=width, s=stride: block(op, i, o, stride=s, mapping=mapping, track=track),  # type: ignore[misc]
                        offered,
                    )
                )
        self.last = ConvBN(
            width, HEAD * mapping.channels, 1, mapping=mapping, track=track, affine=mapping.affine_outside
        )
        self.classifier = new_linear(HEAD * mapping.channels, num_classes)

    def features(self, x: Tensor, arch: Any = None, stages: list[Tensor] | None = None) -> Tensor:
        operations = self.architecture(arch).operations
        opening = {stage[0] for stage in STAGES[1:]}
        images = x
        x = self._kept("stem", lambda: F.relu(self.stem(images)))
        for index, layer in enumerate(self.layers):
            if stages is not None and index in opening:
                stages.append(global_average(F.relu(x)))
            y = x
            if index < len(self.layers) - 1:
                key = operations[: index + 1]
                x = self._kept(key, lambda layer=layer, y=y, op=key[-1]: layer(y, op))
            else:
                x = layer(y, operations[index])
            x = self.drop_path(x, index, len(self.layers))
        return global_average(F.relu(self.last(x)))

    def _kept(self, key: Any, compute: Any) -> Tensor:
        """The map after the layers `key`, which architectures of equal first layers share while they are scored."""
        found: Tensor = compute() if self.prefix is None else self.prefix.get(key, compute)
        return found

    def behaviour(self, arch: Any) -> Any:
        return arch.operations
