"""Plain PyTorch networks of one architecture, as a good engineer would write them: what a step is measured against.

`nn.Conv2d`, `nn.BatchNorm2d`, `nn.AvgPool2d` in channels-last memory, nothing shared, nothing switched at run time;
only the operations that the architecture has. Stricter than a plain super-net, whose optimizer has more to skip.
Modules are registered in the order of the project's stand-alone networks, so that `copy_weights` can fill them and
`perf/step.py` can check that both compute the same loss.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nas_lightning.spaces.nasbench101 import vertex_widths

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


def conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)


def norm(channels: int, affine: bool = True) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, affine=affine, track_running_stats=False)


class PlainCell201(nn.Module):
    """A NAS-Bench-201 cell."""

    def __init__(self, channels: int, operations: tuple[int, ...]) -> None:
        super().__init__()
        self.edges = nn.ModuleList()
        self.pairs = []
        for edge, operation in zip(EDGES, operations, strict=True):
            if operation == 0:
                continue
            self.pairs.append(edge)
            self.edges.append(
                nn.Identity()
                if operation == 1
                else nn.AvgPool2d(3, 1, 1, count_include_pad=False)
                if operation == 4
                else nn.Sequential(nn.ReLU(), conv(channels, channels, 1 if operation == 2 else 3), norm(channels))
            )

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for node in (1, 2, 3):
            inputs = [edge(nodes[u]) for (u, v), edge in zip(self.pairs, self.edges, strict=True) if v == node]
            nodes.append(torch.zeros_like(x) if not inputs else sum(inputs[1:], start=inputs[0]))
        return nodes[3]


class PlainReduction201(nn.Module):
    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.first, self.first_norm = conv(inputs, channels, 3, 2), norm(channels)
        self.second, self.second_norm = conv(channels, channels, 3), norm(channels)
        self.pool, self.shortcut, self.relu = nn.AvgPool2d(2), conv(inputs, channels, 1), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.first_norm(self.first(self.relu(x)))
        return self.second_norm(self.second(self.relu(y))) + self.shortcut(self.pool(x))


class Plain201(nn.Module):
    """NAS-Bench-201."""

    def __init__(self, arch: Any, channels: int, layers: int, affine: bool, classes: int, image_channels: int) -> None:
        super().__init__()
        self.stem, self.stem_norm = conv(image_channels, channels, 3), norm(channels)
        self.cells, self.reductions, self.layers = nn.ModuleList(), nn.ModuleList(), layers
        for stage in range(3):
            if stage:
                self.reductions.append(PlainReduction201(channels, 2 * channels))
                channels *= 2
            self.cells.extend(PlainCell201(channels, arch.operations) for _ in range(layers))
        self.last_norm, self.relu = norm(channels), nn.ReLU()
        self.pool, self.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem_norm(self.stem(x))
        for index, cell in enumerate(self.cells):
            if index and index % self.layers == 0:
                x = self.reductions[index // self.layers - 1](x)
            x = cell(x)
        return self.classifier(self.pool(self.relu(self.last_norm(x))).flatten(1))


def conv_norm_relu(inputs: int, outputs: int, size: int) -> nn.Sequential:
    return nn.Sequential(conv(inputs, outputs, size), norm(outputs), nn.ReLU())


class PlainCell101(nn.Module):
    """A NAS-Bench-101 cell of its own fixed widths."""

    def __init__(self, arch: Any, inputs: int, channels: int) -> None:
        super().__init__()
        matrix, last = arch.matrix, arch.n_vertices - 1
        self.widths = vertex_widths(arch, channels)
        self.sources = [[u for u in range(v) if matrix[u, v]] for v in range(1, last)]
        self.outputs = [v for v in range(1, last) if matrix[v, last]]
        self.vertices, self.projections = nn.ModuleDict(), nn.ModuleDict()
        for v, operation in enumerate(arch.operations, start=1):
            width = self.widths[v - 1]
            self.vertices[str(v)] = (
                nn.MaxPool2d(3, 1, 1) if operation == 2 else conv_norm_relu(width, width, 3 if operation == 0 else 1)
            )
            if matrix[0, v]:
                self.projections[str(v)] = conv_norm_relu(inputs, width, 1)
        self.through = bool(matrix[0, last])
        if self.through:
            self.projections["out"] = conv_norm_relu(inputs, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        tensors = [x]
        for v, (sources, width) in enumerate(zip(self.sources, self.widths, strict=True), start=1):
            inputs = [self.projections[str(v)](x) if u == 0 else tensors[u][:, :width] for u in sources]
            tensors.append(self.vertices[str(v)](sum(inputs[1:], start=inputs[0])))
        if not self.outputs:
            return self.projections["out"](x)
        joined = torch.cat([tensors[v] for v in self.outputs], dim=1)
        return joined + self.projections["out"](x) if self.through else joined


class Plain101(nn.Module):
    """NAS-Bench-101."""

    def __init__(self, arch: Any, channels: int, layers: int, affine: bool, classes: int, image_channels: int) -> None:
        super().__init__()
        arch, self.layers = arch.pruned(), layers
        self.stem, self.cells, previous = conv_norm_relu(image_channels, channels, 3), nn.ModuleList(), channels
        for index in range(3 * layers):
            if index and index % layers == 0:
                channels *= 2
            self.cells.append(PlainCell101(arch, previous, channels))
            previous = channels
        self.downsample, self.pool = nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for index, cell in enumerate(self.cells):
            x = cell(self.downsample(x) if index and index % self.layers == 0 else x)
        return self.classifier(self.pool(x).flatten(1))


class PlainReduceDarts(nn.Module):
    """Factorised reduction."""

    def __init__(self, inputs: int, channels: int, affine: bool) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.first, self.second = conv(inputs, channels // 2, 1, 2), conv(inputs, channels - channels // 2, 1, 2)
        self.norm = norm(channels, affine)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(x)
        return self.norm(torch.cat([self.first(x), self.second(x[:, :, 1:, 1:])], dim=1))


def separable(channels: int, size: int, stride: int, dilation: int, affine: bool) -> list[nn.Module]:
    depthwise = nn.Conv2d(
        channels, channels, size, stride, dilation * (size // 2), dilation, groups=channels, bias=False
    )
    return [nn.ReLU(), depthwise, conv(channels, channels, 1), norm(channels, affine)]


def darts_operation(operation: int, channels: int, stride: int, affine: bool) -> nn.Module:
    if operation in (1, 2):
        return nn.MaxPool2d(3, stride, 1) if operation == 1 else nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    if operation == 3:
        return nn.Identity() if stride == 1 else PlainReduceDarts(channels, channels, affine)
    size = 3 if operation % 2 == 0 else 5
    if operation < 6:
        halves = (separable(channels, size, s, 1, affine) for s in (stride, 1))
        return nn.Sequential(*(module for half in halves for module in half))
    return nn.Sequential(*separable(channels, size, stride, 2, affine))


class PlainCellDarts(nn.Module):
    def __init__(
        self, genotype: Any, before_last: int, last: int, channels: int, reduction: bool, reduced: bool, affine: bool
    ) -> None:
        super().__init__()
        self.reduction = reduction

        def preprocess(inputs: int) -> nn.Module:
            return nn.Sequential(nn.ReLU(), conv(inputs, channels, 1), norm(channels, affine))

        self.first = PlainReduceDarts(before_last, channels, affine) if reduced else preprocess(before_last)
        self.second = preprocess(last)
        self.sources = [source for pair in genotype for _, source in pair]
        self.operations = nn.ModuleList(
            darts_operation(operation, channels, 2 if reduction and source < 2 else 1, affine)
            for pair in genotype
            for operation, source in pair
        )

    def forward(self, before_last: Tensor, last: Tensor) -> Tensor:
        states = [self.first(before_last), self.second(last)]
        for slot in range(0, 8, 2):
            a, b = self.operations[slot], self.operations[slot + 1]
            states.append(a(states[self.sources[slot]]) + b(states[self.sources[slot + 1]]))
        return torch.cat(states[2:], dim=1)


class PlainDarts(nn.Module):
    """DARTS-NDS, without the operation none."""

    def __init__(self, arch: Any, channels: int, layers: int, affine: bool, classes: int, image_channels: int) -> None:
        super().__init__()
        self.stem, self.stem_norm = conv(image_channels, 3 * channels, 3), norm(3 * channels, affine)
        self.cells, before_last, last, reduced = nn.ModuleList(), 3 * channels, 3 * channels, False
        for index in range(layers):
            reduction = index in (layers // 3, 2 * layers // 3)
            channels *= 2 if reduction else 1
            genotype = arch.reduce if reduction else arch.normal
            self.cells.append(PlainCellDarts(genotype, before_last, last, channels, reduction, reduced, affine))
            before_last, last, reduced = last, 4 * channels, reduction
        self.pool, self.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(last, classes)

    def forward(self, x: Tensor) -> Tensor:
        before_last = last = self.stem_norm(self.stem(x))
        for cell in self.cells:
            before_last, last = last, cell(before_last, last)
        return self.classifier(self.pool(last).flatten(1))


PLAIN: dict[str, type[nn.Module]] = {"nasbench101": Plain101, "nasbench201": Plain201, "darts_nds": PlainDarts}


def plain_network(space: str, plan: Any, arch: Any, classes: int, image_channels: int) -> nn.Module:
    """The plain network of `arch` at the plan's width and depth, channels-last."""
    mapping = plan.mapping
    network = PLAIN[space](arch, mapping.channels, mapping.layers, mapping.bn_affine, classes, image_channels)
    return network.to(memory_format=torch.channels_last)


def copy_weights(plain: nn.Module, standalone: nn.Module) -> None:
    """Fill `plain` with the weights of the project's stand-alone network of the same architecture.

    Matched by order among parameters of equal shape: both register the same layers in the same order. Raises
    ValueError where a shape has another number of parameters.
    """
    shelves: dict[tuple[int, ...], list[Tensor]] = {}
    for tensor in standalone.parameters():
        shelves.setdefault(tuple(tensor.shape), []).append(tensor)
    with torch.no_grad():
        for tensor in plain.parameters():
            shelf = shelves.get(tuple(tensor.shape))
            if not shelf:
                raise ValueError(f"the plain network has a parameter {tuple(tensor.shape)} too many")
            tensor.copy_(shelf.pop(0))
    if any(shelves.values()):
        raise ValueError("the plain network lacks parameters of the stand-alone one")
