"""Every fault that was once seen has a test, under its number."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.helpers.entries import ENTRIES, PATTERNS

ROOT = Path(__file__).parents[2]


@cache
def defined_in(file):
    parsed = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return [node.name for node in ast.walk(parsed) if isinstance(node, ast.FunctionDef) and node.name[:5] == "test_"]


@pytest.mark.parametrize("pattern", sorted(set(PATTERNS)))
def test_the_test_is_there(pattern):
    file, _, beginning = pattern.partition("::")
    assert any(name.startswith(beginning) for name in defined_in(file))


def test_every_number_is_there():
    assert [int(name.split()[0]) for name in ENTRIES] == [n for n in range(1, 35) if n != 6]


def test_this_run_marks_them(request):
    marked = {item.nodeid.partition("[")[0] for item in request.session.items if item.get_closest_marker("faults")}
    here = {item.nodeid.partition("[")[0] for item in request.session.items if item.nodeid.startswith(PATTERNS)}
    assert marked == here
