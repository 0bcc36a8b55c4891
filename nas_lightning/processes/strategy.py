"""Lightning's DDP without its wrapper: a step trains some paths, so that most parameters have no gradient at all.

DistributedDataParallel expects a gradient for every parameter; told that some are unused, it fills zeros in, which
momentum and weight decay then turn into moves of paths that were not sampled. Here the LightningModule averages the
gradients of the step's paths itself (`NetworkModule.average_gradients`), and the strategy only starts the processes,
connects them and gives them the same weights.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import get_original_cwd
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from nas_lightning.errors import UserError
from nas_lightning.processes import ranks
from nas_lightning.processes.command import command_of_this_job
from nas_lightning.processes.exchange import broadcast
from nas_lightning.processes.launch import TrainerSettings
from nas_lightning.processes.rendezvous import cluster_environment, meet


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
    """Starts this job again, once for each other rank of this machine, and lets our `Ranks` watch them."""

    def launch(self, function: Callable[..., Any], *args: Any, trainer: pl.Trainer | None = None, **kwargs: Any) -> Any:
        """Start the other ranks, unless they are there, and call the function.

        Raises ValueError where nobody would start those of the other machines.
        """
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            if self.num_nodes > 1 and "MASTER_ADDR" not in os.environ:
                raise UserError(
                    f"trainer.num_nodes={self.num_nodes} needs somebody who starts the processes on the others; "
                    "start them by torchrun or by SLURM's srun"
                )
            self._call_children_scripts()
            ranks.current().watch(self.procs)
        return function(*args, **kwargs)

    def _call_children_scripts(self) -> None:
        """Not Lightning's: it repeats the command line of this process, which may be a sweep's, or joblib's."""
        command, environment = command_of_this_job(), self.cluster_environment
        os.environ |= {
            "MASTER_ADDR": environment.main_address,
            "MASTER_PORT": str(environment.main_port),
            "NODE_RANK": str(environment.node_rank()),
            "LOCAL_RANK": str(environment.local_rank()),
            "WORLD_SIZE": str(self.num_processes * self.num_nodes),
        }
        for rank in range(1, self.num_processes):
            variables = {**os.environ, "LOCAL_RANK": str(rank), ranks.PARENT: str(os.getpid())}
            self.procs.append(subprocess.Popen(command, env=variables, cwd=get_original_cwd()))


def strategy_of(trainer: TrainerSettings) -> str | DDPStrategy:
    """What Lightning's Trainer is to take as its strategy."""
    if trainer.strategy == "single":
        return "auto"
    return SharedWeightsStrategy(cluster_environment=cluster_environment())


def connect(trainer: pl.Trainer, decision: Any) -> Any:
    """Start and connect the ranks; returns rank 0's decision on all of them. A single process returns its own."""
    strategy = trainer.strategy
    if not isinstance(strategy, SharedWeightsStrategy):
        return decision

    def exchange() -> Any:
        here = ranks.current()
        if here.outside:
            assert strategy.accelerator is not None
            strategy.accelerator.setup_device(strategy.root_device)
            device = strategy.root_device if strategy.root_device.type != "cpu" else None
            meet(here.place, here.rank, here.size, strategy._get_process_group_backend(), device_id=device)
            here.is_connected = True
        strategy.setup_environment()  # finds itself connected, or connects
        ranks.current().is_connected = True
        return strategy.broadcast(decision)

    assert isinstance(strategy.launcher, RanksLauncher)
    try:
        return strategy.launcher.launch(exchange, trainer=trainer)
    except RuntimeError as error:
        if "EADDRINUSE" not in str(error) and "in use" not in str(error):
            raise
        raise UserError(
            f"MASTER_PORT={os.environ.get('MASTER_PORT', '?')} is taken by another process; set another or none"
        ) from None
