"""Lightning's Trainer as this project uses it: determinism, and silence where its hints say nothing."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

from nas_lightning.errors import UserError
from nas_lightning.training.checkpoints import AtomicCheckpointIO


def new_trainer(
    *,
    epochs: int,
    accelerator: str,
    devices: int | list[int] | str = 1,
    precision: Any = "32-true",
    deterministic: bool = False,
    callbacks: Sequence[pl.Callback] = (),
    folder: Path | None = None,
    logger: Any = False,
    strategy: Any = "auto",
    num_nodes: int = 1,
    progress_bar: bool = False,
    writes_checkpoints: bool = True,
) -> pl.Trainer:
    """The one place where Lightning's Trainer is built.

    Args:
        epochs: passes over the training images.
        accelerator: cpu, gpu or auto.
        devices: processes per machine, or the indices of GPUs.
        precision: Lightning's name of the arithmetic.
        deterministic: deterministic algorithms on a GPU.
        callbacks: in the order in which they are called.
        folder: the run folder.
        logger: a Lightning logger, or False for none.
        strategy: how several processes train together.
        num_nodes: machines.
        progress_bar: whether `callbacks` holds a bar of its own.
        writes_checkpoints: whether checkpoints go through `AtomicCheckpointIO`.
    """
    return pl.Trainer(
        accelerator=accelerator,
        devices=devices,
        strategy=strategy,
        num_nodes=num_nodes,
        precision=precision,
        deterministic=deterministic,
        max_epochs=epochs,
        logger=logger,
        callbacks=list(callbacks),
        plugins=[AtomicCheckpointIO()] if writes_checkpoints else None,
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
        enable_model_summary=False,
        enable_progress_bar=progress_bar,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        inference_mode=False,
    )


def refuse_absent_gpu(accelerator: str, precision: str) -> None:
    """Refuse to train on a GPU that is not there.

    Args:
        accelerator: of ``trainer.accelerator``.
        precision: Lightning's name; ``16-mixed`` needs a GPU.

    Raises:
        UserError: one sentence in place of Lightning's traceback.
    """
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        return
    if accelerator in ("gpu", "cuda", "mps"):
        raise UserError(f"trainer.accelerator={accelerator} finds no GPU that PyTorch can use here; say trainer=cpu")
    if precision == "16-mixed":
        raise UserError("trainer.precision=16-mixed needs a GPU; on a CPU choose bf16-mixed or 32-true")


def ask_for_determinism(deterministic: bool, accelerator: str) -> None:
    """Switch PyTorch's deterministic algorithms on or off, in every mode; on a GPU, say what they cost."""
    torch.use_deterministic_algorithms(deterministic)
    if not deterministic:
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if accelerator != "cpu" and torch.cuda.is_available():
        print(
            "trainer.deterministic=true: two runs end with the same bits; it costs speed (cuDNN may not choose its "
            "fastest kernels) and a workspace of some MB per stream, and an operation without a deterministic kernel "
            "is an error"
        )


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence hints that do not concern a run whose batches are tensors in memory."""
    with warnings.catch_warnings():
        for message in (
            ".*does not have many workers.*",
            ".*Checkpoint directory.*",
            ".*LeafSpec.*",
            ".*smaller than the logging interval.*",
            ".*GPU available but not used.*",
            ".*is deprecated.*",
            ".*sync_dist=True.*",  # what is not averaged over the ranks is the same on all of them
        ):
            warnings.filterwarnings("ignore", message)
        yield
