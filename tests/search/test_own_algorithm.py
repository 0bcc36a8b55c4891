"""An algorithm from outside the package, through the real command line, with no edit in it."""

import json
import os
import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from omegaconf.errors import OmegaConfBaseException

from nas_lightning.config.search_schema import typed_algorithm
from nas_lightning.search import algorithm as registry
from nas_lightning.search.trial import SearchError
from tests.helpers import process

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "own_algorithm.py"


def command(folder, *arguments):
    path = f"{ROOT / 'examples'}{os.pathsep}{ROOT}"
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    typed = [ROOT / "search.py", "--config-dir", "own", "budget.amount=30", *arguments]
    return process.run(typed, cwd=folder, env=environment)


@pytest.fixture
def folder(tmp_path):
    """The example's own configuration file, as its docstring gives it."""
    lines = re.findall(r"^    (_target_: .*|name: .*|patience: .*)$", EXAMPLE.read_text(), re.MULTILINE)[:3]
    assert len(lines) == 3, lines
    (tmp_path / "own" / "algorithm").mkdir(parents=True)
    (tmp_path / "own" / "algorithm" / "hill_climber.yaml").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_the_example_is_short():
    code = EXAMPLE.read_text().split('"""', 2)[2].strip().splitlines()
    assert 20 <= len(code) <= 40


def test_it_searches_is_found_again_and_its_settings_count(folder):
    done = command(folder, "algorithm=hill_climber", "baseline_seeds=0")
    assert done.returncode == 0, done.stderr
    (path,) = folder.rglob("result.json")
    result = json.loads(path.read_text())
    assert result["algorithm"] == {
        "name": "hill_climber",
        "_target_": "own_algorithm.HillClimber",
        "settings": {"patience": 20},
        "notes": [],
    }
    assert result["metrics"]["evaluations"] == 30
    again = command(folder, "algorithm=hill_climber", "baseline_seeds=0")
    assert "This search is complete" in again.stdout
    assert command(folder, "algorithm=hill_climber", "algorithm.patience=2", "baseline_seeds=0").returncode == 0
    assert len(list(folder.rglob("result.json"))) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("algorithm=hill_climber", "algorithm.patience=many"), "could not be converted to Integer"),
        (("algorithm=hill_climber", "+algorithm.patients=3"), "patients"),
        (("algorithm=hill_climber", "algorithm._target_=nowhere.Climber"), "there is no module nowhere"),
        (("algorithm=hill_climber", "algorithm._target_=own_algorithm.Climber"), "has no Climber"),
        (("algorithm=hill_climber", "algorithm._target_=pathlib.Path"), "no subclass"),
        (("algorithm=hill_climer",), "hill_climber"),
    ],
)
def test_wrong_input_is_a_sentence(folder, arguments, sentence):
    done = command(folder, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "runs").exists()


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(SearchError, match="did you mean regularized_evolution"):
        registry.algorithm_class("regularised_evolution")


def test_an_entry_point_is_found_by_its_name(monkeypatch):
    point = EntryPoint("climber", "nas_lightning.search.algorithms.asha:ASHA", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == registry.ENTRY_POINTS else [])
    assert registry.algorithm_class("climber").__name__ == "ASHA"
    assert typed_algorithm({"name": "climber", "eta": 4}) == {
        "name": "climber",
        "_target_": "nas_lightning.search.algorithms.asha.ASHA",
        "eta": 4,
    }


def test_a_name_follows_from_the_class_where_none_is_given():
    assert typed_algorithm({"_target_": "nas_lightning.search.algorithms.local_search.LocalSearch"})["name"] == (
        "local_search"
    )
    with pytest.raises(SearchError, match="neither a name nor a _target_"):
        typed_algorithm({})
    with pytest.raises(OmegaConfBaseException):
        typed_algorithm({"name": "asha", "eta": "three"})
