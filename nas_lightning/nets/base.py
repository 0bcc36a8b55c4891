"""What the three networks share: their two roles, keyed randomness, dropout, and export of a sub-net's weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_lightning.nets.prefix import Prefix
from nas_lightning.plan import Mapping, PlanError
from nas_lightning.processes.exchange import position

# Second word of a draw's key, so that draws of different purpose with one seed never coincide.
DROPOUT_STREAM = 7


def standalone_mapping(mapping: Mapping) -> Mapping:
    """The mapping of a stand-alone network: same width and depth, nothing shared, nothing dropped.

    Args:
        mapping: f_ws of a super-net.

    Returns:
        A mapping with the same channels and layers.
    """
    return replace(
        mapping,
        dynamic_channel="fixed",
        ofa_kernel="off",
        wsbn="off",
        path_dropout=0.0,
        global_dropout=0.0,
        op_placement="edge",
        few_shot_edge=None,
        partial_channels=1,
    )


class Network(nn.Module):
    """A super-net (``arch=None``: all operations; call it with the sampled architecture) or the stand-alone network of
    one architecture. ``forward(x [B, C, H, W], arch) -> logits [B, num_classes]``.

    What a space's own network must do:

    - ``__init__(mapping, num_classes, in_channels=3, track=False, arch=None)`` hands all five to ``super().__init__``,
      builds every operation where `arch` is None and else only those of `arch`, reads its width from
      ``self.mapping.channels`` and its depth from ``self.mapping.layers``, and sets `classifier`. Drawing weights from
      torch's global generator makes it reproducible by the run's seed. `track` goes to every
      `nas_lightning.nets.norm.BatchNorm`, which keeps statistics, recalibrates and synchronises as the plan says;
      ``self.mapping.bn_affine`` likewise.
    - `features` starts with ``arch = self.architecture(arch)``, uses the weights of `arch` alone (the others must get
      no gradient), and may call `drop_path` after each cell (then the space is capable of ``path_dropout``).
    - A tensor has the same name in both roles, as `nas_lightning.nets.candidates.Candidates` gives it; a network that
      stores it otherwise (sliced, or under other names) yields the stand-alone names and tensors in `exported`.
    - The space's `costs` agree with the built network; those of a space without a formula are counted from it.

    Randomness inside the network (dropout, channel draws) is keyed by (seed, step), which `set_draw` sets; evaluation
    uses one fixed keyed draw. The network thus behaves the same after a resume and on every rank.
    """

    def __init__(self, mapping: Mapping, num_classes: int, in_channels: int, track: bool, arch: Any = None) -> None:
        super().__init__()
        self.mapping = mapping if arch is None else standalone_mapping(mapping)
        self.arch = arch
        self.num_classes, self.in_channels, self.track = num_classes, in_channels, track
        self.draw: tuple[int, int] = (0, 0)
        self._generators: dict[torch.device, torch.Generator] = {}
        self.state: Tensor | None = None
        """Where every pass starts until another one is set; None: at the beginning. For the networks that carry one
        (`carries_state`); whoever calls them says what follows what."""
        self.end_state: Tensor | None = None
        """Where the last pass ended, without a gradient."""
        self.hidden_states: Tensor | None = None
        """Hidden states [B, T, n] of the last pass in training, of a space that is capable of ``hidden_states``."""
        self.prefix: Prefix | None = None  # set by the evaluator, while it scores many architectures on one batch

    carries_state: ClassVar[bool] = False
    """Whether inputs are chunks of sequences, and one starts from the `end_state` of the one before."""
    shares_relu: ClassVar[bool] = False
    """Whether one ReLU serves all convolutions that read a node, where the published network gives each its own."""
    classifier: nn.Module
    """Pooled features [B, D] -> logits [B, num_classes]."""

    @abstractmethod
    def features(self, x: Tensor, arch: Any = None, stages: list[Tensor] | None = None) -> Tensor:
        """Images [B, C, H, W] -> what the classifier reads, pooled features [B, D].

        `stages` is given the pooled activations [B, D_s] at the end of every stage but the last, in order.

        Args:
            x: images [B, C, H, W].
            arch: an architecture of the space; None in a stand-alone network, which has its own.
            stages: an empty list that takes the activations of the stages; None asks for none.

        Returns:
            [B, D].
        """

    def classify(self, features: Tensor, arch: Any = None) -> Tensor:
        """Pooled features [B, D] of `arch` -> logits [B, num_classes].

        Args:
            features: [B, D].
            arch: an architecture of the space; None in a stand-alone network, which has its own.

        Returns:
            [B, num_classes].
        """
        return self.classifier(self.drop_global(features))

    def forward(self, x: Tensor, arch: Any = None) -> Tensor:
        return self.classify(self.features(x, arch), arch)

    def example_input(self, batch: int, size: int, device: torch.device | str = "cpu") -> Tensor:
        """An input of zeros: images [B, C, size, size].

        Args:
            batch: B.
            size: side of an image, pixels.
            device: where it lives.

        Returns:
            In channels-last memory.
        """
        images = torch.zeros(batch, self.in_channels, size, size, device=device)
        return images.contiguous(memory_format=torch.channels_last)

    def behaviour(self, arch: Any) -> Any:
        """Architectures of equal value give equal outputs; sorted by it, neighbours share most work.

        Args:
            arch: an architecture of the space; None in a stand-alone network, which has its own.

        Returns:
            Anything that can be compared and sorted.
        """
        return str(arch)

    def set_draw(self, seed: int, step: int) -> None:
        """Key of this step's random draws inside the network.

        Args:
            seed: of the run.
            step: of the training, from 0.
        """
        self.draw = (seed, step)
        for generator in self._generators.values():
            self._seed(generator)

    def _seed(self, generator: torch.Generator) -> None:
        seed, step = self.draw
        generator.manual_seed((seed * 1_000_003 + step) * 16 + DROPOUT_STREAM)

    def _uniform(self, shape: tuple[int, ...], like: Tensor, shared: bool = False) -> Tensor:
        """Uniform numbers [B, …] of this step: of W ranks, rank r takes rows r, r + W, … of the global batch's; all
        ranks the same ones where they are `shared`, whose first axis is no batch."""
        rank, size = (0, 1) if shared else position()
        generator = self._generators.get(like.device)
        if generator is None:
            generator = self._generators.setdefault(like.device, torch.Generator(like.device))
            self._seed(generator)
        shape = (shape[0] * size, *shape[1:])
        numbers = torch.rand(shape, generator=generator, device=like.device, dtype=torch.float32)
        return numbers[rank::size].to(like.dtype)

    def drop_path(self, x: Tensor, cell: int, n_cells: int) -> Tensor:
        """Zero the whole output [B, C, H, W] of cell `cell` for a random subset of the samples.

        The keep probability falls linearly with depth, 1 − rate·(cell + 1)/n_cells (Huang et al., Stochastic Depth,
        section 3); kept samples are divided by it, so that the expectation stays.

        Args:
            x: [B, C, H, W].
            cell: its number, from 0.
            n_cells: how many there are.

        Returns:
            [B, C, H, W].
        """
        rate = self.mapping.path_dropout * (cell + 1) / n_cells
        if rate == 0.0 or not self.training:
            return x
        keep = (self._uniform((x.shape[0], 1, 1, 1), x) >= rate).to(x.dtype)
        return x * (keep / (1.0 - rate))

    def drop_global(self, x: Tensor) -> Tensor:
        """Dropout of features [B, C] before the classifier.

        Args:
            x: [B, C].

        Returns:
            [B, C].
        """
        rate = self.mapping.global_dropout
        if rate == 0.0 or not self.training:
            return x
        keep = (self._uniform(tuple(x.shape), x) >= rate).to(x.dtype)
        return x * (keep / (1.0 - rate))

    def architecture(self, arch: Any) -> Any:
        """The architecture to run: a stand-alone network's own, or the one given.

        Args:
            arch: the one that was asked for, or None.

        Returns:
            The one that runs.

        Raises:
            ValueError: none was given to a super-net, or another one to a stand-alone network.
        """
        if self.arch is not None:
            if arch is not None and arch != self.arch:
                raise ValueError(f"this stand-alone network is {self.arch}, it cannot run {arch}")
            return self.arch
        if arch is None:
            raise ValueError("a super-net runs one architecture at a time; call it as network(images, architecture)")
        return arch

    def exported(self, arch: Any) -> Iterator[tuple[str, Tensor]]:
        """(name in the stand-alone network, tensor) of all that does not have the same name here and there.

        Args:
            arch: an architecture of the space; None in a stand-alone network, which has its own.

        Returns:
            Tensors of this network, not copies.
        """
        return iter(())

    @classmethod
    def counted(cls, archs: Sequence[Any], **shape: Any) -> tuple[np.ndarray, np.ndarray]:
        """Parameters and multiply-accumulates, int64 [n] each, of stand-alone networks built without memory.

        Keywords as for `Space.costs`, all of them. Convolutions and linear layers count, the latter's bias included.

        Args:
            archs: n architectures.
            shape: ``channels``, ``layers``, ``num_classes``, ``in_channels``, ``affine``, ``image_size``.

        Returns:
            (parameters, multiply-accumulates of one image).
        """
        both = np.array([_counted(cls, arch, tuple(sorted(shape.items()))) for arch in archs], np.int64)  # type: ignore[arg-type]
        return both[:, 0], both[:, 1]

    def standalone(self, arch: Any) -> Network:
        """The stand-alone network of `arch` with a copy of the weights that it has in this super-net.

        Args:
            arch: an architecture of the space; None in a stand-alone network, which has its own.

        Returns:
            A network of its own, on the same device and in the same mode.

        Raises:
            PlanError: a super-net of partial channels, whose operations are narrower.
        """
        if self.mapping.partial_channels > 1:
            raise PlanError(
                f"mapping.partial_channels={self.mapping.partial_channels} makes operations narrower than those of "
                "any stand-alone network, which cannot take their weights; train it from scratch (mode=standalone)"
            )
        device, dtype = next((p.device, p.dtype) for p in self.parameters())
        network = type(self)(self.mapping, self.num_classes, self.in_channels, track=self.track, arch=arch).to(
            device, dtype
        )
        tensors = dict(self.exported(arch))
        own = self.state_dict()
        state = {
            name: (tensors[name] if name in tensors else own[name]).detach().clone() for name in network.state_dict()
        }
        network.load_state_dict(state)
        return network.train(self.training)


@lru_cache(maxsize=100_000)
def _counted(network: Any, arch: Any, shape: tuple[tuple[str, Any], ...]) -> tuple[int, int]:
    from torch.utils.flop_counter import FlopCounterMode

    wanted = dict(shape)
    mapping = Mapping(channels=wanted["channels"], layers=wanted["layers"], bn_affine=wanted["affine"])
    with torch.device("meta"):
        built = network(mapping, wanted["num_classes"], wanted["in_channels"], track=False, arch=arch)
        images = built.example_input(2, wanted["image_size"], "meta")  # norms need two
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        built.eval()(images)
    biases = sum(m.out_features for m in built.modules() if isinstance(m, nn.Linear) and m.bias is not None)
    return sum(p.numel() for p in built.parameters()), counter.get_total_flops() // 4 + biases


def conv_bn_tensors(
    name: str,
    kernel: Tensor,
    affine: tuple[Tensor | None, Tensor | None],
    tracked: tuple[Tensor, Tensor] | None,
    size: int,
) -> Iterator[tuple[str, Tensor]]:
    """The stand-alone names of one kernel and its batch-norm below the place `name`.

    Args:
        name: of the module in the stand-alone network.
        kernel: [out, in, k, k].
        affine: scale and shift [out], None where they are not learned.
        tracked: running mean and variance [out]; None where none are kept.
        size: k.

    Returns:
        Names and tensors.
    """
    yield f"{name}.kernel.weights.{size}", kernel
    norm = f"{name}.norms.{size}"
    for leaf, value in zip(("weight", "bias"), affine, strict=True):
        if value is not None:
            yield f"{norm}.{leaf}", value
    if tracked is not None:
        yield f"{norm}.running_mean", tracked[0]
        yield f"{norm}.running_var", tracked[1]


def global_average(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, C].

    Args:
        x: [B, C, H, W].

    Returns:
        Means over all positions.
    """
    return F.adaptive_avg_pool2d(x, 1).flatten(1)
