"""NAS-Bench-Macro's table: the authors' JSON, or the Parquet layout with its columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nas_lightning.benchmarks.column import Column
from nas_lightning.benchmarks.encoding import encode
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.runs.files import parse_json
from nas_lightning.spaces import get_space

_NOTE = "best of 50 epochs on the test images, as published; given in percent, divided by 100"
_COUNT = "the published count"
Read = tuple[dict[str, Any], list[Column]]


def read_json(path: Path) -> Read:
    """``nas-bench-macro_cifar10.json``: architecture -> test_acc (three runs), mean_acc, std, params, flops.

    Raises BenchmarkError.
    """
    try:
        data = parse_json(path.read_bytes(), unique=True)
        names = list(data)
        runs = np.array([data[name]["test_acc"] for name in names], np.float64)
        params = np.array([data[name]["params"] for name in names], np.int64)
        flops = np.array([data[name]["flops"] for name in names], np.int64)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise BenchmarkError(
            f"{path} is no NAS-Bench-Macro JSON ({type(error).__name__}: {str(error)[:100]}); expected "
            "{architecture: {test_acc: [3 runs], params, flops}}"
        ) from None
    if not names or runs.ndim != 2:
        raise BenchmarkError(f"{path} holds no NAS-Bench-Macro architectures with three test accuracies each")
    return _columns(names, runs, params, flops)


def read_layout(table: pa.Table, path: Path) -> Read:
    """The Parquet layout: arch, test_acc_run0 to 2, params, flops."""
    runs = np.stack([table[f"test_acc_run{i}"].to_numpy() for i in range(3)], 1).astype(np.float64)
    return _columns(table["arch"].to_pylist(), runs, table["params"].to_numpy(), table["flops"].to_numpy())


def _columns(names: list[str], runs: np.ndarray, params: np.ndarray, flops: np.ndarray) -> Read:
    space = get_space("nasbench_macro")
    # mean_acc of the file is the mean of the same three runs
    return encode(space, [space.parse(name) for name in names]), [
        Column(runs.mean(1) / 100, "test_accuracy", "cifar10", 50, seeds="3", note=_NOTE),
        Column(runs / 100, "test_accuracy", "cifar10", epochs=50, kind="seeds", note=_NOTE),
        Column(params.astype(np.int64), "params", "cifar10", note=_COUNT),
        Column(flops.astype(np.int64), "macs", "cifar10", note=f"{_COUNT} of FLOPs"),
    ]
