"""Looking into a network's forward pass without knowing the network: what passes ReLUs, convolutions, batch norms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

RELU = (F.relu, torch.relu)
CONVOLUTION = (F.conv2d, torch.conv2d)
LINEAR = (F.linear,)
BATCH_NORM = (F.batch_norm, torch.batch_norm)
POOLING_AT_THE_END = (F.adaptive_avg_pool2d,)


class Watch(TorchFunctionMode):
    """Calls ``see(input, output)`` for every call of one of `functions` in its block, in order."""

    def __init__(self, functions: tuple[Any, ...], see: Callable[[Tensor, Tensor], None]) -> None:
        super().__init__()
        self.functions, self.see = functions, see

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in self.functions:
            self.see(args[0], out)
        return out


class WithoutBatchNorm(TorchFunctionMode):
    """Batch norm passes its input on, scale and shift too."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if func in BATCH_NORM else func(*args, **(kwargs or {}))


def activation_signs(network: Any, inputs: Tensor) -> list[Tensor]:
    """Which units are active, bool [B, units] a ReLU of the published network.

    Where this network shares one ReLU between the convolutions that read a node (`Network.shares_relu`), it stands as
    often as convolutions read it, since the published network gives each its own.

    Args:
        network: a stand-alone network.
        inputs: images [B, C, H, W].

    Returns:
        One tensor a ReLU, in the order of the pass.
    """
    signs: dict[int, Tensor] = {}
    readers: dict[int, int] = {}
    alive: list[Tensor] = []  # ids are unique among living tensors only

    def see_relu(before: Tensor, after: Tensor) -> None:
        alive.append(after)
        signs[id(after)] = (before > 0).flatten(1)
        readers[id(after)] = 0

    def see_convolution(before: Tensor, after: Tensor) -> None:
        if id(before) in readers:
            readers[id(before)] += 1

    with torch.no_grad(), Watch(CONVOLUTION, see_convolution), Watch(RELU, see_relu):
        network(inputs)
    times = {key: max(1, count) if network.shares_relu else 1 for key, count in readers.items()}
    return [signs[key] for key in signs for _ in range(times[key])]
