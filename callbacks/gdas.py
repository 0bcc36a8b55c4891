"""GDAS: one architecture a step, drawn by hard Gumbel-softmax with a straight-through gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nas_lightning.distributions.base import SELECTION_STREAM, WEIGHTS_STREAM, Distribution
from nas_lightning.distributions.bilevel import gradients
from nas_lightning.errors import did_you_mean
from nas_lightning.nets.relaxed import RelaxedPath
from nas_lightning.plan import PlanError
from nas_lightning.training.paths import StepPaths

GRADIENTS = ("defined", "released")


class StraightThrough(torch.autograd.Function):
    """One-hot of the largest entry of every row; the gradient passes to the soft rows as it comes."""

    @staticmethod
    def forward(context: Any, soft: Tensor) -> Tensor:
        return F.one_hot(soft.argmax(-1), soft.shape[-1]).to(soft.dtype)

    @staticmethod
    def backward(context: Any, *gradient: Tensor) -> Tensor:
        return gradient[0]


def gumbel_softmax(alpha: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """softmax((ln softmax(α) + g) / τ) of rows [edges, operations], g = −ln(−ln U), drawn on the CPU.

    Its largest entry is distributed as softmax(α), whatever the temperature τ (Maddison et al., arXiv 1611.00712).
    Drawn in float64: the largest of float32's uniform numbers would be infinite.

    Args:
        alpha: logits, [edges, operations].
        temperature: τ, above 0.
        generator: the draws of this step.

    Returns:
        float64 [edges, operations], rows that sum to 1.
    """
    uniform = torch.rand(alpha.shape, generator=generator, dtype=torch.float64).clamp_min(1e-300)
    noise = (-torch.log(-torch.log(uniform))).to(device=alpha.device, dtype=alpha.dtype)
    return F.softmax((F.log_softmax(alpha, dim=-1) + noise) / temperature, dim=-1)


class Gdas(Distribution):
    """Every edge draws one operation by softmax(α): the weights train on the drawn path alone, α by straight-through.

    Mechanism: q = softmax((ln softmax(α) + Gumbel noise)/τ) per edge, h the one-hot of its largest entry, with q's
    gradient; τ falls linearly over the epochs. A step moves the weights on one draw, then α on another.
    ``gradient=defined``: ∂L/∂h_k = ⟨∂L/∂y, op_k(x)⟩, which needs all operations of every edge. ``released``: as the
    authors' code computes it, where operations that were not drawn add their h_k = 0 as plain numbers, so that
    ∂L/∂h_k = Σ ∂L/∂y: the loss is equal, the cost is that of one path, the gradient is another.

    Source: Dong, Yang, Searching for a Robust Neural Architecture in Four GPU Hours (arXiv 1910.04465), section 3.2;
    the released code is D-X-Y/AutoDL-Projects (GDAS.py, 250 epochs on NAS-Bench-201).
    Fires: after every step of the weights. Cost: one more pass a step, over all operations with gradient=defined.
    Does not: move the parameters of operations that were not drawn; the authors' weight decay does.
    Applies to: spaces with relaxed_paths. In darts_nds all edges of a node are drawn and summed, and its two strongest
    are derived, as the authors do there.
    """

    unnamed = ("gradient",)  # gdas_as_released
    weights_first = True

    def __init__(
        self,
        gradient: str = "defined",
        temperature: float = 10.0,
        temperature_min: float = 0.1,
        learning_rate: float = 3e-4,
        weight_decay: float = 1e-3,
        portion: float = 0.5,
    ) -> None:
        options = {"gradient": gradient, "temperature": temperature, "temperature_min": temperature_min}
        name = "gdas" if gradient == "defined" else "gdas_as_released"
        super().__init__(name, portion, learning_rate=learning_rate, weight_decay=weight_decay, options=options)
        if gradient not in GRADIENTS:
            raise PlanError(
                f"heuristics.distribution.gradient={gradient!r} is unknown; "
                f"{did_you_mean(gradient, GRADIENTS)}choose one of {', '.join(GRADIENTS)}"
            )
        if not 0 < temperature_min <= temperature:
            raise PlanError(
                f"heuristics.distribution.temperature={temperature:g} falls to temperature_min={temperature_min:g}: "
                "both must be above 0, the second not larger than the first"
            )

    def temperature(self, step: int) -> float:
        """τ of the epoch of `step`: linear from the first epoch to the last.

        Args:
            step: of the weights, over the whole training.

        Returns:
            τ, above 0.
        """
        high, low = self.options["temperature"], self.options["temperature_min"]
        epoch = step // int(self.trainer.num_training_batches)
        return float(high - (high - low) * epoch / max(1, self.module.plan.protocol.epochs - 1))

    def draw(self, step: int, stream: int) -> list[Tensor]:
        """One hard draw per kind of cell.

        Args:
            step: of the weights, over the whole training.
            stream: which of the draws of a step, so that no two share a key.

        Returns:
            One-hot rows with the soft gradient, [edges, operations] a kind.
        """
        generator = self.generator(step, stream)
        temperature = self.temperature(step)
        return [StraightThrough.apply(gumbel_softmax(alpha, temperature, generator)) for alpha in self.alphas]

    def paths(self, step: int) -> StepPaths:
        with torch.no_grad():
            return StepPaths((RelaxedPath(tuple(self.draw(step, WEIGHTS_STREAM))),), 1.0)

    def slopes(self, images: Tensor, labels: Tensor, step: int, batch: Any) -> list[Tensor]:
        hard = tuple(self.draw(step, SELECTION_STREAM))
        path = RelaxedPath(hard, scalars=self.options["gradient"] == "released")
        return gradients(self.selection_loss(images, labels, path, step), self.alphas)
