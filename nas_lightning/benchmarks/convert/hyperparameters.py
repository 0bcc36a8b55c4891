"""Readers of hyper-parameter tables: FC-Net, HPOBench's perceptrons, TaskSet's Adam configurations.

Losses are stored as scores, their negatives, so that higher is better everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nas_lightning.benchmarks.column import Column
from nas_lightning.benchmarks.encoding import encode
from nas_lightning.spaces import get_space
from nas_lightning.spaces.taskset_adam8p import NAMES, AdamConfiguration

Parts = tuple[dict[str, Any], list[Column]]


def _configurations(table: pa.Table, space: Any) -> list[Any]:
    columns = {p.name: table[p.name].to_pylist() for p in space.hyperparameters}
    return [
        space.from_values(dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)
    ]


def _runs(table: pa.Table, task: str) -> np.ndarray:
    names = [name for name in table.column_names if name.startswith(f"{task}_run")]
    return np.stack([table[name].to_numpy().astype(np.float64) for name in sorted(names)], axis=1)


def fcnet(table: pa.Table, path: Path) -> Parts:
    """Four tasks, the validation error of four trainings each; ``units``, the size of both layers, as a measure."""
    space = get_space("fcnet")
    columns = [
        Column(
            -_runs(table, task),
            "validation_score",
            task,
            kind="seeds",
            unit="negative mean squared error",
            note="final values; the same number guides and reports",
        )
        for task in ("protein_structure", "slice_localization", "naval_propulsion", "parkinsons_telemonitoring")
    ]
    units = table["n_units_1"].to_numpy() + table["n_units_2"].to_numpy()
    columns.append(Column(units.astype(np.int64), "units", unit="units of both hidden layers"))
    return encode(space, _configurations(table, space)), columns


def hpobench_mlp(table: pa.Table, path: Path) -> Parts:
    """Eight OpenML tasks, the score of five trainings each; ``units``, width times depth, as a measure."""
    space = get_space("hpobench_mlp")
    tasks = dict.fromkeys(name.partition("_run")[0] for name in table.column_names if "_run" in name)
    columns = [
        Column(_runs(table, task), "validation_score", task, kind="seeds", unit="score (upstream names no metric)")
        for task in tasks
    ]
    units = table["width"].to_numpy() * table["depth"].to_numpy()
    columns.append(Column(units.astype(np.int64), "units", unit="units of all hidden layers"))
    return encode(space, _configurations(table, space)), columns


def taskset(table: pa.Table, path: Path) -> Parts:
    """Validation and test loss every 200 of 10,000 steps as curves of 50 points; what diverged is worth the worst."""
    space = get_space("taskset_adam8p")
    values = zip(*(table[name].to_pylist() for name in NAMES), strict=True)
    columns = []
    for name in table.column_names:
        task, _, rest = name.rpartition("_bs")
        if not task or not rest.endswith("_loss"):
            continue
        batch, split, _ = rest.split("_")
        curve = np.stack(table[name].to_pylist()).astype(np.float64)[:, 1:]
        worst = curve[np.isfinite(curve)].max()
        columns.append(
            Column(
                -np.where(np.isfinite(curve), curve, worst),
                {"valid": "validation_score", "test": "test_score"}[split],
                f"{task}_bs{batch}",
                kind="curve",
                seeds="1",
                unit="negative loss, nats",
                note="an epoch is 200 steps; diverged points hold the task's largest finite loss",
            )
        )
    return encode(space, [AdamConfiguration(tuple(map(float, row))) for row in values]), columns
