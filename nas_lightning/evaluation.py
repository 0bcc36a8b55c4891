"""Ranking a super-net: what is scored, against which truth, during training and at its end."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.benchmarks import Benchmark
from nas_lightning.data.module import ImageDataModule
from nas_lightning.latency import measured_latency
from nas_lightning.plan import Plan
from nas_lightning.ranking.architecture_sets import architecture_set
from nas_lightning.ranking.baselines import free_baselines, linear_operation_counts
from nas_lightning.ranking.evaluator import Scores, evaluation_batches, score
from nas_lightning.ranking.summary import epoch_metrics, summarize
from nas_lightning.runs import write_atomically
from nas_lightning.sampling import admissible
from nas_lightning.spaces import get_space
from nas_lightning.spaces.cost import costs


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

    def validation_truth(self) -> np.ndarray | None:
        """Stand-alone validation accuracies [n] for the proxy ceiling, None where the table has none."""
        assert self.benchmark is not None
        if not any(metric == "validation_accuracy" for metric, _ in self.benchmark.metrics):
            return None
        return self.benchmark.accuracies(self.architectures, "validation_accuracy")

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
            seed_metric=self.benchmark.seed_metric,
            validation=self.validation_truth(),
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
        space, (params, macs) = get_space(self.space), self.costs()
        seeds = None if self.benchmark is None else self.benchmark.seed_accuracies(self.architectures)
        columns = {
            "architecture": self.names,
            "key": [space.key(a) for a in self.architectures],
            "supernet_accuracy": scores.accuracy,
            "supernet_negative_cross_entropy": scores.negative_cross_entropy,
            "standalone_accuracy": self.truth,
            "standalone_seed_accuracies": [None] * len(self.names) if seeds is None else seeds.tolist(),
            "params": params,
            "macs": macs,
        }
        write_atomically(path, parquet_bytes(columns))

    def write_diagnostics(self, path: Path, scores: Scores, module: Any) -> None:
        """diagnostics.parquet: what each architecture costs, and how far its shared weights are from its own training.

        Apart from ranking.parquet, since latencies differ from run to run. `optimization_gap` is super-net minus
        stand-alone accuracy (Xie et al., A Battle to Shrink the Optimization Gap), NaN where the table lacks it.
        """
        size = int(self.data.held_out().images.shape[1])
        params, macs = self.costs()
        columns = {
            "architecture": self.names,
            "params": params,
            "macs": macs,
            "latency_ms": measured_latency(module.network, self.architectures, size),
            "optimization_gap": scores.accuracy - self.truth,
        }
        write_atomically(path, parquet_bytes(columns))


def parquet_bytes(columns: dict[str, Any]) -> bytes:
    """A Parquet file of these columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(columns)
    seeds = table.schema.get_field_index("standalone_seed_accuracies")
    if seeds >= 0:  # all null where the truth keeps no seeds: the type stays the same
        table = table.set_column(seeds, "standalone_seed_accuracies", table[seeds].cast(pa.list_(pa.float64())))
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()
