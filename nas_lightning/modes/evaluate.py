"""mode=evaluate: score any architectures with trained super-nets, without training; several are fused by rank too."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import torch

from nas_lightning.benchmarks import Benchmark
from nas_lightning.data.task import Task
from nas_lightning.errors import UserError
from nas_lightning.modes.common import data_module, logger_of, open_folder
from nas_lightning.modes.job import Job
from nas_lightning.modes.supernet import evaluation_of, open_benchmark
from nas_lightning.processes.launch import TrainerSettings
from nas_lightning.runs.files import to_json, write_atomically
from nas_lightning.runs.result import COMPLETE, Cost, EvaluationFacts, EvaluationResult, Ranked, write_result
from nas_lightning.scoring.evaluation import Evaluation
from nas_lightning.scoring.files import column_of, draw, write_diagnostics, write_ranking
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
    modules: dict[tuple[float, float, int, int | None], Task] = {}
    found = []
    for trained in job.checkpoints:
        images = replace(job.config.data, image_size=trained.scored_on(asdict(job.config.data))["image_size"])
        part = replace(job, plan=trained.plan, config=replace(job.config, data=images))
        protocol = trained.plan.protocol
        key = (protocol.train_portion, protocol.selection_portion, protocol.batch_size, images.image_size)
        data = modules.setdefault(key, data_module(part))
        data.setup()
        evaluation = evaluation_of(part, data, benchmark)
        evaluation.scorer.label = trained.label if len(job.checkpoints) > 1 else ""
        found.append(evaluation)
        if evaluation.subjects.names != found[0].subjects.names:
            raise UserError(
                f"{job.checkpoints[0].path} and {trained.path} hold different architectures of "
                f"{evaluation.subjects.set_name}; evaluate them one by one, or choose a set that both hold"
            )
    return found


def combined(
    trained: Sequence[Trained], evaluations: Sequence[Evaluation], scores: Sequence[Scores]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Every predictor by its name, and the column of ranking.parquet that holds it; the first one counts."""
    first = evaluations[0]
    if len(trained) == 1:
        predictions = first.predictions(scores[0])
        return predictions, {name: column_of(first, name) for name in predictions}
    predictions, columns = {}, {}
    for name in first.ordered(scores[0]):
        if not first.scorer.choice.shared(name):  # the same whatever the super-net
            predictions[name], columns[name] = scores[0][name], name
            continue
        for t, found in zip(trained, scores, strict=True):
            predictions[f"{t.label} {name}"] = found[name]
            columns[f"{t.label} {name}"] = f"{t.label}_{name}"
    by_label = {t.label: found for t, found in zip(trained, scores, strict=True)}
    fuse_also = first.scorer.choice.fuse
    asked: dict[str, tuple[str, ...]] = {"fusion": (), **({"fusion_all": fuse_also} if fuse_also else {})}
    for column, fuse in asked.items():
        fused = first.fused(by_label, fuse)
        predictions |= fused
        columns |= dict.fromkeys(fused, column)
    return predictions, columns


def evaluate(job: Job) -> EvaluationResult:
    """Score, rank and write a run folder of kind ``evaluation``; result.json comes last. Interrupted, it goes on."""
    config, started = job.config, time.perf_counter()
    benchmark, device = open_benchmark(job), device_of(config.trainer)
    evaluations = evaluations_of(job, benchmark)
    first = evaluations[0]
    open_folder(job, first.scorer.data)
    with logger_of(job, "eval") as logger:
        scores = []
        for trained, evaluation in zip(job.checkpoints, evaluations, strict=True):
            evaluation.scorer.data.seed = trained.seed  # of the recalibration's images: those that its own run took
            network, _ = load_network(trained.path, device)
            module = SimpleNamespace(network=network, device=device)
            title = f"Ranking {evaluation.scorer.label}".strip()
            with counted(title, len(evaluation.subjects), config.trainer.progress_bar) as progress:
                scores.append(evaluation.scores(module, progress))
            if config.evaluation.diagnostics:
                name = ".".join(filter(None, ["diagnostics", evaluation.scorer.label, "parquet"]))
                write_diagnostics(job.folder / name, evaluation, scores[-1], network)
        predictions, columns = combined(job.checkpoints, evaluations, scores)
        reached = np.mean([found[first.quality.name] for found in scores], axis=0)
        summary = first.summary(predictions, float(reached.mean()))
        by_column = {columns[name]: predictions[name] for name in predictions}
        write_ranking(job.folder / "ranking.parquet", first, by_column, reached)
        shown = list(predictions)[-1] if len(scores) > 1 else first.headline
        subjects, values = first.subjects, predictions[shown]
        picture = draw(job.folder / "ranking.png", first, shown, values) if benchmark is not None else None
        logger.ranking("final", subjects.names, values.tolist(), subjects.truth.tolist(), picture=picture)
        seconds = time.perf_counter() - started
        write_atomically(job.folder / "timings.json", to_json({"evaluation_s": seconds, "total_s": seconds}))
        images = sum(e.scorer.scored_images * len(e.subjects) for e in evaluations)
        result: EvaluationResult = {
            "kind": "evaluation",
            "status": COMPLETE,
            "reason": None,
            "run_hash": job.hash,
            "space": first.subjects.space.name,
            "dataset": config.data.name,
            "seed": job.checkpoints[0].seed,
            "seeds": [t.seed for t in job.checkpoints],
            "study": config.study,
            "checkpoints": [
                {**t.record(), "n_images": s.scored_images, "batch_norm": s.batch_norm, "data": s.data.record()}
                for t, s in zip(job.checkpoints, (e.scorer for e in evaluations), strict=True)
            ],
            "evaluation": cast(
                EvaluationFacts, {**first.record(), "headline": next(iter(predictions)), "predictors": columns}
            ),
            "benchmark": None if benchmark is None else {"name": config.benchmark.name, "sha256": benchmark.sha256},
            **cast(EvaluationResult, first.quality.record()),
            **cast(EvaluationResult, first.scorer.data.items_record()),
            "cost": cast(Cost, {first.scorer.data.items_name: images}),
            **cast(Ranked, summary),
        }
        logger.finish(result)
        result = write_result(job.folder, result)
        for evaluation in evaluations:
            evaluation.scorer.forget()
    return result
