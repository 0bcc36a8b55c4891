"""What a job would refuse before its first step, found without one: dry runs and sweeps ask before anything starts."""

from __future__ import annotations

import json
from dataclasses import asdict

from nas_lightning.data.task import Task
from nas_lightning.errors import UserError
from nas_lightning.modes import standalone, supernet, table
from nas_lightning.modes.common import check_logger, data_module
from nas_lightning.modes.evaluate import evaluations_of
from nas_lightning.modes.job import Job

OF_ONE_JOB = ("seed", "init_seed", "ablation", "options")
"""What jobs may differ in without a difference to what is refused."""


class Rehearsal:
    """Goes through all that the modes do before they train, score or write anything.

    Jobs of a sweep that differ in seeds alone are rehearsed once, and all of them share the data they read. What hangs
    on the machine, such as a GPU, is left to the job: a sweep may be planned on another one.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._outcomes: dict[str, UserError | None] = {}

    def __call__(self, job: Job) -> None:
        """Raises the UserError that the job would end with."""
        determining = {name: value for name, value in job.determining.items() if name not in OF_ONE_JOB}
        config = job.config
        key = json.dumps([determining, config.table.out, asdict(config.logger)], sort_keys=True, default=str)
        if key not in self._outcomes:
            self._outcomes[key] = self._outcome(job)
        if (refusal := self._outcomes[key]) is not None:
            raise refusal

    def _outcome(self, job: Job) -> UserError | None:
        try:
            if job.config.mode == "evaluate":
                evaluations_of(job, supernet.open_benchmark(job))
                check_logger(job.config.logger, kind="eval", mode="evaluate")
            else:
                {"supernet": supernet, "standalone": standalone, "table": table}[job.config.mode].prepared(
                    job, self._data(job)
                )
        except UserError as refusal:
            return refusal
        return None

    def _data(self, job: Job) -> Task:
        protocol = job.plan.protocol
        shape = [protocol.batch_size, protocol.train_portion, protocol.selection_portion]
        key = json.dumps([asdict(job.config.data), shape], sort_keys=True, default=str)
        if key not in self._tasks:
            self._tasks[key] = data_module(job)
        return self._tasks[key]
