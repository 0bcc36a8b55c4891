"""A super-net's training step against the plain networks of the same architectures doing the same step.

The plain networks are stand-alone (see `perf/plain.py`), each with an SGD of its own; both steps clear the gradients,
run forward and backward, clip by the norm and update. Before anything is timed both must give the same loss.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_lightning.plan import Plan
from nas_lightning.spaces import get_space
from nas_lightning.training.module import SuperNetModule
from perf.measure import paired
from perf.plain import copy_weights, plain_network

CASES: dict[str, tuple[str, dict[str, Any], int]] = {
    "NAS-Bench-201, C=16, N=5, batch 64": ("nasbench201", {"mapping.channels": 16, "mapping.layers": 5}, 64),
    "NAS-Bench-201, C=8, N=1, batch 128 (recipe nasbench201_cpu)": (
        "nasbench201",
        {"mapping.channels": 8, "mapping.layers": 1},
        128,
    ),
    "NAS-Bench-101, C=64, N=3, batch 16": (
        "nasbench101",
        {"mapping.channels": 64, "mapping.layers": 3, "mapping.op_placement": "node"},
        16,
    ),
    "DARTS-NDS, C=36, 12 cells, batch 16": (
        "darts_nds",
        {"mapping.channels": 36, "mapping.layers": 12, "mapping.bn_affine": False},
        16,
    ),
}
"""NAS-Bench-101 and DARTS-NDS at the width and depth of their default plans, with a smaller batch."""


def drawn(space: str, n: int) -> list[Any]:
    """Architectures that plain networks exist for."""
    rng, domain = np.random.default_rng(0), get_space(space)
    return [domain.sample(rng) for _ in range(n)]


def step_of(network: nn.Module, clip: float = 5.0) -> Callable[..., None]:
    """One optimizer step (images, labels, arch…) as `NetworkModule.training_step` does it, without Lightning."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4, foreach=True)

    def step(images: Tensor, labels: Tensor, *arch: Any) -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(images, *arch), labels).backward()
        active = [p for p in optimizer.param_groups[0]["params"] if p.grad is not None]
        torch.nn.utils.clip_grad_norm_(active, clip, foreach=True)
        optimizer.step()

    return step


def measure_case(space: str, edits: dict[str, Any], batch: int, n: int, rounds: int) -> dict[str, Any]:
    """The paired measurement of one case over `n` architectures."""
    plan = Plan().edited({**edits, "protocol.batch_size": batch})
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, 32, 32, generator=generator).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch,), generator=generator)
    supernet = SuperNetModule(space, plan, 10, 3, 0).network.train()
    ours: list[Callable[[], None]] = []
    reference: list[Callable[[], None]] = []
    supernet_step = step_of(supernet)  # one optimizer, whichever path it trains
    for arch in drawn(space, n):
        plain = plain_network(space, plan, arch, 10, 3).train()
        copy_weights(plain, supernet.standalone(arch))
        difference = float((plain(images) - supernet(images, arch)).detach().abs().max())
        if not difference < 1e-3:
            raise RuntimeError(f"the plain network of {arch} computes something else (difference {difference:g})")
        ours.append(partial(supernet_step, images, labels, arch))
        reference.append(partial(step_of(plain), images, labels))
    result = paired(ours, reference, rounds)
    result["images_per_second"] = 1e3 * batch / result["ours_ms"]
    macs = get_space(space).costs(drawn(space, n), channels=plan.mapping.channels, layers=plan.mapping.layers)[1].mean()
    result["gflops"] = 6 * float(macs) * batch / result["ours_ms"] / 1e6  # forward and both halves of backward
    return result


def measure(quick: bool) -> dict[str, Any]:
    """All cases."""
    n, rounds = (3, 2) if quick else (12, 3)
    return {name: measure_case(*case, n=n, rounds=rounds) for name, case in CASES.items()}
