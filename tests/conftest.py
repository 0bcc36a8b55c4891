"""A cache of its own for every test session."""

import os

import pytest


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
