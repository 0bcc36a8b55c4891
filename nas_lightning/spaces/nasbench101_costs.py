"""Parameters and multiply-accumulates of NAS-Bench-101's networks (arXiv 1902.09635, section 2) for arrays of cells."""

from __future__ import annotations

import numpy as np

from nas_lightning.errors import UserError
from nas_lightning.spaces.counting import Cost
from nas_lightning.spaces.nasbench101_graph import MAX_VERTICES


def nasbench101_widths(n: int, edges: np.ndarray, out_channels: int) -> np.ndarray:
    """Interior widths of pruned cells of n vertices, int64 [N, n-2]: edges [N, n, n] (source, target).

    `nasbench101.vertex_widths` for arrays.

    Args:
        n: vertices.
        edges: uint8 [N, n, n], (source, target).
        out_channels: of the cell.

    Returns:
        int64 [N, n − 2].

    Raises:
        UserError: an output has fewer channels than vertices wired to it.
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

    Args:
        n_vertices: [N].
        adj_bits: [N].
        operations: int8 [N, 5]; −1 where a vertex is absent.
        channels: output channels of the first stage.
        layers: cells a stack.
        num_classes: outputs of the classifier.
        in_channels: channels of an image.
        affine: whether batch-norms have parameters.
        image_size: side of an image, pixels.

    Returns:
        Whole numbers, int64 [N] each.
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
            cost = Cost(affine, np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64))
            cost.conv(in_channels, channels, 3, image_size**2)
            inputs, outputs, size = channels, channels, image_size
            for stack in range(3):
                if stack:
                    outputs, size = 2 * outputs, size // 2
                widths = nasbench101_widths(n, edges, outputs)
                for _ in range(layers):
                    _cell(cost, n, edges, ops=ops, widths=widths, inputs=inputs, outputs=outputs, pixels=size * size)
                    inputs = outputs
            cost.linear(outputs, num_classes)
            params[rows], macs[rows] = cost.params, cost.macs
    return params, macs


def _cell(
    cost: Cost, n: int, edges: np.ndarray, ops: np.ndarray, widths: np.ndarray, inputs: int, outputs: int, pixels: int
) -> None:
    for v in range(n - 2):
        width = widths[:, v]
        cost.conv(inputs, width, 1, pixels=pixels, times=edges[:, 0, v + 1])  # projection of the cell input
        cost.conv(width, width, 3, pixels=pixels, times=(ops[:, v] == 0).astype(np.int64))
        cost.conv(width, width, 1, pixels=pixels, times=(ops[:, v] == 1).astype(np.int64))
    cost.conv(inputs, outputs, 1, pixels=pixels, times=edges[:, 0, n - 1])
