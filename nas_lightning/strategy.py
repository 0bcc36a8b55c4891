"""Lightning's DDP without its wrapper: a step trains some paths, so that most parameters have no gradient at all.

DistributedDataParallel expects a gradient for every parameter; told that some are unused, it fills zeros in, which
momentum and weight decay then turn into moves of paths that were not sampled. Here the LightningModule averages the
gradients of the step's paths itself (`NetworkModule.average_gradients`), and the strategy only starts the processes,
connects them and gives them the same weights.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from nas_lightning import ranks
from nas_lightning.collectives import broadcast


class SharedWeightsStrategy(DDPStrategy):
    """DDP for networks of which a step trains a part."""

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = RanksLauncher(self.cluster_environment, self.num_processes, self.num_nodes)

    def configure_ddp(self) -> None:
        """No wrapper; the ranks start from rank 0's weights."""
        assert self.model is not None
        with torch.no_grad():
            broadcast([*self.model.parameters(), *self.model.buffers()])


class RanksLauncher(_SubprocessScriptLauncher):
    """Lightning's launcher of ``python train.py …`` again, once for each rank, watched by our `Ranks`."""

    def launch(self, function: Callable[..., Any], *args: Any, trainer: pl.Trainer | None = None, **kwargs: Any) -> Any:
        """Start the other ranks, unless they are there, and call the function.

        Raises ValueError where nobody would start those of the other machines.
        """
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            if self.num_nodes > 1 and "MASTER_ADDR" not in os.environ:
                raise ValueError(
                    f"trainer.num_nodes={self.num_nodes} needs somebody who starts the processes on the others; "
                    "start them by torchrun or by SLURM's srun"
                )
            with one_job_on_the_command_line():
                self._call_children_scripts()
            ranks.current().watch(self.procs)
        return function(*args, **kwargs)


@contextmanager
def one_job_on_the_command_line() -> Iterator[None]:
    """While other ranks are started: the command line that Lightning repeats is this job alone, not its whole sweep.

    Raises ValueError where there is no command line to repeat.
    """
    script = Path(sys.argv[0])
    if not HydraConfig.initialized() or not script.is_file():
        raise ValueError(
            "trainer=ddp starts its ranks by repeating the command line, and this job was not started by one "
            "(python train.py …) but by another program; start the ranks by torchrun or SLURM"
        )
    before = sys.argv
    os.environ[ranks.PARENT] = str(os.getpid())
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        arguments = get_args_parser().parse_args(sys.argv[1:])
        flags = [
            word
            for flag in ("config_path", "config_name", "config_dir")
            if getattr(arguments, flag)
            for word in (f"--{flag.replace('_', '-')}", getattr(arguments, flag))
        ]
        sys.argv = [sys.argv[0], *flags, *HydraConfig.get().overrides.task, "hydra.mode=RUN"]
    try:
        yield
    finally:
        sys.argv = before
        os.environ.pop(ranks.PARENT)


def strategy_of(trainer: ranks.Trainer) -> str | DDPStrategy:
    """What Lightning's Trainer is to take as its strategy."""
    if trainer["strategy"] == "single":
        return "auto"
    environments: dict[str, Callable[[], Any]] = {
        "torchrun": TorchElasticEnvironment,
        "slurm": lambda: SLURMEnvironment(auto_requeue=False),  # the run handles signals itself
        "lightning": LightningEnvironment,
    }
    return SharedWeightsStrategy(cluster_environment=environments[ranks.launcher()]())


def connect(trainer: pl.Trainer, decision: Any) -> Any:
    """Start and connect the ranks; returns rank 0's decision on all of them. A single process returns its own."""
    strategy = trainer.strategy
    if not isinstance(strategy, SharedWeightsStrategy):
        return decision

    def exchange() -> Any:
        strategy.setup_environment()
        ranks.current().is_connected = True
        return strategy.broadcast(decision)

    assert isinstance(strategy.launcher, RanksLauncher)
    return strategy.launcher.launch(exchange, trainer=trainer)
