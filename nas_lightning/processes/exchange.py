"""What the ranks of a run exchange: gradients, running statistics, moments and scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor


def position() -> tuple[int, int]:
    """Rank of this process and number of connected ranks; (0, 1) in a single process."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def average(tensors: Sequence[Tensor]) -> None:
    """Replace every tensor by its mean over the ranks, in one exchange for each dtype."""
    for dtype in dict.fromkeys(t.dtype for t in tensors):  # in one order on all ranks
        same = [t for t in tensors if t.dtype == dtype]
        flat = torch.cat([t.flatten() for t in same])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        _put(flat, same)


def broadcast(tensors: Sequence[Tensor]) -> None:
    """Replace every tensor by rank 0's."""
    for dtype in dict.fromkeys(t.dtype for t in tensors):
        same = [t for t in tensors if t.dtype == dtype]
        flat = torch.cat([t.flatten() for t in same])
        dist.broadcast(flat, 0)
        _put(flat, same)


def _put(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    for tensor, values in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(values.view(tensor.shape))


class _Sum(torch.autograd.Function):
    """Sum over the ranks. The derivative of all ranks' losses by a summand is the sum of theirs by the total."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def gathered(values: Tensor) -> Tensor:
    """[...] -> [ranks, ...], differentiable: the gradient that reaches a rank's values is the sum over all ranks.

    A sum of tensors that are zero but in their own rank's place, since not every backend scatters gradients.
    """
    rank, size = position()
    places = [values if r == rank else torch.zeros_like(values) for r in range(size)]
    total: Tensor = _Sum.apply(torch.stack(places))
    return total


def summed(values: np.ndarray, device: torch.device) -> np.ndarray:
    """Sum over the ranks. Exact where all but one hold zero at every place."""
    if position()[1] == 1:
        return values
    total = torch.from_numpy(values.copy()).to(device if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(total)
    return total.cpu().numpy()
