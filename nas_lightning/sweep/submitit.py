"""Jobs of submitit whose process dies: killed, out of memory, out of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nas_lightning.runs.files import write_atomically
from nas_lightning.sweep.jobs import Job
from nas_lightning.sweep.task import ERROR


@contextmanager
def deaths_kept(launcher: Any, batch: Sequence[Job]) -> Iterator[None]:
    """While submitit's launcher runs `batch`: a job whose process leaves no result keeps that as its error.

    The launcher asks for the results in the order of the batch, and would end the sweep, and its table, with the first
    one that is missing. Other launchers are left alone.
    """
    if not type(launcher).__module__.startswith("hydra_plugins.hydra_submitit_launcher"):
        yield
        return
    import submitit

    kind: Any = submitit.Job
    plain, order = kind.results, iter(batch)

    def results(asked: Any) -> list[Any]:
        job = next(order)
        try:
            return list(plain(asked))
        except (submitit.core.utils.UncompletedJobError, submitit.core.utils.FailedJobError):
            words = f"The process of this job died ({asked.state}); what it said is in {asked.paths.stderr}"
            write_atomically(job.folder / ERROR, f"{words}\n".encode())
            return [None]

    kind.results = results
    try:
        yield
    finally:
        kind.results = plain
