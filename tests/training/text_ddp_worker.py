"""One of two ranks that train on a text, as ddp_worker.py: ``python text_ddp_worker.py RANK PORT FOLDER``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import LightningEnvironment

from nas_lightning.data.text.files import TextFiles
from nas_lightning.plan import Plan
from nas_lightning.processes.strategy import SharedWeightsStrategy
from nas_lightning.training.module import SuperNetModule

WORLD, EPOCHS, STOP = 2, 2, 13
PLAN = Plan().edited(
    {
        "mapping.channels": 6,
        "mapping.layers": 1,
        "mapping.global_dropout": 0.2,
        **{f"mapping.{rate}_dropout": 0.3 for rate in ("word", "input", "cell", "hidden", "output")},
        "protocol.batch_size": 4,
        "protocol.learning_rate": 2.0,
        "protocol.learning_rate_min": 0.0,
        "protocol.schedule": "constant",
        "protocol.momentum": 0.0,
        "protocol.weight_decay": 1e-3,
        "protocol.gradient_clip": 0.1,
        "protocol.slowness": 0.5,
        "protocol.epochs": EPOCHS,
        "protocol.train_portion": 1.0,
    }
)
"""Everything that a step on a text does."""


def data_at(path: Path) -> TextFiles:
    """A text of one's own by characters, in four streams, two a rank."""
    if not path.exists():
        path.write_text("".join("abcde"[i * i % 5] for i in range(330)))
    data = TextFiles(path=str(path), unit="characters", chunk=7, short_chunks=0.2)
    data.batch_size = PLAN.protocol.batch_size
    return data


class SaveAt(pl.Callback):
    """Saves where the run's own checkpoints are saved, at the end of a batch; all ranks do."""

    def __init__(self, step: int, path: Path) -> None:
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


def fit(text: Path, callbacks=(), ckpt_path=None, **trainer) -> SuperNetModule:
    """Train two epochs in 64 bits, from a checkpoint where one is given."""
    data = data_at(text)
    module = SuperNetModule("rnn_ptb", PLAN, data.num_outputs, 1, 0, task=TextFiles)
    options = {
        "accelerator": "cpu", "logger": False, "max_epochs": EPOCHS, "enable_checkpointing": False,
        "enable_progress_bar": False, "enable_model_summary": False, "limit_val_batches": 0, "precision": "64-true",
    }  # fmt: skip
    lightning = pl.Trainer(**options, callbacks=list(callbacks), **trainer)
    lightning.fit(module, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
    return module


def main(rank: int, port: int, folder: Path) -> None:
    os.environ |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)

    def trained(name: str, **how) -> None:
        strategy = SharedWeightsStrategy(cluster_environment=LightningEnvironment())
        module = fit(folder / f"text {rank}.txt", strategy=strategy, devices=WORLD, **how)
        torch.save(module.network.state_dict(), folder / f"{name} {rank}.pt")

    trained("whole")
    trained("saved", callbacks=[SaveAt(STOP, folder / "at.ckpt")])
    trained("resumed", ckpt_path=folder / "at.ckpt")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
