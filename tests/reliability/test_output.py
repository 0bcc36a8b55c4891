"""Standard output that is closed, full or of another alphabet ends no command."""

import os
import subprocess
import sys

import pytest

from tests.helpers.commands import ROOT

BODY = """
import sys
from nas_lightning.processes.output import forgiving_output
forgiving_output()
from rich.console import Console
from rich.table import Table
for i in range(2000):
    print("τ = 0.73 ± 0.01", i)
table = Table("name", "value"); table.add_row("τ", "–")
Console().print(table)
sys.stdout.flush()
open(sys.argv[1], "w").write("whole")
"""


def run(tmp_path, stdout, **environment):
    (tmp_path / "body.py").write_text(BODY, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "body.py"), str(tmp_path / "result")],
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        timeout=60,
    )
    assert (tmp_path / "result").read_text() == "whole"
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_closed_pipe_is_no_failure(tmp_path):
    source, sink = os.pipe()
    os.close(source)
    assert run(tmp_path, sink) == ""
    os.close(sink)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_one_is_told_once(tmp_path):
    with open("/dev/full", "w") as full:
        said = run(tmp_path, full)
    assert said.count("\n") == 1
    assert "standard output was lost (No space left on device)" in said


def test_a_terminal_of_ascii_gets_question_marks(tmp_path):
    with (tmp_path / "out").open("wb") as out:
        assert run(tmp_path, out, PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C") == ""
    text = (tmp_path / "out").read_bytes()
    text.decode("ascii")
    assert b"? = 0.73 ? 0.01 1999" in text
