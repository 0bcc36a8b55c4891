"""DARTS: a softmax over the operations of every edge, learned by gradient, first or second order."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nas_lightning.distributions.bilevel import second_order, unrolled_step
from nas_lightning.distributions.eigenvalue import largest_eigenvalue, stopping_entry
from nas_lightning.distributions.mixture import Mixture
from nas_lightning.plan import PlanError


class Darts(Mixture):
    """Every edge sums all its operations by softmax(α); α follows the loss on images that do not train the weights.

    Mechanism: a step moves α, then the weights. ``order=1`` takes ∇α L_val(w, α); ``order=2`` takes the gradient
    through one step of the weights, with momentum, weight decay and the current rate, its Hessian-vector product by
    finite differences. ``stop``: at every second epoch the largest eigenvalue of the Hessian of L_val in α is taken on
    one batch; once its mean over five entries has grown by 1.3 within four of them, α goes back to where it was then
    and stays, while the weights go on (RobustDARTS-ES).

    Source: Liu, Simonyan, Yang, DARTS (arXiv 1806.09055), algorithm 1; Zela et al. (arXiv 1909.09656), section 4.3.
    Fires: before every step of the weights; end of an epoch (derived architecture, eigenvalue). Cost: every operation
    of every edge is computed; one more pass a step, with order=2 four more; `stop` one backward pass per entry of α.
    Does not: put batch-norm behind pooling operations, which the authors' search network has and no stand-alone one.
    Applies to: spaces with relaxed_paths (nasbench201, darts_nds).
    """

    unnamed = ("order",)  # darts2

    def __init__(
        self,
        order: int = 1,
        learning_rate: float = 3e-4,
        weight_decay: float = 1e-3,
        portion: float = 0.5,
        stop: bool = False,
    ) -> None:
        options = {"order": order, "stop": True if stop else None}
        super().__init__(
            "darts" if order == 1 else "darts2",
            portion,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            options=options,
        )
        if order not in (1, 2):
            raise PlanError(f"heuristics.distribution.order={order} is unknown; choose 1 or 2")
        self.order = order
        self.extra_passes = 1 if order == 1 else 4  # type: ignore[misc]
        self.eigenvalues: list[float] = []
        self.past: list[list[Tensor]] = []
        """α at every eigenvalue, the oldest first."""
        self.stopped = False

    def learns(self, step: int) -> bool:
        return not self.stopped

    def slopes(self, images: Tensor, labels: Tensor, step: int, batch: Any) -> list[Tensor]:
        if self.order == 1:
            return super().slopes(images, labels, step, batch)
        protocol, module = self.module.plan.protocol, self.module
        optimizer = self.trainer.optimizers[0]

        def selection() -> Tensor:
            return self.selection_loss(images, labels, self.relaxed(learned=True), step)

        weights = [p for p in module.network.parameters() if p.requires_grad]
        buffers = [optimizer.state[p].get("momentum_buffer") if p in optimizer.state else None for p in weights]

        def training() -> Tensor:
            module.network.set_draw(module.seed, step)  # the masks of the step that is looked ahead to
            loss: Tensor = module.task.loss(
                module.network(batch[0], self.relaxed(learned=True)), batch[1], protocol.label_smoothing
            )
            return loss

        return second_order(
            self.alphas,
            weights,
            training,
            selection_loss=selection,
            rate=module.scheduled_rate(step),
            direction=lambda found: unrolled_step(
                weights, found, buffers, momentum=protocol.momentum, decay=protocol.weight_decay
            ),
            together=self.together,
        )

    def derive(self, epoch: int) -> Any:
        if self.options.get("stop") and not self.stopped and epoch % 2 == 0:
            self.watch(epoch)
        return super().derive(epoch)

    def watch(self, epoch: int) -> None:
        """Take the eigenvalue, and go back where it has grown too much; not before epoch 10.

        Args:
            epoch: of the training, counted from 1; 0 is before its first step.
        """
        (images, labels), *_ = self.selection_batches(1, epoch)
        with self.untouched(), self.precision():
            loss = self.selection_loss(images, labels, self.relaxed(learned=True), self.trainer.global_step)
            self.eigenvalues.append(largest_eigenvalue(loss, self.alphas, self.options["weight_decay"]))
        self.module.log("distribution/eigenvalue", self.eigenvalues[-1], rank_zero_only=True)
        self.past.append([alpha.detach().clone() for alpha in self.alphas])
        entry = stopping_entry(self.eigenvalues)
        if entry is not None and epoch >= 10:
            with torch.no_grad():
                for alpha, value in zip(self.alphas, self.past[entry], strict=True):
                    alpha.copy_(value)
            self.stopped = True

    def more(self) -> dict[str, Any]:
        return {"eigenvalues": list(self.eigenvalues), "past": [list(p) for p in self.past], "stopped": self.stopped}

    def restore(self, state: dict[str, Any]) -> None:
        self.eigenvalues, self.stopped = list(state["eigenvalues"]), bool(state["stopped"])
        self.past = [[value.to(self.module.device) for value in entry] for entry in state["past"]]
