"""A script in a process of its own, forked from one that has imported the libraries and nothing of this project.

A Python that starts anew spends 5 to 9 s of processor time on importing PyTorch and Lightning; a test that looks at
what a command writes, prints and returns does not need to see that again. Tests of what is imported, of the
interpreter's own variables, of signals and of launchers start a real process with `subprocess`.
"""

from __future__ import annotations

import atexit
import functools
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LIBRARIES = (
    "numpy", "scipy.stats", "scipy.optimize", "sklearn.linear_model", "pyarrow.parquet", "yaml", "pandas",
    "rich.console", "rich.progress", "hydra", "torch", "torchmetrics", "pytorch_lightning", "torch._dynamo",
    "PIL.Image", "altair",
)  # fmt: skip
AT_START = ("OMP_NUM_THREADS", "PYTHONHASHSEED", "PYTHONIOENCODING", "PYTHONUTF8", "MALLOC_TRIM_THRESHOLD_", "LC_ALL")
"""Variables that a process reads once, when it starts: they must be those of this one."""


class Running:
    """A process at work, and what it has printed."""

    def __init__(self, arguments: list[Any], cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> None:
        env = dict(os.environ if env is None else env)
        changed = [name for name in AT_START if name in env and env[name] != os.environ.get(name)]
        changed = [name for name in changed if name != "OMP_NUM_THREADS" or "OMP_NUM_THREADS" in os.environ]
        assert not changed, f"a forked process cannot take {changed} on: start a real one"
        self.arguments = [str(argument) for argument in arguments]
        self.folder = tempfile.TemporaryDirectory()
        self.out, self.err = (Path(self.folder.name) / name for name in ("out", "err"))
        given = (self.arguments, str(cwd), env, str(self.out), str(self.err), _search_path())
        self.process = _server().Process(target=_child, args=given)
        self.process.start()

    def end(self, timeout: float = 280) -> subprocess.CompletedProcess[str]:
        """Wait for its end.

        Args:
            timeout: Seconds after which it is killed.

        Returns:
            Its exit code (minus the signal's number where one ended it), standard output and standard error.

        Raises:
            subprocess.TimeoutExpired: It took longer.
        """
        with self.folder:
            self.process.join(timeout)
            if is_late := self.process.is_alive():
                self.process.kill()
                self.process.join()
            said = [path.read_text(errors="replace") if path.exists() else "" for path in (self.out, self.err)]
        if is_late:
            raise subprocess.TimeoutExpired(self.arguments, timeout, *said)
        assert self.process.exitcode is not None
        return subprocess.CompletedProcess(self.arguments, self.process.exitcode, *said)


def run(
    arguments: list[Any], cwd: Path = ROOT, env: Mapping[str, str] | None = None, timeout: float = 280
) -> subprocess.CompletedProcess[str]:
    """``python`` with `arguments`, as `subprocess.run` does it with captured text.

    Args:
        arguments: After the interpreter's name: a script, ``-c`` and code, or ``-m`` and a module; and what follows.
        cwd: Where it runs.
        env: All of its environment; that of this process where none is given.
        timeout: Seconds after which it is killed.

    Returns:
        Exit code, standard output and standard error.
    """
    return Running(arguments, cwd, env).end(timeout)


@functools.cache
def _server() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*LIBRARIES])
    return context


@functools.cache
def _search_path() -> list[str]:
    """sys.path of a process that starts without PYTHONPATH, but for its first entry."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = "import sys; print('\\n'.join(sys.path[1:]))"
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True).stdout.split("\n")[:-1]


def _child(arguments: list[str], cwd: str, env: dict[str, str], out: str, err: str, path: list[str]) -> None:
    """What a fresh interpreter does, from its arguments to its exit code."""
    for target, file in ((0, os.devnull), (1, out), (2, err)):
        opened = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, target)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    first, *rest = arguments
    script = first if first not in ("-c", "-m") else ""
    start = os.path.dirname(os.path.abspath(script)) if script else ("" if first == "-c" else cwd)
    sys.path[:] = [start, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep)), *path]
    for name in [n for n in sys.modules if n.split(".")[0] in ("tests", "nas_lightning", "callbacks", "__mp_main__")]:
        del sys.modules[name]
    os._exit(_outcome(first, rest))


def _outcome(first: str, rest: list[str]) -> int:
    """Runs it, and ends as the interpreter would."""
    code: Any = 0
    try:
        if first == "-c":
            sys.argv = ["-c", *rest[1:]]
            exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
        elif first == "-m":
            sys.argv = ["-m", *rest[1:]]
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv = [first, *rest]
            runpy.run_path(first, run_name="__main__")
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the interpreter does
    atexit._run_exitfuncs()
    if code is None or isinstance(code, int):
        code = (code or 0) & 0xFF
    else:
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code)
