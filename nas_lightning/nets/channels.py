"""Dynamic channels: how a tensor of full width is cut to the width that a sampled NAS-Bench-101 cell asks for.

Yu21 section on dynamic channels; the five slicing modes differ in which channels a narrow vertex reads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nas_lightning.nets.transfer import brought


@dataclass(frozen=True)
class ChannelCut:
    """Takes `width` of `full` channels of a shared tensor.

    mode ``fixed``: the first `width`; ``chunk``: a window starting at `start`; ``shuffle``: the channels `index`;
    ``interpolate``: adaptive average over the channel axis, bin i averaging channels
    floor(i·full/width) … ceil((i+1)·full/width) − 1.
    """

    mode: str
    full: int
    width: int
    start: int = 0
    index: tuple[int, ...] = ()

    @property
    def is_view(self) -> bool:
        """Whether `take` returns a view, so that writing to it writes to the shared tensor."""
        return self.mode in ("fixed", "chunk") or (self.mode == "interpolate" and self.width == self.full)

    def take(self, tensor: Tensor, dim: int = 0) -> Tensor:
        """`tensor` with axis `dim` of length `full` cut to `width`; a view where the mode allows it."""
        if self.width == self.full and self.mode != "shuffle":
            return tensor
        if self.mode in ("fixed", "chunk"):
            return tensor.narrow(dim, self.start, self.width)
        if self.mode == "shuffle":
            return tensor.index_select(dim, brought(self.index, torch.int64, tensor.device))
        moved = tensor.movedim(dim, -1)
        pooled = F.adaptive_avg_pool1d(moved.reshape(1, -1, self.full), self.width)
        return pooled.reshape(*moved.shape[:-1], self.width).movedim(-1, dim)

    def put(self, buffer: Tensor, values: Tensor) -> None:
        """Write statistics [width] back into a full buffer [full]; interpolation writes every channel of a bin."""
        if self.mode in ("fixed", "chunk"):
            buffer.narrow(0, self.start, self.width).copy_(values)
        elif self.mode == "shuffle":
            buffer.index_copy_(0, brought(self.index, torch.int64, buffer.device), values)
        else:
            bins = torch.arange(self.full, device=buffer.device) * self.width // self.full
            buffer.copy_(values[bins])


def draw_cut(mode: str, full: int, width: int, key: tuple[int, ...]) -> ChannelCut:
    """The cut of `mode`; ``shuffle`` and ``chunk`` draw it, keyed by `key`: (seed, step, vertex, axis)."""
    if width > full:
        raise ValueError(f"a cut of width {width} does not fit into {full} channels")
    if mode in ("fixed", "interpolate"):
        return ChannelCut(mode, full, width)
    generator = np.random.default_rng([value & 0xFFFFFFFF for value in key])
    if mode == "chunk":
        return ChannelCut(mode, full, width, start=int(generator.integers(full - width + 1)))
    if mode == "shuffle":
        return ChannelCut(mode, full, width, index=tuple(int(i) for i in generator.permutation(full)[:width]))
    raise ValueError(f"dynamic channel mode {mode!r} draws no cut; choose fixed, shuffle, chunk or interpolate")
