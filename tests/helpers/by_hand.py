"""What an optimizer step does, from the formulas and without PyTorch's losses and optimizers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from nas_lightning.plan import Plan
from nas_lightning.training.module import SuperNetModule
from nas_lightning.training.paths import StepPaths
from tests.helpers.small_plans import data_for, quiet_trainer

Loss = Callable[[Tensor], Tensor]


def cross_entropy(targets: Tensor, smoothing: float = 0.0) -> Loss:
    """−Σ_k q_k ln p_k, the mean over the batch; q = (1 − s)·targets + s/K, from classes [B] or distributions [B, K]."""

    def loss(logits: Tensor) -> Tensor:
        k = logits.shape[1]
        hot = torch.eye(k, dtype=logits.dtype)[targets] if targets.ndim == 1 else targets
        wanted = (1 - smoothing) * hot + smoothing / k
        log_p = logits - logits.max(1, keepdim=True)[0]
        log_p = log_p - log_p.exp().sum(1, keepdim=True).log()
        return -(wanted * log_p).sum() / len(logits)

    return loss


class ByHand:
    """SGD with momentum on a copy of a network, one formula a line.

    A parameter that no path of a step uses has no gradient: it stays, and so does its velocity.
    """

    def __init__(self, network: torch.nn.Module, plan: Plan) -> None:
        self.network, self.protocol = copy.deepcopy(network).train(), plan.protocol
        self.velocity: dict[str, Tensor] = {}
        self.norm = 0.0
        """Of the last step's gradient, before it was clipped."""

    def step(self, loss: Tensor, rate: float, groups: Iterable[list[str]] = ()) -> None:
        """One step down `loss`; the parameters of a group are one, so that each takes the sum of their gradients."""
        named = dict(self.network.named_parameters())
        found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
        gradient = {name: g for name, g in zip(named, found, strict=True) if g is not None}
        self.norm = float(sum(float((g.double() ** 2).sum()) for g in gradient.values()) ** 0.5)
        limit = self.protocol.gradient_clip
        if limit and self.norm > limit:
            gradient = {name: g * (limit / (self.norm + 1e-6)) for name, g in gradient.items()}  # PyTorch's 1e-6
        for group in groups:
            if any(name in gradient for name in group):
                total = sum(gradient[name] for name in group if name in gradient)
                gradient |= dict.fromkeys(group, total)
        with torch.no_grad():
            for name, g in gradient.items():
                w = named[name]
                g = g + self.protocol.weight_decay * w
                v = self.protocol.momentum * self.velocity[name] + g if name in self.velocity else g
                self.velocity[name] = v
                w -= rate * (g + self.protocol.momentum * v if self.protocol.nesterov else v)


class Rates(pl.Callback):
    """The learning rate that the optimizer used, step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.used: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        self.used.append(trainer.optimizers[0].param_groups[0]["lr"])


def module_of(plan: Plan, paths: list[tuple[Any, ...]], weight: float | None = None, space: str = "nasbench201") -> Any:
    """A super-net whose step t trains `paths[t]`, each with `weight` or one over their number."""

    class Given(SuperNetModule):
        def paths(self, step: int) -> StepPaths:
            return StepPaths(paths[step], 1 / len(paths[step]) if weight is None else weight)

    return Given(space, plan, 10, 1, 0).double()  # single precision drifts by 1e-4 within three steps


def fitted(module: SuperNetModule, steps: int, *callbacks: pl.Callback) -> list[float]:
    """Train `module` for `steps` steps; the learning rate of each."""
    rates = Rates()
    quiet_trainer(rates, *callbacks, max_steps=steps, precision="64-true").fit(module, datamodule=data_for(module.plan))
    assert len(rates.used) == steps
    return rates.used


def batches_of(plan: Plan, steps: int) -> list[tuple[Tensor, Tensor]]:
    """Images [B, 1, 8, 8], of 64 bits, and labels [B] of the first steps."""
    loader = data_for(plan).loader()
    return [(images.double(), labels) for images, labels in map(loader.batch, range(steps))]
