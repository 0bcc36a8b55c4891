"""What every job of a sweep is wrapped in: its share of the machine, and an error that harms no other job."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from nas_lightning.runs import write_atomically

ERROR = "error.txt"


class JobFailedError(Exception):
    """A job of a sweep failed; plain enough to travel between processes, whatever the job itself raised."""


class SweepTask:
    """The function that Hydra's launchers call for each job, in this process or in another one.

    jobs: run folder and title of each job, by its number; an error's traceback goes there if the job did not keep it.
    total: number of the last job, counted from 1.
    share: the GPUs of this machine that its processes divide between them, if they do.
    """

    def __init__(
        self, task: Callable[[DictConfig], Any], jobs: Mapping[int, tuple[Path, str]], total: int, share: Share | None
    ) -> None:
        self.task, self.jobs, self.total, self.share = task, dict(jobs), total, share

    def __call__(self, cfg: DictConfig) -> Any:
        number = int(HydraConfig.get().job.num)
        folder, title = self.jobs[number]
        print(f"Job {number + 1} of {self.total}: {title}", flush=True)
        if self.share is not None:
            self.share.claim()
        kept = folder / ERROR
        kept.unlink(missing_ok=True)
        try:
            return self.task(cfg)
        except Exception as error:
            text = traceback.format_exc()
            if not kept.exists():
                try:
                    write_atomically(kept, text.encode())
                except OSError as refusal:
                    print(f"{kept} could not be written: {refusal}", file=sys.stderr)
            if not isinstance(error, ValueError):  # a bug or a crash: the next one would like to see it
                print(text, file=sys.stderr, flush=True)
            elif not getattr(error, "was_printed", False):
                print(f"error: {error}", file=sys.stderr, flush=True)
            raise JobFailedError(f"{type(error).__name__}: {error}") from None


class Share:
    """A GPU for each of the processes that run jobs side by side: the first takes the first GPU, and so on around.

    folder: holds one lock file for each process; a process that ends, however it ends, makes its place free.
    """

    _claimed: int | None = None  # descriptor of this process's lock, kept open until the process ends

    def __init__(self, folder: Path, processes: int, gpus: list[str]) -> None:
        self.folder, self.processes, self.gpus = folder, processes, gpus

    def claim(self) -> None:
        """Show this process its GPU alone; later jobs of the same process keep it. Must come before CUDA starts."""
        if not self.gpus or Share._claimed is not None:
            return
        for place in range(self.processes):
            descriptor = os.open(self.folder / str(place), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            Share._claimed = descriptor
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpus[place % len(self.gpus)]
            return


def visible_gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; without loading PyTorch or CUDA."""
    named = environment.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1", "NoDevFiles")]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [str(i) for i in range(sum(line.startswith("GPU ") for line in listed.stdout.splitlines()))]
