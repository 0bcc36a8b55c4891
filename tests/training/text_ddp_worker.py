"""One of two ranks that train on a text, as ddp_worker.py: ``python text_ddp_worker.py RANK PORT FOLDER``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from lightning_fabric.plugins.environments import LightningEnvironment

from nas_lightning.processes.strategy import SharedWeightsStrategy
from nas_lightning.training.module import SuperNetModule
from tests.helpers.small_plans import SaveAt, quiet_trainer
from tests.helpers.small_texts import DROPPING, data_at, module_at, write

WORLD, STOP = 2, 13


def fit(text: Path, callbacks=(), ckpt_path=None, **trainer) -> SuperNetModule:
    """Train two epochs in 64 bits, from a checkpoint where one is given."""
    module = module_at(text, DROPPING)
    lightning = quiet_trainer(*callbacks, max_epochs=DROPPING.protocol.epochs, precision="64-true", **trainer)
    lightning.fit(module, datamodule=data_at(text), ckpt_path=ckpt_path, weights_only=True)
    return module


def main(rank: int, port: int, folder: Path) -> None:
    os.environ |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    write(folder / f"text {rank}.txt")

    def trained(name: str, **how) -> None:
        strategy = SharedWeightsStrategy(cluster_environment=LightningEnvironment())
        module = fit(folder / f"text {rank}.txt", strategy=strategy, devices=WORLD, **how)
        torch.save(module.network.state_dict(), folder / f"{name} {rank}.pt")

    trained("whole")
    trained("saved", callbacks=[SaveAt(STOP, folder / "at.ckpt")])
    trained("resumed", ckpt_path=folder / "at.ckpt")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
