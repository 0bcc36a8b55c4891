"""Runs the tests of one module once per fault: collected once, then a forked child for every fault."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.abc
import importlib.util
import json
import os
import resource
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tests.mutation.mutants import Mutant, source_with
from tests.mutation.suites import ROOT

CPU_LIMIT = 5
"""A fault may take so many times the processor time of the tests without one, and 20 s: it hangs otherwise."""
BROKEN = 99
"""Exit code of a child that raised outside of a test: nothing was seen then."""
UNPLANTED = 98
CONTROL = 5
"""So many tests run a module that is planted without a fault."""
QUICK_S = 0.05
"""Of tests that seem not to run a module at all, these too see its constants and defaults, by reading them."""
OPTIONS = ("-o", "addopts=", "--import-mode=importlib", "-q", "-x", "-p", "no:cacheprovider",
           "-p", "no:timeout", "-p", "no:xdist", "--no-summary")  # fmt: skip


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


class Unplantable(Exception):
    """The function with the fault does not fit into the one that is imported: it has to be imported anew."""


def plant(mutant: Mutant | str) -> None:
    """Give the functions of the imported module the code that they have with the fault; those of a name stay as is."""
    module = mutant if isinstance(mutant, str) else mutant.module
    source = source_of(module).read_text()
    faulty = ModuleType(module)
    faulty.__dict__["__file__"] = str(source_of(module))
    real = importlib.import_module(module)  # algorithms and predictors are imported where they are named first
    sys.modules[module] = faulty  # dataclasses look their module up
    try:
        source = source if isinstance(mutant, str) else source_with(mutant, source)
        exec(compile(source, module, "exec"), faulty.__dict__)
    finally:
        sys.modules[module] = real
    wanted = dict(functions_of(vars(faulty), module))
    for name, function in functions_of(vars(real), module):
        if name in wanted:
            try:
                function.__code__ = wanted[name].__code__
            except ValueError:  # without its call of super() a method closes over nothing
                raise Unplantable from None
            give_defaults(function, wanted[name])
    for value in vars(real).values():  # what a cache knows was computed without the fault
        if hasattr(value, "cache_clear"):
            value.cache_clear()


def give_defaults(function: FunctionType, faulty: FunctionType) -> None:
    """The defaults that are plain values."""

    def chosen(old: Any, new: Any) -> Any:
        return new if type(new) in (bool, int, float) else old

    if function.__defaults__ and faulty.__defaults__:
        function.__defaults__ = tuple(map(chosen, function.__defaults__, faulty.__defaults__))
    if function.__kwdefaults__ and faulty.__kwdefaults__:
        given = faulty.__kwdefaults__
        function.__kwdefaults__ = {k: chosen(old, given.get(k, old)) for k, old in function.__kwdefaults__.items()}


def child(seconds: float, work: Any) -> tuple[str, float]:
    """(passed, failed, hung or unplanted; processor seconds) of `work`, an exit code, in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    pid = os.fork()
    if not pid:
        code = BROKEN
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
    if os.WEXITSTATUS(status) == UNPLANTED:
        return "unplanted", spent
    if os.WEXITSTATUS(status) == BROKEN:
        raise RuntimeError("what runs the tests has failed itself")
    return ("passed" if os.WEXITSTATUS(status) == 0 else "failed"), spent


@dataclass
class Seen:
    """What one test ran without a fault: lines by the module's file, and the processor time that it took."""

    lines: dict[str, list[int]]
    seconds: float
    passed: bool = True


class Trace:
    """Which lines of some files each test runs: those that run a fault can come first, and others need not run."""

    def __init__(self, paths: set[str]) -> None:
        self.paths, self.lines, self.before = paths, set[tuple[str, int]](), set[tuple[str, int]]()

    def __call__(self, frame: Any, event: str, argument: Any) -> Any:
        path = frame.f_code.co_filename
        if path not in self.paths:
            return None
        self.lines.add((path, frame.f_lineno))
        return self

    @staticmethod
    def on(tracer: Any) -> None:
        threading.settrace(tracer)
        sys.settrace(tracer)

    def pytest_runtest_call(self) -> None:
        self.before = set(self.lines)

    def of(self, items: list[pytest.Item]) -> Iterator[Seen]:
        """What every test ran; what a file's fixtures ran counts for its later tests."""
        prepared: dict[str, set[tuple[str, int]]] = {}
        for item, following in zip(items, [*items[1:], None], strict=True):
            self.lines, self.before, started = set(), set(), time.process_time()
            self.on(self)
            reports = runtestprotocol(item, log=False, nextitem=following)
            self.on(None)
            shared = prepared.setdefault(str(item.path), set())
            shared |= self.before
            lines: dict[str, list[int]] = {}
            for path, line in self.lines | shared:
                lines.setdefault(path, []).append(line)
            passed = not any(report.failed for report in reports)
            yield Seen(lines, time.process_time() - started, passed)


def function_of(mutant: Mutant) -> range:
    """The lines of the innermost function around a fault, of the class where it is a function's default."""
    tree = ast.parse(source_of(mutant.module).read_text())
    kind = ast.ClassDef if mutant.default else ast.FunctionDef
    around = [
        range(n.lineno, (n.end_lineno or n.lineno) + 1)
        for n in ast.walk(tree)
        if isinstance(n, kind) and n.lineno <= mutant.line <= (n.end_lineno or n.lineno)
    ]
    return min(around, key=len, default=range(1, 10**6))


def seeing(mutant: Mutant, tests: list[Seen]) -> list[int]:
    """Numbers of the tests that run a fault's line, then of those that run its function, the quickest first."""
    path, around = str(source_of(mutant.module)), set(function_of(mutant))
    ranked = []
    for number, test in enumerate(tests):
        lines = test.lines.get(path, ())
        if mutant.line in lines or around.intersection(lines):
            ranked.append((mutant.line not in lines, test.seconds, number))
    return [number for *_, number in sorted(ranked)]


class Pass:
    """In place of pytest's own loop: for every fault the collected tests that run it."""

    def __init__(self, faults: list[Mutant], out: Path, options: tuple[str, ...]) -> None:
        self.faults, self.out, self.options, self.screen = faults, out, options, os.dup(1)
        self.is_sound = False

    def say(self, text: str) -> None:
        os.write(self.screen, f"{text}\n".encode())

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = session.items
        for mutant in self.faults:
            importlib.import_module(mutant.module)

        def trace(file: Path) -> int:
            tracer = Trace({str(source_of(mutant.module)) for mutant in self.faults})
            session.config.pluginmanager.register(tracer)
            found = list(tracer.of(items))
            for item, test in zip(items, found, strict=True):
                if not test.passed:
                    self.say(f"  fails without a fault: {item.nodeid}")
            file.write_text(json.dumps([asdict(test) for test in found]))
            return int(not all(test.passed for test in found))

        def tests(mutant: Mutant | str, order: list[pytest.Item], told: Path) -> int:
            try:
                plant(mutant)
            except Unplantable:
                return UNPLANTED
            except Exception as error:  # a default or a constant that the module itself refuses
                told.write_text(f"import: {type(error).__name__}")
                return 1
            for number, item in enumerate(order):
                following = order[number + 1] if number + 1 < len(order) else None
                if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
                    told.write_text(item.nodeid)
                    return 1
            return 0

        with tempfile.TemporaryDirectory() as folder:
            told = Path(folder) / "told"
            outcome, seconds = child(3600, functools.partial(trace, told))
            self.is_sound = outcome == "passed" and bool(items)
            if not self.is_sound:
                return True
            found = [Seen(**test) for test in json.loads(told.read_text())]
            self.say(f"  {len(items)} tests, {seconds:.1f} s of processor time")
            for module in dict.fromkeys(mutant.module for mutant in self.faults):  # planted as it is, nothing may fail
                first = min((m for m in self.faults if m.module == module), key=lambda m: -len(seeing(m, found)))
                order = [items[number] for number in seeing(first, found)[:CONTROL]]
                self.is_sound &= child(3600, functools.partial(tests, module, order, told))[0] == "passed"
                if not self.is_sound:
                    self.say(f"  {module} as it is, planted: {told.read_text()} fails")
                    return True
            for mutant in self.faults:
                self.one(mutant, items, found, tests, told)
        return True

    def one(
        self, mutant: Mutant, items: list[pytest.Item], found: list[Seen], tests: Callable[..., int], told: Path
    ) -> None:
        """Plant one fault, and write down what came of it."""
        started, outcome, spent = time.time(), "passed", 0.0
        numbers = seeing(mutant, found)
        if mutant.default or not mutant.inside:
            numbers += [n for n, test in enumerate(found) if n not in numbers and test.seconds < QUICK_S]
        order, limit = [items[n] for n in numbers], CPU_LIMIT * sum(found[n].seconds for n in numbers) + 20
        told.write_text("")
        if mutant.inside:
            outcome, spent = child(limit, functools.partial(tests, mutant, order, told))
        if not mutant.inside or outcome == "unplanted" or (mutant.default and outcome == "passed"):
            names = [item.nodeid for item in order]
            outcome, spent = child(limit + 60, functools.partial(anew, mutant, names, self.options, told=told))
        by = told.read_text()
        record = {"key": mutant.key, "module": mutant.module, "outcome": outcome, "text": str(mutant), "by": by}
        with self.out.open("a") as file:
            file.write(json.dumps(record) + "\n")
        mark, by = "SURVIVED" if outcome == "passed" else outcome, by.rpartition("::")[2]
        self.say(f"  {mark:8} {spent:5.1f} s cpu {time.time() - started:5.1f} s, {len(order)} tests  {mutant}  {by}")


class Chosen:
    """Of what is collected these tests alone, in this order; names the one that fails."""

    def __init__(self, names: list[str], told: Path) -> None:
        self.names, self.told = names, told

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        found = {item.nodeid: item for item in items}
        items[:] = [found[name] for name in self.names if name in found]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.told.write_text(report.nodeid)


def anew(mutant: Mutant, names: list[str], options: tuple[str, ...], told: Path) -> int:
    """These tests after importing this project again, with the fault; no tests see nothing."""
    for name in [n for n in sys.modules if n.split(".")[0] in ("nas_lightning", "callbacks", "tests")]:
        del sys.modules[name]
    sys.meta_path.insert(0, Planted(mutant, str(source_of(mutant.module))))
    told.write_text("import")  # of the tests' own files, unless a test gets as far as to fail
    files = dict.fromkeys(name.split("::")[0] for name in names)
    code = int(pytest.main([*OPTIONS, *options, *files], plugins=[Chosen(names, told)])) if names else 5
    if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        told.write_text("")
        return 0
    return code


def run(faults: list[Mutant], out: Path, tests: tuple[str, ...], options: tuple[str, ...]) -> int:
    """0 where the tests pass without a fault. The outcomes with each are appended to `out`."""
    loop = Pass(faults, out, options)
    pytest.main([*OPTIONS, *options, *tests], plugins=[loop])
    return 0 if loop.is_sound else 1
