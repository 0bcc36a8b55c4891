"""From a space's name and a plan to its network."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from nas_lightning.nets.base import Network
from nas_lightning.nets.darts import DartsNetwork
from nas_lightning.nets.few_shot import FewShotNetwork
from nas_lightning.nets.kernel import SharedKernel
from nas_lightning.nets.nasbench101 import NB101Network
from nas_lightning.nets.nasbench201 import NB201Network
from nas_lightning.plan import Plan, PlanError

NETWORKS: dict[str, type[Network]] = {
    "nasbench101": NB101Network,
    "nasbench201": NB201Network,
    "darts_nds": DartsNetwork,
}


def check_mapping(space: str, plan: Plan) -> None:
    """Refuse a mapping that the space's network does not have. Raises PlanError."""
    mapping = plan.mapping
    if mapping.few_shot_edge is not None and space != "nasbench201":
        raise PlanError(
            f"mapping.few_shot_edge={mapping.few_shot_edge} does not apply to {space}: the edges of nasbench201 are "
            "split; set it to null"
        )
    if space == "nasbench101":
        if mapping.op_placement != "node":
            raise PlanError(
                f"mapping.op_placement={mapping.op_placement} does not exist on nasbench101, whose operations "
                "sit on the vertices by construction; use node"
            )
        return
    if mapping.dynamic_channel != "fixed":
        raise PlanError(
            f"mapping.dynamic_channel={mapping.dynamic_channel} does not apply to {space}, whose widths do "
            "not depend on the cell; leave it at fixed"
        )
    if mapping.wsbn != "off":
        raise PlanError(
            f"mapping.wsbn={mapping.wsbn} does not apply to {space}, where inputs are not summed before the "
            "operation; leave it at off"
        )


def build_network(space: str, plan: Plan, num_classes: int, in_channels: int = 3, arch: Any = None) -> Network:
    """The super-net of `plan`, or with `arch` the stand-alone network of one architecture.

    Raises PlanError where the plan does not fit the space.
    """
    check_mapping(space, plan)
    network = NETWORKS[space](plan.mapping, num_classes, in_channels, plan.protocol.track_running_stats, arch)
    if plan.protocol.initialization == "kaiming_uniform":
        redraw_kernels(network)
    if arch is None and plan.mapping.few_shot_edge is not None:
        return FewShotNetwork(network, plan.mapping.few_shot_edge)
    return network


def redraw_kernels(network: Network) -> None:
    """Every convolution kernel anew from torch's global generator, uniform in ±1/√fan_in, as `nn.Conv2d` draws it."""
    for module in network.modules():
        if isinstance(module, SharedKernel):
            for weight in module.weights.values():
                nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
