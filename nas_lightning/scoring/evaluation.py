"""Ranking a super-net: what is scored, against which truth, during training and at its end."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.benchmarks import Benchmark
from nas_lightning.data.module import ImageClassification
from nas_lightning.errors import UserError
from nas_lightning.plan import BN_EVALUATION, Plan
from nas_lightning.processes.exchange import position, summed
from nas_lightning.ranking.architecture_sets import VERSION, architecture_set
from nas_lightning.ranking.baselines import Baseline, free_baselines, linear_operation_counts
from nas_lightning.ranking.fusion import FREE, check_members, rank_average
from nas_lightning.ranking.summary import epoch_metrics, summarize
from nas_lightning.report.scatter import score_label, write_scatter
from nas_lightning.runs.files import write_atomically
from nas_lightning.scoring.latency import measured_latency
from nas_lightning.scoring.partial import PartialScores, own_chunks, score_in_chunks
from nas_lightning.scoring.score import (
    PROBED,
    SCORES,
    Batches,
    Scores,
    check_score,
    digest,
    evaluation_batches,
    score,
)
from nas_lightning.spaces import get_space

log = logging.getLogger(__name__)


@dataclass
class Evaluation:
    """The evaluated set of one run with its truth, and how its scores are taken.

    statistics: batch-norm statistics at scoring, where they are not the plan's. precision: Lightning's name.
    fuse: other scores and free baselines that are rank-averaged with the headline, as a predictor of its own. folder:
    where partial results of a long evaluation are kept until `forget` is called; None keeps none. label: tells several
    evaluations of one folder apart. probe_images: training images, as they are, that linear probes are fitted on; 0
    computes none. skip: images of either kind that are passed over before the first one used.
    """

    space: str
    plan: Plan
    data: ImageClassification
    architecture_set: str
    batch_size: int
    n_images: int | None
    headline: str
    threshold: float
    top_k: int
    benchmark: Benchmark | None
    statistics: str | None = None
    precision: str = "32-true"
    fuse: Sequence[str] = ()
    folder: Path | None = None
    label: str = ""
    probe_images: int = 0
    skip: int = 0

    def __post_init__(self) -> None:
        check_score(self.headline, self.probe_images)
        others = [name for name in SCORES if name != self.headline and (self.probe_images or name not in PROBED)]
        self.fuse = check_members(self.fuse, others)
        self.batch_norm = self.statistics or self.plan.protocol.bn_evaluation
        if self.batch_norm not in BN_EVALUATION:
            raise UserError(
                f"evaluation.batch_norm={self.batch_norm} is unknown; choose one of {', '.join(BN_EVALUATION)}"
            )
        if self.batch_norm == "tracked" and not self.plan.protocol.track_running_stats:
            raise UserError(
                "evaluation.batch_norm=tracked needs running statistics, which this super-net did not keep "
                "(track_running_stats=false); choose batch or recalibrate"
            )
        space = get_space(self.space)
        chosen = architecture_set(self.architecture_set, space, self.benchmark)
        self.architectures = [arch for arch in chosen if space.admits(arch, self.plan.mapping)]
        if not self.architectures:
            raise UserError(
                f"evaluation.architectures={self.architecture_set} leaves no architecture to score that this "
                "plan's super-net holds; choose a larger set"
            )
        self.names = [str(arch) for arch in self.architectures]
        self.names_sha256 = hashlib.sha256("\n".join(self.names).encode()).hexdigest()
        n = len(self.architectures)
        self.truth = np.full(n, np.nan) if self.benchmark is None else self.benchmark.accuracies(self.architectures)

    def scores(self, module: Any, progress: Callable[[int], None] | None = None) -> Scores:
        """Score the set with the module's network as it is, leaving it as it was.

        The ranks of a run share the architectures, not the images: every number is one process's, whatever their count.
        With a `folder`, what an interrupted call has scored is taken from there, where weights, set, images, batch
        size, batch norm and precision are the same.
        """
        device = module.device
        batches = evaluation_batches(
            self.data.held_out(), self.data.normalize, self.batch_size, self.n_images, device, self.skip
        )
        self.scored_images = sum(len(labels) for _, labels in batches)
        calibration = []
        if self.batch_norm == "recalibrate":
            loader = self.data.loader(device)
            calibration = [loader.batch(step)[0] for step in range(self.plan.protocol.bn_recalibration_batches)]
        probe = self.probe_batches(device)
        width = 4 if probe else 2

        def score_some(index: Sequence[int], done: Callable[[int], None]) -> np.ndarray:
            chosen = [self.architectures[i] for i in index]
            return score(
                module.network, chosen, batches, self.batch_norm, calibration, done, self.precision, probe
            ).as_array()

        partial, (rank, size) = None, position()
        if self.folder is not None:
            n = len(self.architectures)
            partial = PartialScores(
                self.folder, n, lambda: self.key(module.network, batches, calibration, probe), rank, self.label, width
            )
            for note in partial.notes:
                log.warning("%s.", note)
            if partial.resumed:
                log.warning("%d of %d architectures are scored already (%s).", partial.resumed, n, partial.path.name)
        own = score_in_chunks(score_some, len(self.architectures), partial, progress, rank, size, width)
        return Scores.from_array(summed(own, device))

    def count_here(self) -> int:
        """How many architectures this process scores: of several ranks, each takes its share."""
        return sum(map(len, own_chunks(len(self.architectures), *position())))

    def probe_batches(self, device: Any) -> Batches:
        """The first `probe_images` training images, not augmented, as batches of the evaluation's size."""
        if not self.probe_images:
            return []
        assert self.data.train_set is not None
        if len(self.data.train_set) < self.probe_images + self.skip:
            skipped = f" after {self.skip} skipped ones" if self.skip else ""
            raise UserError(
                f"evaluation.probe_images={self.probe_images}{skipped} but {len(self.data.train_set)} images train; "
                "lower it"
            )
        if self.probe_images < self.batch_size:
            raise UserError(
                f"evaluation.probe_images={self.probe_images} does not fill one evaluation batch of {self.batch_size}; "
                "raise it, or lower evaluation.batch_size"
            )
        return evaluation_batches(
            self.data.train_set, self.data.normalize, self.batch_size, self.probe_images, device, self.skip
        )

    def key(
        self, network: Any, batches: Batches, calibration: Sequence[Any], probe: Batches | None = None
    ) -> Mapping[str, object]:
        """What the scores depend on, by name; partial results of another key are not used."""
        return {
            "weights": digest(network.state_dict().values()),
            "plan": self.plan.as_dict(),
            "architectures": self.names_sha256,
            "images": digest([*(x for pair in batches for x in pair), *calibration]),
            "batch size": self.batch_size,
            "batch norm": self.batch_norm,
            "precision": self.precision,
            **({"probe images": digest([x for pair in probe for x in pair])} if probe else {}),
        }

    def forget(self) -> None:
        """Remove partial results: the scores are used up."""
        if self.folder is not None:
            PartialScores.remove(self.folder, self.label)

    def ordered(self, scores: Scores) -> dict[str, np.ndarray]:
        """Scores by name, the headline's first."""
        values = scores.as_dict()
        return {self.headline: values[self.headline], **values}

    def fused(self, scores: Mapping[str, Scores], fuse: Sequence[str]) -> dict[str, np.ndarray]:
        """Rank average, by its name, of every super-net's headline, its other scores in `fuse` and the free baselines
        there, each weighing the same; empty for fewer than two. `scores` by the super-net's label."""
        own = [self.headline, *(name for name in fuse if name not in FREE)]
        members = {
            label if len(own) == 1 else f"{label} {name}": found.as_dict()[name]
            for label, found in scores.items()
            for name in own
        }
        free = {b.name: b.scores for b in self.free_baselines()}
        members |= {name: free[name] for name in fuse if name in FREE}
        return dict([rank_average(members)]) if len(members) > 1 else {}

    def predictions(self, scores: Scores) -> dict[str, np.ndarray]:
        """Every predictor of this evaluation by name: the scores, the headline's first, then their fusion."""
        return {**self.ordered(scores), **self.fused({"supernet": scores}, self.fuse)}

    def free_baselines(self) -> list[Baseline]:
        """Rankings that cost nothing."""
        return free_baselines(get_space(self.space), self.architectures, *self.costs())

    def epoch_metrics(self, scores: Scores) -> dict[str, float]:
        """Flat numbers for metrics.csv and the loggers."""
        if self.benchmark is None:
            return {"supernet_accuracy": float(scores.accuracy.mean())}
        return epoch_metrics(self.ordered(scores), self.truth, self.names, self.top_k, self.threshold)

    def costs(self) -> tuple[np.ndarray, np.ndarray]:
        """Parameters and multiply-accumulates of the stand-alone networks at the plan's size, int64 [n] each."""
        mapping, source = self.plan.mapping, self.data.source
        return get_space(self.space).costs(
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
        return self.summary_of(self.predictions(scores), float(scores.accuracy.mean()))

    def summary_of(self, predictions: Mapping[str, np.ndarray], supernet_accuracy: float) -> dict[str, Any]:
        """`summary` of predictors by name, the first of which counts."""
        space = get_space(self.space)
        if self.benchmark is None:
            return {
                "metrics": {"accuracy": {"supernet_accuracy": supernet_accuracy}},
                "baselines": {},
                "ceiling": {},
            }
        baselines = self.free_baselines()
        linear = linear_operation_counts(space, self.architectures, self.benchmark)
        return summarize(
            predictions,
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
            "architecture_set_version": VERSION,
            "n_architectures": len(self.architectures),
            "architectures_sha256": self.names_sha256,
            "split": "validation",
            "n_images": self.scored_images,
            "batch_size": self.batch_size,
            "batch_norm": self.batch_norm,
            "precision": self.precision,
            "score": self.headline,
            **({"probe_images": self.probe_images} if self.probe_images else {}),
            **({"skip": self.skip} if self.skip else {}),
        }

    def draw(self, path: Path, scores: Scores) -> Path:
        """The picture of the score that counts against stand-alone accuracy."""
        title = f"{self.space}, {self.data.source.name}"
        values, label = scores.as_dict()[self.headline], score_label(self.headline)
        return write_scatter(path, values, self.truth, self.names, title=title, label=label, top_k=self.top_k)

    def write_table(self, path: Path, scores: Scores, more: Mapping[str, np.ndarray] | None = None) -> None:
        """ranking.parquet: one row per architecture, in the order of the set, with `more` predictors [n] by column."""
        columns = {f"supernet_{name}": values for name, values in scores.as_dict().items()}
        fused = self.fused({"supernet": scores}, self.fuse)
        self.write_columns(path, columns | dict(zip(["fusion"], fused.values(), strict=False)) | dict(more or {}))

    def write_columns(self, path: Path, predictions: Mapping[str, np.ndarray]) -> None:
        """`write_table` of predictors [n] by the names of their columns."""
        space, (params, macs) = get_space(self.space), self.costs()
        seeds = None if self.benchmark is None else self.benchmark.seed_accuracies(self.architectures)
        columns = {
            "architecture": self.names,
            "key": [space.key(a) for a in self.architectures],
            **predictions,
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
