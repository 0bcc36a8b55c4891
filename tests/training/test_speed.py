"""Freed memory stays with the process, unless its environment chose otherwise."""

import os
import subprocess
import sys

import pytest

CODE = """
import resource, sys
from nas_lightning.training.speed import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
length = 2**24
for _ in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * length  # 16 MB, written and freed
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(kept, faults)
"""


def last_faults(mode, **environment):
    quiet = {n: v for n, v in os.environ.items() if not n.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", CODE, mode],
        env=quiet | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    kept, faults = done.stdout.split()
    return kept, int(faults)


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", {}), reason="needs glibc")
def test_memory_that_was_freed_is_not_faulted_in_again():
    kept, faults = last_faults("keep")
    assert kept == "True"
    assert faults < 100


@pytest.mark.parametrize(
    "chosen", [{"MALLOC_TRIM_THRESHOLD_": "100000"}, {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=100000"}]
)
def test_thresholds_of_the_environment_stand(chosen):
    kept, faults = last_faults("keep", **chosen)
    assert kept == "False"
    assert faults > 1000
