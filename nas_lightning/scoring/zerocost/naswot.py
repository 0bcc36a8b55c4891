"""NASWOT: how differently the images of a batch light up an untrained network."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_lightning.nets.base import Network
from nas_lightning.scoring.zerocost.base import ZeroCost
from nas_lightning.scoring.zerocost.watch import activation_signs


def agreement(signs: list[Tensor]) -> Tensor:
    """K, float64 [B, B]: in how many units two inputs agree on whether the ReLU is active.

    Args:
        signs: whether units are active, bool [B, units] a ReLU.

    Returns:
        float64 [B, B].
    """
    total = signs[0].new_zeros(len(signs[0]), len(signs[0]), dtype=torch.float64)
    for active in signs:
        code = active.float()
        # Exact: counts of units stay far below 2^24.
        total += (code @ code.T + (1 - code) @ (1 - code).T).double()
    return total


class Naswot(ZeroCost):
    """log |det K| with K the number of agreeing ReLU signs of two images of the batch.

    Mellor et al., Neural Architecture Search without Training (arXiv 2006.04647), section 3. −inf where two images have
    equal codes.
    """

    name = "naswot"

    def of(self, network: Network, inputs: Tensor, targets: Tensor) -> float | Tensor:
        sign, value = torch.linalg.slogdet(agreement(activation_signs(network, inputs)))
        return value if sign > 0 else float("-inf")
