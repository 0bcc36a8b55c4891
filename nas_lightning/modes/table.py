"""mode=table: a stand-alone table of one's own, trained by the same code as mode=standalone, resumable and parallel."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from rich.console import Console

from nas_lightning.benchmarks import write_table
from nas_lightning.compose import Job
from nas_lightning.modes.common import data_module, open_folder, quiet_lightning, result_of
from nas_lightning.modes.standalone import standalone_accuracy
from nas_lightning.progress import new_progress
from nas_lightning.ranking.architecture_sets import architecture_set
from nas_lightning.ranking.uncertainty import noise_ceiling
from nas_lightning.runs import RESULT, to_json, write_atomically
from nas_lightning.spaces import get_space
from nas_lightning.spaces.cost import costs
from nas_lightning.training import StandaloneModule

JOURNAL = "journal.jsonl"


def journal_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Complete rows of the journal; a line cut by a kill is passed over, and its training is repeated."""
    path = folder / JOURNAL
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def append_row(folder: Path, row: dict[str, Any]) -> None:
    """One row in one write to a file opened for appending, so that workers may share it.

    It starts with a line end: a line that a kill has cut cannot swallow it.
    """
    handle = os.open(folder / JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, f"\n{json.dumps(row)}\n".encode())
    finally:
        os.close(handle)


def train_one(job: Job, data: Any, arch: Any, seed: int, devices: int | list[int] = 1) -> dict[str, Any]:
    """Train one architecture with one seed; accuracies as fractions, wall time in seconds."""
    started = time.perf_counter()
    data.seed = seed
    module = StandaloneModule(
        job.config["space"]["name"], job.plan, data.source.num_classes, data.source.in_channels, seed, arch
    )
    trainer = pl.Trainer(
        accelerator=job.config["trainer"]["accelerator"],
        devices=devices,
        logger=False,
        max_epochs=job.plan.protocol.epochs,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        precision=job.config["trainer"]["precision"],
        default_root_dir=job.folder,
    )
    trainer.fit(module, datamodule=data)
    module.to(trainer.strategy.root_device)
    row: dict[str, Any] = {"architecture": str(arch), "seed": seed}
    for split in ("validation", "test"):
        row[split] = standalone_accuracy(module, data, split, job.config["evaluation"]["batch_size"])["accuracy"]
    return {**row, "seconds": round(time.perf_counter() - started, 3)}


def work(job: Job, worker: int, tasks: list[tuple[str, int]]) -> int:
    """One worker process: train its tasks in turn, one journal line each; GPUs are dealt out in turn."""
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    gpus = torch.cuda.device_count() if job.config["trainer"]["accelerator"] in ("auto", "gpu", "cuda") else 0
    space, data = get_space(job.config["space"]["name"]), data_module(job)
    with quiet_lightning():
        for text, seed in tasks:
            append_row(job.folder, train_one(job, data, space.parse(text), seed, [worker % gpus] if gpus else 1))
    return len(tasks)


def chosen_architectures(job: Job) -> list[Any]:
    """The table's architectures: isomorphism classes drawn uniformly, canonical members."""
    wanted = job.config["table"]
    name = f"random{wanted['architectures']}_seed{wanted['sample_seed']}"
    return architecture_set(name, get_space(job.config["space"]["name"]))


def build_table(job: Job) -> dict[str, Any]:
    """Train `table.architectures` x `table.seeds` networks, and write the table when all are there.

    Every finished training is one journal line in the run folder: the command can be killed at any moment, and goes on
    with what is missing. Seeds are the outer loop, so that an unfinished table already covers all architectures.
    """
    wanted, architectures = job.config["table"], chosen_architectures(job)
    data = data_module(job)
    data.setup()
    open_folder(job, data)
    done = {(row["architecture"], row["seed"]) for row in journal_rows(job.folder)}
    tasks = [
        (str(arch), seed) for seed in range(wanted["seeds"]) for arch in architectures if (str(arch), seed) not in done
    ]
    workers = max(1, min(wanted["workers"], len(tasks)))
    with new_progress(Console(stderr=True)) as progress:
        bar = progress.add_task("Training", total=len(architectures) * wanted["seeds"], completed=len(done), note="")
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            pending = {pool.submit(work, job, w, tasks[w::workers]) for w in range(workers)} if tasks else set()
            while pending:
                finished, pending = wait(pending, timeout=2)
                for future in finished:
                    future.result()
                progress.update(bar, completed=sum(1 for _ in journal_rows(job.folder)))
    return merge(job, architectures, data)


def merge(job: Job, architectures: list[Any], data: Any) -> dict[str, Any]:
    """One row per architecture with every seed kept; writes the table and the run's result."""
    rows = {(row["architecture"], row["seed"]): row for row in journal_rows(job.folder)}
    seeds, names = range(job.config["table"]["seeds"]), [str(a) for a in architectures]
    test, validation = (
        [[rows[name, seed][split] for seed in seeds] for name in names] for split in ("test", "validation")
    )
    seconds = sum(rows[name, seed]["seconds"] for name in names for seed in seeds)
    test_mean = np.mean(test, axis=1)
    space, mapping = get_space(job.config["space"]["name"]), job.plan.mapping
    params, macs = costs(
        architectures,
        channels=mapping.channels,
        layers=mapping.layers,
        num_classes=data.source.num_classes,
        in_channels=data.source.in_channels,
        image_size=int(data.test_set.images.shape[1]),
    )
    ceiling = noise_ceiling(np.array(test)) if len(seeds) > 1 else None
    spread = np.quantile(test_mean, [0, 0.05, 0.5, 0.95, 1])
    facts = {
        "plan": job.plan.as_dict(),
        "data": data.record(),
        "cost_core_seconds": round(seconds, 1),
        "noise_ceiling_tau": None if ceiling is None else round(ceiling.tau, 4),
        "noise_ceiling_seeds_per_half": None if ceiling is None else ceiling.seeds_per_half,
        "test_accuracy_quantiles_0_5_50_95_100": [round(float(q), 4) for q in spread],
        "architectures": f"random{len(names)}_seed{job.config['table']['sample_seed']} of unique classes",
    }
    out = Path(job.config["table"]["out"] or job.folder / "table.parquet")
    write_table(
        out,
        space=space.name,
        dataset=data.source.name,
        architectures=architectures,
        columns={
            "test_accuracy": test_mean,
            "validation_accuracy": np.mean(validation, axis=1),
            "test_accuracy_seeds": np.array(test),
            "validation_accuracy_seeds": np.array(validation),
            "params": params,
            "macs": macs,
            "train_seconds": np.array([[rows[n, s]["seconds"] for s in seeds] for n in names]).mean(1),
        },
        metadata={"source": "nas-lightning mode=table", **facts},
    )
    steps = len(names) * len(seeds) * job.plan.protocol.epochs * len(data.loader())
    result = {**result_of(job, "table", data, steps, steps), "metrics": {**facts, "table": out.name}}
    write_atomically(job.folder / RESULT, to_json(result))
    return result
