"""Where shared tables are."""

import os
from pathlib import Path

import pytest

from nas_lightning.benchmarks import Benchmark

ROOT = Path(os.environ.get("NAS_LIGHTNING_SHARED", Path(__file__).parents[2].parent / "shared" / "data"))


@pytest.fixture(scope="session")
def open_shared():
    """Opens a table of the shared benchmark folder, or skips where it is absent."""

    def find(name, dataset=None):
        path = ROOT / "benchmarks" / f"{name}.parquet"
        if not path.exists():
            pytest.skip(f"{name}.parquet is not in {path.parent}; set NAS_LIGHTNING_SHARED to the data folder")
        return Benchmark.open(path, dataset=dataset)

    return find
