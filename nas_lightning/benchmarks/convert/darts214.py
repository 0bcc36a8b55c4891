"""214 random DARTS networks (Yang et al., arXiv 1912.12522): ``214genotypes.pkl`` and the curves that lie beside it.

The pickle is a list of DARTS' ``Genotype``; ``214_random_architectures.npy`` has the test accuracy of each after every
epoch, in percent.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.benchmarks.column import Column
from nas_lightning.benchmarks.convert import restricted
from nas_lightning.benchmarks.encoding import encode
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.runs.arrays import read_array
from nas_lightning.spaces import ArchitectureError, get_space

CURVES = "214_random_architectures.npy"
_NOTE = "given in percent, divided by 100"


def _genotype(normal: Any, normal_concat: Any, reduce: Any, reduce_concat: Any) -> dict[str, Any]:
    """What stands for DARTS' named tuple: nothing of the file is called."""
    concats = {"normal_concat": list(normal_concat), "reduce_concat": list(reduce_concat)}
    return {"normal": normal, "reduce": reduce, **concats}


def read(path: Path) -> tuple[dict[str, Any], list[Column]]:
    """Architectures and columns. Raises BenchmarkError, also where the curves are not beside the pickle."""
    beside = path.with_name(CURVES)
    if not beside.is_file():
        raise BenchmarkError(f"the accuracies of {path.name} are in {CURVES}; put that file into {path.parent}")
    records: dict[str, Callable[..., Any]] = {"Genotype": _genotype, "range": lambda *bounds: list(range(*bounds[:3]))}
    data = restricted.load(path.read_bytes(), path.name, records=records)
    space = get_space("darts_nds")
    try:
        genotypes = list(data.values()) if isinstance(data, dict) else list(data)
        archs = [space.parse(genotype) for genotype in genotypes]
        curve = read_array(beside).astype(np.float64)
    except (OSError, ValueError, TypeError, EOFError, ArchitectureError) as error:
        raise BenchmarkError(
            f"{path.name} or {CURVES} is not what Yang et al. publish ({type(error).__name__}: {str(error)[:100]})"
        ) from None
    if curve.ndim != 2 or len(curve) != len(archs) or not len(archs):
        raise BenchmarkError(f"{CURVES} has the shape {curve.shape}, not one curve for each of {len(archs)} genotypes")
    curve /= 100
    epochs = curve.shape[1]
    return encode(space, archs), [
        Column(curve[:, -1], "test_accuracy", "cifar10", epochs, seeds="1", note=_NOTE),
        Column(curve.max(axis=1), "best_epoch_test_accuracy", "cifar10", epochs, seeds="1", note=_NOTE),
        Column(curve.astype(np.float32), "test_accuracy", "cifar10", kind="curve", seeds="1", note=_NOTE),
    ]
