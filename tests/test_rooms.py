"""Every module imports by itself, so that none rots unseen, and the rooms that promise it do so without torch."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

FREE_OF_TORCH = ("plan", "spaces", "benchmarks", "ranking", "search", "runs", "report", "analysis")


def module_names():
    """Every module of `nas_lightning` and `callbacks`, but for the packages' command lines (``__main__``)."""
    for package in ("nas_lightning", "callbacks"):
        yield package
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not found.name.endswith("__main__"):
                yield found.name


def test_every_module_imports():
    for name in module_names():
        importlib.import_module(name)


@pytest.mark.parametrize("room", FREE_OF_TORCH)
def test_room_is_free_of_torch(room):
    names = [name for name in module_names() if name.startswith(f"nas_lightning.{room}")]
    code = (
        f"import sys, importlib\nfor name in {names!r}: importlib.import_module(name)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
