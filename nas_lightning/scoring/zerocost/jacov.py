"""Jacobian covariance: how differently the images of a batch move an untrained network's output."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_lightning.nets.base import Network
from nas_lightning.scoring.zerocost.base import ZeroCost

SMALL = 1e-5


def of_correlation(jacobian: Tensor) -> Tensor:
    """−Σ (log(v + k) + 1 / (v + k)) over the eigenvalues v of the correlation of the rows [B, D]; k = 1e-5.

    Args:
        jacobian: a row an image, [B, D].

    Returns:
        A scalar.
    """
    eigenvalues = torch.linalg.eigvalsh(torch.corrcoef(jacobian)) + SMALL
    return -(eigenvalues.log() + 1 / eigenvalues).sum()


class Jacov(ZeroCost):
    """`of_correlation` of the gradients of each image's summed outputs with respect to the image.

    Mellor et al., Neural Architecture Search without Training, first version (arXiv 2006.04647v1), section 3, as
    released with Abdelfattah et al. (arXiv 2101.08134).
    """

    name = "jacov"

    def of(self, network: Network, inputs: Tensor, targets: Tensor) -> float | Tensor:
        images = inputs.clone().requires_grad_(True)
        (jacobian,) = torch.autograd.grad(network(images).sum(), images)
        rows = jacobian.flatten(1).double()
        if not torch.isfinite(rows).all() or bool((rows.std(1) == 0).any()):
            return float("nan")  # an image that moves nothing has no correlation
        return of_correlation(rows)
