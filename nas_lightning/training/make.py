"""A super-net or a stand-alone network of a plan, for the images at hand, to train with a Trainer of one's own."""

from __future__ import annotations

from typing import Any

from nas_lightning.data.module import ImageClassification
from nas_lightning.plan import Plan
from nas_lightning.spaces import Space, get_space
from nas_lightning.training.module import StandaloneModule, SuperNetModule


def make_supernet(
    space: str | Space[Any], plan: Plan, data: ImageClassification, seed: int = 0, init_seed: int | None = None
) -> SuperNetModule:
    """A super-net with fresh weights, a LightningModule that any ``pl.Trainer`` fits.

    Args:
        space: its name, the dotted path of one's own, or the space itself.
        plan: mapping and protocol. The Trainer's ``max_epochs`` is to be ``plan.protocol.epochs``: the learning rate
            falls over so many.
        data: the images, which say how many channels and classes there are.
        seed: of the paths, and of the weights unless `init_seed` names another one.
        init_seed: of the weights alone.

    Returns:
        The module; its ``network`` is called with images [B, C, H, W] and an architecture, and gives logits [B, K].

    Raises:
        PlanError: where the space has no such mapping.

    Examples:
        >>> from nas_lightning import Plan, load_data, make_supernet
        >>> plan = Plan().edited({"mapping.channels": 4, "mapping.layers": 1, "protocol.batch_size": 64})
        >>> module = make_supernet("nasbench201", plan, load_data("digits", plan))
        >>> sum(p.numel() for p in module.network.parameters())
        25654
    """
    name = get_space(space).name
    return SuperNetModule(
        space=name,
        plan=plan,
        num_classes=data.num_outputs,
        in_channels=data.in_channels,
        seed=seed,
        init_seed=init_seed,
    )


def make_standalone(
    space: str | Space[Any], plan: Plan, data: ImageClassification, architecture: Any, seed: int = 0
) -> StandaloneModule:
    """One architecture with weights of its own, a LightningModule that any ``pl.Trainer`` fits.

    Args:
        space: its name, the dotted path of one's own, or the space itself.
        plan: mapping and protocol; fields of shared weights alone have no effect.
        data: the images, which say how many channels and classes there are.
        architecture: a value of the space, or its text.
        seed: of the weights.

    Returns:
        The module; its ``network`` is called with images [B, C, H, W] and gives logits [B, K].

    Raises:
        ArchitectureError: for a text that the space does not read.
    """
    found = get_space(space)
    arch = found.parse(architecture) if isinstance(architecture, str) else architecture
    return StandaloneModule(
        space=found.name,
        plan=plan,
        num_classes=data.num_outputs,
        in_channels=data.in_channels,
        seed=seed,
        arch=arch,
    )
