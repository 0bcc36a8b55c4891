"""What the processes of one machine that run a sweep's jobs side by side have in common: its GPUs, and their end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from nas_lightning.processes.signals import Stopped, handled_by, raise_stopped
from nas_lightning.runs.lock import is_locked, locked

GRACE_S = {signal.SIGTERM: 60.0, signal.SIGINT: 10.0}
"""Seconds for the jobs under way to save and end. A terminal sends Ctrl-C to all; else they do not hear it."""

AT_WORK, ENDING = "at work", "ending"


class Share:
    """GPUs for each of the processes that run jobs side by side: the first takes the first ones, and so on around.

    folder: holds one lock file for each process; a process that ends, however it ends, makes its place free. each: GPUs
    that one job needs.
    """

    _claimed: int | None = None  # descriptor of this process's lock, kept open until the process ends

    def __init__(self, folder: Path, processes: int, gpus: list[str], each: int = 1) -> None:
        self.folder, self.processes, self.gpus, self.each = folder, processes, gpus, each

    def claim(self) -> None:
        """Show this process its GPUs alone; later jobs of the same process keep them. Must come before CUDA starts."""
        if not self.gpus or Share._claimed is not None:
            return
        for place in range(self.processes):
            descriptor = os.open(self.folder / str(place), os.O_RDWR | os.O_CREAT, 0o600)
            if not locked(descriptor):
                os.close(descriptor)
                continue
            Share._claimed = descriptor
            first = place * self.each
            mine = [self.gpus[i % len(self.gpus)] for i in range(first, first + self.each)]
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(dict.fromkeys(mine))
            return

    @contextmanager
    def at_work(self, job: int) -> Iterator[None]:
        """This process's time with a job. Raises Stopped where the sweep is ending."""
        if (self.folder / ENDING).exists():
            raise Stopped(int((self.folder / ENDING).read_text()))
        self.claim()
        with (self.folder / f"{AT_WORK} {os.getpid()} {job}").open("w") as mark:
            locked(mark.fileno(), wait=True)
            yield

    def end(self, signum: int, frame: FrameType | None = None) -> None:
        """Signal handler of the process that waits: the jobs under way may save and end first; raises Stopped.

        joblib would kill their processes at once. A second signal does not wait.
        """
        with handled_by(raise_stopped), suppress(FileNotFoundError):
            (self.folder / ENDING).write_text(str(int(signum)))
            marks = [mark for mark in self.folder.glob(f"{AT_WORK} *") if is_locked(mark)]
            for mark in marks:
                if signum == signal.SIGTERM:
                    with suppress(ProcessLookupError):
                        os.kill(int(mark.name.split()[2]), signum)
            deadline = time.monotonic() + GRACE_S[signal.Signals(signum)]
            while any(map(is_locked, marks)) and time.monotonic() < deadline:
                time.sleep(0.05)
        raise Stopped(signum)


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
