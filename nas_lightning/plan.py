"""The plan of a super-net: how architectures pick shared weights (Mapping), how these are trained (Protocol).

The literature describes a weight-sharing method by a mapping f_ws and a protocol P_ws (Yu, Ranftl, Salzmann,
arXiv 2110.01154). Here both are plain frozen values: a heuristic edits fields of the plan, the network and the trainer
read them, and the resolved plan travels inside the checkpoint, so that a super-net can be rebuilt without any
heuristic.
"""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from nas_lightning.errors import UserError, did_you_mean


class PlanError(UserError):
    """A plan that contradicts itself; the message names the fields and what to do."""


def _one_of(name: str, value: str, options: tuple[str, ...]) -> None:
    if value not in options:
        raise PlanError(
            f"{name}={value!r} is unknown; {did_you_mean(str(value), options)}choose one of {', '.join(options)}"
        )


def _in_range(name: str, value: float, low: float, high: float, open_low: bool = False) -> None:
    if not (low < value if open_low else low <= value) or not value <= high:
        raise PlanError(
            f"{name}={value} is out of range; it must be {'above' if open_low else 'at least'} {low:g} "
            f"and at most {high:g}"
        )


DYNAMIC_CHANNEL = ("off", "fixed", "shuffle", "chunk", "interpolate", "separate")
OFA_KERNEL = ("off", "crop", "crop+transform")
WSBN = ("off", "on", "per_input")
OP_PLACEMENT = ("edge", "node", "node_except_input")
SAMPLING = ("random_a", "random_nas", "fairnas", "sandwich")
SCHEDULES = ("cosine", "linear", "constant", "step")
INITIALIZATIONS = ("kaiming_normal", "kaiming_uniform")
BN_EVALUATION = ("batch", "tracked", "recalibrate")


@dataclass(frozen=True)
class Mapping:
    """f_ws: the network's shape and how one architecture finds its weights in it."""

    channels: int = 16
    """Initial width, output channels of the first stage."""
    layers: int = 5
    """Cells per stage (NAS-Bench-101, NAS-Bench-201) or in all (DARTS)."""
    dynamic_channel: str = "fixed"
    """NAS-Bench-101: how a convolution of full width is cut to the width that the sampled cell asks for."""
    dynamic_channel_outputs: int = 3
    """With dynamic_channel=off: the one number of output-wired interior vertices to which cells are restricted."""
    ofa_kernel: str = "off"
    """One kernel for all kernel sizes of a place; the smaller is the centre crop of the larger, or its transform."""
    wsbn: str = "off"
    """NAS-Bench-101: one batch-norm per incoming-edge pattern of a vertex (on) or per incoming edge (per_input)."""
    path_dropout: float = 0.0
    """Drop rate of a cell's output per sample at the last cell; grows linearly with depth from the first cell on."""
    global_dropout: float = 0.0
    """Drop rate before the classifier."""
    op_placement: str = "edge"
    """Who owns the candidate operations: every edge its own, or the target node one set for its incoming edges."""
    bn_affine: bool = True
    """Whether batch-norm layers learn scale and shift."""
    bn_affine_outside: bool | None = None
    """The same for those outside the cells (stem, reduction blocks between stages, head); null follows bn_affine. The
    published search networks of NAS-Bench-201 and DARTS switch it off inside the cells alone."""
    few_shot_edge: int | None = None
    """One whole set of shared weights per operation of this edge (a gene, in the order of the space's encoding),
    each for the architectures that have it there; null shares one set among all."""

    partial_channels: int = 1
    """Operations read and write the first of so many equal parts of the channels; the others pass by, and all are
    shuffled (PC-DARTS). 1: all channels."""
    word_dropout: float = 0.0
    """Recurrent networks: drop rate of whole words; a dropped one reads as zeros wherever it occurs in the batch."""
    input_dropout: float = 0.0
    """Recurrent networks: drop rate of the embedded words, one mask for all steps of a chunk (locked dropout)."""
    cell_dropout: float = 0.0
    """Recurrent networks: drop rate of what a cell reads of the step's input, one mask for all steps of a chunk."""
    hidden_dropout: float = 0.0
    """Recurrent networks: drop rate of the hidden state and of every node's input, one mask for all of them and for all
    steps of a chunk (variational dropout)."""
    output_dropout: float = 0.0
    """Recurrent networks: drop rate of the last layer's output, one mask for all steps of a chunk."""

    @property
    def affine_outside(self) -> bool:
        """Whether batch-norms outside the cells learn scale and shift."""
        return self.bn_affine if self.bn_affine_outside is None else self.bn_affine_outside

    def __post_init__(self) -> None:
        _in_range("mapping.channels", self.channels, 1, 4096)
        _in_range("mapping.layers", self.layers, 1, 1000)
        _one_of("mapping.dynamic_channel", self.dynamic_channel, DYNAMIC_CHANNEL)
        _in_range("mapping.dynamic_channel_outputs", self.dynamic_channel_outputs, 1, 5)
        _one_of("mapping.ofa_kernel", self.ofa_kernel, OFA_KERNEL)
        _one_of("mapping.wsbn", self.wsbn, WSBN)
        _in_range("mapping.path_dropout", self.path_dropout, 0, 0.99)
        _in_range("mapping.global_dropout", self.global_dropout, 0, 0.99)
        _one_of("mapping.op_placement", self.op_placement, OP_PLACEMENT)
        if self.few_shot_edge is not None:
            _in_range("mapping.few_shot_edge", self.few_shot_edge, 0, 1000)
        _in_range("mapping.partial_channels", self.partial_channels, 1, self.channels)
        if self.channels % self.partial_channels:
            raise PlanError(
                f"mapping.partial_channels={self.partial_channels} does not divide mapping.channels={self.channels}; "
                "choose a divisor"
            )
        for name in ("word_dropout", "input_dropout", "cell_dropout", "hidden_dropout", "output_dropout"):
            _in_range(f"mapping.{name}", getattr(self, name), 0, 0.99)


@dataclass(frozen=True)
class Protocol:
    """P_ws: how the shared weights are trained and read."""

    epochs: int = 400
    """Passes over the training part of the images."""
    batch_size: int = 256
    """Images per optimizer step over all ranks together (global)."""
    learning_rate: float = 0.025
    """Peak learning rate of SGD."""
    learning_rate_min: float = 0.001
    """Learning rate at the end of the schedule."""
    schedule: str = "cosine"
    """Shape of the learning rate over the steps of the run."""
    warmup_epochs: float = 0.0
    """Epochs of linear warm-up before the schedule."""
    complexity_aware: float = 0.0
    """Exponent e of the per-step factor (params(sampled path) / mean params)^e on the learning rate; 0 is off."""
    momentum: float = 0.9
    """SGD momentum; paths that were not sampled do not move."""
    nesterov: bool = False
    """Nesterov's momentum: the step is the gradient plus momentum times the new velocity (Sutskever et al. 2013, in
    PyTorch's form), in place of the velocity."""
    weight_decay: float = 5e-4
    """L2 penalty, applied to the sampled parameters alone."""
    gradient_clip: float = 5.0
    """Largest norm of the step's gradient; 0 switches clipping off."""
    train_portion: float = 0.5
    """Share of the training images that train the weights; the rest is held out for scoring."""
    sampling: str = "random_nas"
    """Which paths are trained at a step."""
    paths_per_step: int = 1
    """Paths per step for random_a and random_nas (gradients averaged); random paths of the sandwich."""
    random_member: bool = False
    """random_a: train a random member of the sampled isomorphism class in place of its canonical one."""
    distillation: bool = False
    """sandwich: the largest path learns the labels, the others learn its predictions at the same step."""
    tournament: int = 1
    """Every random path is the one of most parameters among so many draws; 1 trains what is drawn."""
    track_running_stats: bool = False
    """Keep running batch-norm statistics during training. Training itself always normalises with the batch."""
    bn_evaluation: str = "batch"
    """Statistics at evaluation: of the evaluation batch, tracked ones, or recalibrated per architecture."""
    bn_recalibration_batches: int = 4
    """Training batches for the recalibration."""
    label_smoothing: float = 0.0
    """Mass of the target distribution spread over all classes."""
    initialization: str = "kaiming_normal"
    """Convolution kernels at the start: kaiming_normal (fan-out), or kaiming_uniform with PyTorch's a = √5, √6 times
    smaller at equal fans, which is how the benchmarks' PyTorch code starts (NAS-Bench-201, DARTS: `nn.Conv2d` left as
    it is); before batch-norm the effective learning rate grows with the inverse square of the norm."""

    distribution: str | None = None
    """Name of the distribution over paths that is learned beside the weights and decides what a step trains; None draws
    paths by `sampling`."""
    selection_portion: float = 0.0
    """Share of the training part that trains that distribution in place of the weights."""
    slowness: float = 0.0
    """Recurrent networks: weight of the mean squared difference of successive hidden states of the last layer, added to
    the loss (temporal activation regularisation, Merity et al., arXiv 1708.02182, section 4.5)."""

    def __post_init__(self) -> None:
        _in_range("protocol.epochs", self.epochs, 0, 1_000_000)
        _in_range("protocol.batch_size", self.batch_size, 1, 1_000_000)
        _in_range("protocol.learning_rate", self.learning_rate, 0, 100, open_low=True)
        _in_range("protocol.learning_rate_min", self.learning_rate_min, 0, 100)
        _one_of("protocol.schedule", self.schedule, SCHEDULES)
        _in_range("protocol.warmup_epochs", self.warmup_epochs, 0, 1_000_000)
        _in_range("protocol.complexity_aware", self.complexity_aware, -4, 4)
        _in_range("protocol.momentum", self.momentum, 0, 0.9999)
        if self.nesterov and not self.momentum:
            raise PlanError(
                "protocol.nesterov=true looks ahead along a momentum, and protocol.momentum=0 has none; set a "
                "momentum or drop nesterov"
            )
        _in_range("protocol.weight_decay", self.weight_decay, 0, 10)
        _in_range("protocol.gradient_clip", self.gradient_clip, 0, 1e9)
        _in_range("protocol.train_portion", self.train_portion, 0, 1, open_low=True)
        _one_of("protocol.sampling", self.sampling, SAMPLING)
        _in_range("protocol.paths_per_step", self.paths_per_step, 1, 1000)
        _one_of("protocol.bn_evaluation", self.bn_evaluation, BN_EVALUATION)
        _in_range("protocol.tournament", self.tournament, 1, 1000)
        if self.tournament > 1 and self.sampling == "fairnas":
            raise PlanError(
                f"protocol.tournament={self.tournament} (extra=path_tournament) does not go with sampling=fairnas, "
                "whose paths are the permutations of one draw; drop one of the two"
            )
        _in_range("protocol.bn_recalibration_batches", self.bn_recalibration_batches, 1, 1_000_000)
        _in_range("protocol.label_smoothing", self.label_smoothing, 0, 0.99)
        _in_range("protocol.slowness", self.slowness, 0, 1e6)
        _one_of("protocol.initialization", self.initialization, INITIALIZATIONS)
        if self.learning_rate_min > self.learning_rate:
            raise PlanError(
                f"protocol.learning_rate_min={self.learning_rate_min:g} is above protocol.learning_rate="
                f"{self.learning_rate:g}; lower the first or raise the second"
            )
        if self.bn_evaluation == "tracked" and not self.track_running_stats:
            raise PlanError(
                "protocol.bn_evaluation=tracked needs statistics that protocol.track_running_stats=false "
                "does not keep; set track_running_stats=true or evaluate with batch or recalibrate"
            )
        if self.random_member and self.sampling != "random_a":
            raise PlanError(
                f"protocol.random_member=true belongs to sampling=random_a, not to {self.sampling}; "
                "set one of the two differently"
            )
        if self.distillation and self.sampling != "sandwich":
            raise PlanError(
                f"protocol.distillation=true belongs to sampling=sandwich, not to {self.sampling}; set one of the two "
                "differently"
            )
        _in_range("protocol.selection_portion", self.selection_portion, 0, 0.99)
        if self.selection_portion and self.distribution is None:
            raise PlanError(
                f"protocol.selection_portion={self.selection_portion:g} holds images back for a learned distribution, "
                "and there is none; choose one (distribution=darts, …), or leave it at 0"
            )
        if self.distribution is not None and (self.sampling != "random_nas" or self.paths_per_step != 1):
            raise PlanError(
                f"distribution={self.distribution} decides itself what a step trains, so that protocol.sampling="
                f"{self.sampling} with paths_per_step={self.paths_per_step} has no say; set "
                "heuristics/sampling=default, or distribution=none"
            )
        if self.distribution is not None and self.tournament > 1:
            raise PlanError(
                f"distribution={self.distribution} decides itself what a step trains, so that there are no draws for "
                f"protocol.tournament={self.tournament} (extra=path_tournament) to choose from; drop one of the two"
            )
        if self.sampling == "fairnas" and self.paths_per_step != 1:
            raise PlanError(
                f"protocol.paths_per_step={self.paths_per_step} does not go with sampling=fairnas, which "
                "trains as many paths per step as there are operations; leave it at 1"
            )


@dataclass(frozen=True)
class Plan:
    """Mapping and protocol of one super-net."""

    mapping: Mapping = field(default_factory=Mapping)
    protocol: Protocol = field(default_factory=Protocol)

    def edited(self, edits: AbstractMapping[str, Any]) -> Plan:
        """A copy with fields replaced, named ``mapping.<field>`` or ``protocol.<field>``.

        Args:
            edits: new values by the field's name.

        Returns:
            Another plan; this one is frozen.

        Raises:
            PlanError: an unknown field, or a contradiction.
        """
        parts: dict[str, dict[str, Any]] = {"mapping": {}, "protocol": {}}
        for name, value in edits.items():
            if name not in FIELDS:
                raise PlanError(f"{name!r} is no field of the plan; the fields are {', '.join(FIELDS)}")
            part, leaf = name.split(".")
            parts[part][leaf] = value
        return Plan(replace(self.mapping, **parts["mapping"]), replace(self.protocol, **parts["protocol"]))

    def flat(self) -> dict[str, Any]:
        """``{"mapping.channels": 16, …}``, every field, in order of definition.

        Returns:
            Values by name.
        """
        return {name: getattr(getattr(self, name.split(".")[0]), name.split(".")[1]) for name in FIELDS}

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Plain nested dict of numbers, strings and booleans: what hashes, checkpoints and result files hold.

        A field of `LATER` at its default is left out, so that a plan from before it has the dict, and a run the name,
        that it always had; `from_dict` puts the default back.

        Returns:
            ``{"mapping": {...}, "protocol": {...}}``.
        """
        found: dict[str, dict[str, Any]] = {"mapping": {}, "protocol": {}}
        for name, value in self.flat().items():
            if name not in LATER or value != DEFAULTS[name]:
                part, leaf = name.split(".")
                found[part][leaf] = value
        return found

    @classmethod
    def from_dict(cls, data: AbstractMapping[str, AbstractMapping[str, Any]]) -> Plan:
        """Inverse of `as_dict`; missing fields take their defaults.

        Args:
            data: of `as_dict`.

        Returns:
            The plan.

        Raises:
            PlanError: an unknown field, or a contradiction.
        """
        return cls().edited({f"{part}.{name}": value for part in data for name, value in data[part].items()})


FIELDS: tuple[str, ...] = tuple(f"mapping.{f.name}" for f in fields(Mapping)) + tuple(
    f"protocol.{f.name}" for f in fields(Protocol)
)
DEFAULTS: dict[str, Any] = Plan().flat()
OF_SHARED_WEIGHTS = (
    *(
        f"mapping.{name}"
        for name in (
            "dynamic_channel",
            "dynamic_channel_outputs",
            "ofa_kernel",
            "wsbn",
            "few_shot_edge",
            "partial_channels",
        )
    ),
    *(f"mapping.{name}" for name in ("path_dropout", "global_dropout", "op_placement")),
    *(f"protocol.{name}" for name in ("sampling", "paths_per_step", "random_member", "distillation", "tournament")),
    "protocol.distribution",
    "protocol.selection_portion",
    "protocol.complexity_aware",
)
"""Fields that a stand-alone network, with one path and weights of its own, does not read."""

LATER = (
    "mapping.bn_affine_outside",
    "mapping.partial_channels",
    "protocol.nesterov",
    "protocol.distribution",
    "protocol.selection_portion",
    "mapping.word_dropout",
    "mapping.input_dropout",
    "mapping.cell_dropout",
    "mapping.hidden_dropout",
    "mapping.output_dropout",
    "protocol.slowness",
)
"""Fields younger than the first runs that anyone kept. Every new field joins them: its default must mean what was done
before it existed."""
