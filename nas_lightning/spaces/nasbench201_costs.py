"""Parameters and multiply-accumulates of NAS-Bench-201 networks, from formulas over arrays of cells."""

from __future__ import annotations

import numpy as np

from nas_lightning.spaces.counting import Cost, half


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
    """(parameters, multiply-accumulates), int64 [N] each, of cells given by operations [N, 6].

    Args:
        operations: [N, 6], in range(5).
        channels: output channels of the first stage.
        layers: cells a stage.
        num_classes: outputs of the classifier.
        in_channels: channels of an image.
        affine: whether batch-norms have parameters.
        image_size: side of an image, pixels.

    Returns:
        Whole numbers, int64 [N] each.
    """
    operations = np.asarray(operations)
    pointwise, conv = (operations == 2).sum(1, dtype=np.int64), (operations == 3).sum(1, dtype=np.int64)
    cost = Cost(affine, np.zeros(len(operations), np.int64), np.zeros(len(operations), np.int64))
    width, size = channels, image_size
    cost.conv(in_channels, width, 3, size * size)
    for stage in range(3):
        if stage:
            size = half(size)
            cost.conv(width, 2 * width, 3, size * size)
            cost.conv(2 * width, 2 * width, 3, size * size)
            cost.conv(width, 2 * width, 1, size * size, norm=False)
            width *= 2
        cost.conv(width, width, 1, pixels=size * size, times=layers * pointwise)
        cost.conv(width, width, 3, pixels=size * size, times=layers * conv)
    cost.norm(width)
    cost.linear(width, num_classes)
    return cost.params, cost.macs
