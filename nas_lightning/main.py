"""The three modes of train.py: a super-net trained and ranked, one stand-alone network, a table of them."""

from __future__ import annotations

import json
import logging
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint
from rich.console import Console

from nas_lightning.benchmarks import Benchmark
from nas_lightning.compose import Job, compose
from nas_lightning.data.module import ImageDataModule
from nas_lightning.evaluation import TOP_K, Evaluation, MetricsFile, RankingCallback
from nas_lightning.heuristic import NotApplicableError, changed
from nas_lightning.progress import RunProgress, new_progress
from nas_lightning.ranking.evaluator import evaluation_batches, score
from nas_lightning.ranking.plot import scatter
from nas_lightning.ranking.terminal import render_table
from nas_lightning.runs import RESULT, SCHEMA_VERSION, environment, finished, to_json, write_atomically
from nas_lightning.spaces import get_space
from nas_lightning.training import NetworkModule, StandaloneModule, SuperNetModule

console = Console()
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # its start-up hints say nothing about the run


def data_module(job: Job) -> ImageDataModule:
    """The images with the plan's batch size and train portion."""
    data, protocol = job.config["data"], job.plan.protocol
    return ImageDataModule(data["name"], data["root"], protocol.batch_size, protocol.train_portion, job.config["seed"],
                           data["split_seed"], data["max_train_images"], data["augment"], data["download"])


def open_benchmark(job: Job) -> Benchmark | None:
    """The table to rank against, checked against space and data set; None for benchmark=none."""
    wanted = job.config["benchmark"]
    if wanted["name"] is None:
        return None
    table = Benchmark.open(wanted["name"], space=job.config["space"]["name"], root=wanted["root"],
                           dataset=wanted["dataset"])
    if table.dataset != job.config["data"]["name"]:
        raise ValueError(f"table {wanted['name']} holds {table.dataset} accuracies but data={job.config['data']['name']}; "
                         "choose a benchmark of the same data set, or benchmark=none")
    return table


def build_trainer(job: Job, callbacks: list[pl.Callback]) -> pl.Trainer:
    """Lightning's Trainer with our callbacks; the ModelCheckpoint keeps the last and the one before it."""
    wanted = job.config["trainer"]
    devices: Any = wanted["devices"]
    devices = json.loads(devices) if devices.startswith("[") else devices if devices == "auto" else int(devices)
    folder = job.folder / "checkpoints"
    checkpoint = ModelCheckpoint(dirpath=folder, filename="{epoch}", every_n_epochs=wanted["checkpoint_every"],
                                 save_top_k=1, monitor=None, save_last=True, save_on_train_epoch_end=True,
                                 enable_version_counter=False)
    return pl.Trainer(
        accelerator=wanted["accelerator"], devices=devices, strategy="auto" if wanted["strategy"] == "single" else
        wanted["strategy"], num_nodes=wanted["num_nodes"], precision=wanted["precision"],
        deterministic=wanted["deterministic"], max_epochs=job.plan.protocol.epochs, logger=False,
        callbacks=[*callbacks, checkpoint], enable_model_summary=False, enable_progress_bar=True,
        limit_val_batches=0, num_sanity_val_steps=0, default_root_dir=job.folder, inference_mode=False)


def fit(job: Job, module: NetworkModule, data: ImageDataModule, callbacks: list[pl.Callback]) -> pl.Trainer:
    """Train from the last checkpoint of the run folder, or from the start; saves the final state."""
    progress = RunProgress()
    if not job.config["trainer"]["progress_bar"]:
        progress.disable()
    trainer = build_trainer(job, [progress, *callbacks])
    last = job.folder / "checkpoints" / "last.ckpt"
    with quiet_lightning():
        trainer.fit(module, datamodule=data, ckpt_path=last if last.exists() else None, weights_only=True)
    final = job.folder / "checkpoints" / "final.ckpt"
    if trainer.is_global_zero and not final.exists():
        trainer.save_checkpoint(final, weights_only=False)
    return trainer


@contextmanager
def quiet_lightning() -> Any:
    """Silence hints that do not concern a run whose batches are tensors in memory."""
    with warnings.catch_warnings():
        for message in (".*does not have many workers.*", ".*Checkpoint directory.*", ".*LeafSpec.*",
                        ".*smaller than the logging interval.*", ".*GPU available but not used.*", ".*is deprecated.*"):
            warnings.filterwarnings("ignore", message)
        yield


def result_of(job: Job, kind: str, data: ImageDataModule, passes: int, steps: int) -> dict[str, Any]:
    """What every result file says, whatever the mode."""
    config = job.config
    return {
        "schema_version": SCHEMA_VERSION, "kind": kind, "status": "complete", "reason": None, "run_hash": job.hash,
        "space": config["space"]["name"], "dataset": config["data"]["name"], "seed": config["seed"],
        "plan": job.plan.as_dict(), "heuristics": {h.factor: h.settings() for h in job.heuristics if h.settings()},
        "changed": {name: list(values) for name, values in changed(job.base, job.plan).items()},
        "ablation": config["ablation"], "study": config["study"], "recipe": config["recipe"], "data": data.record(),
        "cost": {"epochs": job.plan.protocol.epochs, "steps": steps, "passes": passes,
                 "images": passes * job.plan.protocol.batch_size},
    }


def open_folder(job: Job, data: ImageDataModule) -> None:
    """Create the run folder with its configuration and environment."""
    write_atomically(job.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(job.config)).encode())
    write_atomically(job.folder / "environment.json", to_json(environment(data.record(), torch.get_num_threads())))


def train_supernet(job: Job) -> dict[str, Any]:
    """mode=supernet: train, rank, write the run folder, print the table."""
    config, started = job.config, time.perf_counter()
    data, benchmark = data_module(job), open_benchmark(job)
    data.setup()
    module = SuperNetModule(config["space"]["name"], job.plan, data.source.num_classes, data.source.in_channels,
                            config["seed"])
    wanted = config["evaluation"]
    evaluation = Evaluation(config["space"]["name"], job.plan, data, wanted["architectures"], wanted["batch_size"],
                            wanted["images"], wanted["score"], wanted["threshold"],
                            wanted["top_k"] or TOP_K[config["space"]["name"]], benchmark)
    evaluation_batches(data.held_out(), data.normalize, wanted["batch_size"], wanted["images"], "cpu")  # fails early
    open_folder(job, data)
    passes = module.sampler.passes_per_step()
    trainer = fit(job, module, data, [*job.heuristics, RankingCallback(evaluation, wanted["every"]),
                                      MetricsFile(job.folder / "metrics.csv", passes)])
    trained = time.perf_counter()
    with new_progress(Console(stderr=True)) as progress:
        task = progress.add_task("Ranking", total=len(evaluation.architectures), note="")
        scores = evaluation.scores(module.to(trainer.strategy.root_device),
                                   lambda done: progress.update(task, completed=done))
    summary = evaluation.summary(scores)
    evaluation.write_table(job.folder / "ranking.parquet", scores)
    if benchmark is not None:
        scatter(job.folder / "ranking.png", scores.accuracy, evaluation.truth,
                f"{config['space']['name']}, {config['data']['name']}", evaluation.top_k, ids=evaluation.names)
    write_atomically(job.folder / "timings.json", to_json({
        "training_s": trained - started, "evaluation_s": time.perf_counter() - trained,
        "total_s": time.perf_counter() - started}))
    result = {**result_of(job, "train", data, trainer.global_step * passes, trainer.global_step),
              "evaluation": evaluation.record(),
              "benchmark": None if benchmark is None else {"name": config["benchmark"]["name"],
                                                           "sha256": benchmark.sha256},
              **summary}
    write_atomically(job.folder / RESULT, to_json(result))
    return result


def train_standalone(job: Job) -> dict[str, Any]:
    """mode=standalone: train one architecture from scratch; accuracies on held-out and test images."""
    config, started = job.config, time.perf_counter()
    if not config["architecture"]:
        raise ValueError("mode=standalone needs architecture='…', in the field's string form of the space")
    arch = get_space(config["space"]["name"]).parse(config["architecture"])
    data = data_module(job)
    data.setup()
    module = StandaloneModule(config["space"]["name"], job.plan, data.source.num_classes, data.source.in_channels,
                              config["seed"], arch)
    open_folder(job, data)
    trainer = fit(job, module, data, [MetricsFile(job.folder / "metrics.csv", 1)])
    module.to(trainer.strategy.root_device)
    metrics = {split: standalone_accuracy(module, data, split, config["evaluation"]["batch_size"])
               for split in ("validation", "test") if split == "test" or len(data.validation_set)}
    write_atomically(job.folder / "timings.json", to_json({"total_s": time.perf_counter() - started}))
    result = {**result_of(job, "standalone", data, trainer.global_step, trainer.global_step),
              "architecture": str(arch), "parameters": sum(p.numel() for p in module.network.parameters()),
              "metrics": metrics}
    write_atomically(job.folder / RESULT, to_json(result))
    return result


def standalone_accuracy(module: NetworkModule, data: ImageDataModule, split: str, batch_size: int) -> dict[str, float]:
    """Accuracy and −cross-entropy of a stand-alone network on a split, by the plan's evaluation statistics."""
    batches = evaluation_batches(data.held_out(split), data.normalize, batch_size, None, module.device)
    protocol = module.plan.protocol
    calibration = [data.loader(module.device).batch(s)[0] for s in range(protocol.bn_recalibration_batches)
                   ] if protocol.bn_evaluation == "recalibrate" else []
    scores = score(module.network, [module.network.arch], batches, protocol.bn_evaluation, calibration)
    return {"accuracy": float(scores.accuracy[0]), "negative_cross_entropy": float(scores.negative_cross_entropy[0]),
            "n_images": sum(len(labels) for _, labels in batches)}


def report(job: Job, result: dict[str, Any]) -> None:
    """The end of a run in the terminal."""
    if result["status"] == "not_applicable":
        console.print(f"Not applicable: {result['reason']}", highlight=False)
    elif result["kind"] == "train" and result["benchmark"]:
        render_table(result, console, title=f"{result['space']} on {result['dataset']}",
                     evaluation=result["evaluation"], seeds=str(result["seed"]))
    else:
        console.print_json(data=result["metrics"])
    console.print(f"Run folder: {job.folder}", highlight=False, soft_wrap=True)


def train(cfg: DictConfig) -> dict[str, Any]:
    """One job of train.py. A complete run is not repeated; an unfinished one goes on from its last checkpoint."""
    try:
        job = compose(cfg)
    except NotApplicableError as refusal:
        if not cfg.ablation:
            raise
        return record_not_applicable(cfg, str(refusal))
    threads = job.config["trainer"]["threads"]
    if threads:
        torch.set_num_threads(threads)
    result = None if job.config["force"] else finished(job.folder)
    if result is not None:
        console.print("This run is complete; repeat it with force=true.", highlight=False)
    else:
        if job.config["force"]:
            discard(job.folder)
        (job.folder / "error.txt").unlink(missing_ok=True)
        if job.config["mode"] == "table":
            from nas_lightning.table import build_table

            result = build_table(job)
        else:
            result = (train_supernet if job.config["mode"] == "supernet" else train_standalone)(job)
    report(job, result)
    return result


def discard(folder: Path) -> None:
    """Take a run's result and checkpoints away, so that it starts afresh; nothing else in the folder is touched."""
    (folder / RESULT).unlink(missing_ok=True)
    for checkpoint in (folder / "checkpoints").glob("*.ckpt"):
        checkpoint.unlink()


def record_not_applicable(cfg: DictConfig, reason: str) -> dict[str, Any]:
    """An ablation whose setting the space does not have: a result file that says so, and no training."""
    from nas_lightning.runs import run_hash

    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    ablation, space = config["ablation"], config["space"]["name"]
    name = f"{space}_{config['data']['name']}_{ablation['factor']}-{ablation['setting']}_not-applicable"
    folder = Path(config["runs"]) / (config["study"] or "") / name
    result = {"schema_version": SCHEMA_VERSION, "kind": "train", "status": "not_applicable", "reason": reason,
              "run_hash": run_hash({"not_applicable": name}), "space": space, "dataset": config["data"]["name"],
              "seed": config["seed"], "ablation": ablation, "study": config["study"]}
    write_atomically(folder / RESULT, to_json(result))
    console.print(f"Not applicable: {reason}", highlight=False)
    return result
