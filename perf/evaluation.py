"""Scoring with shared weights against a plain no-grad forward of the same stand-alone networks on the same images.

Both compute accuracy and cross-entropy of every architecture; the plain loop holds all networks ready and fetches its
numbers once at the end, too. With recalibration, the plain loop forwards the calibration images as well.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from nas_lightning.plan import Plan
from nas_lightning.scoring.score import score
from nas_lightning.training.module import SuperNetModule
from perf.measure import paired
from perf.plain import copy_weights, plain_network
from perf.step import drawn

CASES = {
    "C=8, N=1, batches of 250": ({"mapping.channels": 8, "mapping.layers": 1}, 250, 2),
    "C=16, N=5, batches of 250": ({"mapping.channels": 16, "mapping.layers": 5}, 250, 1),
}


def measure_case(edits: dict[str, Any], batch: int, n_batches: int, n: int, rounds: int, mode: str) -> dict[str, Any]:
    """One setting on NAS-Bench-201."""
    plan = Plan().edited(edits)
    generator = torch.Generator().manual_seed(0)

    def images(count: int) -> torch.Tensor:
        return torch.randn(count, 3, 32, 32, generator=generator).to(memory_format=torch.channels_last)

    batches = [(images(batch), torch.randint(0, 10, (batch,), generator=generator)) for _ in range(n_batches)]
    calibration = [images(128)] if mode == "recalibrate" else []
    network = SuperNetModule("nasbench201", plan, 10, 3, 0).network
    archs = drawn("nasbench201", n)
    plain = []
    for arch in archs:
        plain.append(plain_network("nasbench201", plan, arch, 10, 3))
        copy_weights(plain[-1], network.standalone(arch))

    def reference() -> list[float]:
        sums = torch.zeros(n, 2, dtype=torch.float64)
        with torch.inference_mode():
            for i, net in enumerate(plain):
                for x in calibration:
                    net(x)
                for x, y in batches:
                    logits = net(x)
                    sums[i, 0] += (logits.argmax(1) == y).sum()
                    sums[i, 1] -= F.cross_entropy(logits, y, reduction="sum")
        return sums.tolist()

    result = paired(
        [lambda: score(network, archs, batches, statistics=mode, calibration=calibration)], [reference], rounds
    )
    result["relative_speed"] = 1 / result["ratio"]["median"]
    result["images_per_second"] = 1e3 * n * batch * n_batches / result["ours_ms"]
    return result


def measure(quick: bool) -> dict[str, Any]:
    """All cases."""
    n, rounds = (4, 1) if quick else (12, 3)
    return {
        f"{name}, {mode}": measure_case(edits, batch, n_batches, n, rounds, mode)
        for name, (edits, batch, n_batches) in CASES.items()
        for mode in ("batch", "recalibrate")
    }
