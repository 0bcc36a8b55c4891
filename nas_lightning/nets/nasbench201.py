"""The NAS-Bench-201 network (Dong, Yang, ICLR 2020, section 2), as super-net and as stand-alone network.

Stem conv3x3 C + BN; three stages of N cells at C, 2C, 4C; between them a residual block of stride 2; BN-ReLU, global
average pool, linear. A cell has 4 nodes and 6 edges u -> v, each with one of 5 operations; a node sums its edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_lightning.nets.base import Network, conv_bn_tensors, global_average
from nas_lightning.nets.kernel import SharedKernel, new_linear
from nas_lightning.nets.norm import BatchNorm
from nas_lightning.nets.pooling import average_pool
from nas_lightning.nets.prefix import Prefix
from nas_lightning.nets.relaxed import RelaxedPath
from nas_lightning.plan import Mapping
from nas_lightning.spaces.nasbench201 import RELAXATION

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
NONE, SKIP, CONV1, CONV3, POOL = range(5)
KERNEL_SIZE = {CONV1: 1, CONV3: 3}


class Node(NamedTuple):
    """What one node sums: (source, operation, key of the result) an edge. Keys name all that the values depend on."""

    edges: tuple[tuple[int, int, Any], ...]
    key: Any


@lru_cache(maxsize=1 << 15)
def live(operations: tuple[int, ...]) -> tuple[int, ...]:
    """The same cell with `NONE` on every edge that nothing reads: outputs and gradients stay as they are."""
    to1, to2, one_two, to3, one_three, two_three = operations
    if two_three == NONE:
        to2 = one_two = NONE
    if one_two == one_three == NONE:
        to1 = NONE
    return to1, to2, one_two, to3, one_three, two_three


@lru_cache(maxsize=1 << 15)
def nodes_of(operations: tuple[int, ...]) -> tuple[Node, Node, Node]:
    """Nodes 1 to 3; skips and poolings of a node that sums nothing are left out, since they are zero."""
    nodes = [Node((), "input")]
    for v in (1, 2, 3):
        edges = []
        for (u, target), operation in zip(EDGES, operations, strict=True):
            if target != v or operation == NONE:
                continue
            if u == 0 or nodes[u].edges or operation in KERNEL_SIZE:
                place = (u, v) if operation in KERNEL_SIZE else (u,)  # a pooling has no weights: one for all targets
                edges.append((u, operation, (*place, operation, nodes[u].key)))
        nodes.append(Node(tuple(edges), (v, tuple(key for _, _, key in edges))))
    return nodes[1], nodes[2], nodes[3]


class ConvPlace(nn.Module):
    """ReLU-conv-BN of the kernel sizes that one place offers; batch-norm is separate per size."""

    def __init__(self, channels: int, sizes: tuple[int, ...], mapping: Mapping, track: bool) -> None:
        super().__init__()
        self.kernel = SharedKernel(channels, channels, sizes, mapping.ofa_kernel)
        self.norms = nn.ModuleDict({str(k): BatchNorm(channels, mapping.bn_affine, track) for k in sizes})

    def forward(self, activated: Tensor, size: int) -> Tensor:
        """`activated` is the input after its ReLU, [B, C, H, W]."""
        return self.norms[str(size)](F.conv2d(activated, self.kernel(size), padding=size // 2))


def place_of(edge: tuple[int, int], placement: str) -> str:
    """Who owns the operations of an edge: itself, or its target node (``node_except_input``: not from node 0)."""
    u, v = edge
    if placement == "node" or (placement == "node_except_input" and u > 0):
        return f"node{v}"
    return f"{u}-{v}"


class Cell(nn.Module):
    """One cell [B, C, H, W] -> [B, C, H, W]."""

    def __init__(self, channels: int, mapping: Mapping, track: bool, arch: Any = None) -> None:
        super().__init__()
        self.placement, self.part = mapping.op_placement, mapping.partial_channels
        offered: dict[str, set[int]] = {}
        for edge, operation in zip(EDGES, arch.operations if arch is not None else [None] * 6, strict=True):
            sizes = (1, 3) if operation is None else (KERNEL_SIZE[operation],) if operation in KERNEL_SIZE else ()
            offered.setdefault(place_of(edge, self.placement), set()).update(sizes)
        self.places = nn.ModuleDict(
            {
                place: ConvPlace(channels // self.part, tuple(sorted(sizes)), mapping, track)
                for place, sizes in offered.items()
                if sizes
            }
        )

    def forward(self, x: Tensor, operations: tuple[int, ...], prefix: Prefix | None = None) -> Tensor:
        """`prefix` keeps the maps that other architectures ask for on the same `x`."""
        values: list[Tensor | None] = [x]
        keys: list[Any] = ["input"]
        shared: dict[tuple[int, str], Tensor] = {}  # ReLU and pooling of a node, for all edges that read it
        for v, node in enumerate(nodes_of(operations), start=1):
            if prefix is None or v == 3 or not node.edges:
                values.append(self.node(v, node, values, keys=keys, shared=shared, prefix=prefix))
            else:
                make = partial(self.node, v, node, values, keys=keys, shared=shared, prefix=prefix)
                values.append(prefix.get(node.key, make))
            keys.append(node.key)
        return torch.zeros_like(x) if values[3] is None else values[3]

    def node(
        self,
        v: int,
        node: Node,
        values: list[Tensor | None],
        keys: list[Any],
        shared: dict[tuple[int, str], Tensor],
        prefix: Prefix | None,
    ) -> Any:
        """The sum of a node's edges, None where it has none."""
        total: Tensor | None = None
        for u, operation, key in node.edges:
            if prefix is None or operation == SKIP:
                y = self.edge(u, v, operation, values=values, keys=keys, shared=shared, prefix=prefix)
            else:
                make = partial(self.edge, u, v, operation, values=values, keys=keys, shared=shared, prefix=prefix)
                y = prefix.get(key, make)
            total = y if total is None else total + y
        return total

    def edge(
        self,
        u: int,
        v: int,
        operation: int,
        values: list[Tensor | None],
        keys: list[Any],
        shared: dict[tuple[int, str], Tensor],
        prefix: Prefix | None,
    ) -> Tensor:
        """One operation on the value of node `u`."""
        source = values[u]
        if source is None:
            source = torch.zeros_like(values[0])  # type: ignore[arg-type]
        if operation == SKIP:
            return source
        if operation == POOL:
            if (u, "pool") not in shared:
                shared[u, "pool"] = average_pool(source)
            return shared[u, "pool"]
        if (u, "relu") not in shared:
            compute = partial(F.relu, source)
            shared[u, "relu"] = compute() if prefix is None else prefix.get(("relu", keys[u]), compute)
        y: Tensor = self.places[place_of((u, v), self.placement)](shared[u, "relu"], KERNEL_SIZE[operation])
        return y

    def relaxed(self, x: Tensor, path: RelaxedPath) -> Tensor:
        """The cell with all operations of an edge summed by their weights."""
        values: list[Tensor | None] = [x]
        read: list[Tensor | None] = [x if self.part == 1 else x[:, : x.shape[1] // self.part]]
        shared: dict[tuple[int, str], Tensor] = {}
        for v in (1, 2, 3):
            total: Tensor | None = None
            for edge in range(len(EDGES)):
                if EDGES[edge][1] == v:
                    y = self.relaxed_edge(edge, values, read, shared=shared, path=path)
                    if y is not None:
                        total = y if total is None else total + y
            values.append(total)
            read.append(total if self.part == 1 or total is None else total[:, : total.shape[1] // self.part])
        return torch.zeros_like(x) if values[3] is None else values[3]

    def relaxed_edge(
        self,
        edge: int,
        values: list[Tensor | None],
        read: list[Tensor | None],
        shared: dict[tuple[int, str], Tensor],
        path: RelaxedPath,
    ) -> Tensor | None:
        """The sum of one edge; `read` holds the channels that its operations read."""
        u, v = EDGES[edge]

        def operation(op: int) -> Tensor | None:
            if op == NONE:
                return torch.zeros_like(read[0]) if path.scalars else None  # type: ignore[arg-type]
            if read[u] is None and op not in KERNEL_SIZE:
                return torch.zeros_like(read[0]) if path.scalars else None  # type: ignore[arg-type]
            return self.edge(u, v, op, values=read, keys=[], shared=shared, prefix=None)

        if self.part == 1:
            return path.mixture(0, edge, operation)
        x = values[u] if values[u] is not None else torch.zeros_like(values[0])  # type: ignore[arg-type]
        return path.partial_mixture(0, edge, x, part=self.part, stride=1, operation=operation)  # type: ignore[arg-type]

    def exported(self, operations: tuple[int, ...]) -> Iterator[tuple[str, Tensor]]:
        for edge, operation in zip(EDGES, operations, strict=True):
            if operation in KERNEL_SIZE:
                size = KERNEL_SIZE[operation]
                place: Any = self.places[place_of(edge, self.placement)]
                norm = place.norms[str(size)]
                yield from conv_bn_tensors(
                    f"places.{edge[0]}-{edge[1]}",
                    place.kernel(size),
                    norm.affine(),
                    tracked=norm.tracked() if norm.running_mean is not None else None,
                    size=size,
                )


class ReductionBlock(nn.Module):
    """Residual block of stride 2: two ReLU-conv3x3-BN; shortcut 2x2 average pool, then conv1x1 without BN."""

    def __init__(self, in_channels: int, channels: int, affine: bool, track: bool) -> None:
        super().__init__()
        self.first = SharedKernel(channels, in_channels, (3,))
        self.first_norm = BatchNorm(channels, affine, track)
        self.second = SharedKernel(channels, channels, (3,))
        self.second_norm = BatchNorm(channels, affine, track)
        self.shortcut = SharedKernel(channels, in_channels, (1,))

    def forward(self, x: Tensor) -> Tensor:
        y = self.first_norm(F.conv2d(F.relu(x), self.first(3), stride=2, padding=1))
        y = self.second_norm(F.conv2d(F.relu(y), self.second(3), padding=1))
        # An odd side is halved as the strided convolution does, upwards: its last row and column average what is there.
        return y + F.conv2d(F.avg_pool2d(x, 2, ceil_mode=True), self.shortcut(1))


class NB201Network(Network):
    """NAS-Bench-201, see the module's docstring."""

    shares_relu = True
    between_stages: ClassVar[type[nn.Module]] = ReductionBlock
    """Called with (channels in, channels out, affine, track)."""

    def __init__(
        self, mapping: Mapping, num_classes: int, in_channels: int = 3, track: bool = False, arch: Any = None
    ) -> None:
        super().__init__(mapping, num_classes, in_channels, track=track, arch=arch)
        mapping = self.mapping
        width = mapping.channels
        self.stem = SharedKernel(width, in_channels, (3,))
        self.stem_norm = BatchNorm(width, mapping.affine_outside, track)
        self.cells = nn.ModuleList()
        self.reductions = nn.ModuleList()
        for stage in range(3):
            if stage:
                self.reductions.append(self.between_stages(width, 2 * width, mapping.affine_outside, track))
                width *= 2
            self.cells.extend(Cell(width, mapping, track, arch) for _ in range(mapping.layers))
        self.last_norm = BatchNorm(width, mapping.affine_outside, track)
        self.classifier = new_linear(width, num_classes)

    def features(self, x: Tensor, arch: Any = None, stages: list[Tensor] | None = None) -> Tensor:
        arch = self.architecture(arch)
        if self.mapping.partial_channels > 1 and not isinstance(arch, RelaxedPath):
            arch = RelaxedPath.of(RELAXATION.one_hot(arch), self.classifier.weight)  # type: ignore[arg-type]
        path = arch if isinstance(arch, RelaxedPath) else None
        operations = () if path is not None else arch.operations
        if path is None and not (
            self.training and self.track
        ):  # a tracking norm counts batches that nothing reads, too
            operations = live(operations)
        images, prefix = x, self.prefix
        if prefix is None:
            x = self.stem_norm(F.conv2d(x, self.stem(3), padding=1))
        else:
            x = prefix.get("stem", lambda: self.stem_norm(F.conv2d(images, self.stem(3), padding=1)))
        for index, cell in enumerate(self.cells):
            if index and index % self.mapping.layers == 0:
                if stages is not None:
                    stages.append(global_average(F.relu(x)))
                x = self.reductions[index // self.mapping.layers - 1](x)
            y = cell.relaxed(x, path) if path else cell(x, operations, prefix if index == 0 else None)  # type: ignore[operator]
            x = self.drop_path(y, index, len(self.cells))
        return self.pool(F.relu(self.last_norm(x)))

    def pool(self, x: Tensor) -> Tensor:
        """The last maps [B, D, H, W] -> what the classifier reads."""
        return global_average(x)

    def behaviour(self, arch: Any) -> Any:
        if self.mapping.partial_channels > 1:  # what no operation reads still passes by
            return arch.operations
        to1, to2, one_two, to3, one_three, two_three = live(arch.operations)
        return to1, one_two, to2, two_three, one_three, to3  # in this order, neighbours have most of a cell in common

    def exported(self, arch: Any) -> Iterator[tuple[str, Tensor]]:
        for index, cell in enumerate(self.cells):
            for name, tensor in cell.exported(arch.operations):  # type: ignore[operator]
                yield f"cells.{index}.{name}", tensor
