"""Scores architectures with shared weights, on held-out images that stay on the device."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from nas_lightning.data.module import ImageClassification
from nas_lightning.data.task import Task
from nas_lightning.errors import UserError, did_you_mean
from nas_lightning.nets.base import Network
from nas_lightning.nets.norm import BatchNorm, preserved_statistics, set_statistics
from nas_lightning.nets.prefix import Prefix
from nas_lightning.predictors.base import Context, Predictor, PredictorError, make_predictor
from nas_lightning.training.memory import keep_freed_memory

Batches = list[tuple[Tensor, Tensor]]
Pass = tuple[Tensor, Tensor, Callable[[list[int], Tensor, Tensor], None]]
"""One batch of images and labels, and what is done with it for architectures that the super-net cannot tell apart."""

Scores = dict[str, np.ndarray]
"""Predictor's name -> float64 [n], per architecture in the order asked for."""

PROBED = ("linear_probe", "class_separation")
"""What an evaluation computes where training images are given for probes."""


@dataclass(frozen=True)
class Seen:
    """One batch as one architecture sees it: pooled activations [B, D_s] of its stages with the classifier's features
    last, outputs [B, K] float32 of held-out batches, targets."""

    row: int
    stages: Sequence[Tensor]
    outputs: Tensor | None
    targets: Tensor
    held_out: bool


class Meter(ABC):
    """Collects, on the device, what a pass over the images shows of n architectures; several predictors read one."""

    wants_training_images: ClassVar[bool] = False
    """Whether it also looks at training images, by whose stages something is fitted."""
    wants_stages: ClassVar[bool] = False

    def __init__(self, n: int, num_classes: int, device: torch.device, task: type[Task] = ImageClassification) -> None:
        self.n, self.num_classes, self.device, self.task = n, num_classes, device, task

    @abstractmethod
    def add(self, seen: Seen) -> None:
        """Take in one batch of one architecture. Nothing in it may wait for the device.

        Args:
            seen: row, outputs, targets and features of the batch.
        """


class Measured(Predictor):
    """A predictor that is read off the pass which all of its kind share: N scores cost what the dearest one does."""

    needs = frozenset({"weights", "images"})
    note = "the super-net's weights"
    meter: ClassVar[type[Meter]]

    @abstractmethod
    def read(self, meter: Any, images: int) -> Tensor:
        """The scores, float64 [n], after `images` held-out images.

        Args:
            meter: what has seen all batches; an instance of `meter`.
            images: how many held-out images were seen.

        Returns:
            float64 [n], higher is better.
        """

    def __call__(self, context: Context) -> np.ndarray:
        if self.meter.wants_training_images:
            raise PredictorError(f"{self.name} is fitted on training images; ask for it by evaluation.probe_images")
        return score(
            context.network,
            context.architectures,
            list(context.batches),
            statistics=context.statistics,
            calibration=context.calibration,
            predictors=[self],
            task=context.task or ImageClassification,
        )[self.name]


def default_scores(probe: bool, task: type[Task] = ImageClassification) -> list[Measured]:
    """What an evaluation computes without being asked: the task's quality, its loss, and probes of its classes.

    Args:
        probe: whether there are training images to fit probes on.
        task: the class of the learning problem.

    Returns:
        One instance a score, the quality first.
    """
    from nas_lightning.scoring.outputs import OutputScore, output_scores  # which reads this module's Meter

    probes = [cast(Measured, make_predictor(name)) for name in (PROBED if probe else ())]
    return [*(OutputScore(name) for name in output_scores(task)), *probes]


def check_score(name: str, probe_images: int, task: type[Task] = ImageClassification) -> None:
    """Refuse a score that the shared pass does not have, or that the settings do not compute.

    Args:
        name: as ``evaluation.score`` says it.
        probe_images: training images that probes are fitted on.
        task: the class of the learning problem.

    Raises:
        UserError: it names those that there are, or what to set.
    """
    known = [p.name for p in default_scores(task.has_classes, task)]
    if name not in known:
        raise UserError(f"score={name[:80]} is unknown: {did_you_mean(name, known)}choose one of {', '.join(known)}")
    if probe_images and not task.has_classes:
        raise UserError(f"probe_images={probe_images} fits probes to classes, which this task does not have; drop it")
    if probe_images < 0:
        raise UserError(f"probe_images={probe_images} is negative; give a number of training images, or 0 for none")
    if name in PROBED and not probe_images:
        raise UserError(f"score={name} needs training images to fit probes on; set probe_images, such as 2000")


def mixed_precision(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """The context in which `precision` (Lightning's names) scores: autocast for ``*-mixed``, else nothing special.

    Args:
        precision: Lightning's name of the arithmetic, such as ``32-true`` or ``bf16-mixed``.
        device: where it is computed.

    Returns:
        A context manager.
    """
    if not precision.endswith("-mixed"):
        return nullcontext()
    dtype = torch.float16 if precision.startswith("16") else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype)


def digest(tensors: Iterable[Tensor]) -> str:
    """SHA-256 over types, shapes and contents, the same on every device.

    Args:
        tensors: in an order that counts.

    Returns:
        64 hexadecimal digits.
    """
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def score(
    network: Network,
    architectures: Sequence[Any],
    batches: Batches,
    *,
    statistics: str = "batch",
    calibration: Sequence[Tensor] = (),
    progress: Callable[[int], None] | None = None,
    precision: str = "32-true",
    probe: Sequence[tuple[Tensor, Tensor]] = (),
    predictors: Sequence[Measured] | None = None,
    task: type[Task] = ImageClassification,
) -> Scores:
    """Score every architecture on all of `batches` in one pass, leaving the network as it was.

    Nothing in the loop waits for the device; the numbers are fetched once at the end.

    Args:
        network: a super-net, or a stand-alone network that is its only architecture.
        architectures: n of them.
        batches: held-out (images, labels) on the network's device.
        statistics: of batch norm: ``batch`` (of the evaluation batch), ``tracked``, or ``recalibrate``: the moments of
            the `calibration` images [B, C, H, W], pooled exactly, per architecture.
        progress: is told how many architectures are scored.
        precision: Lightning's name; ``bf16-mixed`` and ``16-mixed`` score under autocast, the loss and the sums stay
            float32 and float64.
        probe: batches of training images that probes of each architecture are fitted on; `batches` judge them.
        predictors: what is read off the pass; by default `default_scores`.
        task: what outputs and targets mean.
        calibration: images [B, C, H, W] that ``recalibrate`` takes its moments of.

    Returns:
        float64 [n] by the predictor's name, higher is better.

    Raises:
        ValueError: recalibration without calibration images, tracked statistics that were not kept.
    """
    if statistics == "recalibrate" and not calibration:
        raise ValueError("recalibration needs calibration batches; pass some training images")
    predictors = default_scores(bool(probe), task) if predictors is None else predictors
    was_training, device, state = network.training, batches[0][0].device, network.state
    rows: dict[Any, list[int]] = {}  # what the super-net cannot tell apart is scored once
    for i, arch in enumerate(architectures):
        rows.setdefault(network.behaviour(arch), []).append(i)
    order = [rows[behaviour] for behaviour in sorted(rows)]
    dtype = next(network.parameters()).dtype
    if dtype != batches[0][0].dtype and batches[0][0].is_floating_point():  # 64-true
        batches = [(images.to(dtype), labels) for images, labels in batches]
        calibration = [images.to(dtype) for images in calibration]
        probe = [(images.to(dtype), labels) for images, labels in probe]
    kinds = list(dict.fromkeys(predictor.meter for predictor in predictors))
    meters = {kind: kind(len(architectures), network.num_classes, device, task) for kind in kinds}
    with_stages = any(kind.wants_stages for kind in kinds)
    fitted = [meters[kind] for kind in kinds if kind.wants_training_images]

    ends: dict[int, Tensor | None] = {}  # of every architecture, where its last batch ended

    def judge(same: list[int], images: Tensor, labels: Tensor) -> None:
        stages: list[Tensor] | None = [] if with_stages else None
        network.state = ends.get(same[0])
        features = network.features(images, architectures[same[0]], stages)
        ends[same[0]] = network.end_state
        logits = network.classify(features, architectures[same[0]]).float()
        seen = Seen(same[0], [*(stages or ()), features], logits, labels, held_out=True)
        for meter in meters.values():
            meter.add(seen)

    def fit(same: list[int], images: Tensor, labels: Tensor) -> None:
        stages: list[Tensor] = []
        features = network.features(images, architectures[same[0]], stages)
        seen = Seen(same[0], [*stages, features], None, labels, held_out=False)
        for meter in fitted:
            meter.add(seen)

    passes: list[Pass] = [*((x, y, fit) for x, y in probe if fitted), *((x, y, judge) for x, y in batches)]

    if device.type == "cpu":
        keep_freed_memory()
    network.eval()
    try:
        with torch.inference_mode(), mixed_precision(precision, device), preserved_statistics(network) as norms:
            if statistics == "recalibrate":
                _recalibrated(
                    network,
                    norms,
                    architectures,
                    order=order,
                    passes=passes,
                    calibration=calibration,
                    progress=progress,
                )
            else:
                set_statistics(norms, statistics)
                _sharing(network, order, passes, progress)
    finally:
        network.train(was_training)
        network.state = state
    images = sum(task.count_items(labels) for _, labels in batches)
    columns = [predictor.read(meters[predictor.meter], images) for predictor in predictors]
    found = torch.stack(columns, 1).cpu().numpy() if columns else np.empty((len(architectures), 0))
    for same in order:
        found[same] = found[same[0]]
    return {predictor.name: found[:, i].copy() for i, predictor in enumerate(predictors)}


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
