"""3x3 average pooling whose border counts only pixels inside the image, faster on a CPU where it pays."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

WIDEST = 64
"""PyTorch's channels-last pooling walks pixel by pixel and fills its vectors with channels. Up to this many channels a
depthwise convolution with equal weights is faster (8 times at 8 channels of 32x32, by a fifth at 64 of 8x8,
docs/PERFORMANCE.md). Under bf16 autocast the convolution is taken at every width, since pooling would go back to
float32."""


@lru_cache(maxsize=64)
def mean_kernel(channels: int, dtype: torch.dtype) -> Tensor:
    """[C, 1, 3, 3] of ninths."""
    with torch.inference_mode(False):  # or a kernel first asked for while scoring could not be used in training
        return torch.full((channels, 1, 3, 3), 1 / 9, dtype=dtype)


@lru_cache(maxsize=64)
def border_factor(channels: int, height: int, width: int, dtype: torch.dtype) -> Tensor:
    """[1, C, H, W] in channels-last memory: 9 over the number of pixels inside the image.

    Repeated over the channels, so that multiplying by it runs along memory.
    """
    with torch.inference_mode(False):
        rows, columns = (
            F.conv1d(torch.ones(1, 1, n, dtype=torch.float64), torch.ones(1, 1, 3, dtype=torch.float64), padding=1)
            for n in (height, width)
        )
        factor = (9 / (rows.view(-1, 1) * columns.view(1, -1))).to(dtype)
        return factor.expand(1, channels, height, width).contiguous(memory_format=torch.channels_last)


class DepthwiseMean(torch.autograd.Function):
    """Average pooling as a depthwise convolution, forward and backward: symmetric but for the border."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        out = F.conv2d(x, mean_kernel(x.shape[1], x.dtype), padding=1, groups=x.shape[1])
        return out.mul_(border_factor(*x.shape[1:], x.dtype))

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0]
        scaled = gradient * border_factor(*gradient.shape[1:], gradient.dtype)
        channels = scaled.shape[1]
        scaled = scaled.contiguous(memory_format=torch.channels_last)
        return F.conv2d(scaled, mean_kernel(channels, scaled.dtype), padding=1, groups=channels)


def by_convolution(x: Tensor) -> bool:
    """Whether the convolution is the faster way for `x` [B, C, H, W]."""
    if x.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if x.dtype == torch.float32:
        return x.shape[1] <= WIDEST or torch.is_autocast_enabled("cpu")
    return x.dtype == torch.bfloat16


def average_pool(x: Tensor) -> Tensor:
    """3x3, stride 1, padding 1, [B, C, H, W] -> [B, C, H, W]; equals avg_pool2d without count_include_pad."""
    if by_convolution(x):
        pooled: Tensor = DepthwiseMean.apply(x)
        return pooled
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
