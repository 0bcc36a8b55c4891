"""Numbers that Python draws or counts, brought to the device without a wait of the host."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def brought(values: Sequence[float], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor [n] of `values` on `device`.

    On CUDA it travels from page-locked memory: ``torch.tensor(values, device=device)`` copies from pageable memory,
    for which the host waits until the device has done all that it was given before.

    >>> brought([2, 0], torch.int64, torch.device("cpu"))
    tensor([2, 0])
    """
    here = torch.tensor(values, dtype=dtype)
    return here.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else here.to(device)
