"""The NAS-Bench-101 network (Ying et al., ICML 2019, section 2), as super-net and as stand-alone network.

Stem conv3x3-bn-relu of C channels; 3 stacks of L cells, a 2x2 max-pool and doubled width between stacks; global average
pool, linear. In a cell a vertex sums its inputs, then applies its operation. It reads the cell's input through a 1x1
projection; an interior input that is wider than its reader is truncated to its first channels. The outputs of the
vertices wired to the output are concatenated, so that widths depend on the cell: see `vertex_widths` of the space.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_lightning.errors import UserError
from nas_lightning.nets.base import Network, conv_bn_tensors, global_average
from nas_lightning.nets.channels import ChannelCut, draw_cut
from nas_lightning.nets.kernel import SharedKernel, new_linear
from nas_lightning.nets.norm import BatchNorm, WeightSharingBatchNorm
from nas_lightning.plan import Mapping, PlanError
from nas_lightning.spaces.nasbench101 import NB101Architecture, vertex_widths

CONV3, CONV1, POOL = range(3)
KERNEL_SIZE = {CONV3: 3, CONV1: 1}
MAX_INTERIOR = 5
OUT, IN = 0, 1  # axes of a channel draw


class Wiring(NamedTuple):
    """Who feeds whom in one cell; looked up once per architecture, since every cell of every step asks."""

    sources: tuple[tuple[int, ...], ...]  # of interior vertex v, at v − 1
    patterns: tuple[int, ...]  # the same as bit sets
    outputs: tuple[int, ...]  # interior vertices wired to the output
    through: bool  # input wired to the output


@lru_cache(maxsize=1 << 16)
def pruned(arch: NB101Architecture) -> NB101Architecture:
    """The cell without the vertices that reach nothing: what the reference builds."""
    return arch.pruned()


@lru_cache(maxsize=1 << 16)
def wiring(arch: NB101Architecture) -> Wiring:
    """The wiring of a pruned cell."""
    matrix, last = arch.matrix, arch.n_vertices - 1
    sources = tuple(tuple(u for u in range(v) if matrix[u, v]) for v in range(1, last))
    return Wiring(
        sources,
        tuple(sum(1 << u for u in s) for s in sources),
        tuple(v for v in range(1, last) if matrix[v, last]),
        bool(matrix[0, last]),
    )


def widths_of(channels: int) -> tuple[int, ...]:
    """Every width that a vertex can be asked for in a cell of `channels` output channels, widest first."""
    found = {channels}
    for outputs in range(1, MAX_INTERIOR + 1):
        found |= {channels // outputs, channels // outputs + (channels % outputs > 0)}
    return tuple(sorted((w for w in found if w > 0), reverse=True))


class WidthBlock(nn.Module):
    """conv-bn-relu of several kernel sizes for the widths up to `out_channels`, one kernel and norm set."""

    def __init__(
        self, out_channels: int, in_channels: int, sizes: tuple[int, ...], mapping: Mapping, track: bool, n_inputs: int
    ) -> None:
        super().__init__()
        self.kernel = SharedKernel(out_channels, in_channels, sizes, mapping.ofa_kernel)
        self.norms = nn.ModuleDict()
        for size in sizes:
            if mapping.wsbn == "off" or n_inputs == 0:
                self.norms[str(size)] = BatchNorm(out_channels, mapping.bn_affine, track)
            else:
                self.norms[str(size)] = WeightSharingBatchNorm(
                    out_channels, n_inputs, mapping.wsbn, affine=mapping.bn_affine, track=track
                )

    def arguments(self, size: int, pattern: int) -> tuple[Any, tuple[int, ...]]:
        """The norm of `size` and the leading arguments that choose its bank."""
        norm = self.norms[str(size)]
        return norm, ((pattern,) if isinstance(norm, WeightSharingBatchNorm) else ())

    def forward(
        self, x: Tensor, size: int, pattern: int, out_cut: ChannelCut | None, in_cut: ChannelCut | None
    ) -> Tensor:
        norm, bank = self.arguments(size, pattern)
        return F.relu(norm(F.conv2d(x, self.kernel(size, out_cut, in_cut), padding=size // 2), *bank, out_cut))


class Place(nn.Module):
    """The operations of one vertex, or a projection: conv-bn-relu cut to the width that the cell asks for.

    `wide_input`: a projection, which always reads the cell's whole input. ``separate`` keeps one block per width; the
    other dynamic-channel modes cut one block of full width, output axis then input axis, by independent draws keyed by
    (seed, step, vertex, axis). Batch-norm is cut by the index of the output axis.
    """

    def __init__(
        self,
        key: str,
        full: int,
        widths: tuple[int, ...],
        sizes: tuple[int, ...],
        mapping: Mapping,
        track: bool,
        wide_input: int = 0,
        n_inputs: int = 0,
    ) -> None:
        super().__init__()
        self.key, self.full, self.wide_input = zlib.crc32(key.encode()), full, wide_input
        self.mode = mapping.dynamic_channel
        blocks = widths if self.mode == "separate" else (full,)
        self.blocks = nn.ModuleDict(
            {
                str(w): WidthBlock(w, wide_input or w, sizes, mapping=mapping, track=track, n_inputs=n_inputs)
                for w in blocks
            }
        )

    def cuts(self, width: int, draw: tuple[int, int]) -> tuple[Any, ChannelCut | None, ChannelCut | None]:
        """The block that serves `width`, and its cuts on the output and the input axis."""
        if self.mode == "separate":
            return self.blocks[str(width)], None, None
        block = self.blocks[str(self.full)]
        if width == self.full:
            return block, None, None
        mode = "fixed" if self.mode == "off" else self.mode  # off: at most the remainder's one channel is cut
        out_cut = draw_cut(mode, self.full, width, (*draw, self.key, OUT))
        return block, out_cut, None if self.wide_input else draw_cut(mode, self.full, width, (*draw, self.key, IN))

    def forward(self, x: Tensor, size: int, width: int, pattern: int, draw: tuple[int, int]) -> Tensor:
        block, out_cut, in_cut = self.cuts(width, draw)
        return block(x, size, pattern, out_cut=out_cut, in_cut=in_cut)

    def exported(
        self, name: str, size: int, width: int, pattern: int, draw: tuple[int, int]
    ) -> Iterator[tuple[str, Tensor]]:
        block, out_cut, in_cut = self.cuts(width, draw)
        norm, bank = block.arguments(size, pattern)
        tracked = norm.tracked(*bank, out_cut) if self.tracks(norm) else None
        yield from conv_bn_tensors(
            f"{name}.blocks.{width}",
            block.kernel(size, out_cut, in_cut),
            norm.affine(*bank, out_cut),
            tracked=tracked,
            size=size,
        )

    @staticmethod
    def tracks(norm: BatchNorm | WeightSharingBatchNorm) -> bool:
        first: Any = norm if isinstance(norm, BatchNorm) else norm.banks[0]
        return first.running_mean is not None


class Cell(nn.Module):
    """One cell [B, in, H, W] -> [B, channels, H, W]."""

    def __init__(
        self, key: str, in_channels: int, channels: int, mapping: Mapping, track: bool, arch: Any = None
    ) -> None:
        super().__init__()
        self.channels = channels
        self.vertices, self.projections = nn.ModuleDict(), nn.ModuleDict()
        if arch is None:
            full, widths = channels, widths_of(channels)
            if mapping.dynamic_channel == "off":
                outputs = mapping.dynamic_channel_outputs
                full = -(-channels // outputs)
            for v in range(1, MAX_INTERIOR + 1):
                self.vertices[str(v)] = Place(
                    f"{key}.{v}", full, widths, sizes=(1, 3), mapping=mapping, track=track, n_inputs=v
                )
                self.projections[str(v)] = Place(
                    f"{key}.in{v}", full, widths, sizes=(1,), mapping=mapping, track=track, wide_input=in_channels
                )
            self.projections["out"] = Place(
                f"{key}.out", channels, (channels,), sizes=(1,), mapping=mapping, track=track, wide_input=in_channels
            )
            return
        asked, wires = vertex_widths(arch, channels), wiring(arch)
        for v, operation in enumerate(arch.operations, start=1):
            width = asked[v - 1]
            if operation in KERNEL_SIZE:
                self.vertices[str(v)] = Place(
                    "", width, (width,), sizes=(KERNEL_SIZE[operation],), mapping=mapping, track=track
                )
            if 0 in wires.sources[v - 1]:
                self.projections[str(v)] = Place(
                    "", width, (width,), sizes=(1,), mapping=mapping, track=track, wide_input=in_channels
                )
        if wires.through:
            self.projections["out"] = Place(
                "", channels, (channels,), sizes=(1,), mapping=mapping, track=track, wide_input=in_channels
            )

    def forward(self, x: Tensor, arch: Any, draw: tuple[int, int]) -> Tensor:
        widths, wires = vertex_widths(arch, self.channels), wiring(arch)
        tensors = [x]
        for v, operation in enumerate(arch.operations, start=1):
            width = widths[v - 1]
            total: Any = None
            for u in wires.sources[v - 1]:
                y = self.projections[str(v)](x, 1, width, pattern=0, draw=draw) if u == 0 else tensors[u][:, :width]
                total = y if total is None else total + y
            if operation == POOL:
                tensors.append(F.max_pool2d(total, 3, 1, 1))
            else:
                place = self.vertices[str(v)]
                tensors.append(place(total, KERNEL_SIZE[operation], width, pattern=wires.patterns[v - 1], draw=draw))
        projected: Any = self.projections["out"](x, 1, self.channels, pattern=0, draw=draw) if wires.through else None
        if not wires.outputs:
            return projected
        joined = torch.cat([tensors[v] for v in wires.outputs], dim=1)
        return joined if projected is None else joined + projected

    def exported(self, arch: Any, draw: tuple[int, int]) -> Iterator[tuple[str, Tensor]]:
        widths, wires = vertex_widths(arch, self.channels), wiring(arch)
        for v, operation in enumerate(arch.operations, start=1):
            width = widths[v - 1]
            if operation in KERNEL_SIZE:
                place: Any = self.vertices[str(v)]
                yield from place.exported(
                    f"vertices.{v}", KERNEL_SIZE[operation], width, pattern=wires.patterns[v - 1], draw=draw
                )
            if 0 in wires.sources[v - 1]:
                projection: Any = self.projections[str(v)]
                yield from projection.exported(f"projections.{v}", 1, width, pattern=0, draw=draw)
        if wires.through:
            output: Any = self.projections["out"]
            yield from output.exported("projections.out", 1, self.channels, pattern=0, draw=draw)


class NB101Network(Network):
    """NAS-Bench-101, see the module's docstring."""

    def __init__(
        self, mapping: Mapping, num_classes: int, in_channels: int = 3, track: bool = False, arch: Any = None
    ) -> None:
        arch = None if arch is None else pruned(arch)
        super().__init__(mapping, num_classes, in_channels, track=track, arch=arch)
        mapping = self.mapping
        width = mapping.channels
        if width < MAX_INTERIOR:
            raise PlanError(
                f"mapping.channels={width} is too narrow for NAS-Bench-101, whose cells split the width over "
                f"up to {MAX_INTERIOR} vertices; choose at least {MAX_INTERIOR}"
            )
        self.stem = SharedKernel(width, in_channels, (3,))
        self.stem_norm = BatchNorm(width, mapping.affine_outside, track)
        self.cells = nn.ModuleList()
        previous = width
        for index in range(3 * mapping.layers):
            if index and index % mapping.layers == 0:
                width *= 2
            self.cells.append(Cell(f"cell{index}", previous, width, mapping=mapping, track=track, arch=arch))
            previous = width
        self.classifier = new_linear(width, num_classes)

    def architecture(self, arch: Any) -> Any:
        return super().architecture(None if arch is None else pruned(arch))

    def evaluation_draw(self) -> tuple[int, int]:
        """Key of the channel draws: this step's in training, one fixed key at evaluation."""
        return self.draw if self.training else (0, 0)

    def features(self, x: Tensor, arch: Any = None, stages: list[Tensor] | None = None) -> Tensor:
        arch, draw = self.architecture(arch), self.evaluation_draw()
        mapping, outputs = self.mapping, len(wiring(arch).outputs)
        if self.arch is None and mapping.dynamic_channel == "off" and outputs != mapping.dynamic_channel_outputs:
            raise UserError(
                f"with dynamic_channel=off the super-net holds cells with {mapping.dynamic_channel_outputs} "
                f"output-wired interior vertices, not {outputs}; restrict the architectures or choose "
                "another mode"
            )
        x = F.relu(self.stem_norm(F.conv2d(x, self.stem(3), padding=1)))
        for index, cell in enumerate(self.cells):
            if index and index % mapping.layers == 0:
                if stages is not None:
                    stages.append(global_average(x))  # its maps are activated already
                x = F.max_pool2d(x, 2)
            x = self.drop_path(cell(x, arch, draw), index, len(self.cells))
        return global_average(x)

    def exported(self, arch: Any) -> Iterator[tuple[str, Tensor]]:
        arch = pruned(arch)
        for index, cell in enumerate(self.cells):
            for name, tensor in cell.exported(arch, self.evaluation_draw()):  # type: ignore[operator]
                yield f"cells.{index}.{name}", tensor
