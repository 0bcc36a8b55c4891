"""NAS-Bench-NLP's logs of WikiText-2: 345 trainings of 265 recurrent cells, losses after each of 50 epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nas_lightning.benchmarks.column import Column
from nas_lightning.benchmarks.encoding import encode
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.spaces import get_space

DATASET = "wikitext2"
_NOTE = "mean over the trainings of isomorphic recipes, which the source keeps apart; what ended early is left out"


def read_layout(table: pa.Table, path: Path) -> tuple[dict[str, Any], list[Column]]:
    """A row a class of isomorphic recipes, in the order in which these come; scores are negative losses in nats."""
    space = get_space("nasbench_nlp")
    groups: dict[Any, list[int]] = {}
    for row, text in enumerate(table["recipe"].to_pylist()):
        groups.setdefault(space.parse(text), []).append(row)
    rows = list(groups.values())
    parameters = table["num_params"].to_numpy()
    if any(len(set(parameters[members].tolist())) > 1 for members in rows):
        raise BenchmarkError("isomorphic recipes have different numbers of parameters; the file is not whole")
    columns = [Column(parameters[[members[0] for members in rows]], "params", DATASET)]
    for name, quantity in (("train", "train_score"), ("val", "validation_score"), ("test", "test_score")):
        curves = _curves(table[f"{name}_losses"].to_pylist())
        unit = "negative log perplexity, nats"
        mean = np.stack([_mean(curves[members]) for members in rows])
        columns.append(Column(mean.astype(np.float32), quantity, DATASET, kind="curve", unit=unit, note=_NOTE))
        last = [curves[members, -1] for members in rows]
        columns.append(
            Column([run[np.isfinite(run)] for run in last], quantity, DATASET, mean.shape[1], kind="seeds", unit=unit)
        )
    seconds = np.where(table["status"].to_numpy() == "OK", table["wall_s_total"].to_numpy(), np.nan)
    columns.append(Column(np.array([_mean(seconds[m][:, None])[0] for m in rows]), "train_seconds", DATASET, 50))
    return encode(space, list(groups)), columns


def _curves(lists: list[list[float | None] | None]) -> np.ndarray:
    """Negative losses, float64 [n, epochs]; NaN throughout for a training that ended early or has a gap."""
    rows = [np.array([np.nan if v is None else -v for v in row or ()], np.float64) for row in lists]
    longest = max(map(len, rows))
    whole = [len(row) == longest and bool(np.isfinite(row).all()) for row in rows]
    return np.stack([row if ok else np.full(longest, np.nan) for row, ok in zip(rows, whole, strict=True)])


def _mean(runs: np.ndarray) -> np.ndarray:
    """Over the trainings that there are, [n, epochs] to [epochs]; NaN where there is none."""
    known = runs[np.isfinite(runs).all(1)]
    return known.mean(0) if len(known) else np.full(runs.shape[1], np.nan)
