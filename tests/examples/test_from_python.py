"""The script and the notebooks of examples/ run from their first line to their last, and what they show is stored."""

import ast
import inspect
import re
import runpy
import sys
from pathlib import Path

import nbformat
import pytest

import nas_lightning
from tests.helpers import process
from tests.helpers.nightly import rest_nightly

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(path.name for path in EXAMPLES.glob("*.ipynb"))


@pytest.mark.slow
def test_the_script_uses_all_parts(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["from_python.py", "--epochs", "1", "--out", str(tmp_path)])
    runpy.run_path(str(EXAMPLES / "from_python.py"), run_name="__main__")
    said = capsys.readouterr().out
    for words in ("15,625 encodings", "the score puts the better one first", "found in the table", "forest"):
        assert words in said
    assert {"ranking.svg", "forest.svg", "runs"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_stored_as_it_was_run(name):
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs)


CELLS = """
import sys, nbformat
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in nbformat.read(sys.argv[1], as_version=4).cells:
    if cell.cell_type == "code":
        shell.run_cell(cell.source).raise_error()
        print("== cell")
"""
"""A notebook's cells as a kernel runs them, in a process that need not import PyTorch again.

The first one at every change; what the others use of the library, the script and tests/examples/test_own_*.py do, too.
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_asks_for_what_there_is(name):
    """Every ``nas.…`` that is read exists, and every call of one can be bound: what a change of an interface breaks."""
    cells = [cell.source for cell in nbformat.read(EXAMPLES / name, as_version=4).cells if cell.cell_type == "code"]
    tree, called = ast.parse("\n".join(cells)), 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nas":
            assert node.attr in nas_lightning.__all__, node.attr
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and re.fullmatch(r"nas\.\w+", ast.unparse(node.func)):
            given = [a for a in node.args if not isinstance(a, ast.Starred)]
            signature = inspect.signature(getattr(nas_lightning, node.func.attr))
            signature.bind_partial(*given, **{k.arg: None for k in node.keywords if k.arg})
            called += 1
    assert called >= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", rest_nightly([(name,) for name in NOTEBOOKS], lambda name: name == NOTEBOOKS[0]))
def test_a_notebook_runs(name):
    done = process.run(["-c", CELLS, EXAMPLES / name], cwd=EXAMPLES)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-1500:]
    cells = [cell for cell in nbformat.read(EXAMPLES / name, as_version=4).cells if cell.cell_type == "code"]
    assert done.stdout.count("== cell") == len(cells) > 4


@pytest.mark.nightly
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_in_a_kernel_of_jupyter(name):
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    nbclient.NotebookClient(notebook, timeout=280, resources={"metadata": {"path": str(EXAMPLES)}}).execute()


def test_a_cell_that_fails_is_noticed(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(notebook, tmp_path / "broken.ipynb")
    done = process.run(["-c", CELLS, tmp_path / "broken.ipynb"], cwd=tmp_path)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stdout + done.stderr
