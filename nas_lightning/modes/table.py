"""mode=table: a stand-alone table of one's own, trained by the same code as mode=standalone, resumable and parallel."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from rich.console import Console

from nas_lightning.benchmarks import write_table
from nas_lightning.benchmarks.table_file import check_destination
from nas_lightning.data.task import Task
from nas_lightning.errors import UserError
from nas_lightning.modes.common import data_module, open_folder, refuse_sizes, result_of
from nas_lightning.modes.job import Job
from nas_lightning.processes.ranks import outlive_nobody
from nas_lightning.processes.signals import SIGNALS, Stopped
from nas_lightning.ranking.architecture_sets import architecture_set
from nas_lightning.ranking.uncertainty import noise_ceiling
from nas_lightning.runs.files import RunError, to_json, write_atomically
from nas_lightning.runs.json_file import is_number
from nas_lightning.runs.quality import ACCURACY
from nas_lightning.runs.result import TableResult, write_result
from nas_lightning.scoring.standalone import refuse_small_splits, standalone_scores
from nas_lightning.search.journal import seal, unseal
from nas_lightning.spaces import configured, get_space
from nas_lightning.training.divergence import DivergedError
from nas_lightning.training.module import StandaloneModule
from nas_lightning.training.progress import new_progress
from nas_lightning.training.trainer import new_trainer, quiet_lightning

JOURNAL = "journal.jsonl"
SPLITS = ("validation", "test")
"""What every network of a table is judged on."""


def journal_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of the journal whose checksum fits; a line cut by a kill is passed over, and its training is repeated."""
    path = folder / JOURNAL
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        with suppress(ValueError):
            row = unseal(line)
            if _is_row(row):
                yield row


def _is_row(row: Any) -> bool:
    """Whether this is what `train_one` returns: qualities, or none and the reason."""
    if not isinstance(row, dict) or not isinstance(row.get("architecture"), str) or type(row.get("seed")) is not int:
        return False
    seconds, qualities = row.get("seconds"), [row.get("validation"), row.get("test")]
    if not is_number(seconds) or seconds < 0:
        return False
    if isinstance(row.get("diverged"), str):
        return qualities == [None, None]
    return all(map(is_number, qualities))


def finished_tasks(folder: Path) -> set[tuple[str, int]]:
    """(architecture, seed) of the trainings that are in the journal."""
    return {(row["architecture"], row["seed"]) for row in journal_rows(folder)}


def append_row(folder: Path, row: dict[str, Any]) -> None:
    """One row in one write to a file opened for appending, so that workers may share it.

    It starts with a line end: a line that a kill has cut cannot swallow it.
    """
    handle = os.open(folder / JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, b"\n" + seal(json.dumps(row)))
        os.fsync(handle)
    finally:
        os.close(handle)


class EndsWithParent(pl.Callback):
    """Ends a worker's training when its parent has died (killed, it can tell nobody) or wants to end.

    Fires: end of a batch. In the parent's own process it does nothing: signals arrive there.
    """

    parent: int | None = None
    stop: Any = None

    @classmethod
    def attach(cls, parent: int, stop: Any) -> None:
        """Initialise a worker: signals to the process group are the parent's to answer."""
        cls.parent, cls.stop = parent, stop
        # also while it scores, or waits for work: a row is one write, so that nothing is torn
        threading.Thread(target=outlive_nobody, args=(parent,), daemon=True).start()
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def on_train_batch_end(self, *_: Any) -> None:
        if self.parent is not None and (os.getppid() != self.parent or self.stop.is_set()):
            raise Stopped(signal.SIGTERM)


def train_one(job: Job, data: Any, arch: Any, seed: int, devices: int | list[int] = 1) -> dict[str, Any]:
    """Train one architecture with one seed; qualities (accuracies as fractions), wall time in seconds."""
    started = time.perf_counter()
    data.seed = seed
    module = StandaloneModule(
        space=job.config.space.name,
        plan=job.plan,
        num_classes=data.num_outputs,
        in_channels=data.in_channels,
        seed=seed,
        arch=arch,
        task=type(data),
    )
    trainer = new_trainer(
        epochs=job.plan.protocol.epochs,
        accelerator=job.config.trainer.accelerator,
        devices=devices,
        precision=job.config.trainer.precision,
        deterministic=job.config.trainer.deterministic,
        callbacks=[EndsWithParent(), *deepcopy(job.heuristics)],  # each training has a state of its own
        folder=job.folder,
    )
    row: dict[str, Any] = {"architecture": str(arch), "seed": seed}
    try:
        trainer.fit(module, datamodule=data)
    except DivergedError as error:  # no accuracy: of these outputs it would be that of a class
        lost = {"validation": None, "test": None, "diverged": str(error)}
        return {**row, **lost, "seconds": round(time.perf_counter() - started, 3)}
    module.to(trainer.strategy.root_device)
    for split in SPLITS:
        scores = standalone_scores(module, data, split, job.config.evaluation.batch_size)
        row[split] = scores[data.quality.name]
    return {**row, "seconds": round(time.perf_counter() - started, 3)}


def work(job: Job, worker: int, tasks: list[tuple[str, int]], show: Callable[[], None] = lambda: None) -> int:
    """Train one worker's tasks in turn, one journal line each; GPUs are dealt out in turn."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    gpus = torch.cuda.device_count() if job.config.trainer.accelerator in ("auto", "gpu", "cuda") else 0
    named = job.config.space
    space, data = configured(named.name, named._target_), data_module(job)  # a new process knows no target
    with quiet_lightning():
        for text, seed in tasks:
            append_row(
                job.folder, train_one(job, data, space.parse(text), seed=seed, devices=[worker % gpus] if gpus else 1)
            )
            show()
    torch.set_num_threads(threads)
    return len(tasks)


def share_out(job: Job, tasks: list[tuple[str, int]], workers: int, show: Callable[[], None]) -> None:
    """Train `tasks` in `workers` processes, which end with this one, whatever ends it."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=EndsWithParent.attach, initargs=(os.getpid(), stop)
    )
    with pool:
        try:
            pending = {pool.submit(work, job, w, tasks[w::workers]) for w in range(workers)}
            while pending:
                finished, pending = wait(pending, timeout=2)
                for future in finished:
                    future.result()
                show()
        except BaseException:
            stop.set()
            raise


def chosen_architectures(job: Job) -> list[Any]:
    """The table's architectures: isomorphism classes drawn uniformly, canonical members."""
    wanted = job.config.table
    name = f"random{wanted.architectures}_seed{wanted.sample_seed}"
    return architecture_set(name, get_space(job.config.space.name))


def prepared(job: Job, data: Task) -> list[Any]:
    """The table's architectures, its data read: everything that can be refused before the first step is. Raises
    UserError."""
    architectures = chosen_architectures(job)
    if job.config.table.out is not None:
        check_destination(Path(job.config.table.out))
    data.setup()
    data.loader()
    refuse_sizes(job, data)
    refuse_small_splits(data, SPLITS, job.config.evaluation.batch_size)
    return architectures


def build_table(job: Job) -> TableResult:
    """Train `table.architectures` x `table.seeds` networks, and write the table when all are there.

    Every finished training is one journal line in the run folder: the command can be killed at any moment, and goes on
    with what is missing. Seeds are the outer loop, so that an unfinished table already covers all architectures.
    """
    wanted, data = job.config.table, data_module(job)
    architectures = prepared(job, data)
    open_folder(job, data)
    done = finished_tasks(job.folder)
    tasks = [
        (str(arch), seed) for seed in range(wanted.seeds) for arch in architectures if (str(arch), seed) not in done
    ]
    workers = max(1, min(wanted.workers, len(tasks)))
    with new_progress(Console(stderr=True), shown=job.config.trainer.progress_bar) as progress:
        bar = progress.add_task("Training", total=len(architectures) * wanted.seeds, completed=len(done), note="")

        def show() -> None:
            progress.update(bar, completed=len(finished_tasks(job.folder)))

        try:
            if workers > 1:
                share_out(job, tasks, workers, show)
            else:
                work(job, 0, tasks, show)
        except BrokenProcessPool as error:
            raise RunError(
                "a worker process has died (killed, perhaps for want of memory: try fewer table.workers); the same "
                "command goes on"
            ) from error
        show()
    return merge(job, architectures, data)


def mean_of_known(values: np.ndarray) -> np.ndarray:
    """Mean over the seeds of accuracies [n, seeds] without the NaN of diverged trainings; NaN where all are. [n]"""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.divide(total, known.sum(axis=1), out=np.full(len(values), np.nan), where=known.any(axis=1))


def merge(job: Job, architectures: list[Any], data: Any) -> TableResult:
    """One row per architecture with every seed kept; writes the table and the run's result."""
    rows = {(row["architecture"], row["seed"]): row for row in journal_rows(job.folder)}
    seeds, names = range(job.config.table.seeds), [str(a) for a in architectures]
    test, validation = (
        np.array([[rows[name, seed][split] for seed in seeds] for name in names], np.float64)  # None becomes NaN
        for split in ("test", "validation")
    )
    lost = [row["diverged"] for row in rows.values() if "diverged" in row]
    if np.isnan(test).all():
        raise UserError(f"all {test.size} trainings of the table diverged, the first so: {lost[0]}")
    seconds = sum(rows[name, seed]["seconds"] for name in names for seed in seeds)
    test_mean, validation_mean = (mean_of_known(values) for values in (test, validation))
    whole = test[~np.isnan(test).any(axis=1)]
    space, mapping = get_space(job.config.space.name), job.plan.mapping
    params, macs = space.costs(
        architectures,
        channels=mapping.channels,
        layers=mapping.layers,
        num_classes=data.num_outputs,
        in_channels=data.in_channels,
        image_size=data.image_size,
    )
    ceiling = noise_ceiling(whole) if len(seeds) > 1 and len(whole) > 1 else None
    measured = "accuracy" if data.quality == ACCURACY else "score"  # of any unit
    spread = np.nanquantile(test_mean, [0, 0.05, 0.5, 0.95, 1])
    facts = {
        "plan": job.plan.as_dict(),
        "data": data.record(),
        **data.quality.record(),
        "cost_core_seconds": round(seconds, 1),
        "noise_ceiling_tau": None if ceiling is None else round(ceiling.tau, 4),
        "noise_ceiling_seeds_per_half": None if ceiling is None else ceiling.seeds_per_half,
        f"test_{measured}_quantiles_0_5_50_95_100": [round(float(q), 4) for q in spread],
        "architectures": f"random{len(names)}_seed{job.config.table.sample_seed} of unique classes",
        **({"diverged_trainings": len(lost)} if lost else {}),
    }
    out = Path(job.config.table.out or job.folder / "table.parquet")
    write_table(
        out,
        space=space.name,
        dataset=data.name,
        architectures=architectures,
        columns={
            f"test_{measured}": test_mean,
            f"validation_{measured}": validation_mean,
            f"test_{measured}_seeds": test,
            f"validation_{measured}_seeds": validation,
            "params": params,
            "macs": macs,
            "train_seconds": np.array([[rows[n, s]["seconds"] for s in seeds] for n in names]).mean(1),
        },
        metadata={"source": "nas-lightning mode=table", **facts},
    )
    steps = len(names) * len(seeds) * job.plan.protocol.epochs * len(data.loader())
    write_atomically(job.folder / "timings.json", to_json({"total_s": round(seconds, 1)}))
    facts.pop("cost_core_seconds")  # no result file holds a time
    result: TableResult = {
        **result_of(job, "table", data, passes=steps, steps=steps),
        "metrics": {**facts, "table": out.name},
    }
    result = write_result(job.folder, result)
    return result
