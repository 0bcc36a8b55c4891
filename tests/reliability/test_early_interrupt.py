"""Ctrl-C while a command is still importing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRESS = "import nas_lightning.processes.early, os, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(0.2)"


def pressed(before):
    """A process that Ctrl-C reaches; `before` is what its caller does with it: a shell's background ignores it."""
    code = f"import signal; signal.signal(signal.SIGINT, signal.{before}); {PRESS}; print('went on')"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)


def test_it_ends_with_its_exit_code_and_without_a_traceback():
    done = pressed("default_int_handler")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_a_caller_that_ignores_it_is_left_alone():
    done = pressed("SIG_IGN")
    assert (done.returncode, done.stdout) == (0, "went on\n")


@pytest.mark.parametrize("script", ["train.py", "search.py"])
def test_it_is_what_a_command_imports_first(script):
    names = [
        node.names[0].name if isinstance(node, ast.Import) else node.module
        for node in ast.parse((ROOT / script).read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert next(name for name in names if name != "typing") == "nas_lightning.processes.early"
