"""A cache of its own for every test session, and no test in the middle of another one's Hydra job."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is imported: several processes of several threads each wait for one another most of the time.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hydra.core.hydra_config import HydraConfig

from tests.helpers import entries, weight


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    entries.mark(items)
    weight.mark(items)
    weight.longest_first(items)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Converted tables go into a temporary folder, not into the user's cache, and the user's data are not looked at."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_LIGHTNING_CACHE", str(folder))
        for name in ("NAS_LIGHTNING_DATA", "NAS_LIGHTNING_BENCHMARKS"):
            patch.delenv(name, raising=False)
        yield folder


@pytest.fixture(autouse=True)
def no_hydra_job():
    """Hydra's job is global: a test that leaves one behind would give its overrides to the next."""
    yield
    HydraConfig.instance().cfg = None
