"""LogSynflow: SynFlow with the gradients' logarithm, so that depth does not drown everything else."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_lightning.nets.base import Network
from nas_lightning.scoring.zerocost.base import ZeroCost
from nas_lightning.scoring.zerocost.synflow import flow


class LogSynflow(ZeroCost):
    """Σ |w · log(∂R/∂w + 1)|, else as `Synflow`, in float64.

    Cavagnero et al., FreeREA (arXiv 2207.05135), section 3.2.
    """

    name = "logsynflow"
    uses_images = False

    def of(self, network: Network, inputs: Tensor, targets: Tensor) -> float | Tensor:
        return torch.stack([(w * torch.log1p(g)).abs().sum() for w, g in flow(network, inputs)]).sum()
