"""Where the shared stand-alone tables are, if they are."""

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="session")
def shared_table():
    """Reads a table of the shared benchmark folder, or skips the test where the folder is absent."""
    root = os.environ.get("NAS_LIGHTNING_SHARED", Path(__file__).parents[2].parent / "shared" / "data")

    def read(name, path=False):
        file = Path(root) / "benchmarks" / name
        if not file.exists():
            pytest.skip(f"{name} is not in {file.parent}; set NAS_LIGHTNING_SHARED to the data folder")
        return file if path else pq.read_table(file)

    return read
