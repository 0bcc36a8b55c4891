"""Freed memory stays with the process, unless its environment chose otherwise; hooks that do nothing are skipped."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
from pytorch_lightning.profilers import PassThroughProfiler, SimpleProfiler

from nas_lightning.training.memory import keep_freed_memory
from nas_lightning.training.speed import STEP_HOOKS, NoProfiler, full, lean

CODE = """
import resource, sys
from nas_lightning.training.memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
length = 2**24
for _ in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * length  # 16 MB, written and freed
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(kept, faults)
"""


@pytest.fixture
def asked(monkeypatch):
    """What glibc is asked for."""
    calls = []
    library = SimpleNamespace(gnu_get_libc_version=None, mallopt=lambda what, value: calls.append((what, value)) or 1)
    monkeypatch.setattr("ctypes.CDLL", lambda name: library)
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    return calls, library


def test_both_thresholds_are_raised_as_far_as_glibc_takes_them(asked, monkeypatch):
    calls, library = asked
    keep = keep_freed_memory.__wrapped__
    assert keep() is True
    assert calls == [(-3, 32 * 2**20), (-1, 2**31 - 1)]  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD of malloc.h
    monkeypatch.setattr(library, "mallopt", lambda what, value: 0)
    assert keep() is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MALLOC_TRIM_THRESHOLD_", "1"),
        ("MALLOC_MMAP_THRESHOLD_", "1"),
        ("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=1"),
    ],
)
def test_what_the_environment_chose_and_another_system_are_left_alone(asked, monkeypatch, name, value):
    keep = keep_freed_memory.__wrapped__
    monkeypatch.setenv(name, value)
    assert keep() is False
    monkeypatch.setenv(name, "glibc.malloc.hugetlb=1")
    if name == "GLIBC_TUNABLES":
        assert keep() is True
    monkeypatch.delenv(name)
    monkeypatch.setattr("sys.platform", "darwin")
    assert keep() is False
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delattr(asked[1], "gnu_get_libc_version")
    assert keep() is False


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


class Own(pl.Callback):
    def on_train_batch_end(self, *given):
        return "own"


def test_only_hooks_that_nobody_wrote_are_skipped_and_all_come_back():
    own, plain, given = Own(), pl.Callback(), pl.Callback()
    given.on_after_backward = hook = lambda *_: "of the object's own"
    trainer = SimpleNamespace(callbacks=[own, plain, given], profiler=PassThroughProfiler())
    before = [dict(vars(callback)) for callback in trainer.callbacks]
    lean(trainer)
    assert type(trainer.profiler) is NoProfiler
    assert [name for name in STEP_HOOKS if getattr(own, name) is not None] == ["on_train_batch_end"]
    assert [name for name in STEP_HOOKS if getattr(plain, name) is not None] == []
    assert given.on_after_backward is hook
    assert plain.on_train_start is not None
    full(trainer)
    assert type(trainer.profiler) is PassThroughProfiler
    assert [dict(vars(callback)) for callback in trainer.callbacks] == before


def test_a_profiler_that_was_chosen_stays():
    trainer = SimpleNamespace(callbacks=[], profiler=SimpleProfiler())
    chosen = trainer.profiler
    for change in (lean, full):
        change(trainer)
        assert trainer.profiler is chosen
