"""What all zero-cost proxies share: which network is looked at, on which inputs, and who ranks last."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from nas_lightning.errors import did_you_mean
from nas_lightning.nets.base import Network
from nas_lightning.nets.build import build_network
from nas_lightning.nets.kernel import SharedKernel
from nas_lightning.plan import Plan, Protocol
from nas_lightning.predictors.base import Context, Predictor, PredictorError
from nas_lightning.scoring.zerocost.watch import WithoutBatchNorm

WEIGHTS = ("initial", "shared")
Loss = Callable[[Tensor, Tensor], Tensor]


class ZeroCost(Predictor):
    """Base of the proxies: one number of one network with one batch, so that higher is better.

    An architecture is looked at as its stand-alone network at the plan's size, drawn anew from the context's seed: the
    score is a function of the isomorphism class and the seed, whatever else is scored. Networks whose output does not
    depend on their input (dead cells), and scores that are no number, get −inf: they rank last and are not dropped.

    Args:
        weights: ``initial``, or ``shared``: the weights that the architecture has in the trained super-net.
        batch_size: images taken, the first held-out ones.
        initialization: of initial weights: ``kaiming_uniform`` as the benchmarks' networks (`nn.Conv2d`'s), or
            ``kaiming_normal``.
        repeats: initial networks whose scores are averaged.
    """

    inputs = ("images",)
    uses_images = True
    loss: Loss = staticmethod(F.cross_entropy)
    """Of (outputs, targets): the task's."""

    def __init__(
        self,
        *,
        weights: str = "initial",
        batch_size: int = 64,
        initialization: str = "kaiming_uniform",
        repeats: int = 1,
    ) -> None:
        if weights not in WEIGHTS:
            raise PredictorError(
                f"{self.name}: weights={weights} is unknown; {did_you_mean(weights, WEIGHTS)}"
                f"choose one of {', '.join(WEIGHTS)}"
            )
        for name, value, low in (("batch_size", batch_size, 2), ("repeats", repeats, 1)):
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise PredictorError(f"{self.name}: {name}={value} is out of range; give a whole number from {low}")
        if weights == "shared" and repeats > 1:
            raise PredictorError(f"{self.name}: shared weights are drawn once; leave repeats at 1")
        self.protocol = Protocol(initialization=initialization)
        self.weights, self.batch_size, self.initialization, self.repeats = weights, batch_size, initialization, repeats
        if weights == "shared":
            self.name = f"{self.name}_shared"
        self.needs = frozenset(
            need for need, wanted in (("weights", weights == "shared"), ("images", self.uses_images)) if wanted
        )
        self.note = "no training" if weights == "initial" else "the super-net's weights"

    @abstractmethod
    def of(self, network: Network, inputs: Tensor, targets: Tensor) -> float | Tensor:
        """The score of one network in evaluation mode (batch norm by the batch's moments).

        Args:
            network: a stand-alone network; its gradients are None, and may be left behind.
            inputs: [B, C, H, W] in the network's dtype; zeros of one image for proxies that use no images.
            targets: int64 [B].

        Returns:
            A number; the higher, the better the proxy thinks of the network.
        """

    def initialize(self, network: Network) -> None:
        """Draw initial weights another way, from torch's global generator, which is seeded here.

        Args:
            network: a fresh stand-alone network, changed in place.
        """

    def __call__(self, context: Context) -> np.ndarray:
        inputs, targets = self.batch(context)
        self.loss = F.cross_entropy if context.task is None else context.task.loss
        found: dict[Any, float] = {}
        out = []
        for arch in context.architectures:
            # Shared weights differ between isomorphic encodings, initial ones do not.
            one = arch if self.weights == "shared" else context.space.canonical(arch)
            key = str(one)
            if key not in found:
                scores = [self.score(network, inputs, targets) for network in self.networks(one, context, inputs)]
                found[key] = float(np.mean(scores))
            out.append(found[key])
        return np.array(out, np.float64)

    def score(self, network: Network, inputs: Tensor, targets: Tensor) -> float:
        """`of` as a number; −inf for a dead network and where it is none.

        Args:
            network: a stand-alone network.
            inputs: images [B, C, H, W].
            targets: classes int64 [B].

        Returns:
            A float, higher is better.
        """
        if not is_connected(network, inputs[:1]):
            return -math.inf
        value = float(torch.as_tensor(self.of(network, inputs, targets)).detach())
        return -math.inf if math.isnan(value) else value

    def batch(self, context: Context) -> tuple[Tensor, Tensor]:
        """The first `batch_size` images of the context with their labels.

        Args:
            context: what predictors may look at.

        Returns:
            Inputs [B, C, H, W] and classes int64 [B].

        Raises:
            PredictorError: there are fewer than 2 images.
        """
        if not self.uses_images:
            device = context.batches[0][0].device if len(context.batches) else "cpu"
            shape = (1, context.in_channels, context.image_size, context.image_size)
            return torch.zeros(shape, device=device), torch.zeros(1, dtype=torch.int64, device=device)
        kept, count = [], 0
        for images, labels in context.batches:
            kept.append((images, labels))
            count += len(labels)
            if count >= self.batch_size:
                break
        if count < 2:
            raise PredictorError(f"predictor {self.name} needs at least 2 images; give more held-out images")
        inputs = torch.cat([images for images, _ in kept])[: self.batch_size].float()
        return inputs, torch.cat([labels for _, labels in kept])[: self.batch_size]

    def networks(self, arch: Any, context: Context, inputs: Tensor) -> Iterator[Network]:
        """The networks of `arch` whose scores are averaged, on the device of `inputs`, in evaluation mode.

        Args:
            arch: an architecture.
            context: what predictors may look at.
            inputs: images [B, C, H, W].

        Returns:
            A network with fresh weights a repeat, or one with the shared weights.
        """
        if self.weights == "shared":
            network = context.network.standalone(arch)
            network.zero_grad(set_to_none=True)
            yield network.to(inputs.device, inputs.dtype).requires_grad_(True).eval()
            return
        plan = Plan(mapping=context.mapping, protocol=self.protocol)
        for repeat in range(self.repeats):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(1_000_003 * context.seed + repeat)
                network = build_network(
                    context.space, plan, context.num_outputs, in_channels=context.in_channels, arch=arch
                )
                self.initialize(network)
            yield network.to(inputs.device, inputs.dtype).eval()


def weights_of(network: nn.Module) -> list[nn.Parameter]:
    """Kernels of convolutions and matrices of linear layers, without biases and batch norm.

    Args:
        network: any network.

    Returns:
        The parameters, in the order of the modules.
    """
    kernels = [w for m in network.modules() if isinstance(m, SharedKernel) for w in m.weights.values()]
    return [*kernels, *(m.weight for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d))]


def gradients(network: Network, inputs: Tensor, targets: Tensor, *, loss: Loss, graph: bool = False) -> list[Tensor]:
    """Of the mean `loss` with respect to `weights_of`; zeros for weights that the output does not read.

    Args:
        network: a stand-alone network.
        inputs: images [B, C, H, W].
        targets: classes int64 [B].
        loss: of outputs [B, K] and targets.
        graph: whether the gradients can be differentiated again.

    Returns:
        One tensor a weight, of its shape.
    """
    found = torch.autograd.grad(
        loss(network(inputs), targets),
        weights_of(network),
        create_graph=graph,
        allow_unused=True,
        materialize_grads=True,
    )
    return list(found)


def positive_flow(network: Network, inputs: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """One pass with absolute weights, without batch norm, in float64: (parameters by name, input, sum of outputs).

    In float32 the sum overflows on deep cells.

    Args:
        network: a stand-alone network.
        inputs: images [B, C, H, W].

    Returns:
        |parameter| by name, the input with a gradient, and the scalar sum.
    """
    parameters = {name: p.detach().double().abs().requires_grad_(True) for name, p in network.named_parameters()}
    ones = torch.ones_like(inputs[:1], dtype=torch.float64).requires_grad_(True)
    with WithoutBatchNorm():
        outputs = functional_call(network, parameters, (ones,))
    return parameters, ones, outputs.sum()


def is_connected(network: Network, image: Tensor) -> bool:
    """Whether any path leads from input to output: the positive flow's gradient with respect to the input is not 0.

    Args:
        network: a stand-alone network.
        image: of the shape of one input, [1, C, H, W].

    Returns:
        False for a dead network.
    """
    _, ones, total = positive_flow(network, image)
    if not total.requires_grad:
        return False
    (gradient,) = torch.autograd.grad(total, ones, allow_unused=True)
    return gradient is not None and bool((gradient != 0).any())
