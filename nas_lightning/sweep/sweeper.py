"""The sweeper behind `-m`: Hydra's own order of jobs, but finished ones are skipped and failed ones stop nothing."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import MissingConfigException
from hydra.types import HydraContext
from omegaconf import DictConfig

from nas_lightning.errors import UserError
from nas_lightning.processes.launch import device_count, is_other_rank, started_outside
from nas_lightning.processes.signals import handled_by
from nas_lightning.runs.files import refused_by_disk, write_atomically
from nas_lightning.runs.temporary import temporary_folder
from nas_lightning.sweep import summary
from nas_lightning.sweep.dry_run import REFUSED
from nas_lightning.sweep.gpus import Share, visible_gpus
from nas_lightning.sweep.jobs import COMPLETE, FAILED, SETTLED, Job, unsettled
from nas_lightning.sweep.planner import Planner
from nas_lightning.sweep.submitit import deaths_kept
from nas_lightning.sweep.task import ERROR, SweepTask

JOBS_FAILED = 1
"""Exit code of a sweep in which a job failed."""


class StudySweep(BasicSweeper):
    """Every combination of the swept values, as Hydra's basic sweeper makes them; launched by any launcher.

    Jobs whose result is on disk are not launched. Failed jobs keep their traceback in their folder; the others go on,
    and the table at the end says what is done, failed and missing, whatever ended the sweep.
    """

    def setup(self, *, hydra_context: HydraContext, task_function: Callable[..., Any], config: DictConfig) -> None:
        self.task_function = task_function
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        assert self.launcher is not None
        self.processes = _processes(config)
        """Jobs that run side by side in processes of this machine; 1 where the launcher does not say."""
        self.is_first = not is_other_rank(config.trainer.strategy)
        """Whether this process is not just another rank, started by torchrun or SLURM, of all jobs."""
        one_by_one = config.hydra.launcher._target_.endswith(".BasicLauncher")
        if (started_outside(config.trainer.strategy) or 1) > 1 and not one_by_one:
            raise UserError(
                "torchrun and SLURM start the ranks of one job after the other, so that hydra/launcher is basic there; "
                "drop it, or let trainer=ddp start the ranks"
            )

    def combinations(self, arguments: Sequence[str]) -> list[list[str]]:
        """The overrides of every job."""
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        params = [f"{key}={value}" for key, value in self.params.items()]
        (jobs,) = self.split_arguments(parser.parse_overrides([*params, *arguments]), None)
        return jobs

    def planner(self) -> Planner:
        assert self.config is not None
        assert self.hydra_context is not None
        return Planner(self.config, self.hydra_context.config_loader)

    def sweep(self, arguments: list[str]) -> Any:
        """Plan, launch what is not settled, and say what became of it; exits with JOBS_FAILED where jobs failed.

        Raises RunError where the folder of the runs cannot be used.
        """
        assert self.config is not None
        try:
            if not self.config.dry_run:
                _usable(Path(self.config.runs))
            return self.sweep_jobs(arguments)
        except MissingConfigException:  # an OSError by name only: a choice that does not exist
            raise
        except OSError as error:
            raise refused_by_disk(error, self.config.runs) from error

    def sweep_jobs(self, arguments: list[str]) -> Any:
        """The sweep itself; what it raises is turned into words by `sweep`."""
        assert self.config is not None
        jobs = self.planner().plan(self.combinations(arguments))
        todo = unsettled(jobs)
        if self.config.dry_run:
            summary.print_jobs(jobs, self.processes)
            if any(job.refusal is not None for job in jobs):
                sys.exit(REFUSED)
            return []
        summary.print_refusals(todo)
        summary.print_start(jobs, todo, self.processes)
        settled_before = sum(job.is_settled() for job in jobs)
        started = time.time()
        try:
            self.launch(todo)
        finally:  # also when Ctrl-C or SIGTERM ends the sweep
            summary.print_summary(jobs, settled_before)
        if self.is_first and not all(_is_done(job, started) for job in todo):  # what failed is in the summary
            sys.exit(JOBS_FAILED)
        return []

    def launch(self, jobs: Sequence[Job], first: int = 0) -> None:
        """Run the jobs, numbered from `first`. A process that dies takes its own job with it, not the sweep."""
        if not jobs:
            return
        assert self.launcher is not None
        with temporary_folder("sweep") as places:
            self._launch(jobs, first, places)

    def _launch(self, jobs: Sequence[Job], first: int, places: Path) -> None:
        """`launch`, with a folder for what the processes share."""
        share = Share(places, self.processes, visible_gpus(), self._gpus_of_a_job()) if self.processes > 1 else None
        for job in jobs:
            if self.is_first and job.refusal is None and (job.refused_folder / ERROR).exists():
                shutil.rmtree(job.refused_folder)  # its configuration was mended
        started = time.time()
        queue, suspects = list(jobs), []
        numbers = {job: first + i for i, job in enumerate(jobs)}

        launcher: Any = self.launcher
        size = self.max_batch_size or max(len(jobs), 1)

        def launch(batch: Sequence[Job]) -> None:
            start = numbers[batch[0]]
            about = {start + i: (job.folder, job.title) for i, job in enumerate(batch)}
            launcher.task_function = SweepTask(self.task_function, about, first + len(jobs), share)
            handled = nullcontext() if share is None else handled_by(share.end)
            with handled, deaths_kept(launcher, batch):
                launcher.launch([list(job.overrides) for job in batch], initial_job_idx=start)

        while queue:
            try:
                for i in range(0, len(queue), size):
                    launch(queue[i : i + size])
                queue = []
            except BrokenProcessPool:  # killed, out of memory, crashed: one of those that were under way
                left = [job for job in queue if not _is_done(job, started) and not _has_failed(job, started)]
                suspects += left[: self.processes]
                queue = left[self.processes :]
        for job in suspects:
            try:
                launch([job])
            except BrokenProcessPool as error:
                words = " ".join(str(error).split())
                write_atomically(job.folder / ERROR, f"The process of this job died: {words}\n".encode())

    def _gpus_of_a_job(self) -> int:
        """As the part of the command says that all jobs share."""
        assert self.config is not None
        with suppress(ValueError):  # each job says what is wrong with it
            return device_count(self.config.trainer) if self.config.trainer.strategy == "ddp" else 1
        return 1


def _usable(folder: Path) -> None:
    """Make the folder. Raises OSError."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    folder.mkdir(parents=True, exist_ok=True)


def _is_done(job: Job, started: float) -> bool:
    """Whether the job is settled; one that was to be repeated must have a result from after `started`."""
    run = job.run()
    if run.status not in SETTLED:
        return False
    return not job.force or run.status != COMPLETE or (job.folder / "result.json").stat().st_mtime >= started - 1


def _has_failed(job: Job, started: float) -> bool:
    """Whether the job has failed since `started`."""
    return (
        job.run().status == FAILED
        and (job.folder / ERROR).exists()
        and ((job.folder / ERROR).stat().st_mtime >= started - 1)
    )


def _processes(config: DictConfig) -> int:
    wanted = config.hydra.launcher.get("n_jobs")
    if wanted is None:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(wanted) if wanted > 0 else max(1, cores + 1 + int(wanted))
