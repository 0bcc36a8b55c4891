"""From a space and a plan to its network."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from nas_lightning.nets.base import Network
from nas_lightning.nets.few_shot import FewShotNetwork
from nas_lightning.nets.kernel import SharedKernel
from nas_lightning.plan import Plan
from nas_lightning.spaces import Space, get_space


def check_mapping(space: str | Space[Any], plan: Plan) -> None:
    """Refuse a plan that the space's network does not have.

    Args:
        space: its name, the dotted path of one's own, or the space itself.
        plan: mapping and protocol.

    Raises:
        PlanError: it names the field and the value to leave it at.
    """
    get_space(space).check_plan(plan)


def build_network(
    space: str | Space[Any], plan: Plan, num_classes: int, in_channels: int = 3, arch: Any = None
) -> Network:
    """The super-net of `plan`, or with `arch` the stand-alone network of one architecture.

    Args:
        space: its name, dotted path, or the space itself.
        plan: mapping and protocol.
        num_classes: outputs of the classifier.
        in_channels: of the images.
        arch: an architecture of the space, for its stand-alone network.

    Returns:
        A super-net, or the network of `arch` alone.

    Raises:
        PlanError: the plan does not fit the space, or it is a super-net of a space that has none.
    """
    domain = get_space(space)
    domain.check_plan(plan)
    if arch is None:
        domain.check_supernet()
    network: Network = domain.network_class()(
        plan.mapping, num_classes, in_channels, track=plan.protocol.track_running_stats, arch=arch
    )
    if plan.protocol.initialization == "kaiming_uniform":
        redraw_kernels(network)
    if arch is None and plan.mapping.few_shot_edge is not None:
        return FewShotNetwork(network, domain, plan.mapping.few_shot_edge)
    return network


def redraw_kernels(network: Network) -> None:
    """Every convolution kernel anew from torch's global generator, uniform in ±1/√fan_in, as `nn.Conv2d` draws it.

    Args:
        network: whose kernels are drawn again, in place.
    """
    for module in network.modules():
        if isinstance(module, SharedKernel):
            for weight in module.weights.values():
                nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
