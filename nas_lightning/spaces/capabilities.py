"""What a space's network has, which heuristics ask for, and what is refused for want of it."""

from __future__ import annotations

from abc import ABC
from collections.abc import Hashable, Mapping
from importlib import import_module
from typing import Any, ClassVar, Generic, TypeVar

from nas_lightning.plan import Mapping as PlanMapping
from nas_lightning.plan import Plan, PlanError
from nas_lightning.spaces.relaxation import Relaxation

A = TypeVar("A", bound=Hashable)

CAPABILITIES: Mapping[str, tuple[str, Any, str]] = {
    "layers": ("layers", None, "its depth is fixed"),
    "interior_widths": ("dynamic_channel", "fixed", "its widths do not depend on the cell"),
    "summed_inputs": ("wsbn", "off", "its inputs are not summed before the operation"),
    "kernel_sizes": ("ofa_kernel", "off", "none of its operations differ in the kernel size alone"),
    "operation_owners": ("op_placement", "edge", "its operations have one owner by construction"),
    "split_operations": ("few_shot_edge", None, "no gene of its encoding is the operation of one edge"),
    "path_dropout": ("path_dropout", 0.0, "its network has no cells whose output could be dropped"),
    "relaxed_paths": ("partial_channels", 1, "its network does not sum the operations of an edge"),
    "word_dropout": ("word_dropout", 0.0, "its network embeds no words"),
    "input_dropout": ("input_dropout", 0.0, "its network reads no sequence of embedded words"),
    "cell_dropout": ("cell_dropout", 0.0, "its network has no recurrent cell"),
    "hidden_dropout": ("hidden_dropout", 0.0, "its network has no hidden state"),
    "output_dropout": ("output_dropout", 0.0, "its network gives no sequence of outputs"),
}
"""What a space can take part in: capability -> the field of the mapping that needs it, its value where the space
lacks it (None for layers: the published depth), and why. Capabilities without a field: ``edges`` (the super-net's
parameters are named ``cells.<cell>.places.<source>-<target>``, so that edges can be tied). ``relaxed_paths``: the space
has a `relaxation`, and its network takes a `nas_lightning.nets.relaxed.RelaxedPath` in place of an architecture;
``hidden_states``: its network keeps the sequence of its hidden states, which ``protocol.slowness`` looks at."""

LACKS: Mapping[str, tuple[Mapping[str, tuple[Any, ...]], str]] = {
    "batch_norm": (
        {
            "mapping.bn_affine": (True,),
            "mapping.bn_affine_outside": (None,),
            "protocol.track_running_stats": (False,),
            "protocol.bn_evaluation": ("batch",),
            "protocol.bn_recalibration_batches": (4,),
        },
        "nothing in its network normalises",
    ),
    "kernels": ({"protocol.initialization": ("kaiming_normal",)}, "its network has no convolution kernels"),
    "sizes": (
        {
            "protocol.sampling": ("random_a", "random_nas", "fairnas"),
            "protocol.complexity_aware": (0.0,),
            "protocol.tournament": (1,),
        },
        "all its architectures have equally many parameters",
    ),
}
"""What nearly every space has and one may lack (`Space.lacks`): the fields of the plan that then have no meaning, with
the values that they may keep, and why. A field with one value left is not read at all."""


class Capable(ABC, Generic[A]):
    """What a `nas_lightning.spaces.base.Space` says of its network, and the plans that it refuses."""

    name: ClassVar[str]
    cardinalities: ClassVar[tuple[int, ...]]
    published: ClassVar[Mapping[str, int]]
    """``channels`` (initial width) and ``layers`` of the benchmark's own networks."""
    smallest_depth: ClassVar[int] = 1
    """Fewest `layers` of which the network is still one of the space's."""
    capabilities: ClassVar[frozenset[str]] = frozenset()
    """What heuristics may ask for, see `CAPABILITIES`."""
    lacks: ClassVar[frozenset[str]] = frozenset()
    """What it has not, see `LACKS`."""
    inputs: ClassVar[str] = "images"
    """What its networks read: a task whose `inputs` are others is refused."""
    relaxation: ClassVar[Relaxation | None] = None
    """Edges and operations that a learned distribution weighs; with it the space is capable of ``relaxed_paths``."""
    network: ClassVar[str | None] = None
    """``module:Class`` of the `nas_lightning.nets.base.Network`, imported when first asked for; None: tables only."""
    no_supernet: ClassVar[str | None] = None
    """Of a space whose networks share no weights: why not."""

    def network_class(self) -> Any:
        """The class that `network` names.

        Returns:
            A subclass of `nas_lightning.nets.base.Network`.

        Raises:
            PlanError: the space has none, or it cannot be imported.
        """
        if self.network is None:
            raise PlanError(f"{self.name} has tables but no network, so that nothing can be trained on it")
        module, _, leaf = self.network.partition(":")
        try:
            return getattr(import_module(module), leaf)
        except (ImportError, AttributeError, ValueError) as error:
            raise PlanError(f"the network {self.network} of {self.name} cannot be imported: {error}") from error

    def check_supernet(self) -> None:
        """Refuse a super-net of a space that has none.

        Raises:
            PlanError: its networks share no weights.
        """
        if self.no_supernet is not None:
            raise PlanError(
                f"space={self.name} has no super-net: {self.no_supernet}; train single networks (mode=standalone, "
                "mode=table), or search a table"
            )

    def admits(self, arch: A, mapping: PlanMapping) -> bool:
        """Whether the super-net of `mapping` holds `arch`.

        Args:
            arch: an architecture.
            mapping: f_ws of a super-net.

        Returns:
            False where a restriction of the mapping excludes it.
        """
        return True

    def check_mapping(self, mapping: PlanMapping) -> None:
        """Refuse a mapping that the space's network does not have, by `CAPABILITIES`.

        Args:
            mapping: f_ws of a super-net.

        Raises:
            PlanError: it names the field and the value to leave it at.
        """
        for capability, (field, neutral, why) in CAPABILITIES.items():
            if capability in self.capabilities:
                continue
            neutral = self.published["layers"] if field == "layers" else neutral
            value = getattr(mapping, field)
            if value != neutral:
                raise PlanError(
                    f"mapping.{field}={value} does not apply to {self.name}: {why}; leave it at "
                    f"{'null' if neutral is None else neutral}"
                )
        if mapping.few_shot_edge is not None and mapping.few_shot_edge >= len(self.cardinalities):
            raise PlanError(
                f"mapping.few_shot_edge={mapping.few_shot_edge} is out of range; {self.name} has edges 0 to "
                f"{len(self.cardinalities) - 1}"
            )

    def refusal(self, edits: Mapping[str, Any]) -> str | None:
        """Why fields of the plan, set to these values, have no meaning for want of something that the space `lacks`;
        None where they have.

        Args:
            edits: values by the names of fields, ``mapping.wsbn``.

        Returns:
            The reason, as a part of a sentence, or None.
        """
        for lacking in sorted(self.lacks):
            fields, why = LACKS[lacking]
            for name, value in edits.items():
                if name in fields and value not in fields[name]:
                    return why
            if edits and all(len(fields.get(name, ())) == 1 for name in edits):
                return why
        return None

    def check_plan(self, plan: Plan) -> None:
        """Refuse a plan that the space's network cannot follow.

        Args:
            plan: mapping and protocol.

        Raises:
            PlanError: it names the field and the value to leave it at.
        """
        self.check_mapping(plan.mapping)
        for lacking in sorted(self.lacks):
            fields, why = LACKS[lacking]
            for name, allowed in fields.items():
                if (value := plan.flat()[name]) not in allowed:
                    left = "null" if allowed[-1] is None else " or ".join(str(a).lower() for a in allowed)
                    raise PlanError(f"{name}={value} does not apply to {self.name}: {why}; leave it at {left}")
        if plan.protocol.slowness and "hidden_states" not in self.capabilities:
            raise PlanError(
                f"protocol.slowness={plan.protocol.slowness:g} does not apply to {self.name}: its network has no "
                "hidden states that follow one another; leave it at 0"
            )
