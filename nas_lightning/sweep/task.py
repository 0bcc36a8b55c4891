"""What every job of a sweep is wrapped in: an error that harms no other job, and its share of the machine."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from nas_lightning.errors import UserError
from nas_lightning.processes.command import script_and_flags, started_by
from nas_lightning.processes.launch import is_other_rank
from nas_lightning.processes.output import forgiving_output
from nas_lightning.processes.ranks import is_left_connected
from nas_lightning.processes.signals import Stopped
from nas_lightning.runs.files import HeldError, write_atomically
from nas_lightning.runs.folder import is_held
from nas_lightning.sweep.gpus import Share
from nas_lightning.sweep.summary import headline, heads_in_words, quality_in

ERROR = "error.txt"
OUT_OF_STEP = 1
"""Exit code of a rank whose job has failed in an exchange that cannot be given up: who has started it ends all."""


class JobFailedError(Exception):
    """A job of a sweep failed; plain enough to travel between processes, whatever the job itself raised."""


def in_a_line(result: Any, folder: Path) -> str:
    """What a job has found and where it lies; Hydra's other tasks return whatever they like."""
    if not isinstance(result, Mapping):
        return f"done, {folder}"
    if result.get("status") == "not_applicable":
        return f"not applicable: {result['reason']}"
    found = headline(result)
    return f"{heads_in_words([found], quality_in(result)) if found else 'done'}, {folder}"


class SweepTask:
    """The function that Hydra's launchers call for each job, in this process or in another one.

    jobs: run folder and title of each job, by its number; an error's traceback goes there if the job did not keep it.
    total: number of the last job, counted from 1.
    share: what the processes of this machine that run jobs side by side have in common, if there are several.
    """

    def __init__(
        self, task: Callable[[DictConfig], Any], jobs: Mapping[int, tuple[Path, str]], total: int, share: Share | None
    ) -> None:
        self.task, self.jobs, self.total, self.share = task, dict(jobs), total, share
        self.script = script_and_flags()
        """What started the sweep: a job may start further ranks, from whatever process it runs in."""

    def __call__(self, cfg: DictConfig) -> Any:
        number = int(HydraConfig.get().job.num)
        folder, title = self.jobs[number]
        with self.share.at_work(number) if self.share is not None else nullcontext():
            name, kept = f"Job {number + 1} of {self.total}: {title}", folder / ERROR
            forgiving_output()
            if not is_other_rank(cfg.trainer.strategy) and not is_held(folder):
                kept.unlink(missing_ok=True)
            try:
                with started_by(self.script):
                    result = self.task(cfg)
                if not is_other_rank(cfg.trainer.strategy):
                    print(f"{name}: {in_a_line(result, folder)}", flush=True)
                return result
            except Stopped as stop:
                if "SUBMITIT_EXECUTOR" not in os.environ:
                    raise
                raise JobFailedError(str(stop)) from None  # submitit would take any other end for a crash
            except HeldError as error:  # the other process writes there, and goes on
                print(f"{name}: skipped, {error}", flush=True)
                raise JobFailedError(str(error)) from None
            except Exception as error:
                text = traceback.format_exc()
                if not kept.exists():
                    try:
                        write_atomically(kept, text.encode())
                    except OSError as refusal:
                        print(f"{kept} could not be written: {refusal}", file=sys.stderr)
                if not isinstance(error, UserError):  # a bug or a crash: the next one would like to see it
                    print(text, file=sys.stderr, flush=True)
                elif not getattr(error, "was_printed", False):
                    print(f"error: {error}", file=sys.stderr, flush=True)
                if is_left_connected():
                    sys.exit(OUT_OF_STEP)
                print(f"{name}: failed", flush=True)
                named = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
                raise JobFailedError(f"{named}{error}") from None
