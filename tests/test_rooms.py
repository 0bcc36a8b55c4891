"""Every module imports by itself, so that none rots unseen, and the rooms that promise it do so without torch."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FREE_OF_TORCH = ("plan", "spaces", "benchmarks", "ranking", "search", "runs", "report", "analysis")


def module_names():
    """Every module of `nas_lightning` and `callbacks`, but for the packages' command lines (``__main__``)."""
    for package in ("nas_lightning", "callbacks"):
        yield package
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not found.name.endswith("__main__"):
                yield found.name


@pytest.mark.slow
def test_every_module_imports():
    for name in module_names():
        importlib.import_module(name)


def test_whole_rooms_are_free_of_torch():
    names = [name for name in module_names() for room in FREE_OF_TORCH if name.startswith(f"nas_lightning.{room}")]
    assert len(names) > 100
    code = (
        f"import sys, importlib\nfor name in {names!r}:\n    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


VARIADIC = {"Progress", "add_row", "view"}
"""Functions of other libraries that take any number of arguments."""


def test_no_call_has_more_than_four_positional_arguments():
    crowded = []
    for file in sorted([*(ROOT / "nas_lightning").rglob("*.py"), *(ROOT / "callbacks").glob("*.py")]):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or any(isinstance(argument, ast.Starred) for argument in node.args):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if len(node.args) > 4 and name not in VARIADIC:
                crowded.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert crowded == []
