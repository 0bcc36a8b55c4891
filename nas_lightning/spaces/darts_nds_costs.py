"""Parameters and multiply-accumulates of DARTS networks (arXiv 1806.09055, section 3; stem multiplier 3)."""

from __future__ import annotations

from typing import Any

from nas_lightning.spaces.counting import Cost, half


def darts_cost(
    arch: Any,
    *,
    channels: int = 36,
    layers: int = 20,
    num_classes: int = 10,
    in_channels: int = 3,
    affine: bool = True,
    image_size: int = 32,
) -> tuple[int, int]:
    """(parameters, multiply-accumulates) of the network without auxiliary head; `layers` cells in all.

    Args:
        arch: an architecture.
        channels: output channels of the first stage.
        layers: cells in all.
        num_classes: outputs of the classifier.
        in_channels: channels of an image.
        affine: whether batch-norms have parameters.
        image_size: side of an image, pixels.

    Returns:
        Whole numbers.
    """
    cost = Cost(affine)
    before_last, last, width = 3 * channels, 3 * channels, channels
    size, size_before_last, reduced = image_size, image_size, False
    cost.conv(in_channels, 3 * channels, 3, size * size)
    for layer in range(layers):
        reduction = layer in (layers // 3, 2 * layers // 3)
        if reduction:
            width *= 2
        if reduced:  # the input before last is twice as large: factorised reduction by two strided convolutions
            cost.conv(before_last, width, 1, half(size_before_last) ** 2)
        else:
            cost.conv(before_last, width, 1, size_before_last**2)
        cost.conv(last, width, 1, size * size)
        size_before_last = size
        if reduction:
            size = half(size)
        for node in arch.reduce if reduction else arch.normal:
            for op, source in node:
                _operation(cost, op, width, pixels=size * size, strided=reduction and source < 2)
        before_last, last, reduced = last, 4 * width, reduction
    cost.linear(last, num_classes)
    return int(cost.params), int(cost.macs)


def _operation(cost: Cost, op: int, width: int, pixels: int, strided: bool) -> None:
    if op >= 4:
        kernel, times = (5 if op % 2 else 3), (2 if op < 6 else 1)
        cost.depthwise(width, kernel, pixels, times)
        cost.conv(width, width, 1, pixels=pixels, times=times)
    elif op == 3 and strided:
        cost.conv(width, width, 1, pixels)
