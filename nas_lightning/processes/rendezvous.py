"""How the ranks that torchrun or SLURM has started come together for one job, and for the next one of a sweep.

Every job has a process group of its own. The ranks find each other at a place that is named after the job, so that one
that has failed in the last job takes part in this one, and one that cannot come to a job can say so.
"""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from lightning_fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)

from nas_lightning.processes.launch import RankFailedError, launcher

PATIENCE_S, LIMIT_S = 20.0, 1800.0
"""Seconds: for a rank that cannot come to find the others and tell them; for a rank to wait for the others."""

_store: Any = None


def cluster_environment() -> ClusterEnvironment:
    """Lightning's view of who starts the ranks."""
    if launcher() == "torchrun":
        return TorchElasticEnvironment()
    if launcher() == "slurm":
        return SLURMEnvironment(auto_requeue=False)  # the run handles signals itself
    return LightningEnvironment()


def meet(place: str, rank: int, size: int, backend: str, **options: Any) -> None:
    """Connect all ranks. Raises RankFailedError where one of them does not come, at once where it has said so."""
    left = _left_at(place, rank, size)
    left.set(f"here {rank}", b"")
    deadline = time.monotonic() + LIMIT_S
    while not left.check([f"here {other}" for other in range(size)]):
        if left.check(["failed"]):
            raise RankFailedError("another rank has failed before all had come together; what it said is above")
        if time.monotonic() > deadline:
            raise RankFailedError(f"the other ranks have not come within {LIMIT_S:.0f} seconds; start all {size}")
        time.sleep(0.1)
    dist.init_process_group(backend, store=dist.PrefixStore("group", left), rank=rank, world_size=size, **options)


def stay_away(place: str, rank: int, size: int) -> None:
    """Tell the ranks that wait for this one that it will not come. Raises RuntimeError where nobody is found."""
    _left_at(place, rank, size, timeout=timedelta(seconds=PATIENCE_S)).set("failed", b"")


def _left_at(place: str, rank: int, size: int, **options: Any) -> Any:
    """What the ranks leave for each other, kept by torchrun, or by rank 0, for as long as their processes live."""
    global _store
    if _store is None:
        environment = cluster_environment()
        os.environ |= {"MASTER_ADDR": environment.main_address, "MASTER_PORT": str(environment.main_port)}
        _store, _, _ = next(dist.rendezvous("env://", rank, size, **options))
        _store.set_timeout(timedelta(seconds=LIMIT_S))
    return dist.PrefixStore(place, _store)
