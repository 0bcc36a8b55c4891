"""Convolution kernels shared between kernel sizes (OFA kernel: Cai et al., Once-for-All, section 3; Yu21)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nas_lightning.nets.channels import ChannelCut


def new_kernel(out_channels: int, in_channels: int, size: int) -> nn.Parameter:
    """Kaiming-normal kernel [out, in, size, size], fan-out: standard deviation √(2 / (out·size²)).

    This is `protocol.initialization=kaiming_normal`. The published PyTorch networks of NAS-Bench-201 and DARTS keep
    `nn.Conv2d`'s own start, kaiming_uniform with standard deviation 1/√(3·in·size²), √6 = 2.45 times smaller at equal
    fans: see `redraw_kernels`.
    """
    weight = torch.empty(out_channels, in_channels, size, size)
    nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
    return nn.Parameter(weight)


class SharedKernel(nn.Module):
    """The convolution kernels [out, in, k, k] that one place offers for the sizes `sizes`.

    mode ``off``: one parameter per size. ``crop``: ONE parameter of the largest size, the smaller kernels are its
    centre crops. ``crop+transform``: the crop, flattened to k², times a learned k² × k² matrix that starts as the
    identity. Gradients of a small kernel reach the cropped elements (and its matrix) only; momentum and weight decay,
    where the shared parameter has a gradient at all, act on the whole of it.
    """

    def __init__(self, out_channels: int, in_channels: int, sizes: tuple[int, ...], mode: str = "off") -> None:
        super().__init__()
        self.sizes = tuple(sorted(sizes))
        self.mode = mode if len(self.sizes) > 1 else "off"
        stored = self.sizes if self.mode == "off" else self.sizes[-1:]
        self.weights = nn.ParameterDict({str(k): new_kernel(out_channels, in_channels, k) for k in stored})
        smaller = self.sizes[:-1] if self.mode == "crop+transform" else ()
        self.transforms = nn.ParameterDict({str(k): nn.Parameter(torch.eye(k * k)) for k in smaller})

    def forward(self, size: int, out_cut: ChannelCut | None = None, in_cut: ChannelCut | None = None) -> Tensor:
        """The kernel [out, in, size, size], cut on the output axis, then on the input axis."""
        if str(size) in self.weights:
            weight = self.weights[str(size)]
        else:
            largest = self.sizes[-1]
            margin = (largest - size) // 2
            weight = self.weights[str(largest)][:, :, margin : margin + size, margin : margin + size]
            if str(size) in self.transforms:
                matrix = self.transforms[str(size)]
                weight = (weight.flatten(2) @ matrix.t()).unflatten(2, (size, size))
        if out_cut is not None:
            weight = out_cut.take(weight, 0)
        if in_cut is not None:
            weight = in_cut.take(weight, 1)
        return weight

    def extra_repr(self) -> str:
        return f"sizes={self.sizes}, mode={self.mode}"


def new_linear(in_features: int, out_features: int) -> nn.Linear:
    """The classifier, uniform in ±1/√in, zero bias."""
    layer = nn.Linear(in_features, out_features)
    bound = 1 / math.sqrt(in_features)
    nn.init.uniform_(layer.weight, -bound, bound)
    nn.init.zeros_(layer.bias)
    return layer
