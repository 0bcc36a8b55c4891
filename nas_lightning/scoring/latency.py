"""Latency of stand-alone networks on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from nas_lightning.nets.base import Network

WARM_UP, REPEATS = 2, 7


def measured_latency(
    network: Network, architectures: Sequence[Any], image_size: int, batch_size: int = 1
) -> np.ndarray:
    """Milliseconds of one forward pass of a batch, float64 [n]: the median of 7 passes after 2 that are not counted.

    Each architecture runs as the stand-alone network that `network` (a super-net) exports, on the super-net's device.
    The numbers hold for this machine, its load and its thread count, and differ from run to run.

    Args:
        network: a super-net, on the device that is measured.
        architectures: of the network's space.
        image_size: side of an input, pixels.
        batch_size: images of a pass.

    Returns:
        Milliseconds a batch, float64 [n].
    """
    device = next(network.parameters()).device
    images = network.example_input(batch_size, image_size, device)
    medians = []
    with torch.inference_mode():
        for arch in architectures:
            alone = network.standalone(arch).eval().to(memory_format=torch.channels_last)
            medians.append(float(np.median([_one_pass(alone, images) for _ in range(WARM_UP + REPEATS)][WARM_UP:])))
    return np.array(medians)


def _one_pass(network: Network, images: torch.Tensor) -> float:
    started = time.perf_counter()
    network(images)
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
    return 1000 * (time.perf_counter() - started)
