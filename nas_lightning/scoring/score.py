"""Scores architectures with shared weights, on held-out images that stay on the device."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nas_lightning.data.images import DataError, ImageSet, Normalize
from nas_lightning.errors import UserError
from nas_lightning.nets.base import Network
from nas_lightning.nets.norm import BatchNorm, preserved_statistics, set_statistics
from nas_lightning.nets.prefix import Prefix
from nas_lightning.scoring.probe import StageProbes
from nas_lightning.training.speed import keep_freed_memory

Batches = list[tuple[Tensor, Tensor]]
Pass = tuple[Tensor, Tensor, Callable[[list[int], Tensor, Tensor], None]]
"""One batch of images and labels, and what is done with it for architectures that the super-net cannot tell apart."""

SCORES = ("accuracy", "negative_cross_entropy", "linear_probe", "class_separation")
PROBED = ("linear_probe", "class_separation")


def check_score(name: str, probe_images: int) -> None:
    """Raises ValueError for a score that does not exist, or that the settings do not compute."""
    if name not in SCORES:
        raise UserError(f"score={name} is unknown; choose one of {', '.join(SCORES)}")
    if probe_images < 0:
        raise UserError(f"probe_images={probe_images} is negative; give a number of training images, or 0 for none")
    if name in PROBED and not probe_images:
        raise UserError(f"score={name} needs training images to fit probes on; set probe_images, such as 2000")


@dataclass(frozen=True)
class Scores:
    """Per architecture, in the order asked for, float64 [n] each: accuracy in [0, 1], −cross-entropy in nats, and,
    where probes were asked for, the explained variance of a linear one of the classifier's features, and the class
    separation at the later stages (`nas_lightning/scoring/probe.py`)."""

    accuracy: np.ndarray
    negative_cross_entropy: np.ndarray
    linear_probe: np.ndarray | None = None
    class_separation: np.ndarray | None = None

    def as_dict(self) -> dict[str, np.ndarray]:
        return dict(zip(SCORES, self.as_array().T, strict=False))

    def as_array(self) -> np.ndarray:
        """Float64 [n, 2], or [n, 4] with probes; the inverse of `from_array`."""
        probes = [values for values in (self.linear_probe, self.class_separation) if values is not None]
        return np.stack([self.accuracy, self.negative_cross_entropy, *probes], axis=1)

    @classmethod
    def from_array(cls, values: np.ndarray) -> Scores:
        return cls(*(column.copy() for column in values.T))


def evaluation_batches(
    data: ImageSet,
    normalize: Normalize,
    batch_size: int,
    n_images: int | None,
    device: torch.device | str,
    skip: int = 0,
) -> Batches:
    """The first `n_images` held-out images after `skip` others as full, never shuffled batches on `device`.

    With batch statistics an accuracy depends on the batch's company, so that every batch has the same size: a remainder
    is left out. Raises DataError where not one batch can be filled.
    """
    if skip < 0:
        raise DataError(f"evaluation.skip={skip} is negative; give a number of images to pass over, or 0")
    left = max(0, len(data) - skip)
    available = left if n_images is None else min(n_images, left)
    count = available // batch_size
    if count == 0:
        raise DataError(
            f"{available} held-out images{f' after {skip} skipped ones' if skip else ''} do not fill one evaluation "
            f"batch of {batch_size}; lower evaluation.batch_size or hold out more images"
        )
    data = data.to(device)
    cuts = [slice(skip + i * batch_size, skip + (i + 1) * batch_size) for i in range(count)]
    return [(normalize(data.images[cut]), data.labels[cut]) for cut in cuts]


def mixed_precision(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """The context in which `precision` (Lightning's names) scores: autocast for ``*-mixed``, else nothing special."""
    if not precision.endswith("-mixed"):
        return nullcontext()
    dtype = torch.float16 if precision.startswith("16") else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype)


def digest(tensors: Iterable[Tensor]) -> str:
    """SHA-256 over types, shapes and contents, the same on every device."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def score(
    network: Network,
    architectures: Sequence[Any],
    batches: Batches,
    statistics: str = "batch",
    calibration: Sequence[Tensor] = (),
    progress: Callable[[int], None] | None = None,
    precision: str = "32-true",
    probe: Sequence[tuple[Tensor, Tensor]] = (),
) -> Scores:
    """Score every architecture on all of `batches`, leaving the network as it was.

    statistics: ``batch`` (of the evaluation batch), ``tracked``, or ``recalibrate``: the moments of the `calibration`
    images [B, C, H, W], pooled exactly, per architecture. Nothing in the loop waits for the device; the two numbers per
    architecture are fetched once at the end. precision: Lightning's name; ``bf16-mixed`` and ``16-mixed`` score under
    autocast, the loss and the sums stay float32 and float64. probe: batches of training images that a linear probe of
    each architecture is fitted on; `batches` judge it. Raises ValueError where tracked statistics were not kept.
    """
    if statistics == "recalibrate" and not calibration:
        raise UserError("recalibration needs calibration batches; pass some training images")
    was_training, device = network.training, batches[0][0].device
    rows: dict[Any, list[int]] = {}  # what the super-net cannot tell apart is scored once
    for i, arch in enumerate(architectures):
        rows.setdefault(network.behaviour(arch), []).append(i)
    order = [rows[behaviour] for behaviour in sorted(rows)]
    sums = torch.zeros(len(architectures), 2, dtype=torch.float64, device=device)
    dtype = next(network.parameters()).dtype
    if dtype != batches[0][0].dtype:  # 64-true
        batches = [(images.to(dtype), labels) for images, labels in batches]
        calibration = [images.to(dtype) for images in calibration]
        probe = [(images.to(dtype), labels) for images, labels in probe]
    probes = StageProbes(len(architectures), network.num_classes)

    def judge(same: list[int], images: Tensor, labels: Tensor) -> None:
        stages: list[Tensor] | None = [] if probe else None
        features = network.features(images, architectures[same[0]], stages)
        logits = network.classify(features, architectures[same[0]]).float()
        sums[same[0], 0] += (logits.argmax(1) == labels).sum()
        sums[same[0], 1] -= F.cross_entropy(logits, labels, reduction="sum")
        if stages is not None:
            probes.add(same[0], [*stages, features], labels, held_out=True)

    def fit(same: list[int], images: Tensor, labels: Tensor) -> None:
        stages: list[Tensor] = []
        features = network.features(images, architectures[same[0]], stages)
        probes.add(same[0], [*stages, features], labels, held_out=False)

    passes: list[Pass] = [*((x, y, fit) for x, y in probe), *((x, y, judge) for x, y in batches)]

    if device.type == "cpu":
        keep_freed_memory()
    network.eval()
    try:
        with torch.inference_mode(), mixed_precision(precision, device), preserved_statistics(network) as norms:
            if statistics == "recalibrate":
                _recalibrated(network, norms, architectures, order, passes, calibration, progress)
            else:
                set_statistics(norms, statistics)
                _sharing(network, order, passes, progress)
    finally:
        network.train(was_training)
    values = sums / sum(len(labels) for _, labels in batches)
    if probe:
        values = torch.cat([values, probes.linear_probe()[:, None], probes.class_separation()[:, None]], 1)
    found = values.cpu().numpy()
    for same in order:
        found[same] = found[same[0]]
    return Scores.from_array(found)


def _sharing(
    network: Network,
    order: list[list[int]],
    passes: Sequence[Pass],
    progress: Callable[[int], None] | None,
) -> None:
    """Batch by batch, so that architectures share what they have in common (`nets/prefix.py`)."""
    done = 0
    network.prefix = Prefix()
    try:
        for images, labels, use in passes:
            network.prefix.clear()
            for same in order:
                use(same, images, labels)
                done += len(same)
                if progress is not None:
                    progress(done // len(passes))
    finally:
        network.prefix = None


def _recalibrated(
    network: Network,
    norms: Sequence[BatchNorm],  # all of the network's: finding them takes longer than setting them
    architectures: Sequence[Any],
    order: list[list[int]],
    passes: Sequence[Pass],
    calibration: Sequence[Tensor],
    progress: Callable[[int], None] | None,
) -> None:
    """Architecture by architecture, since each has statistics of its own."""
    done = 0
    for same in order:
        set_statistics(norms, "collect")
        for images in calibration:
            network(images, architectures[same[0]])
        set_statistics(norms, "recalibrated")
        for images, labels, use in passes:
            use(same, images, labels)
        done += len(same)
        if progress is not None:
            progress(done)
