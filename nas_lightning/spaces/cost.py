"""Parameters and multiply-accumulates of stand-alone networks, counted from the definition without building them.

Widths, layers and image sizes are free; the published networks are the defaults (`PUBLISHED`). Counted as
multiply-accumulates are convolutions and the classifier (its bias included), as NAS-Bench-201's official costs do;
normalisation, pooling and activations are not. Convolutions carry no bias; a batch-norm layer has two parameters a
channel, or none where it is not affine. The networks: NAS-Bench-101 (arXiv 1902.09635, section 2),
NAS-Bench-201 (arXiv 2001.00326, section 2.1) and DARTS (arXiv 1806.09055, section 3; stem multiplier 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas_lightning.errors import UserError
from nas_lightning.spaces.darts import DartsArchitecture
from nas_lightning.spaces.nasbench101 import NB101Architecture
from nas_lightning.spaces.nasbench101_graph import MAX_VERTICES
from nas_lightning.spaces.nasbench201 import NB201Architecture

PUBLISHED = {
    "nasbench101": {"channels": 128, "layers": 3},
    "nasbench201": {"channels": 16, "layers": 5},
    "darts_nds": {"channels": 36, "layers": 20},
}
"""Initial width, and cells per stage (NAS-Bench-101, NAS-Bench-201) or in all (DARTS), of the published networks."""


@dataclass
class _Cost:
    """Running totals, int64 arrays [N] or plain integers."""

    affine: bool
    params: Any = 0
    macs: Any = 0

    def conv(self, inputs: Any, outputs: Any, kernel: int, pixels: int, times: Any = 1, norm: bool = True) -> None:
        """`times` dense convolutions with `pixels` output positions, each followed by batch-norm if `norm`."""
        weights = times * kernel * kernel * inputs * outputs
        self.params += weights + (2 * times * outputs if norm and self.affine else 0)
        self.macs += weights * pixels

    def depthwise(self, channels: int, kernel: int, pixels: int, times: Any) -> None:
        weights = times * kernel * kernel * channels
        self.params += weights
        self.macs += weights * pixels

    def norm(self, channels: Any, times: Any = 1) -> None:
        self.params += 2 * times * channels if self.affine else 0

    def linear(self, inputs: int, outputs: int) -> None:
        self.params += inputs * outputs + outputs
        self.macs += inputs * outputs + outputs


def _half(size: int) -> int:
    """Side of a feature map after a strided convolution with "same" padding."""
    return (size + 1) // 2


def nasbench201_cost(
    operations: np.ndarray,
    *,
    channels: int = 16,
    layers: int = 5,
    num_classes: int = 10,
    in_channels: int = 3,
    affine: bool = True,
    image_size: int = 32,
) -> tuple[np.ndarray, np.ndarray]:
    """(parameters, multiply-accumulates), int64 [N] each, of cells given by operations [N, 6]."""
    operations = np.asarray(operations)
    pointwise, conv = (operations == 2).sum(1, dtype=np.int64), (operations == 3).sum(1, dtype=np.int64)
    cost = _Cost(affine, np.zeros(len(operations), np.int64), np.zeros(len(operations), np.int64))
    width, size = channels, image_size
    cost.conv(in_channels, width, 3, size * size)
    for stage in range(3):
        if stage:
            size = _half(size)
            cost.conv(width, 2 * width, 3, size * size)
            cost.conv(2 * width, 2 * width, 3, size * size)
            cost.conv(width, 2 * width, 1, size * size, norm=False)
            width *= 2
        cost.conv(width, width, 1, size * size, layers * pointwise)
        cost.conv(width, width, 3, size * size, layers * conv)
    cost.norm(width)
    cost.linear(width, num_classes)
    return cost.params, cost.macs


def nasbench101_widths(n: int, edges: np.ndarray, out_channels: int) -> np.ndarray:
    """Interior widths of pruned cells of n vertices, int64 [N, n-2]: edges [N, n, n] (source, target).

    `nasbench101.vertex_widths` for arrays. Raises ValueError where an output has fewer channels than vertices wired.
    """
    wired = edges[:, 1 : n - 1, n - 1].astype(np.int64)
    shares = wired.sum(1, keepdims=True)
    if (shares > out_channels).any():
        raise UserError(f"{shares.max()} vertices share {out_channels} output channels; use at least {shares.max()}")
    base, rest = np.divmod(out_channels, np.maximum(shares, 1))
    widths = wired * (base + (np.cumsum(wired, 1) <= rest))
    for v in range(n - 3, -1, -1):
        readers = (edges[:, v + 1, 1 : n - 1] * widths).max(1, initial=0)
        widths[:, v] = np.where(wired[:, v] == 1, widths[:, v], readers)
    return widths


def nasbench101_cost(
    n_vertices: np.ndarray,
    adj_bits: np.ndarray,
    operations: np.ndarray,
    *,
    channels: int = 128,
    layers: int = 3,
    num_classes: int = 10,
    in_channels: int = 3,
    affine: bool = True,
    image_size: int = 32,
) -> tuple[np.ndarray, np.ndarray]:
    """(parameters, multiply-accumulates), int64 [N] each, of pruned cells: operations [N, 5], absent ones -1.

    Where widths do not divide evenly the first vertices are wider, so that counts depend on the order of vertices;
    the published counts belong to the canonical order.
    """
    params, macs = np.zeros(len(n_vertices), np.int64), np.zeros(len(n_vertices), np.int64)
    for n in range(2, MAX_VERTICES + 1):
        rows = np.flatnonzero(np.asarray(n_vertices) == n)
        if len(rows):
            bits, ops = np.asarray(adj_bits)[rows].astype(np.int64), np.asarray(operations)[rows, : n - 2]
            edges = np.zeros((len(rows), n, n), np.int64)
            for y in range(n):
                for x in range(y):
                    edges[:, x, y] = bits >> (x + y * (y - 1) // 2) & 1
            cost = _Cost(affine, np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64))
            cost.conv(in_channels, channels, 3, image_size**2)
            inputs, outputs, size = channels, channels, image_size
            for stack in range(3):
                if stack:
                    outputs, size = 2 * outputs, size // 2
                widths = nasbench101_widths(n, edges, outputs)
                for _ in range(layers):
                    _nasbench101_cell(cost, n, edges, ops, widths, inputs, outputs, size * size)
                    inputs = outputs
            cost.linear(outputs, num_classes)
            params[rows], macs[rows] = cost.params, cost.macs
    return params, macs


def _nasbench101_cell(
    cost: _Cost, n: int, edges: np.ndarray, ops: np.ndarray, widths: np.ndarray, inputs: int, outputs: int, pixels: int
) -> None:
    for v in range(n - 2):
        width = widths[:, v]
        cost.conv(inputs, width, 1, pixels, edges[:, 0, v + 1])  # projection of the cell input
        cost.conv(width, width, 3, pixels, (ops[:, v] == 0).astype(np.int64))
        cost.conv(width, width, 1, pixels, (ops[:, v] == 1).astype(np.int64))
    cost.conv(inputs, outputs, 1, pixels, edges[:, 0, n - 1])


def darts_cost(
    arch: DartsArchitecture,
    *,
    channels: int = 36,
    layers: int = 20,
    num_classes: int = 10,
    in_channels: int = 3,
    affine: bool = True,
    image_size: int = 32,
) -> tuple[int, int]:
    """(parameters, multiply-accumulates) of the network without auxiliary head; `layers` cells in all."""
    cost = _Cost(affine)
    before_last, last, width = 3 * channels, 3 * channels, channels
    size, size_before_last, reduced = image_size, image_size, False
    cost.conv(in_channels, 3 * channels, 3, size * size)
    for layer in range(layers):
        reduction = layer in (layers // 3, 2 * layers // 3)
        if reduction:
            width *= 2
        if reduced:  # the input before last is twice as large: factorised reduction by two strided convolutions
            cost.conv(before_last, width, 1, _half(size_before_last) ** 2)
        else:
            cost.conv(before_last, width, 1, size_before_last**2)
        cost.conv(last, width, 1, size * size)
        size_before_last = size
        if reduction:
            size = _half(size)
        for node in arch.reduce if reduction else arch.normal:
            for op, source in node:
                _darts_operation(cost, op, width, size * size, reduction and source < 2)
        before_last, last, reduced = last, 4 * width, reduction
    cost.linear(last, num_classes)
    return int(cost.params), int(cost.macs)


def _darts_operation(cost: _Cost, op: int, width: int, pixels: int, strided: bool) -> None:
    if op >= 4:
        kernel, times = (5 if op % 2 else 3), (2 if op < 6 else 1)
        cost.depthwise(width, kernel, pixels, times)
        cost.conv(width, width, 1, pixels, times)
    elif op == 3 and strided:
        cost.conv(width, width, 1, pixels)


def costs(
    archs: Sequence[Any],
    *,
    channels: int | None = None,
    layers: int | None = None,
    num_classes: int = 10,
    in_channels: int = 3,
    affine: bool = True,
    image_size: int = 32,
) -> tuple[np.ndarray, np.ndarray]:
    """(parameters, multiply-accumulates), int64 [n] each, of architectures of one space.

    `channels` and `layers` default to the published network of the space (`PUBLISHED`).
    """
    archs = list(archs)
    if not archs:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if not all(type(arch) is type(archs[0]) for arch in archs):
        raise TypeError("architectures of several spaces cannot be counted in one call; call once a space")
    shape: dict[str, Any] = {
        "num_classes": num_classes,
        "in_channels": in_channels,
        "affine": affine,
        "image_size": image_size,
    }
    name = {NB101Architecture: "nasbench101", NB201Architecture: "nasbench201", DartsArchitecture: "darts_nds"}[
        type(archs[0])
    ]
    shape |= {
        "channels": PUBLISHED[name]["channels"] if channels is None else channels,
        "layers": PUBLISHED[name]["layers"] if layers is None else layers,
    }
    if name == "nasbench201":
        return nasbench201_cost(np.array([arch.operations for arch in archs]), **shape)
    if name == "nasbench101":
        pruned = [arch.pruned() for arch in archs]
        operations = np.array([arch.operations + (-1,) * (7 - arch.n_vertices) for arch in pruned])
        return nasbench101_cost(
            np.array([arch.n_vertices for arch in pruned]),
            np.array([arch.adj_bits for arch in pruned]),
            operations,
            **shape,
        )
    both = np.array([darts_cost(arch, **shape) for arch in archs], np.int64)
    return both[:, 0], both[:, 1]


def parameters(arch: Any, **shape: Any) -> int:
    """Trainable parameters of one architecture's network; keywords as for `costs`."""
    return int(costs([arch], **shape)[0][0])


def macs(arch: Any, **shape: Any) -> int:
    """Multiply-accumulates of one forward pass of one image; keywords as for `costs`."""
    return int(costs([arch], **shape)[1][0])
