"""mode=evaluate: score any architectures with trained super-nets, without training; several are fused by rank too."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from nas_lightning.benchmarks import Benchmark
from nas_lightning.data.module import ImageClassification
from nas_lightning.errors import UserError
from nas_lightning.modes.common import data_module, logger_of, open_folder
from nas_lightning.modes.job import Job
from nas_lightning.modes.supernet import evaluation_of, open_benchmark
from nas_lightning.processes.launch import TrainerSettings
from nas_lightning.report.scatter import score_label, write_scatter
from nas_lightning.runs.files import to_json, write_atomically
from nas_lightning.runs.folder import RESULT, SCHEMA_VERSION
from nas_lightning.scoring.evaluation import Evaluation
from nas_lightning.scoring.score import Scores
from nas_lightning.scoring.trained import Trained
from nas_lightning.training.module import load_network
from nas_lightning.training.progress import counted


def device_of(trainer: TrainerSettings) -> torch.device:
    """The one device that ``trainer.accelerator`` and ``trainer.devices`` name. Raises ValueError for an absent GPU."""
    if trainer.accelerator == "cpu" or (trainer.accelerator == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    index = json.loads(trainer.devices)[0] if trainer.devices.startswith("[") else 0
    if index >= torch.cuda.device_count():
        raise UserError(
            f"trainer.accelerator={trainer.accelerator} asks for GPU {index}, but this machine has "
            f"{torch.cuda.device_count()}; use trainer.accelerator=cpu or another index"
        )
    return torch.device("cuda", index)


def evaluations_of(job: Job, benchmark: Benchmark | None) -> list[Evaluation]:
    """One evaluation per checkpoint, on the images that its own training held out.

    Everything that can be refused is refused here, before hours of scoring. Raises ValueError where the super-nets hold
    different architectures of the set, whose ranks cannot be averaged.
    """
    modules: dict[tuple[float, int, int | None], ImageClassification] = {}
    found = []
    for trained in job.checkpoints:
        images = replace(job.config.data, image_size=trained.scored_on(asdict(job.config.data))["image_size"])
        part = replace(job, plan=trained.plan, config=replace(job.config, data=images))
        protocol = trained.plan.protocol
        key = (protocol.train_portion, protocol.batch_size, images.image_size)
        data = modules.setdefault(key, data_module(part))
        data.setup()
        evaluation = evaluation_of(part, data, benchmark)
        evaluation.label = trained.label if len(job.checkpoints) > 1 else ""
        found.append(evaluation)
        if evaluation.names != found[0].names:
            raise UserError(
                f"{job.checkpoints[0].path} and {trained.path} hold different architectures of "
                f"{evaluation.architecture_set}; evaluate them one by one, or choose a set that both hold"
            )
    return found


def combined(
    trained: Sequence[Trained], evaluations: Sequence[Evaluation], scores: Sequence[Scores]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Every predictor by its name, and the column of ranking.parquet that holds it; the first one counts."""
    first = evaluations[0]
    if len(trained) == 1:
        predictions = first.predictions(scores[0])
        return predictions, {n: f"supernet_{n}" if n in scores[0].as_dict() else "fusion" for n in predictions}
    predictions, columns = {}, {}
    for name in first.ordered(scores[0]):
        for t, found in zip(trained, scores, strict=True):
            predictions[f"{t.label} {name}"] = found.as_dict()[name]
            columns[f"{t.label} {name}"] = f"{t.label}_{name}"
    by_label = {t.label: found for t, found in zip(trained, scores, strict=True)}
    asked = {"fusion": (), "fusion_all": first.fuse} if first.fuse else {"fusion": ()}
    for column, fuse in asked.items():
        fused = first.fused(by_label, fuse)
        predictions |= fused
        columns |= dict.fromkeys(fused, column)
    return predictions, columns


def evaluate(job: Job) -> dict[str, Any]:
    """Score, rank and write a run folder of kind ``evaluation``; result.json comes last. Interrupted, it goes on."""
    config, started = job.config, time.perf_counter()
    benchmark, device = open_benchmark(job), device_of(config.trainer)
    evaluations = evaluations_of(job, benchmark)
    first = evaluations[0]
    open_folder(job, first.data)
    with logger_of(job, "eval") as logger:
        scores = []
        for trained, evaluation in zip(job.checkpoints, evaluations, strict=True):
            evaluation.data.seed = trained.seed  # of the recalibration's images: those that its own run took
            network, _ = load_network(trained.path, device)
            module = SimpleNamespace(network=network, device=device)
            title = f"Ranking {evaluation.label}".strip()
            with counted(title, len(evaluation.architectures), config.trainer.progress_bar) as progress:
                scores.append(evaluation.scores(module, progress))
            if config.evaluation.diagnostics:
                name = ".".join(filter(None, ["diagnostics", evaluation.label, "parquet"]))
                evaluation.write_diagnostics(job.folder / name, scores[-1], module)
        predictions, columns = combined(job.checkpoints, evaluations, scores)
        summary = first.summary_of(predictions, float(np.mean([s.accuracy.mean() for s in scores])))
        first.write_columns(job.folder / "ranking.parquet", {columns[name]: predictions[name] for name in predictions})
        shown = list(predictions)[-1] if len(scores) > 1 else "accuracy"
        picture = None
        if benchmark is not None:
            picture = write_scatter(
                job.folder / "ranking.png",
                predictions[shown],
                first.truth,
                first.names,
                title=f"{first.space}, {config.data.name}",
                label=score_label(shown),
                top_k=first.top_k,
            )
        logger.ranking("final", first.names, predictions[shown].tolist(), first.truth.tolist(), picture)
        seconds = time.perf_counter() - started
        write_atomically(job.folder / "timings.json", to_json({"evaluation_s": seconds, "total_s": seconds}))
        images = sum(e.scored_images * len(e.architectures) for e in evaluations)
        result = {
            "schema_version": SCHEMA_VERSION,
            "kind": "evaluation",
            "status": "complete",
            "reason": None,
            "run_hash": job.hash,
            "space": first.space,
            "dataset": config.data.name,
            "seed": job.checkpoints[0].seed,
            "seeds": [t.seed for t in job.checkpoints],
            "study": config.study,
            "checkpoints": [
                {**t.record(), "n_images": e.scored_images, "batch_norm": e.batch_norm, "data": e.data.record()}
                for t, e in zip(job.checkpoints, evaluations, strict=True)
            ],
            "evaluation": {**first.record(), "headline": next(iter(predictions)), "predictors": columns},
            "benchmark": None if benchmark is None else {"name": config.benchmark.name, "sha256": benchmark.sha256},
            "cost": {"images": images},
            **summary,
        }
        logger.finish(result)
        write_atomically(job.folder / RESULT, to_json(result))
        for evaluation in evaluations:
            evaluation.forget()
    return result
