"""The command line that starts another rank of a job: the script, Hydra's flags, and this job alone.

A job of a sweep may run in a process of joblib or submitit, whose own command line says nothing about it; the sweep
then hands over what the user has typed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from nas_lightning.errors import UserError

_script: tuple[str, ...] = ()


def script_and_flags() -> tuple[str, ...]:
    """The script that this process was started with, and what it was told about configuration files; () for none."""
    if _script:
        return _script
    script = Path(sys.argv[0])
    if not script.is_file():
        return ()
    typed = vars(get_args_parser().parse_known_args(sys.argv[1:])[0])
    flags = [(f"--{name.replace('_', '-')}", typed[name]) for name in ("config_path", "config_name", "config_dir")]
    return (str(script.resolve()), *(word for flag, value in flags if value for word in (flag, value)))


@contextmanager
def started_by(script: Sequence[str]) -> Iterator[None]:
    """While the block runs, this process takes the place of one that was started with these words."""
    global _script
    before, _script = _script, tuple(script)
    try:
        yield
    finally:
        _script = before


def command_of_this_job() -> list[str]:
    """What runs the job that is under way, and no other of its sweep, in a new process.

    Raises ValueError where there is no command line to repeat.
    """
    script = script_and_flags()
    if not HydraConfig.initialized() or not script:
        raise UserError(
            "trainer=ddp starts its ranks by repeating the command line, and this job was not started by one "
            "(python train.py …) but by another program; start the ranks by torchrun or SLURM"
        )
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        return [sys.executable, script[0], *sys.argv[1:]]
    return [sys.executable, *script, *HydraConfig.get().overrides.task, "hydra.mode=RUN"]
