"""The DARTS network (Liu et al., ICLR 2019, section 3), as super-net and as stand-alone network.

Stem conv3x3 to 3C + BN; L cells, the ones at ⌊L/3⌋ and ⌊2L/3⌋ are reduction cells with doubled width; global average
pool, linear. A cell reads the outputs of the two cells before it, each brought to width by ReLU-conv1x1-BN (a
factorised reduction where the resolution has halved); each of its 4 nodes sums two operations on earlier states; the 4
nodes are concatenated. Pooling operations carry no batch-norm, as in the stand-alone network.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_lightning.nets.base import Network, conv_bn_tensors, global_average
from nas_lightning.nets.kernel import SharedKernel, new_linear
from nas_lightning.nets.norm import BatchNorm
from nas_lightning.nets.pooling import average_pool
from nas_lightning.nets.relaxed import RelaxedPath
from nas_lightning.plan import Mapping
from nas_lightning.spaces.darts_nds import RELAXATION

NONE, MAX_POOL, AVG_POOL, SKIP, SEP3, SEP5, DIL3, DIL5 = range(8)
SEP_SIZE = {SEP3: 3, SEP5: 5}
DIL_SIZE = {DIL3: 3, DIL5: 5}
N_NODES, N_INPUTS = 4, 2


class FactorizedReduce(nn.Module):
    """ReLU, two 1x1 convolutions of stride 2 on shifted grids, concatenated, BN: [B, in, H, W] -> [B, out, H/2,
    W/2]."""

    def __init__(self, in_channels: int, channels: int, affine: bool, track: bool) -> None:
        super().__init__()
        self.first = SharedKernel(channels // 2, in_channels, (1,))
        self.second = SharedKernel(channels - channels // 2, in_channels, (1,))
        self.norm = BatchNorm(channels, affine, track)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        # The same numbers as a stride of 2; oneDNN's gradient of a strided 1x1 kernel with two input channels writes
        # beyond its memory (torch 2.15 on a CPU), and ends the process.
        first, second = x[:, :, ::2, ::2], x[:, :, 1::2, 1::2]
        return self.norm(torch.cat([F.conv2d(first, self.first(1)), F.conv2d(second, self.second(1))], dim=1))

    def exported(self) -> Iterator[tuple[str, Tensor]]:
        yield from self.state_dict().items()


class ReLUConvBN(nn.Module):
    """ReLU-conv1x1-BN."""

    def __init__(self, in_channels: int, channels: int, affine: bool, track: bool) -> None:
        super().__init__()
        self.kernel = SharedKernel(channels, in_channels, (1,))
        self.norm = BatchNorm(channels, affine, track)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.conv2d(F.relu(x), self.kernel(1)))


class Separable(nn.Module):
    """ReLU, depthwise k x k, pointwise 1x1, BN for the sizes of one place; the depthwise kernel may be shared (OFA)."""

    def __init__(self, channels: int, sizes: tuple[int, ...], dilation: int, mapping: Mapping, track: bool) -> None:
        super().__init__()
        self.channels, self.dilation = channels, dilation
        self.kernel = SharedKernel(channels, 1, sizes, mapping.ofa_kernel)
        self.pointwise = nn.ModuleDict({str(k): SharedKernel(channels, channels, (1,)) for k in sizes})
        self.norms = nn.ModuleDict({str(k): BatchNorm(channels, mapping.bn_affine, track) for k in sizes})

    def forward(self, x: Tensor, size: int, stride: int) -> Tensor:
        x = F.conv2d(
            F.relu(x),
            self.kernel(size),
            stride=stride,
            padding=self.dilation * (size // 2),
            dilation=self.dilation,
            groups=self.channels,
        )
        return self.norms[str(size)](F.conv2d(x, self.pointwise[str(size)](1)))

    def exported(self, name: str, size: int) -> Iterator[tuple[str, Tensor]]:
        norm: Any = self.norms[str(size)]
        yield from conv_bn_tensors(
            name,
            self.kernel(size),
            norm.affine(),
            tracked=norm.tracked() if norm.running_mean is not None else None,
            size=size,
        )
        pointwise: Any = self.pointwise[str(size)]
        yield f"{name}.pointwise.{size}.weights.1", pointwise(1)


class Place(nn.Module):
    """The candidate operations of one place: an edge, or a node whose incoming edges share them."""

    def __init__(self, channels: int, operations: frozenset[int], strided: bool, mapping: Mapping, track: bool) -> None:
        super().__init__()
        sep = tuple(size for op, size in SEP_SIZE.items() if op in operations)
        dil = tuple(size for op, size in DIL_SIZE.items() if op in operations)
        if sep:
            self.sep = nn.ModuleList([Separable(channels, sep, 1, mapping=mapping, track=track) for _ in range(2)])
        if dil:
            self.dil = Separable(channels, dil, 2, mapping=mapping, track=track)
        if strided and SKIP in operations:
            self.skip = FactorizedReduce(channels, channels, mapping.bn_affine, track)

    def forward(self, x: Tensor, operation: int, stride: int) -> Tensor:
        if operation in SEP_SIZE:
            size = SEP_SIZE[operation]
            return self.sep[1](self.sep[0](x, size, stride), size, 1)
        if operation in DIL_SIZE:
            return self.dil(x, DIL_SIZE[operation], stride)
        if operation == SKIP:
            return x if stride == 1 else self.skip(x)
        if operation == MAX_POOL:
            return F.max_pool2d(x, 3, stride, 1)
        if operation == AVG_POOL:
            return average_pool(x) if stride == 1 else F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
        return torch.zeros_like(x[:, :, ::stride, ::stride])

    def exported(self, name: str, operation: int, stride: int) -> Iterator[tuple[str, Tensor]]:
        if operation in SEP_SIZE:
            for index, half in enumerate(self.sep):
                yield from half.exported(f"{name}.sep.{index}", SEP_SIZE[operation])  # type: ignore[operator]
        elif operation in DIL_SIZE:
            yield from self.dil.exported(f"{name}.dil", DIL_SIZE[operation])
        elif operation == SKIP and stride == 2:
            for leaf, tensor in self.skip.exported():
                yield f"{name}.skip.{leaf}", tensor


def place_of(node: int, source: int, placement: str) -> str:
    """Who owns the operations of the edge source -> node; states 0 and 1 are the cell's inputs."""
    if placement == "node" or (placement == "node_except_input" and source >= N_INPUTS):
        return f"node{node}"
    return f"{source}-{node}"


class Cell(nn.Module):
    """One cell: two inputs [B, C_pp, ·, ·], [B, C_p, H, W] -> [B, 4·channels, H', W'].

    A stand-alone cell keeps one place per (node, slot), since a node may read one state twice.
    """

    def __init__(
        self,
        before_last: int,
        last: int,
        channels: int,
        reduction: bool,
        reduced_before: bool,
        mapping: Mapping,
        track: bool,
        genotype: Any = None,
    ) -> None:
        super().__init__()
        affine, self.placement, self.reduction = mapping.bn_affine, mapping.op_placement, reduction
        self.part = mapping.partial_channels
        self.own = genotype is not None
        self.first: nn.Module = (
            FactorizedReduce(before_last, channels, affine, track)
            if reduced_before
            else ReLUConvBN(before_last, channels, affine, track)
        )
        self.second = ReLUConvBN(last, channels, affine, track)
        offered: dict[str, set[int]] = {}
        strided: set[str] = set()
        for node in range(N_NODES):
            if genotype is not None:
                for slot, (operation, source) in enumerate(genotype[node]):
                    offered[f"{node}_{slot}"] = {operation}
                    if self.stride(source) == 2:
                        strided.add(f"{node}_{slot}")
                continue
            for source in range(N_INPUTS + node):
                place = place_of(node, source, self.placement)
                offered.setdefault(place, set()).update(range(8))
                if self.stride(source) == 2:
                    strided.add(place)
        self.places = nn.ModuleDict(
            {
                place: Place(
                    channels // self.part, frozenset(operations), place in strided, mapping=mapping, track=track
                )
                for place, operations in offered.items()
            }
        )

    def stride(self, source: int) -> int:
        """A reduction cell halves the resolution on the edges that leave its inputs."""
        return 2 if self.reduction and source < N_INPUTS else 1

    def place(self, node: int, slot: int, source: int) -> str:
        return f"{node}_{slot}" if self.own else place_of(node, source, self.placement)

    def forward(self, before_last: Tensor, last: Tensor, genotype: Any) -> Tensor:
        states = [self.first(before_last), self.second(last)]
        for node, pair in enumerate(genotype):
            a, b = (
                self.places[self.place(node, slot, source)](states[source], operation, self.stride(source))
                for slot, (operation, source) in enumerate(pair)
            )
            states.append(a + b)
        return torch.cat(states[N_INPUTS:], dim=1)

    def relaxed(self, before_last: Tensor, last: Tensor, path: RelaxedPath) -> Tensor:
        """The cell with every node reading all earlier states, all operations of an edge summed by their weights."""
        states, kind, edge = [self.first(before_last), self.second(last)], int(self.reduction), 0
        for node in range(N_NODES):
            total: Tensor | None = None
            for source in range(N_INPUTS + node):
                y = self.relaxed_edge(kind, edge, node, source, x=states[source], path=path)
                edge += 1
                if y is not None:
                    total = y if total is None else total + y
            states.append(self.empty(states) if total is None else total)
        return torch.cat(states[N_INPUTS:], dim=1)

    def relaxed_edge(self, kind: int, edge: int, node: int, source: int, x: Tensor, path: RelaxedPath) -> Tensor | None:
        """The sum of one edge."""
        place, stride = self.places[place_of(node, source, self.placement)], self.stride(source)
        read = x if self.part == 1 else x[:, : x.shape[1] // self.part]

        def operation(op: int) -> Tensor | None:
            if op == NONE and not path.scalars:
                return None
            y: Tensor = place(read, op, stride)
            return y

        if self.part == 1:
            return path.mixture(kind, edge, operation)
        return path.partial_mixture(kind, edge, x, part=self.part, stride=stride, operation=operation)

    def empty(self, states: list[Tensor]) -> Tensor:
        """What a node without any input holds."""
        stride = self.stride(0)
        return torch.zeros_like(states[0][:, :, ::stride, ::stride])

    def exported(self, genotype: Any) -> Iterator[tuple[str, Tensor]]:
        for node, pair in enumerate(genotype):
            for slot, (operation, source) in enumerate(pair):
                place: Any = self.places[self.place(node, slot, source)]
                yield from place.exported(f"places.{node}_{slot}", operation, self.stride(source))


class DartsNetwork(Network):
    """DARTS-NDS, see the module's docstring."""

    def __init__(
        self, mapping: Mapping, num_classes: int, in_channels: int = 3, track: bool = False, arch: Any = None
    ) -> None:
        super().__init__(mapping, num_classes, in_channels, track=track, arch=arch)
        mapping = self.mapping
        width = mapping.channels
        reductions = {mapping.layers // 3, 2 * mapping.layers // 3}
        self.stem = SharedKernel(3 * width, in_channels, (3,))
        self.stem_norm = BatchNorm(3 * width, mapping.affine_outside, track)
        self.cells = nn.ModuleList()
        before_last = last = 3 * width
        reduced = False
        for index in range(mapping.layers):
            reduction = index in reductions
            width *= 2 if reduction else 1
            genotype = None if arch is None else (arch.reduce if reduction else arch.normal)
            self.cells.append(
                Cell(
                    before_last,
                    last,
                    width,
                    reduction=reduction,
                    reduced_before=reduced,
                    mapping=mapping,
                    track=track,
                    genotype=genotype,
                )
            )
            before_last, last, reduced = last, 4 * width, reduction
        self.classifier = new_linear(last, num_classes)

    def features(self, x: Tensor, arch: Any = None, stages: list[Tensor] | None = None) -> Tensor:
        arch = self.architecture(arch)
        if self.mapping.partial_channels > 1 and not isinstance(arch, RelaxedPath):
            arch = RelaxedPath.of(RELAXATION.one_hot(arch), self.classifier.weight)  # type: ignore[arg-type]
        path = arch if isinstance(arch, RelaxedPath) else None
        before_last = last = self.stem_norm(F.conv2d(x, self.stem(3), padding=1))
        for index, cell in enumerate(self.cells):
            if cell.reduction and stages is not None:
                stages.append(global_average(F.relu(last)))
            if path is not None:
                y = cell.relaxed(before_last, last, path)  # type: ignore[operator]
            else:
                y = cell(before_last, last, arch.reduce if cell.reduction else arch.normal)
            before_last, last = last, self.drop_path(y, index, len(self.cells))
        return global_average(last)

    def exported(self, arch: Any) -> Iterator[tuple[str, Tensor]]:
        for index, cell in enumerate(self.cells):
            for name, tensor in cell.exported(arch.reduce if cell.reduction else arch.normal):  # type: ignore[operator]
                yield f"cells.{index}.{name}", tensor
