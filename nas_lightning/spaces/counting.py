"""Counting parameters and multiply-accumulates of a network from its definition, without building it.

Counted as multiply-accumulates are convolutions and the classifier (its bias included), as NAS-Bench-201's official
costs do; normalisation, pooling and activations are not. Convolutions carry no bias; a batch-norm layer has two
parameters a channel, or none where it is not affine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class Cost:
    """Running totals, int64 arrays [N] or plain integers."""

    affine: bool
    params: Any = 0
    macs: Any = 0

    def conv(self, inputs: Any, outputs: Any, kernel: int, pixels: int, times: Any = 1, norm: bool = True) -> None:
        """`times` dense convolutions with `pixels` output positions, each followed by batch-norm if `norm`.

        Args:
            inputs: channels in.
            outputs: channels out.
            kernel: its side.
            pixels: positions of the output.
            times: how many of them there are.
            norm: whether a batch-norm follows.
        """
        weights = times * kernel * kernel * inputs * outputs
        self.params += weights + (2 * times * outputs if norm and self.affine else 0)
        self.macs += weights * pixels

    def depthwise(self, channels: int, kernel: int, pixels: int, times: Any) -> None:
        """Count depthwise convolutions, one filter a channel, without norm.

        Args:
            channels: in and out.
            kernel: its side.
            pixels: positions of the output.
            times: how many of them there are.
        """
        weights = times * kernel * kernel * channels
        self.params += weights
        self.macs += weights * pixels

    def norm(self, channels: Any, times: Any = 1) -> None:
        """Count the scales and shifts of batch-norms, where they are learned.

        Args:
            channels: of the feature map.
            times: how many of them there are.
        """
        self.params += 2 * times * channels if self.affine else 0

    def linear(self, inputs: int, outputs: int) -> None:
        """Count a linear layer with bias, each of whose biases is one multiply-accumulate.

        Args:
            inputs: features in.
            outputs: features out.
        """
        self.params += inputs * outputs + outputs
        self.macs += inputs * outputs + outputs


def half(size: int) -> int:
    """Side of a feature map after a strided convolution with "same" padding.

    Args:
        size: side before, pixels.

    Returns:
        Side after, pixels, rounded up.
    """
    return (size + 1) // 2
