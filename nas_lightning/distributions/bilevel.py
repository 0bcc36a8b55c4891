"""Gradients of the architecture parameters α in min_α L_val(w*(α), α), w*(α) = argmin_w L_train(w, α).

Source: Liu, Simonyan, Yang, DARTS (arXiv 1806.09055), sections 2.3 (the approximation) and 3 (ε).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

EPSILON = 0.01
"""Length of the weights' step in the finite difference: ε = 0.01 / ‖v‖₂."""


def gradients(loss: Tensor, of: Sequence[Tensor]) -> list[Tensor]:
    """d loss / d each of `of`; zeros where the loss does not depend on it."""
    found = torch.autograd.grad(loss, of, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(of, found, strict=True)]


def unrolled_step(
    weights: Sequence[Tensor], slopes: Sequence[Tensor], buffers: Sequence[Tensor | None], momentum: float, decay: float
) -> list[Tensor]:
    """The direction m·buffer + ∇L + λw of SGD's next step, without its rate; a missing buffer is zero."""
    return [
        slope + decay * w + (momentum * b if b is not None else 0.0)
        for w, slope, b in zip(weights, slopes, buffers, strict=True)
    ]


def second_order(
    alphas: Sequence[Tensor],
    weights: Sequence[Tensor],
    train_loss: Callable[[], Tensor],
    selection_loss: Callable[[], Tensor],
    rate: float,
    direction: Callable[[Sequence[Tensor]], list[Tensor]],
    together: Callable[[Sequence[Tensor]], None] = lambda tensors: None,
    epsilon: float = EPSILON,
) -> list[Tensor]:
    """∇α L_val(w', α) − ξ·[∇α L_train(w + εv, α) − ∇α L_train(w − εv, α)] / 2ε, with w' = w − ξ·direction(∇w L_train)
    and v = ∇w L_val(w', α): the chain rule through one step of the weights, its Hessian-vector product by a central
    difference. The weights are put back from a copy, bit for bit. Five forward and backward passes with the weights'
    own step.

    Args:
        alphas: architecture parameters.
        weights: leaves that both losses read, in place.
        train_loss: L_train at the present weights. selection_loss: L_val.
        rate: ξ; 0 gives the first order.
        direction: from ∇w L_train to the step that the optimizer would take, per unit of the rate.
        together: averages gradients of the weights over the processes, in place.
        epsilon: ε·‖v‖.
    """
    kept = [w.detach().clone() for w in weights]

    @torch.no_grad()
    def put(factor: float, step: Sequence[Tensor]) -> None:
        for w, start, s in zip(weights, kept, step, strict=True):
            w.copy_(start + factor * s)

    try:
        slopes = gradients(train_loss(), weights)
        together(slopes)
        put(-rate, direction(slopes))
        both = gradients(selection_loss(), [*alphas, *weights])
        outer, v = both[: len(alphas)], both[len(alphas) :]
        together(v)
        norm = torch.sqrt(sum((g.double().square().sum() for g in v), torch.zeros((), dtype=torch.float64)))
        if not rate or not float(norm):
            return outer
        eps = epsilon / float(norm)
        put(eps, v)
        above = gradients(train_loss(), alphas)
        put(-eps, v)
        below = gradients(train_loss(), alphas)
    finally:
        with torch.no_grad():
            for w, start in zip(weights, kept, strict=True):
                w.copy_(start)
    return [g - rate * (a - b) / (2 * eps) for g, a, b in zip(outer, above, below, strict=True)]
