"""When to stop a differentiable search: the curvature of the selection loss in the architecture parameters.

Source: Zela et al., Understanding and Robustifying Differentiable Architecture Search (arXiv 1909.09656), section 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

WINDOW, LAG, LIMIT = 5, 4, 1.3
"""Entries of the centred mean, entries between the two means that are compared, and the ratio at which it stops."""


def largest_eigenvalue(loss: Tensor, alphas: Sequence[Tensor], shift: float = 0.0) -> float:
    """Largest eigenvalue of the exact Hessian of `loss` in all of `alphas`, plus `shift` (the L2 penalty's).

    One backward pass per parameter.
    """
    slopes = torch.autograd.grad(loss, alphas, create_graph=True)
    flat = torch.cat([slope.flatten() for slope in slopes])
    rows = []
    for entry in flat:
        row = torch.autograd.grad(entry, alphas, retain_graph=True, allow_unused=True)
        rows.append(torch.cat([(torch.zeros_like(a) if r is None else r).flatten() for a, r in zip(alphas, row)]))  # noqa: B905
    hessian = torch.stack(rows).double()
    return float(torch.linalg.eigvalsh((hessian + hessian.T) / 2)[-1]) + shift


def stopping_entry(eigenvalues: Sequence[float]) -> int | None:
    """The entry to go back to, or None while the search may go on.

    With s_i the mean of the `WINDOW` entries around i: s_i / s_{i−LAG} > LIMIT at the last i that has a whole window
    stops, and the entry is i − LAG. At every second epoch that is 12 epochs back.
    """
    half = WINDOW // 2
    last = len(eigenvalues) - 1 - half
    if last - LAG - half < 0:
        return None
    means = np.convolve(eigenvalues, np.ones(WINDOW) / WINDOW, "valid")  # entry i stands at i − half
    now, before = means[last - half], means[last - LAG - half]
    return last - LAG if before > 0 and now / before > LIMIT else None
