"""What the whole study costs, how that grows, and where more GPUs stop paying: python -m perf.study

From `nas_lightning.sweep.step_time`: estimates. The CPU's rates are measured, the GPU's are on paper. Data parallelism
is simulated: every rank computes its shard of the global batch, then a ring all-reduce moves 2 (W − 1) / W times the
bytes of the sampled paths' gradients (counted, float32) at `BANDWIDTH`, after `LATENCY` for each of its 2 (W − 1)
rounds. Needs neither torch nor a GPU; a dry run of the sweep itself (docs/SWEEPS.md) counts the settings one by one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nas_lightning.config.ablations import heuristic_settings
from nas_lightning.plan import Plan
from nas_lightning.spaces import get_space
from nas_lightning.sweep.step_time import (
    BACKWARD,
    CPU_CORE,
    H100,
    Throughput,
    estimate_seconds,
    forward_seconds,
    shape_of,
)
from nas_lightning.training.paths import PathSampler

DEFAULTS = {
    "nasbench101": {"channels": 64, "layers": 3, "op_placement": "node", "batch_size": 128},
    "nasbench201": {"channels": 16, "layers": 5, "batch_size": 256},
    "darts_nds": {"channels": 36, "layers": 12, "bn_affine": False, "batch_size": 64},
}
SETTINGS, SEEDS = 1 + len(list(heuristic_settings())), 3
"""Settings of all factors and the baseline, as the isolated study sweeps them."""
BANDWIDTH, LATENCY = 200e9, 10e-6
"""Bytes/s and seconds a round of one node's NVLink ring, on paper."""


def plan_of(space: str, **edits: int) -> Plan:
    """The default plan of a space, 400 epochs, half the images training."""
    protocol = ("batch_size", "epochs")
    values = DEFAULTS[space] | edits
    return Plan().edited({f"{'protocol' if n in protocol else 'mapping'}.{n}": v for n, v in values.items()})


def hours(space: str, throughput: Throughput, architectures: int = 200, **edits: int) -> float:
    """Device-hours of one run on CIFAR-10: 25,000 images train, `architectures` scored on 5,000."""
    plan = plan_of(space, **edits)
    return float(estimate_seconds(plan, space, 25_000, 32, architectures, 5000, throughput)["device_hours"])


def data_parallel(space: str, ranks: int, throughput: Throughput) -> float:
    """Seconds of a step of the default plan over `ranks` devices."""
    plan = plan_of(space)
    shape, _, _ = shape_of(plan, space, 32)
    mapping = plan.mapping
    sampler = PathSampler(space, plan, 0)
    archs = [sampler.paths(step).architectures[0] for step in range(64)]
    gradients = 4 * float(np.mean(get_space(space).costs(archs, channels=mapping.channels, layers=mapping.layers)[0]))
    shard = max(1, plan.protocol.batch_size // ranks)
    exchange = 2 * (ranks - 1) * (LATENCY + gradients / ranks / BANDWIDTH)
    return (1 + BACKWARD) * forward_seconds(shape, shard, throughput) + throughput.seconds_per_step + exchange


def main() -> None:
    print(f"One default run (400 epochs of 25,000 images, 200 architectures), and {SETTINGS} settings x {SEEDS} seeds")
    total = {CPU_CORE.name: 0.0, H100.name: 0.0}
    for space in DEFAULTS:
        for device in (CPU_CORE, H100):
            one = hours(space, device)
            total[device.name] += one * SETTINGS * SEEDS
            print(f"  {space:12} {device.name:48} {one:9.2f} h a run {one * SETTINGS * SEEDS:11.0f} h")
    print(*(f"  all three, {name}: {value:,.0f} device-hours" for name, value in total.items()), sep="\n")
    print("Growth of a NAS-Bench-201 run on the GPU, hours")
    for name, values in {"layers": (1, 2, 5, 10), "channels": (8, 16, 32, 64)}.items():
        print(f"  {name}: " + ", ".join(f"{v}: {hours('nasbench201', H100, **{name: v}):.2f}" for v in values))
    grown = {n: hours("nasbench201", H100, n) for n in (200, 1000, 6466, 15_625)}
    print("  architectures scored: " + ", ".join(f"{n}: {value:.2f}" for n, value in grown.items()))
    compute_bound = replace(H100, name="the same without launches", seconds_per_operation=0.0)
    print("Data parallelism at the default global batch, speed-up over one GPU")
    for space in DEFAULTS:
        for device in (H100, compute_bound):
            one = data_parallel(space, 1, device)
            speed = ", ".join(f"{w}: {one / data_parallel(space, w, device):.2f}" for w in (2, 4, 8, 16))
            print(f"  {space:12} {device.name:28} {speed}")


if __name__ == "__main__":
    main()
