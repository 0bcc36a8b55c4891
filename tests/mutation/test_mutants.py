"""The mutation pass itself: what it plants, and that a planted fault is noticed."""

import ast
import importlib
import subprocess
import sys

import pytest

from tests.mutation.__main__ import EQUIVALENT, ROOT, equivalent, source_of
from tests.mutation.mutants import mutants, source_with
from tests.mutation.planting import plant
from tests.mutation.suites import MODULES, ROOMS, SUITES, suite, suite_of

SOURCE = '''
"""A text."""
def f(a: int = 1, *rest: str) -> int:
    """Another."""
    if a < 2 and not rest:
        raise ValueError(f"{a + 1} is wrong")
    self.x = divmod(a, 3)
    return -a * 2.5 if a else True
'''


def test_every_kind_of_fault_is_planted_and_no_text_is_touched():
    found = [(m.kind, m.before, m.after) for m in mutants("f", SOURCE)]
    assert sorted(found) == sorted(
        [
            ("constant", "1", "2"),
            ("comparison", "a < 2", "a <= 2"),
            ("constant", "2", "3"),
            ("boolean", "a < 2 and (not rest)", "a < 2 or not rest"),
            ("boolean", "not rest", "rest"),
            ("removed", "raise ValueError(f'{a + 1} is wrong')", "pass"),
            ("removed", "self.x = divmod(a, 3)", "pass"),
            ("swapped arguments", "divmod(a, 3)", "divmod(3, a)"),
            ("constant", "3", "4"),
            ("branches", "-a * 2.5 if a else True", "True if a else -a * 2.5"),
            ("arithmetic", "-a * 2.5", "-a / 2.5"),
            ("arithmetic", "-a", "a"),
            ("constant", "2.5", "5.0"),
            ("constant", "True", "False"),
        ]
    )


def test_each_fault_is_one_change_of_the_original():
    original = ast.unparse(ast.parse(SOURCE))
    for mutant in mutants("f", SOURCE):
        faulty = source_with(mutant, SOURCE)
        assert ast.parse(faulty)
        changed = [(a, b) for a, b in zip(original.splitlines(), faulty.splitlines(), strict=True) if a != b]
        assert len(changed) == 1
    assert len({m.key for m in mutants("f", SOURCE)}) == len(mutants("f", SOURCE))


def test_a_fault_is_planted_into_a_module_that_nobody_has_imported_and_taken_out_again(monkeypatch):
    """Algorithms are imported where they are named first: what was not there could not be broken, and seemed seen."""
    name = "nas_lightning.search.algorithms.hyperband"
    package = importlib.import_module(name.rpartition(".")[0])
    monkeypatch.setattr(package, "hyperband", importlib.import_module(name))
    monkeypatch.delitem(sys.modules, name)
    (mutant,) = [m for m in mutants(name, source_of(name).read_text()) if m.before == "eta ** s"]
    found = []
    for planted in (name, mutant, name):
        plant(planted)
        found.append(sys.modules[name].hyperband_bracket(2, 4, 3))
    assert found == [(15, 5, 1), (10, 3, 1), (15, 5, 1)]


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_of_a_room_has_tests_that_exist(room):
    found = [module for module in MODULES if module.startswith(room.replace("/", "."))]
    assert found
    for module in found:
        assert source_of(module).exists()
        assert all((ROOT / path).exists() for path in suite_of(module)), module


def test_every_suite_is_of_a_module():
    assert {id(suite(module)) for module in MODULES} == set(map(id, SUITES))


def test_an_equivalent_fault_is_named_with_its_reason_and_still_exists():
    lines = [line.split("\t") for line in EQUIVALENT.read_text().splitlines() if not line.startswith("#")]
    keys = {m: {f.key for f in mutants(m, source_of(m).read_text())} for m in {module for _, module, _ in lines}}
    for key, module, why in lines:
        assert key in keys[module], f"equivalent.tsv: {key} ({why}) is no fault of the code any more; take it out"
        assert len(why) > 10
    assert list(equivalent()) == [key for key, *_ in lines]


@pytest.mark.mutation
def test_the_faults_of_the_learning_rate_are_seen(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutation", "nas_lightning.training.schedule", "--out", str(tmp_path / "m.jsonl")],
        cwd=ROOT, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "SURVIVED" not in done.stdout.replace("survived", "")
    assert done.stdout.count(" failed ") > 20
