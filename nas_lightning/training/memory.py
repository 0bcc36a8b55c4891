"""Freed memory is kept for the next step: a small network's feature maps come and go many times a second."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import lru_cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # numbers of mallopt
LARGEST_MMAP_THRESHOLD = 32 * 2**20  # glibc refuses more
ENVIRONMENT = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Let this process keep freed memory for its next allocation; whether it was done.

    glibc gives large blocks back to the system as soon as they are free; every feature map of the next step is then
    faulted in and zeroed page by page. Nothing is done with another C library, nor where the environment chooses the
    thresholds. The process then holds what it needed at most until it ends.
    """
    chosen = any(name in os.environ for name in ENVIRONMENT) or "threshold" in os.environ.get("GLIBC_TUNABLES", "")
    if chosen or sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    kept = library.mallopt(MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD) and library.mallopt(TRIM_THRESHOLD, 2**31 - 1)
    return bool(kept)
