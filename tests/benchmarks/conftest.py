"""Where shared tables are, and small tables to look at."""

import os
from pathlib import Path

import numpy as np
import pytest

from nas_lightning.benchmarks import Benchmark, write_table
from nas_lightning.spaces import get_space


@pytest.fixture(scope="session")
def shared():
    """Path of a file in the shared benchmark folder, or a skip where it is absent."""
    root = Path(os.environ.get("NAS_LIGHTNING_SHARED", Path(__file__).parents[2].parent / "shared" / "data"))

    def find(name):
        path = root / "benchmarks" / name
        if not path.exists():
            pytest.skip(f"{name} is not in {path.parent}; set NAS_LIGHTNING_SHARED to the data folder")
        return path

    return find


@pytest.fixture(params=["nasbench101", "nasbench201", "darts_nds"])
def small(request, tmp_path):
    """(space, architectures, runs [40, 3], opened table) of a table written for the test."""
    space, rng = get_space(request.param), np.random.default_rng(0)
    archs = []
    while len(archs) < 40:
        arch = space.sample_unique(rng)
        if arch not in archs:
            archs.append(arch)
    runs = rng.uniform(0.1, 0.9, (40, 3))
    runs[5, 2] = np.nan
    path = write_table(
        tmp_path / "small.arrow",
        space=space.name,
        dataset="digits",
        architectures=archs,
        columns={
            "test_accuracy_seeds": runs,
            "validation_accuracy@5": runs[:, 0],
            "validation_accuracy@20": runs[:, 1],
            "params": np.arange(40) + 100,
            "train_seconds@20": np.arange(40.0),
        },
        metadata={"protocol": "none", "cost": 3},
    )
    return space, archs, runs, Benchmark.open(path)
