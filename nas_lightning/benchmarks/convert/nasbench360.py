"""NAS-Bench-360's precomputed NAS-Bench-201 results (Tu et al., arXiv 2110.05668): NATS-Bench's pickle, other tasks.

As `nasbench201`, with the data sets ``ninapro`` (accuracy in percent) and ``darcyflow`` (1 - relative L2 error, a
fraction), one seed, evaluated on the test set as ``ori-test@<epoch>`` after every epoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.benchmarks.column import Column
from nas_lightning.benchmarks.convert.nasbench201 import BUDGETS, single
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.spaces import ArchitectureError, get_space

TASKS: Mapping[str, tuple[str, str, float]] = {
    "ninapro": ("ninapro", "test_accuracy", 100.0),
    "darcyflow": ("darcy_flow", "test_score", 1.0),
    "darcy": ("darcy_flow", "test_score", 1.0),
}
"""Official name -> our data set, quantity, what to divide by."""
_NOTE = "the same number guides and reports"


def read(
    path: Path, memory_gb: float = 8.0, curves: bool = False, progress: Callable[[int], None] | None = None
) -> tuple[dict[str, Any], list[Column], str]:
    """Architectures, columns, and the file's SHA-256.

    `curves` keeps the value after every epoch of the longest training, too. Raises BenchmarkError.
    """
    digest = hashlib.sha256()
    data = single(path, memory_gb, digest, progress)
    space = get_space("nasbench201")
    try:
        indices = sorted(data["arch2infos"])
        archs = [space.parse(data["meta_archs"][index]) for index in indices]
        columns = _columns([data["arch2infos"][index] for index in indices], curves)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, ArchitectureError) as error:
        if isinstance(error, BenchmarkError):
            raise
        raise BenchmarkError(
            f"{path.name} does not have the layout of NAS-Bench-360's precomputed results "
            f"({type(error).__name__}: {str(error)[:80]}); give the official pickle.pbz2"
        ) from None
    if not columns:
        raise BenchmarkError(f"{path.name} has none of the tasks {', '.join(TASKS)}; for NAS-Bench-201 use format nats")
    return {"code": np.array([arch.code for arch in archs], np.int16)}, columns, digest.hexdigest()


def _columns(infos: list[Mapping[str, Any]], curves: bool) -> list[Column]:
    found: dict[tuple[str, str, int], np.ndarray] = {}
    lines: dict[tuple[str, str, int], np.ndarray] = {}
    for row, budgets in enumerate(infos):
        for budget, state in budgets.items():
            epochs = BUDGETS.get(str(budget))
            for (official, _), run in state["all_results"].items():
                if official not in TASKS or epochs is None:
                    continue
                dataset, quantity, divisor = TASKS[official]
                line = [run["eval_acc1es"].get(f"ori-test@{e}", np.nan) for e in range(run["epochs"])]
                key = (dataset, quantity, epochs)
                found.setdefault(key, np.full(len(infos), np.nan))[row] = line[-1] / divisor
                if curves and len(line) == epochs:
                    blank = np.full((len(infos), epochs), np.nan, np.float32)
                    lines.setdefault(key, blank)[row] = np.array(line) / divisor
    columns = []
    for (dataset, quantity, epochs), values in found.items():
        unit = None if quantity == "test_accuracy" else "1 - relative L2 error"
        columns.append(Column(values, quantity, dataset, epochs, seeds="1", unit=unit, note=_NOTE))
    longest = {key[:2]: max(other[2] for other in lines if other[:2] == key[:2]) for key in lines}
    for (dataset, quantity, epochs), curve in lines.items():
        if epochs == longest[dataset, quantity]:
            unit = None if quantity == "test_accuracy" else "1 - relative L2 error"
            columns.append(Column(curve, quantity, dataset, kind="curve", seeds="1", unit=unit, note=_NOTE))
    return columns
