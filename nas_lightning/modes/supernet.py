"""mode=supernet: train the shared weights, rank sub-nets by them, say how far to trust the ranking."""

from __future__ import annotations

import time
from typing import cast

from nas_lightning.benchmarks import Benchmark
from nas_lightning.data.task import Task
from nas_lightning.distributions.base import Distribution
from nas_lightning.errors import UserError
from nas_lightning.modes.callbacks import MetricsFile, RankingCallback
from nas_lightning.modes.common import (
    check_logger,
    data_module,
    fit,
    logger_of,
    open_folder,
    refuse_sizes,
    result_of,
)
from nas_lightning.modes.derived import DerivedCallback
from nas_lightning.modes.job import Job
from nas_lightning.runs.files import to_json, write_atomically
from nas_lightning.runs.result import EvaluationFacts, Ranked, SupernetResult, Table, write_result
from nas_lightning.scoring.choice import Choice
from nas_lightning.scoring.evaluation import Evaluation
from nas_lightning.scoring.files import column_of, draw, write_diagnostics, write_ranking
from nas_lightning.scoring.scorer import Conditions, Scorer
from nas_lightning.scoring.subjects import Subjects
from nas_lightning.training.checkpoints import FINAL, FOLDER
from nas_lightning.training.module import SuperNetModule
from nas_lightning.training.progress import counted


def open_benchmark(job: Job) -> Benchmark | None:
    """The table to rank against, checked against space and data set; None for benchmark=none."""
    wanted = job.config.benchmark
    if wanted.name is None:
        return None
    table = Benchmark.open(wanted.name, space=job.config.space.name, root=wanted.root, dataset=wanted.dataset)
    if table.dataset != job.config.data.name:
        raise UserError(
            f"table {wanted.name} holds {table.dataset} accuracies but data={job.config.data.name}; "
            "choose a benchmark of the same data set, or benchmark=none"
        )
    return table


def evaluation_of(job: Job, data: Task, benchmark: Benchmark | None) -> Evaluation:
    """What is scored, and how; refuses early what could only fail after the training."""
    wanted = job.config.evaluation
    conditions = Conditions(
        wanted.batch_size,
        wanted.images,
        statistics=wanted.batch_norm,
        precision=job.config.trainer.precision,
        probe_images=wanted.probe_images,
        skip=wanted.skip,
    )
    choice = Choice.of(
        wanted.score,
        wanted.predictors,
        fuse=wanted.fuse,
        baselines=wanted.baselines,
        probe_images=wanted.probe_images,
        task=type(data),
    )
    subjects = Subjects.of(job.config.space.name, job.plan.mapping, wanted.architectures, benchmark)
    scorer = Scorer(subjects, job.plan, data, conditions, choice=choice, folder=job.folder)
    evaluation = Evaluation(scorer, wanted.top_k, wanted.threshold)
    scorer.batches("cpu")
    scorer.probe_batches("cpu")
    return evaluation


def prepared(job: Job, data: Task) -> tuple[Benchmark | None, RankingCallback]:
    """Table and ranking of the job, its data read: everything that can be refused before the first step is. Raises
    UserError."""
    config, benchmark = job.config, open_benchmark(job)
    data.setup()
    data.loader()
    refuse_sizes(job, data)
    if config.evaluation.batch_norm:
        raise UserError(
            f"evaluation.batch_norm={config.evaluation.batch_norm} belongs to mode=evaluate; when training, "
            "choose the statistics by heuristics/batch_norm"
        )
    evaluation = evaluation_of(job, data, benchmark)
    check_logger(config.logger, kind="train", mode=config.mode)
    return benchmark, RankingCallback(evaluation, config.evaluation.every, keep=config.evaluation.snapshots)


def train_supernet(job: Job) -> SupernetResult | None:
    """Train, rank, and write the run folder; result.json comes last."""
    config, started = job.config, time.perf_counter()
    data = data_module(job)
    benchmark, ranking = prepared(job, data)
    evaluation = ranking.evaluation
    module = SuperNetModule(
        space=config.space.name,
        plan=job.plan,
        num_classes=data.num_outputs,
        in_channels=data.in_channels,
        seed=config.seed,
        init_seed=config.init_seed,
        task=type(data),
    )
    open_folder(job, data)
    passes = module.sampler.passes_per_step() + sum(h.extra_passes for h in job.heuristics if h.active)
    with logger_of(job, "train") as logger:
        ranking.logger = logger
        learned = [h for h in job.heuristics if isinstance(h, Distribution)]
        derived = [DerivedCallback(h, evaluation.scorer.subjects.space, benchmark, job.folder) for h in learned]
        callbacks = [
            *job.heuristics,
            *derived,
            ranking,
            MetricsFile(job.folder / "metrics.csv", passes),
        ]
        trainer = fit(job, module, data, callbacks=callbacks, logger=logger)
        trained = time.perf_counter()
        n_here = evaluation.scorer.count_here()
        with counted("Ranking", n_here, config.trainer.progress_bar) as progress:
            scores = evaluation.scores(module.to(trainer.strategy.root_device), progress)
        if not trainer.is_global_zero:
            return None
        snapshots = ranking.fused()
        predictions, reached = evaluation.predictions(scores), scores[evaluation.quality.name]
        summary = evaluation.summary(predictions | snapshots, float(reached.mean()))
        named = {name: column_of(evaluation, name) for name in predictions}
        fuses = bool(evaluation.scorer.choice.fuse)
        counts = list(predictions)[-1] if fuses else evaluation.headline  # a fusion stands last
        facts = {**evaluation.record(), **({"headline": counts, "predictors": named} if fuses else {})}
        columns = {named[name]: values for name, values in predictions.items()}
        columns |= dict(zip(["snapshots"], snapshots.values(), strict=False))
        write_ranking(job.folder / "ranking.parquet", evaluation, columns, reached)
        if config.evaluation.diagnostics:
            write_diagnostics(job.folder / "diagnostics.parquet", evaluation, scores, module.network)
        picture = None
        if benchmark is not None:
            picture = draw(job.folder / "ranking.png", evaluation, counts, predictions[counts])
        subjects = evaluation.subjects
        logger.ranking("final", subjects.names, reached.tolist(), subjects.truth.tolist(), picture=picture)
        ended = time.perf_counter()
        write_atomically(
            job.folder / "timings.json",
            to_json({"training_s": trained - started, "evaluation_s": ended - trained, "total_s": ended - started}),
        )
        table: Table | None = None if benchmark is None else {"name": config.benchmark.name, "sha256": benchmark.sha256}
        result: SupernetResult = {
            **result_of(job, "train", data, passes=trainer.global_step * passes, steps=trainer.global_step),
            "evaluation": cast(EvaluationFacts, facts),
            "benchmark": table,
            **cast(Ranked, summary),
        }
        if derived and (found := derived[0].result()) is not None:
            result["derived"] = found
        logger.finish(result)
        if config.logger.checkpoint:
            logger.artifact(job.folder / FOLDER / FINAL)
        result = write_result(job.folder, result)
        evaluation.scorer.forget()
    return result
