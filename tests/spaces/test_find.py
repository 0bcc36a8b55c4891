"""Spaces by name, by dotted path and by entry point; what a file names is never imported."""

import sys
import types
from importlib import metadata

import numpy as np
import pytest

from nas_lightning.benchmarks import Benchmark, write_table
from nas_lightning.spaces import SpaceError, configured, find, get_space, target_of

TOY = "examples.own_space.space.ToySpace"


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch):
    """Every test starts with the package's own spaces alone."""
    monkeypatch.setattr(find, "_given", {})
    find._entry_points.cache_clear()
    yield
    find._entry_points.cache_clear()


def test_a_dotted_path_is_known_by_its_name_from_then_on():
    with pytest.raises(SpaceError, match="no search space"):
        get_space("toy")
    assert get_space(TOY).name == "toy"
    assert type(get_space("toy")) is type(get_space(TOY)) is type(get_space(TOY.replace(".ToySpace", ":ToySpace")))
    assert target_of("toy") == TOY
    assert target_of("nasbench201") is None


def test_the_nearest_names_are_told():
    with pytest.raises(SpaceError, match="did you mean nasbench_macro"):
        get_space("nasbench_marco")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such_package.Space", "there is no module no_such_package"),
        ("examples.own_space.space.Nothing", "has no Nothing"),
        ("callbacks.layers.Layers", "is no search space"),
        ("nas_lightning.spaces.base.Space", "is not whole"),
    ],
)
def test_paths_that_lead_nowhere(path, message):
    with pytest.raises(SpaceError, match=message) as refused:
        get_space(path)
    assert len(str(refused.value)) < 300


def test_names_are_not_taken_twice(monkeypatch):
    toy = type(get_space(TOY))
    impostor = types.ModuleType("impostor")
    impostor.Mine = type("Mine", (toy,), {"name": "toy", "__module__": "impostor"})
    impostor.Known = type("Known", (toy,), {"name": "nasbench201", "__module__": "impostor"})
    monkeypatch.setitem(sys.modules, "impostor", impostor)
    for leaf in ("Mine", "Known"):
        with pytest.raises(SpaceError, match="both named"):
            get_space(f"impostor.{leaf}")


def test_a_configuration_whose_name_and_class_disagree_is_refused():
    assert configured("toy", TOY).name == "toy"
    with pytest.raises(SpaceError, match=r"_target_=.* is the space toy, not space.name=nasbench201"):
        configured("nasbench201", TOY)


def test_an_entry_point_is_found(monkeypatch):
    point = metadata.EntryPoint("toy", "examples.own_space.space:ToySpace", find.GROUP)
    monkeypatch.setattr(find.metadata, "entry_points", lambda group: [point] if group == find.GROUP else [])
    assert get_space("toy").name == "toy"
    assert "toy" in find.known_names()


def test_a_table_names_its_space_and_imports_nothing(tmp_path, monkeypatch):
    space = get_space(TOY)
    archs = list(space.enumerate())
    path = write_table(
        tmp_path / "toy.parquet",
        space="toy",
        dataset="digits",
        architectures=archs,
        columns={"test_accuracy": np.linspace(0.1, 0.9, len(archs))},
    )
    assert Benchmark.open(path).best().architecture == archs[-1]
    monkeypatch.setattr(find, "_given", {})
    monkeypatch.setattr(find.importlib, "import_module", lambda name: pytest.fail(f"imported {name}"))
    table = Benchmark.open(path)
    with pytest.raises(SpaceError, match=r"not known here \(written with examples.own_space.space.ToySpace\)"):
        table.architectures()
