"""What a run costs before it is run: seconds from a plan, analytic multiply-accumulates and a measured throughput.

An estimate, not a promise. One forward pass of a batch is taken as the sum of three terms: arithmetic
(multiply-accumulates / rate), memory traffic (feature-map elements written / rate) and a fixed cost per operation
launched; backward costs `BACKWARD` forwards. The rates come from `perf/run.py` (docs/PERFORMANCE.md says from which
machine); the multiply-accumulates are the mean over keyed draws of the plan's own sampler.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from nas_lightning.plan import Mapping, Plan
from nas_lightning.spaces import get_space
from nas_lightning.training.paths import PathSampler

BACKWARD = 2.0
"""Backward over forward: one convolution for the inputs' gradient, one for the weights'."""
DRAWS = 64
"""Sampled architectures over which multiply-accumulates are averaged (standard error about 5 % on NAS-Bench-201)."""


@dataclass(frozen=True)
class Throughput:
    """What one device sustains on these networks, forward, in float32 unless the name says otherwise."""

    name: str
    macs_per_second: float
    elements_per_second: float
    """Feature-map elements written, with all reading and normalising that goes with them."""
    seconds_per_operation: float
    """Dispatch or launch of one operation, whatever its size."""
    seconds_per_step: float
    """Trainer, sampler, optimizer."""
    measured: bool

    def correction(self, space: str) -> float:
        """What multiplies a pass on `space`: its own correction where the rates are measured."""
        return get_space(space).cell_work.correction if self.measured else 1.0


# Fitted to the steps of `python -m perf --only step` with the multiply-accumulates of its own architectures:
# NAS-Bench-201 at C = 16, N = 5, batch 64 (241 ms) and at C = 8, N = 1, batch 128 (65 ms), which it gives within 15 %;
# spaces whose operations reach less of these rates hold a correction (`Space.cell_work`). The GPU's rates are
# guesses from its data sheet.
CPU_CORE = Throughput(
    "one core of an AMD EPYC at 2.6 GHz (AVX-512)",
    60e9,
    3.0e9,
    seconds_per_operation=25e-6,
    seconds_per_step=1e-3,
    measured=True,
)
H100 = Throughput(
    "one H100, bf16, on paper", 60e12, 50e9, seconds_per_operation=8e-6, seconds_per_step=2e-3, measured=False
)


@dataclass(frozen=True)
class Shape:
    """Mean work of one image in one forward pass over sampled architectures."""

    macs: float
    elements: float
    operations: float


FRAME_MAPS = 5
"""Maps a stage outside the cells: stem, reduction blocks, pooling."""


def _maps(space: str, mapping: Mapping, image_size: int) -> tuple[float, float]:
    """(elements, operations) of one image in one forward pass."""
    stages = np.array([0, 1, 2])
    side = np.maximum(1, image_size // 2**stages)
    one_map = mapping.channels * 2**stages * side**2  # elements of one map of the stage's width
    work = get_space(space).cell_work
    cells = np.full(3, mapping.layers / work.stages)
    frame = (FRAME_MAPS * one_map).sum()
    return float((cells * one_map).sum() * work.maps + frame), float(cells.sum() * work.operations + 20)


@lru_cache(maxsize=4096)
def _mean_macs(
    space: str, mapping: Mapping, sampling: str, paths: int, tournament: int, image_size: int
) -> tuple[float, float, int]:
    """Multiply-accumulates of a trained and of a scored architecture, and paths per step."""
    names = {f"mapping.{name}": getattr(mapping, name) for name in ("channels", "layers", "dynamic_channel")}
    names["mapping.dynamic_channel_outputs"] = mapping.dynamic_channel_outputs
    drawing = {
        "protocol.sampling": sampling,
        "protocol.paths_per_step": paths,
        "protocol.tournament": tournament,
    }
    sampler = PathSampler(space, Plan().edited({**names, **drawing}), seed=0)
    shape: dict[str, Any] = {"channels": mapping.channels, "layers": mapping.layers, "image_size": image_size}
    per_step = [sampler.paths(step).architectures for step in range(DRAWS)]
    trained = get_space(space).costs([arch for archs in per_step for arch in archs], **shape)[1].mean()
    rng = np.random.default_rng(0)
    scored = get_space(space).costs([sampler.drawn(rng) for _ in range(DRAWS)], **shape)[1].mean()
    return float(trained), float(scored), len(per_step[0])


def shape_of(plan: Plan, space: str, image_size: int) -> tuple[Shape, Shape, int]:
    """Work per image of a trained and of a scored architecture, and paths per step."""
    mapping, protocol = plan.mapping, plan.protocol
    trained, scored, paths = _mean_macs(
        space,
        mapping,
        protocol.sampling,
        paths=protocol.paths_per_step,
        tournament=protocol.tournament,
        image_size=image_size,
    )
    elements, operations = _maps(space, mapping, image_size)
    return Shape(trained, elements, operations), Shape(scored, elements, operations), paths


def forward_seconds(shape: Shape, batch: int, throughput: Throughput) -> float:
    """One forward pass of `batch` images."""
    return (
        batch * (shape.macs / throughput.macs_per_second + shape.elements / throughput.elements_per_second)
        + shape.operations * throughput.seconds_per_operation
    )


def estimate_seconds(
    plan: Plan,
    space: str,
    n_train_images: int,
    image_size: int,
    n_eval_architectures: int = 200,
    n_eval_images: int = 1000,
    throughput: Throughput = CPU_CORE,
    eval_batch_size: int = 250,
) -> dict[str, Any]:
    """Estimated cost of one super-net run on one device.

    `n_train_images` are the images that train (the official ones times `protocol.train_portion`). Returns
    ``training_s``, ``evaluation_s``, ``total_s``, ``device_hours``, and what they follow from: ``steps``,
    ``paths_per_step``, ``train_images_per_second`` (images times paths), ``macs_per_image``.
    """
    protocol = plan.protocol
    trained, scored, paths = shape_of(plan, space, image_size)
    steps = protocol.epochs * (n_train_images // protocol.batch_size)
    factor = throughput.correction(space)
    one_pass = factor * (1 + BACKWARD) * forward_seconds(trained, protocol.batch_size, throughput)
    step = paths * one_pass + throughput.seconds_per_step
    batches = max(1, n_eval_images // eval_batch_size)
    one_score = factor * batches * forward_seconds(scored, eval_batch_size, throughput)
    if protocol.bn_evaluation == "recalibrate":
        calibration = forward_seconds(scored, protocol.batch_size, throughput)
        one_score += factor * protocol.bn_recalibration_batches * calibration
    training, evaluation = steps * step, n_eval_architectures * one_score
    return {
        "training_s": training,
        "evaluation_s": evaluation,
        "total_s": training + evaluation,
        "device_hours": (training + evaluation) / 3600,
        "steps": steps,
        "paths_per_step": paths,
        "train_images_per_second": paths * protocol.batch_size / step,
        "macs_per_image": trained.macs,
        "throughput": throughput.name,
        "measured": throughput.measured,
    }
