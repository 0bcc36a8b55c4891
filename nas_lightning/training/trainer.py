"""Lightning's Trainer as this project uses it: determinism, and silence where its hints say nothing."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch


def ask_for_determinism(trainer: Mapping[str, Any]) -> None:
    """Switch PyTorch's deterministic algorithms on or off, in every mode; on a GPU, say what they cost."""
    torch.use_deterministic_algorithms(trainer["deterministic"])
    if not trainer["deterministic"]:
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if trainer["accelerator"] != "cpu" and torch.cuda.is_available():
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
