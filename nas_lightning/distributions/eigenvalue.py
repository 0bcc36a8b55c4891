"""When to stop a differentiable search: the curvature of the selection loss in the architecture parameters.

Source: Zela et al., Understanding and Robustifying Differentiable Architecture Search (arXiv 1909.09656), section 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

DENSE = 64
"""Parameters up to which the whole Hessian is computed."""
WINDOW, LAG, LIMIT = 5, 4, 1.3
"""Entries of the centred mean, entries between the two means that are compared, and the ratio at which it stops."""


def largest_eigenvalue(loss: Tensor, alphas: Sequence[Tensor], shift: float = 0.0) -> float:
    """Largest eigenvalue of the exact Hessian of `loss` in all of `alphas`, plus `shift` (the L2 penalty's).

    One backward pass per parameter up to `DENSE` of them; beyond, Lanczos iterations on exact Hessian-vector products
    (`scipy.sparse.linalg.eigsh`), each one backward pass, to a relative 1e-5.
    """
    slopes = torch.autograd.grad(loss, alphas, create_graph=True)
    flat = torch.cat([slope.flatten() for slope in slopes])

    def product(vector: np.ndarray) -> np.ndarray:
        direction = torch.as_tensor(vector.ravel(), dtype=flat.dtype, device=flat.device)
        rows = torch.autograd.grad(flat, alphas, direction, retain_graph=True, allow_unused=True)
        parts = [torch.zeros_like(a) if r is None else r for a, r in zip(alphas, rows, strict=True)]
        found: np.ndarray = torch.cat([part.flatten() for part in parts]).double().cpu().numpy()
        return found

    n = len(flat)
    if n <= DENSE:
        hessian = np.stack([product(row) for row in np.eye(n)])
        return float(np.linalg.eigvalsh((hessian + hessian.T) / 2)[-1]) + shift
    start = np.random.default_rng(0).standard_normal(n)
    operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
    return float(eigsh(operator, k=1, which="LA", v0=start, tol=1e-5, return_eigenvectors=False)[0]) + shift


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
