"""One of two ranks that learn a distribution together: ``python ddp_worker.py RANK PORT FOLDER``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import LightningEnvironment

from nas_lightning.processes.strategy import SharedWeightsStrategy
from nas_lightning.training.module import SuperNetModule
from tests.helpers.learned_paths import data_of, heuristic, plan_for
from tests.training.ddp_worker import without_batch_norm

METHODS = ("darts2", "gdas", "drnas", "enas")
WORLD = 2
QUIET = {
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "limit_val_batches": 0,
}


def fit(name: str, **trainer) -> dict[str, torch.Tensor]:
    """Weights and α after two epochs in float64, batch-norm aside, whose moments are those of a rank's own part."""
    method = heuristic(name)
    plan = plan_for("nasbench201", method, protocol__label_smoothing=0.1)
    module = SuperNetModule("nasbench201", plan, 10, 1, 0)
    with without_batch_norm():
        lightning = pl.Trainer(
            accelerator="cpu", logger=False, max_epochs=2, precision="64-true", callbacks=[method], **QUIET, **trainer
        )
        lightning.fit(module, datamodule=data_of(plan))
    state = {f"network.{key}": value for key, value in module.network.state_dict().items()}
    return state | {f"alpha.{i}": alpha.detach() for i, alpha in enumerate(method.alphas)}


def main(rank: int, port: int, folder: Path) -> None:
    os.environ |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    for name in METHODS:
        strategy = SharedWeightsStrategy(cluster_environment=LightningEnvironment())
        torch.save(fit(name, strategy=strategy, devices=WORLD), folder / f"{name} {rank}.pt")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
