"""What a column of a table means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas_lightning.benchmarks.errors import BenchmarkError

_NAME = re.compile(r"(?P<quantity>[A-Za-z0-9_.\-]+?)(?P<seeds>_seeds)?(?:@(?P<epochs>\d+))?(?P<curve>/curve)?")
_UNITS = (
    ("_accuracy", "fraction"),
    ("_loss", "nats"),
    ("_seconds_per_epoch", "s/epoch"),
    ("_seconds", "s"),
    ("_ms", "ms"),
    ("_mj", "mJ"),
)
_MEASURES = ("_seconds", "_seconds_per_epoch", "_ms", "_mj", "latency", "energy", "params", "macs", "flops")
KINDS = ("value", "seeds", "curve")
SEED_SUFFIX, CURVE_SUFFIX = "/seeds", "/curve"


@dataclass(frozen=True, eq=False)
class Column:
    """One measured quantity over all rows of a table.

    `values` is [n], or [n, seeds] for kind "seeds" (NaN where a seed is missing), or [n, epochs] for kind "curve".
    Accuracies are fractions in [0, 1], NaN where absent; `seeds` says how many runs a mean averages ("1", "3", "2-3").
    """

    values: Any
    quantity: str
    dataset: str | None = None
    epochs: int | None = None
    kind: str = "value"
    seeds: str | None = None
    split: str | None = None
    unit: str | None = None
    note: str | None = None

    @property
    def name(self) -> str:
        """Name in the file: ``dataset/quantity@epochs``, with ``/seeds`` or ``/curve`` behind it."""
        name = self.quantity if self.epochs is None else f"{self.quantity}@{self.epochs}"
        name = name if self.dataset is None else f"{self.dataset}/{name}"
        return name + {"value": "", "seeds": SEED_SUFFIX, "curve": CURVE_SUFFIX}[self.kind]

    def meaning(self) -> dict[str, Any]:
        """What the file's header says about the column."""
        unit = self.unit or next((unit for end, unit in _UNITS if self.quantity.endswith(end)), "count")
        split = self.split
        if split is None and self.quantity.endswith(("_accuracy", "_loss")):
            split = self.quantity.rsplit("_", 1)[0]
        facts = {
            "quantity": self.quantity,
            "dataset": self.dataset,
            "epochs": self.epochs,
            "kind": self.kind,
            "seeds": self.seeds,
            "split": split,
            "unit": unit,
            "note": self.note,
        }
        return {key: value for key, value in facts.items() if value is not None}

    def checked(self, rows: int) -> np.ndarray:
        """The values as a plain array. Raises BenchmarkError for a wrong shape, infinite numbers, accuracies that are
        no fractions, and negative times or costs."""
        values = _rectangle(self.values) if self.kind != "value" else np.asarray(self.values)
        shape = (rows,) if self.kind == "value" else (rows, values.shape[1] if values.ndim == 2 else -1)
        if values.shape != shape:
            raise BenchmarkError(
                f"column {self.name} has shape {values.shape}; a table of {rows} architectures needs "
                f"{(rows,) if self.kind == 'value' else (rows, 'k')}"
            )
        if values.dtype == object or values.dtype.kind not in "iufb":
            raise BenchmarkError(f"column {self.name} holds {values.dtype} values; numbers are expected")
        if wrong := refused(self.quantity, values):
            raise BenchmarkError(f"column {self.name} {wrong}")
        return values


def refused(quantity: str, values: np.ndarray) -> str:
    """Why numbers cannot be measurements of this quantity, in words; empty where they can. NaN is "not measured".

    >>> refused("test_accuracy", np.array([0.5, 93.1]))
    'reaches from 0.5 to 93.1; accuracies are fractions from 0 to 1, so divide percents by 100'
    """
    if values.dtype.kind not in "iuf" or not values.size:
        return ""
    low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
    if np.isinf(low) or np.isinf(high):
        return "holds an infinite number; leave a missing measurement empty (NaN)"
    if quantity.endswith("_accuracy") and (low < 0 or high > 1):
        return f"reaches from {low:g} to {high:g}; accuracies are fractions from 0 to 1, so divide percents by 100"
    if quantity.endswith(_MEASURES) and low < 0:
        return f"goes down to {low:g}; a time, a cost or a count is not negative"
    return ""


def _rectangle(values: Any) -> np.ndarray:
    """Rows of unequal length (or None) to a float64 array padded with NaN."""
    if isinstance(values, np.ndarray):
        return values
    rows = [[] if row is None else list(row) for row in values]
    out = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def column(name: str, values: Any, dataset: str | None) -> Column:
    """A column from a plain name: ``test_accuracy``, ``test_accuracy@12``, ``test_accuracy_seeds``, ``params``, …"""
    if isinstance(values, Column):
        return values
    match = _NAME.fullmatch(name)
    if not match:
        raise BenchmarkError(f"{name!r} is no column name; use quantity, quantity@epochs or quantity_seeds@epochs")
    kind = "seeds" if match["seeds"] else "curve" if match["curve"] else "value"
    return Column(
        values, match["quantity"], dataset, epochs=int(match["epochs"]) if match["epochs"] else None, kind=kind
    )
