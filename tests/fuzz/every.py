"""Every reader of files, from the modules that make them."""

from tests.fuzz import data_readers, official_readers, run_readers  # noqa: F401  they register theirs
from tests.fuzz.readers import READERS

__all__ = ["READERS"]
