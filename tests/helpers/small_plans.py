"""Tiny plans on digits for the tests of the heuristics, and how a setting's YAML becomes a callback without Hydra."""

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml

from nas_lightning.data.module import ImageClassification
from nas_lightning.heuristic import Heuristic
from nas_lightning.plan import Plan
from nas_lightning.training.module import SuperNetModule
from tests.helpers.commands import CONF

SETTINGS = sorted(p for p in (CONF / "heuristics").glob("*/*.yaml") if p.stem != "default")
INAPPLICABLE = {
    ("dynamic_channel", "nasbench201"),
    ("dynamic_channel", "darts_nds"),
    ("wsbn", "nasbench201"),
    ("wsbn", "darts_nds"),
    ("op_placement", "nasbench101"),
    *((factor, "nasbench_macro") for factor in ("dynamic_channel", "wsbn", "ofa_kernel", "op_placement", "layers")),
}

SHARED = {
    "protocol.epochs": 4,
    "protocol.batch_size": 32,
    "protocol.train_portion": 0.3,
    "protocol.learning_rate": 0.05,
}
SMALL = {
    "nasbench101": {"mapping.channels": 10, "mapping.layers": 1, "mapping.op_placement": "node"},
    "nasbench201": {"mapping.channels": 4, "mapping.layers": 1},
    "nasbench_macro": {"mapping.channels": 2, "mapping.layers": 8},
    "darts_nds": {"mapping.channels": 4, "mapping.layers": 3},
}


def small_plan(space: str, **edits: object) -> Plan:
    """The small starting point of `space`; edits by field name, ``protocol__batch_size=50``."""
    named = {name.replace("__", "."): value for name, value in edits.items()}
    return Plan().edited({**SHARED, **SMALL[space], **named})


def build(path: Path) -> Heuristic:
    """The callback of one file of conf/heuristics; the file must name every parameter of its class and no other."""
    entry = yaml.safe_load(path.read_text())
    module, name = entry.pop("_target_").rsplit(".", 1)
    kind = getattr(importlib.import_module(module), name)
    assert set(entry) == set(inspect.signature(kind).parameters), "a setting file names every parameter"
    return kind(**entry)


def data_for(plan: Plan, seed: int = 0) -> ImageClassification:
    """Digits with the plan's batch size and split."""
    data = ImageClassification("digits", "data", plan.protocol.batch_size, plan.protocol.train_portion, seed)
    data.setup()
    return data


class SaveAt(pl.Callback):
    """Saves in mid-epoch where the run's own checkpoints are saved: at the end of a batch, after all other callbacks;
    all ranks do."""

    def __init__(self, step: int, path: Path) -> None:
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step == self.step:
            assert not trainer.is_last_batch
            trainer.save_checkpoint(self.path)


def quiet_trainer(*callbacks: pl.Callback, devices: int = 1, **options: Any) -> pl.Trainer:
    """Lightning's Trainer on a CPU that writes and prints nothing."""
    return pl.Trainer(
        accelerator="cpu",
        devices=devices,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        callbacks=list(callbacks),
        **options,
    )


def trained(
    space: str, plan: Plan, *callbacks: pl.Callback, steps: int | None = 3, seed: int = 0, **options: Any
) -> SuperNetModule:
    """A super-net after `steps` optimizer steps, or after the plan's epochs where `steps` is None."""
    module = SuperNetModule(space, plan, 10, 1, seed)
    length = {"max_epochs": plan.protocol.epochs} if steps is None else {"max_steps": steps}
    quiet_trainer(*callbacks, **length, **options).fit(module, datamodule=data_for(plan, seed))
    return module
