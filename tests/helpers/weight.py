"""Which tests are quick: those that start no process, run no whole job, compose no configuration (a tenth of a second
each), and are not marked slow by hand.

Found by following what a test, its fixtures and the helpers they call refer to, so that no list has to be kept. And in
which order the files are given to the workers.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

import hydra
import pytest

from tests.helpers import process

PROCESSES: tuple[Any, ...] = (
    subprocess, multiprocessing, subprocess.run, subprocess.Popen, subprocess.check_output, process, process.run,
    process.Running,
)  # fmt: skip
COMPOSES = (*PROCESSES, hydra.compose, hydra.initialize_config_dir)
JOBS = ("nas_lightning.modes.main.train", "nas_lightning.modes.search.search")
"""Functions that run a whole job, as the command line does."""
LEFT_OUT = ("command", "slow", "kills", "launchers", "mutation", "gpu", "nightly")
"""Markers that keep a test out of the quick ones."""


def names_in(code: CodeType) -> Iterator[str]:
    """Every global and attribute that `code`, or a function defined inside it, refers to."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)


def is_heavy(function: Any, seen: set[int] | None = None, starters: tuple[Any, ...] = PROCESSES) -> bool:
    """Whether `function`, or a function of the tests that it refers to, uses one of `starters` or runs a whole job."""
    seen = set() if seen is None else seen
    function = getattr(function, "__wrapped__", function)
    if not isinstance(function, FunctionType) or id(function) in seen:
        return False
    seen.add(id(function))
    names = set(names_in(function.__code__))
    if "fork" in names and function.__globals__.get("os") is os:
        return True
    for name in names:
        found = function.__globals__.get(name)
        if found is None:
            continue
        if any(found is starter for starter in starters):
            return True
        if isinstance(found, FunctionType):
            if f"{found.__module__}.{found.__name__}" in JOBS:
                return True
            if found.__module__.startswith("tests.") and is_heavy(found, seen, starters):
                return True
        elif isinstance(found, ModuleType) and found.__name__.startswith("tests."):
            inner = [getattr(found, other, None) for other in names]
            if any(is_heavy(f, seen, starters) for f in inner if isinstance(f, FunctionType)):
                return True
    return False


def mark(items: list[pytest.Item]) -> None:
    """Give every test the marker `command` where it is heavy, and `quick` where nothing keeps it out."""

    @functools.cache  # parametrized tests share their function, and many tests their fixtures
    def heavy(function: Any, starters: tuple[Any, ...]) -> bool:
        return is_heavy(function, starters=starters)

    for item in items:
        functions = [getattr(item, "function", None)]
        for definitions in getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {}).values():
            functions += [definition.func for definition in definitions]
        if any(heavy(function, PROCESSES) for function in functions):
            item.add_marker("command")
        composes = any(heavy(function, COMPOSES) for function in functions)
        if not composes and not any(item.get_closest_marker(name) for name in LEFT_OUT):
            item.add_marker("quick")


SECONDS = {"command": 3.0, "slow": 0.5}
"""About what a test with such a mark takes; others take next to nothing."""


def longest_first(items: list[pytest.Item]) -> None:
    """Sort whole files, which are what a worker is given, so that none is left alone with a long one at the end."""

    def cost(item: pytest.Item) -> float:
        return max((seconds for name, seconds in SECONDS.items() if item.get_closest_marker(name)), default=0.02)

    costs: Counter[Any] = Counter()
    for item in items:
        costs[item.path] += cost(item)  # type: ignore[assignment]
    items.sort(key=lambda item: -costs[item.path])
