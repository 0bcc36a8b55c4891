"""Runs the tests of one module once per fault: collected once, then a forked child for every fault."""

from __future__ import annotations

import functools
import importlib.abc
import importlib.util
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tests.mutation.mutants import Mutant, source_with
from tests.mutation.suites import options_of, suite_of

ROOT = Path(__file__).parents[2]
CPU_LIMIT = 10
"""A fault may take so many times the processor time of the tests without one, and 20 s: it hangs otherwise."""
OPTIONS = ("-o", "addopts=", "--import-mode=importlib", "-q", "-x", "-p", "no:cacheprovider",
           "-p", "no:timeout", "-p", "no:xdist")  # fmt: skip


def source_of(module: str) -> Path:
    """The file of a dotted module name."""
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


class Planted(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Imports one module with other source."""

    def __init__(self, mutant: Mutant, path: str) -> None:
        self.mutant, self.path = mutant, path

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self.mutant.module:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)  # type: ignore[arg-type]

    def get_filename(self, fullname: str) -> str:
        return self.path

    def get_data(self, path: str) -> bytes:
        return source_with(self.mutant, Path(self.path).read_text()).encode()

    def path_stats(self, path: str) -> Any:
        raise OSError  # never read from, nor written to, the cache of compiled modules


def functions_of(names: Mapping[str, Any], module: str) -> Iterator[tuple[str, FunctionType]]:
    """(qualified name, plain function) of what `module` defines, methods and what decorators wrapped included."""
    for name, value in list(names.items()):
        if isinstance(value, type):
            if value.__module__ == module:
                yield from ((f"{name}.{inner}", f) for inner, f in functions_of(vars(value), module))
            continue
        for found in (
            value.fget if isinstance(value, property) else None,
            value.func if isinstance(value, functools.cached_property) else None,
            getattr(value, "__func__", None),
            getattr(value, "__wrapped__", None),
            value,
        ):
            found = getattr(found, "__wrapped__", found)
            if isinstance(found, FunctionType) and found.__module__ == module:
                yield name, found
                break


def plant(mutant: Mutant) -> None:
    """Give the functions of the imported module the code that they have with the fault."""
    faulty = ModuleType(mutant.module)
    faulty.__dict__["__file__"] = str(source_of(mutant.module))
    real = sys.modules[mutant.module]
    sys.modules[mutant.module] = faulty  # dataclasses look their module up
    try:
        source = source_with(mutant, source_of(mutant.module).read_text())
        exec(compile(source, mutant.module, "exec"), faulty.__dict__)
    finally:
        sys.modules[mutant.module] = real
    wanted = dict(functions_of(vars(faulty), mutant.module))
    for name, function in functions_of(vars(real), mutant.module):
        if name in wanted:
            function.__code__ = wanted[name].__code__
    for value in vars(real).values():  # what a cache knows was computed without the fault
        if hasattr(value, "cache_clear"):
            value.cache_clear()


def child(seconds: float, work: Any) -> tuple[str, float]:
    """(passed, failed or hung; processor seconds) of `work`, which gives an exit code, in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    pid = os.fork()
    if not pid:
        code = 1
        try:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            resource.setrlimit(resource.RLIMIT_CPU, (round(seconds), round(seconds) + 5))
            code = work()
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if os.WIFSIGNALED(status):
        return ("hung" if os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL) else "failed"), spent
    return ("passed" if os.WEXITSTATUS(status) == 0 else "failed"), spent


class Pass:
    """In place of pytest's own loop: all collected tests once per fault."""

    def __init__(self, module: str, faults: list[Mutant], out: Path) -> None:
        self.module, self.faults, self.out, self.screen = module, faults, out, os.dup(1)
        self.is_sound = False

    def say(self, text: str) -> None:
        os.write(self.screen, f"{text}\n".encode())

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = session.items

        def tests(mutant: Mutant | None = None) -> int:
            if mutant is not None:
                plant(mutant)
            for item, following in zip(items, [*items[1:], None], strict=True):
                if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
                    return 1
            return 0

        outcome, seconds = child(3600, tests)
        self.is_sound = outcome == "passed" and bool(items)
        if not self.is_sound:
            return True
        self.say(f"  {len(items)} tests, {seconds:.1f} s of processor time")
        for mutant in self.faults:
            started, limit = time.time(), CPU_LIMIT * seconds + 20
            if mutant.inside:
                outcome, spent = child(limit, functools.partial(tests, mutant))
            else:
                outcome, spent = child(limit + 60, functools.partial(anew, mutant))
            record = {"key": mutant.key, "module": mutant.module, "outcome": outcome, "text": str(mutant)}
            with self.out.open("a") as file:
                file.write(json.dumps(record) + "\n")
            mark = "SURVIVED" if outcome == "passed" else outcome
            self.say(f"  {mark:8} {spent:5.1f} s cpu {time.time() - started:5.1f} s  {mutant}")
        return True


def anew(mutant: Mutant) -> int:
    """All tests after importing this project again, with the fault."""
    for name in [n for n in sys.modules if n.split(".")[0] in ("nas_lightning", "callbacks", "tests")]:
        del sys.modules[name]
    sys.meta_path.insert(0, Planted(mutant, str(source_of(mutant.module))))
    return int(pytest.main([*OPTIONS, *options_of(mutant.module), *suite_of(mutant.module)]))


def run(module: str, faults: list[Mutant], out: Path) -> int:
    """The faults of one module; 0 where its tests pass without one. The outcomes are appended to `out`."""
    loop = Pass(module, faults, out)
    pytest.main([*OPTIONS, *options_of(module), *suite_of(module)], plugins=[loop])
    return 0 if loop.is_sound else 1
