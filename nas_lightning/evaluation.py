"""Ranking a super-net: what is scored, against which truth, during training and at its end."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning import LightningModule, Trainer

from nas_lightning.benchmarks import Benchmark
from nas_lightning.data.module import ImageDataModule
from nas_lightning.plan import Plan
from nas_lightning.ranking.architecture_sets import architecture_set
from nas_lightning.ranking.baselines import free_baselines, linear_operation_counts
from nas_lightning.ranking.evaluator import Scores, evaluation_batches, score
from nas_lightning.ranking.summary import epoch_metrics, summarize
from nas_lightning.runs import write_atomically
from nas_lightning.sampling import admissible
from nas_lightning.spaces import get_space
from nas_lightning.spaces.cost import costs

TOP_K = {"nasbench101": 5, "nasbench201": 10, "darts_nds": 5}
"""K of the final search performance (Yu21)."""


@dataclass
class Evaluation:
    """The evaluated set of one run with its truth, and how its scores are taken."""

    space: str
    plan: Plan
    data: ImageDataModule
    architecture_set: str
    batch_size: int
    n_images: int | None
    headline: str
    threshold: float
    top_k: int
    benchmark: Benchmark | None

    def __post_init__(self) -> None:
        admits = admissible(self.space, self.plan)
        chosen = architecture_set(self.architecture_set, get_space(self.space), self.benchmark)
        self.architectures = [arch for arch in chosen if admits(arch)]
        if not self.architectures:
            raise ValueError(
                f"evaluation.architectures={self.architecture_set} leaves no architecture to score that this "
                "plan's super-net holds; choose a larger set"
            )
        self.names = [str(arch) for arch in self.architectures]
        n = len(self.architectures)
        self.truth = np.full(n, np.nan) if self.benchmark is None else self.benchmark.accuracies(self.architectures)

    def scores(self, module: Any, progress: Callable[[int], None] | None = None) -> Scores:
        """Score the set with the module's network as it is, leaving it as it was."""
        device = module.device
        batches = evaluation_batches(self.data.held_out(), self.data.normalize, self.batch_size, self.n_images, device)
        self.scored_images = sum(len(labels) for _, labels in batches)
        protocol = self.plan.protocol
        calibration = []
        if protocol.bn_evaluation == "recalibrate":
            loader = self.data.loader(device)
            calibration = [loader.batch(step)[0] for step in range(protocol.bn_recalibration_batches)]
        return score(module.network, self.architectures, batches, protocol.bn_evaluation, calibration, progress)

    def ordered(self, scores: Scores) -> dict[str, np.ndarray]:
        """Scores by name, the headline's first."""
        values = scores.as_dict()
        return {self.headline: values[self.headline], **values}

    def epoch_metrics(self, scores: Scores) -> dict[str, float]:
        """Flat numbers for metrics.csv and the loggers."""
        if self.benchmark is None:
            return {"supernet_accuracy": float(scores.accuracy.mean())}
        return epoch_metrics(self.ordered(scores), self.truth, self.names, self.top_k, self.threshold)

    def costs(self) -> tuple[np.ndarray, np.ndarray]:
        """Parameters and multiply-accumulates of the stand-alone networks at the plan's size, int64 [n] each."""
        mapping, source = self.plan.mapping, self.data.source
        return costs(
            self.architectures,
            channels=mapping.channels,
            layers=mapping.layers,
            num_classes=source.num_classes,
            in_channels=source.in_channels,
            image_size=int(self.data.held_out().images.shape[1]),
        )

    def summary(self, scores: Scores) -> dict[str, Any]:
        """The record of result.json: metrics, baselines, ceiling. Empty metrics where there is no table."""
        space = get_space(self.space)
        params, macs = self.costs()
        if self.benchmark is None:
            return {
                "metrics": {"accuracy": {"supernet_accuracy": float(scores.accuracy.mean())}},
                "baselines": {},
                "ceiling": {},
            }
        baselines = free_baselines(space, self.architectures, params, macs)
        linear = linear_operation_counts(space, self.architectures, self.benchmark)
        return summarize(
            self.ordered(scores),
            self.truth,
            self.names,
            [*baselines, *([linear] if linear else [])],
            seed_accuracies=self.benchmark.seed_accuracies(self.architectures),
            table_accuracies=self.benchmark.accuracies(self.benchmark.architectures()),
            top_k=self.top_k,
            threshold=self.threshold,
        )

    def record(self) -> dict[str, Any]:
        """The conditions of the evaluation, for result.json."""
        return {
            "architecture_set": self.architecture_set,
            "n_architectures": len(self.architectures),
            "split": "validation",
            "n_images": self.scored_images,
            "batch_size": self.batch_size,
            "batch_norm": self.plan.protocol.bn_evaluation,
            "score": self.headline,
        }

    def write_table(self, path: Path, scores: Scores) -> None:
        """ranking.parquet: one row per architecture, in the order of the set."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        space, (params, macs) = get_space(self.space), self.costs()
        seeds = None if self.benchmark is None else self.benchmark.seed_accuracies(self.architectures)
        lists = [
            None if row is None else [float(v) for v in row]
            for row in (seeds if seeds is not None else [None] * len(self.names))
        ]
        table = pa.table(
            {
                "architecture": self.names,
                "key": [space.key(a) for a in self.architectures],
                "supernet_accuracy": scores.accuracy,
                "supernet_negative_cross_entropy": scores.negative_cross_entropy,
                "standalone_accuracy": self.truth,
                "standalone_seed_accuracies": pa.array(lists, pa.list_(pa.float64())),
                "params": params,
                "macs": macs,
            }
        )
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        write_atomically(path, buffer.getvalue())


class RankingCallback(pl.Callback):
    """Ranks the super-net every `every` epochs without disturbing its training.

    Fires: end of a training epoch, before the metrics file is written. Scoring restores train mode, batch-norm
    statistics and draws no random number, so that the weights are bit-identical with and without it.
    """

    def __init__(self, evaluation: Evaluation, every: int) -> None:
        super().__init__()
        self.evaluation, self.every = evaluation, every

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if self.every and epoch % self.every == 0:
            for name, value in self.evaluation.epoch_metrics(self.evaluation.scores(pl_module)).items():
                pl_module.log(f"rank/{name}", torch.tensor(value, dtype=torch.float64), rank_zero_only=True)


class MetricsFile(pl.Callback):
    """metrics.csv: one row per epoch, rewritten atomically, so that a resumed run continues it exactly.

    Fires: end of a training epoch, after all other callbacks have logged. The rows travel in the checkpoint.
    """

    def __init__(self, path: Path, passes_per_step: int) -> None:
        super().__init__()
        self.path, self.passes_per_step = path, passes_per_step
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        logged = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if not name.endswith(("_step", "_epoch"))
        }
        step = trainer.global_step
        stale = {name for name in logged if name.startswith("rank/")} if self._was_not_ranked(trainer) else set()
        self.rows.append(
            {
                "epoch": trainer.current_epoch + 1,
                "step": step,
                "passes": step * self.passes_per_step,
                **{name: value for name, value in logged.items() if name not in stale},
            }
        )
        if trainer.is_global_zero:
            self.write()

    def _was_not_ranked(self, trainer: Trainer) -> bool:
        """callback_metrics keep the last value; only the epochs that ranked may show one."""
        ranking = [c for c in trainer.callbacks if isinstance(c, RankingCallback)]  # type: ignore[attr-defined]
        return not (ranking and ranking[0].every and (trainer.current_epoch + 1) % ranking[0].every == 0)

    def write(self) -> None:
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(self.path, text.getvalue().encode())

    def state_dict(self) -> dict[str, Any]:
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = [dict(row) for row in state_dict["rows"]]
