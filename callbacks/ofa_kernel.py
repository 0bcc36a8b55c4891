"""Heuristic 2, OFA kernel: one convolution kernel for all the kernel sizes of a place."""

from __future__ import annotations

from typing import Any

from nas_lightning.heuristic import Heuristic, NotApplicableError
from nas_lightning.plan import Plan
from nas_lightning.spaces import Space


class OFAKernel(Heuristic):
    """conv1x1 and conv3x3 of one place share ONE 3x3 kernel; in DARTS the 3x3 is the crop of the 5x5 depthwise kernel.

    Picture::

        ┌───────┐
        │ ░ ░ ░ │   one shared 3x3 kernel
        │ ░ █ ░ │   its centre is the 1x1
        │ ░ ░ ░ │
        └───────┘

    Mechanism: small [.., k, k] = centre crop of large; ``crop+transform`` multiplies the flattened crop by a learned
    k² x k² matrix that starts as the identity, ``crop`` leaves the matrix out. Batch-norm stays separate per kernel
    size; DARTS shares depthwise weights only (sep_conv with sep_conv, dil_conv with dil_conv).

    Source: Cai et al., Once-for-All (arXiv 1908.09791), section 3; Yu, Ranftl, Salzmann (arXiv 2110.01154).
    Fires: before the network is built (plan). Cost: one k² x k² product per small kernel and pass.
    Does not: share pointwise convolutions or batch-norms. A step that samples the small kernel gives the shared tensor
    a gradient, so that weight decay and momentum then act on the whole tensor, its border included.
    Applies to: spaces with kernel_sizes (nasbench101, nasbench201, darts_nds).
    """

    factor = "ofa_kernel"
    fields = ("mapping.ofa_kernel",)
    shares_weights = True

    def __init__(self, mode: str | None = None) -> None:
        super().__init__(ofa_kernel=mode)

    def check(self, plan: Plan, space: Space[Any]) -> None:
        if "kernel_sizes" not in space.capabilities:
            raise NotApplicableError(
                f"heuristics/ofa_kernel does not apply to space={space.name}, where no two operations differ in the "
                "kernel size alone; set heuristics/ofa_kernel=default"
            )
