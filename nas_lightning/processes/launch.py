"""Who starts the processes of a run, and which of them this one is, read off settings and environment."""

from __future__ import annotations

import json
import os
import sys
from typing import Literal, Protocol

from nas_lightning.errors import UserError

PARENT = "NAS_LIGHTNING_PARENT"
"""Variable that tells a rank started by rank 0 which process that is."""


LAUNCH_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", PARENT)
"""What a launch puts into the environment; the next job of a sweep must not take it for its own."""


class TrainerSettings(Protocol):
    """What decides which processes there are: the ``trainer`` section of either configuration."""

    accelerator: str
    devices: str
    strategy: str
    num_nodes: int
    threads: int | None


class RankFailedError(RuntimeError):
    """Another rank of this run has died."""


class RankSilentError(RankFailedError):
    """Another rank of this run does not answer: it is stopped, it hangs, or its machine is gone. Nothing is wrong with
    the run, and the same command goes on."""

    exit_code = 75
    """EX_TEMPFAIL: not done, try again."""


def device_count(trainer: TrainerSettings) -> int:
    """Processes per node that ``trainer.devices`` asks for: ``4``, or a list of GPUs such as ``[0,2]``.

    Raises ValueError for anything else.
    """
    text = str(trainer.devices)
    try:
        devices = json.loads(text)
    except ValueError:
        devices = None
    if type(devices) is int and devices > 0:
        return devices
    if isinstance(devices, list) and devices and all(type(d) is int and d >= 0 for d in devices):
        distinct = len(set(devices))
        if distinct == len(devices):
            return distinct
    raise UserError(f"trainer.devices={text} is neither a number of processes nor a list of GPUs; say 2, or '[0,1]'")


def world_size(trainer: TrainerSettings) -> int:
    """Number of ranks. Raises ValueError for contradictions within the settings, or with who started this process."""
    size = int(trainer.num_nodes) * device_count(trainer)
    strategy = trainer.strategy
    if strategy not in ("single", "ddp"):
        raise UserError(f"trainer.strategy={strategy} is unknown; choose single or ddp")
    if trainer.num_nodes < 1:
        raise UserError(f"trainer.num_nodes={trainer.num_nodes} is no number of machines; it is 1 or larger")
    if strategy == "single" and size > 1:
        raise UserError(
            f"trainer.devices={trainer.devices} and trainer.num_nodes={trainer.num_nodes} ask for {size} "
            "processes, and trainer.strategy=single is one; say trainer=ddp"
        )
    if str(trainer.devices).startswith("[") and trainer.accelerator == "cpu":
        raise UserError(f"trainer.devices={trainer.devices} lists GPUs, but trainer.accelerator=cpu; give a number")
    if size > 1:
        check_port(os.environ.get("MASTER_PORT"))
    started = started_outside(strategy)
    if started is not None and started != size:
        who = "SLURM" if launcher(strategy) == "slurm" else "torchrun"
        wanted = "trainer=ddp and " if strategy == "single" else ""
        raise UserError(
            f"{who} has started {started} processes but the settings ask for {size}; say {wanted}trainer.devices and "
            "trainer.num_nodes whose product is the number of processes"
        )
    return size


def check_port(text: str | None) -> None:
    """Refuse a MASTER_PORT that is none.

    Args:
        text: what the environment says; None where it says nothing, and a free port is taken.

    Raises:
        UserError: in one sentence.
    """
    if text is not None and not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise UserError(f"MASTER_PORT={text[:40]} is no port; set a number from 1 to 65535, or unset it")


def launcher(strategy: str = "ddp") -> Literal["torchrun", "slurm", "lightning"]:
    """Who starts the ranks. A single process may well run inside a SLURM job of several tasks."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return "torchrun"
    interactive = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    if strategy == "ddp" and int(os.environ.get("SLURM_NTASKS", "1")) > 1 and not interactive:
        return "slurm"
    return "lightning"


def started_outside(strategy: str) -> int | None:
    """Number of processes that torchrun or SLURM has started; None where this run starts its own."""
    name = {"torchrun": "WORLD_SIZE", "slurm": "SLURM_NTASKS"}.get(launcher(strategy))
    return None if name is None else int(os.environ[name])


def rank_of(trainer: TrainerSettings) -> int:
    """The global rank of this process."""
    if trainer.strategy != "ddp":
        return 0
    name = {"torchrun": "RANK", "slurm": "SLURM_PROCID"}.get(launcher())
    if name is not None:
        return int(os.environ[name])
    return int(os.environ.get("NODE_RANK", "0")) * device_count(trainer) + int(os.environ.get("LOCAL_RANK", "0"))


def is_started_by_rank_0() -> bool:
    """Whether this process is one of the others of a run that has started them itself."""
    return PARENT in os.environ


def is_other_rank(strategy: str = "ddp") -> bool:
    """Whether somebody has started this process to be another rank than the first."""
    name = {"torchrun": "RANK", "slurm": "SLURM_PROCID"}.get(launcher(strategy))
    return is_started_by_rank_0() or (name is not None and int(os.environ[name]) != 0)


def silence_other_ranks() -> None:
    """Drop the standard output of every rank but the first; errors still go to the standard error."""
    if is_other_rank():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  stays open as long as the process
