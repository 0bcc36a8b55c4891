"""What a learned distribution leaves: the architecture it stands for after every epoch, and what that one is worth."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning import LightningModule, Trainer

from nas_lightning.benchmarks import Benchmark
from nas_lightning.distributions.base import Distribution
from nas_lightning.runs.files import write_atomically
from nas_lightning.spaces import Space

FILE, PARAMETERS, ARCHITECTURE = "derived.csv", "distribution.csv", "derived.txt"


class DerivedCallback(pl.Callback):
    """Writes the derived architecture and the weights of the operations after every epoch, and logs numbers of them.

    Fires: end of a training epoch, after the distribution has derived, before metrics.csv is written. ``derived.csv``
    has a row an epoch (architecture, stand-alone accuracy, rank, skip connections, entropy), ``distribution.csv`` a row
    per epoch, edge and operation, ``derived.txt`` the last architecture, in the form that evaluation.architectures
    reads. The rows travel in the checkpoint.
    """

    def __init__(self, distribution: Distribution, space: Space[Any], table: Benchmark | None, folder: Path) -> None:
        super().__init__()
        self.distribution, self.space, self.table, self.folder = distribution, space, table, folder
        self.rows: list[dict[str, Any]] = []
        self.weights: list[list[list[list[float]]]] = []
        """Per epoch and kind of cell the weights [edges, operations]."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        arch = self.distribution.choice
        row = {"epoch": trainer.current_epoch + 1, "architecture": str(arch), **self.worth(arch)}
        row |= {"skips": self.skips(arch), "entropy": self.distribution.entropy()}
        self.rows.append(row)
        self.weights.append([kind.tolist() for kind in self.distribution.weights()])
        for name, value in row.items():
            if isinstance(value, int | float) and name != "epoch":
                pl_module.log(f"derived/{name}", torch.tensor(value, dtype=torch.float64), rank_zero_only=True)
        if trainer.is_global_zero:
            self.write()

    def worth(self, arch: Any) -> dict[str, float | int | None]:
        """Stand-alone accuracy and rank (1 is the table's best) of `arch`; None where the table lacks it."""
        if self.table is None or not self.table.has(arch):
            return {"accuracy": None, "rank": None}
        accuracy = float(self.table.accuracies([arch])[0])
        return {"accuracy": accuracy, "rank": None if np.isnan(accuracy) else self.table.rank_of(arch)}

    def skips(self, arch: Any) -> int | None:
        """Skip connections of all its cells; None in a space without such an operation."""
        identity = self.space.identity_operation
        if identity is None:
            return None
        counts = self.space.operation_counts(arch).reshape(-1, len(self.space.operations))
        return int(counts[:, self.space.operations.index(identity)].sum())

    def result(self) -> dict[str, Any] | None:
        """What result.json says; None before the first epoch's end."""
        if not self.rows:
            return None
        best = None if self.table is None else self.table.best().accuracy
        last = {name: value for name, value in self.rows[-1].items() if name != "epoch"}
        regret = None if best is None or last["accuracy"] is None else best - last["accuracy"]
        return {
            "distribution": self.distribution.name,
            **last,
            "best": best,
            "regret": regret,
            "table_size": None if self.table is None else len(self.table),
            "epochs": [dict(row) for row in self.rows],
        }

    def write(self) -> None:
        """The three files, rewritten atomically, so that a resumed run continues them exactly."""
        write_atomically(self.folder / FILE, _csv(list(self.rows[0]), [list(row.values()) for row in self.rows]))
        relaxation = self.distribution.relaxation
        lines = [
            [row["epoch"], kind, source, target, operation, weight]
            for row, kinds in zip(self.rows, self.weights, strict=True)
            for kind, edges, weights in zip(relaxation.kinds, relaxation.edges, kinds, strict=True)
            for (source, target), values in zip(edges, weights, strict=True)
            for operation, weight in zip(relaxation.operations, values, strict=True)
        ]
        names = ["epoch", "cell", "source", "target", "operation", "weight"]
        write_atomically(self.folder / PARAMETERS, _csv(names, lines))
        write_atomically(self.folder / ARCHITECTURE, f"{self.rows[-1]['architecture']}\n".encode())

    def state_dict(self) -> dict[str, Any]:
        return {"rows": [dict(row) for row in self.rows], "weights": list(self.weights)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self.weights = [dict(row) for row in state_dict["rows"]], list(state_dict["weights"])


def _csv(names: list[str], rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    return text.getvalue().encode()
