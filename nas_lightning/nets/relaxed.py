"""A path that carries weights per edge and operation in place of a choice; and networks that run on part of their
channels.

Source: Liu et al., DARTS (arXiv 1806.09055), section 2.2; Xu et al., PC-DARTS (arXiv 1907.05737), section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from nas_lightning.spaces.relaxation import Weights


@dataclass(frozen=True, eq=False)
class RelaxedPath:
    """What a super-net runs in place of one architecture: every edge sums its operations by their weights.

    Where the weights carry a gradient all operations are computed. Where they do not, operations of weight 0 are left
    out: their parameters get no gradient at all, so that a one-hot path costs and moves what a sampled one does.
    """

    weights: tuple[Tensor, ...]
    """Per kind of cell, [edges, operations]."""
    scalars: bool = False
    """Compute operations of weight 0 never, and add their weights as plain numbers to the feature map: what the
    released code of GDAS does. Equal values, another gradient of the weights."""

    @classmethod
    def of(cls, weights: Weights, like: Tensor) -> RelaxedPath:
        """Constant weights in the dtype and on the device of `like`."""
        return cls(tuple(torch.as_tensor(w, dtype=like.dtype, device=like.device) for w in weights))

    @cached_property
    def entries(self) -> list[list[tuple[Tensor, ...]]]:
        """Per kind and edge its weights one by one."""
        return [[row.unbind() for row in kind.unbind()] for kind in self.weights]

    @cached_property
    def used(self) -> list[list[dict[int, bool]]]:
        """Per kind and edge the operations that are computed, and whether each is multiplied by its weight: not by a
        constant 1, so that a one-hot path has the very graph of the sampled one, and gradients of equal bits."""
        found = []
        for kind in self.weights:
            rows, learned = kind.detach().cpu().tolist(), kind.requires_grad
            everything = learned and not self.scalars
            found.append([{op: learned or w != 1 for op, w in enumerate(row) if everything or w} for row in rows])
        return found

    def mixture(self, kind: int, edge: int, operation: Callable[[int], Tensor | None]) -> Tensor | None:
        """Σ weight·operation of one edge; None where that is zero. `operation` gives None for zeros."""
        total: Tensor | None = None
        entries = self.entries[kind][edge]
        for op, is_weighed in self.used[kind][edge].items():
            y = operation(op)
            if y is not None:
                if is_weighed:
                    y = y * entries[op]
                total = y if total is None else total + y
        if self.scalars and total is not None:
            others = [w for op, w in enumerate(entries) if op not in self.used[kind][edge]]
            total = total + torch.stack(others).sum()
        return total

    def partial_mixture(
        self, kind: int, edge: int, x: Tensor, part: int, stride: int, operation: Callable[[int], Tensor | None]
    ) -> Tensor | None:
        """`mixture` on the first C / `part` channels of `x` [B, C, H, W]; the others pass by, and all are shuffled.

        `operation` reads those first channels. What passes by has the sum of the edge's weights (1 under a softmax, the
        weight of the edge where edges have weights), and is max-pooled 2x2 where the edge halves the resolution.
        """
        if not self.used[kind][edge]:
            return None
        head = x.shape[1] // part
        mixed, tail = self.mixture(kind, edge, operation), x[:, head:]
        if stride == 2:
            tail = F.max_pool2d(tail, 2, 2, ceil_mode=True)  # as convolutions of stride 2 halve an odd side
        tail = tail * self.weights[kind][edge].sum()
        if mixed is None:
            mixed = torch.zeros_like(tail[:, :head])
        return shuffled(torch.cat([mixed, tail], 1), part)


def shuffled(x: Tensor, groups: int) -> Tensor:
    """[B, C, H, W] with channel g·C/groups + i moved to i·groups + g (Zhang et al., ShuffleNet, section 3.1)."""
    batch, channels, height, width = x.shape
    mixed = x.view(batch, groups, channels // groups, height, width).transpose(1, 2)
    return mixed.reshape(batch, channels, height, width).contiguous(memory_format=torch.channels_last)
