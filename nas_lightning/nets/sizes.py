"""Which images a space's networks take: a side that does not fit is refused before anything trains."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from nas_lightning.nets.base import standalone_mapping
from nas_lightning.nets.build import build_network
from nas_lightning.plan import Plan, PlanError
from nas_lightning.spaces import Space, get_space

USUAL = 32
"""Side in pixels that every space of images takes: CIFAR's."""
ALWAYS = 8
"""Multiples of it are halved three times without a remainder: they are not tried."""
TRIED = 4
"""Architectures that are tried, since not every one has every operation."""


def refuse_other_sizes(
    space: str | Space[Any], plan: Plan, *, num_outputs: int, in_channels: int, image_size: int
) -> None:
    """Refuse a side that the operations of the space's networks cannot be joined on, such as odd ones in DARTS.

    Some architectures run on tensors without memory; nothing is computed, and no random number is drawn.

    Args:
        space: by name, or itself; one that reads no images takes any.
        plan: width and depth of the super-net.
        num_outputs: of the classifier.
        in_channels: of the images.
        image_size: side of the square images, in pixels.

    Raises:
        PlanError: it says which sides near by fit.
    """
    domain = get_space(space)
    if domain.inputs != "images" or image_size % ALWAYS == 0:
        return
    # Heuristics change no side: all of a study are tried once.
    plan = Plan(replace(standalone_mapping(plan.mapping), op_placement=plan.mapping.op_placement))
    if (reason := _why_not(domain.name, plan, num_outputs, in_channels, image_size=image_size)) is None:
        return
    if _why_not(domain.name, plan, num_outputs, in_channels, image_size=USUAL) is not None:
        return  # no matter of the side: whatever it is shows, with its traceback, where it happens
    near = sorted({image_size // 4 * 4, image_size // 4 * 4 + 4} - {0})
    fit = [s for s in near if _why_not(domain.name, plan, num_outputs, in_channels, image_size=s) is None]
    instead = f"bring them to {' or '.join(map(str, fit or [USUAL]))} pixels, or choose another space"
    raise PlanError(
        f"space={domain.name} takes no images of {image_size} x {image_size} pixels ({reason.split('. ')[0][:90]}): "
        f"{instead}"
    )


@lru_cache(maxsize=256)
def _why_not(space: str, plan: Plan, num_outputs: int, in_channels: int, image_size: int) -> str | None:
    """What PyTorch says where some architecture does not run on images of this side; None where all tried ones do."""
    domain, rng = get_space(space), np.random.default_rng(0)
    with torch.random.fork_rng(devices=[]), torch.device("meta"), torch.no_grad():
        network = build_network(domain, plan, num_outputs, in_channels).eval()
        images = network.example_input(2, image_size, "meta")  # norms need two
        try:
            for _ in range(TRIED):
                arch = domain.sample_unique(rng)
                if domain.admits(arch, plan.mapping):
                    network(images, arch)
        except RuntimeError as error:
            return " ".join(str(error).split())
    return None
