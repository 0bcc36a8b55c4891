"""A cache of its own for every test session, and no test in the middle of another one's Hydra job."""

import os

import pytest
from hydra.core.hydra_config import HydraConfig


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Converted tables go into a temporary folder, not into the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("NAS_LIGHTNING_CACHE")
    os.environ["NAS_LIGHTNING_CACHE"] = str(folder)
    yield folder
    os.environ.pop("NAS_LIGHTNING_CACHE")
    if before is not None:
        os.environ["NAS_LIGHTNING_CACHE"] = before


@pytest.fixture(autouse=True)
def no_hydra_job():
    """Hydra's job is global: a test that leaves one behind would give its overrides to the next."""
    yield
    HydraConfig.instance().cfg = None
