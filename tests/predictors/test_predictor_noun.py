"""Predictors are found by name, path and entry point; what they return is checked."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from nas_lightning.plan import Mapping
from nas_lightning.predictors import base
from nas_lightning.predictors.base import Context, Predictor, PredictorError, checked_scores, make_predictor
from nas_lightning.spaces import get_space

SPACE = get_space("nasbench201")
ARCHS = [SPACE.sample(np.random.default_rng(i)) for i in range(5)]


class Longest(Predictor):
    """A predictor of this test: the length of the string form."""

    name = "longest"

    def __init__(self, *, factor: float = 1.0) -> None:
        self.factor = factor

    def __call__(self, context: Context) -> np.ndarray:
        return self.factor * np.array([len(str(a)) for a in context.architectures])


def context(**more) -> Context:
    return Context(SPACE, ARCHS, Mapping(channels=16, layers=5), **more)


def test_every_file_of_the_group_builds_a_predictor_of_its_own_name():
    names = base.predictor_names()
    assert {"parameters", "macs", "depth"} <= set(names)
    assert [make_predictor(name).name for name in names] == list(names)


def test_costs_are_those_of_the_stand_alone_networks():
    params, macs = SPACE.costs(ARCHS, channels=16, layers=5, num_classes=10, in_channels=3, image_size=32)
    np.testing.assert_array_equal(checked_scores(make_predictor("parameters"), context()), params)
    np.testing.assert_array_equal(checked_scores(make_predictor("macs"), context()), macs)
    depths = [SPACE.depth(a) for a in ARCHS]
    assert len(set(depths)) > 1
    np.testing.assert_array_equal(checked_scores(make_predictor("depth"), context()), depths)


def test_a_class_is_found_by_its_path_with_settings():
    path = f"{__name__}.Longest"
    lengths = np.array([len(str(a)) for a in ARCHS])
    np.testing.assert_array_equal(make_predictor(path)(context()), lengths)
    np.testing.assert_array_equal(make_predictor({"_target_": path, "factor": 2})(context()), 2 * lengths)
    assert make_predictor({"_target_": path, "factor": 2}).settings() == {"factor": 2}


def test_an_entry_point_is_found_by_its_name(monkeypatch):
    point = EntryPoint("longest", f"{__name__}:Longest", base.ENTRY_POINTS)
    monkeypatch.setattr(base, "entry_points", lambda group: [point] if group == base.ENTRY_POINTS else [])
    assert isinstance(make_predictor("longest"), Longest)
    assert "longest" in base.predictor_names()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("parametres", "did you mean parameters"),
        ("no_such.Module", "no module no_such"),
        ("nas_lightning.predictors.depth.Deep", "has no Deep"),
        ("nas_lightning.plan.Plan", "no subclass"),
        ({"factor": 2}, "_target_"),
        ({"_target_": f"{__name__}.Longest", "power": 2}, "power"),
    ],
)
def test_what_is_no_predictor_is_refused_with_a_reason(given, says):
    with pytest.raises(PredictorError, match=says):
        make_predictor(given)


def test_one_name_twice_is_refused():
    with pytest.raises(PredictorError, match="two predictors are named depth"):
        base.make_predictors(["depth", "macs", "depth"])


def test_what_a_predictor_needs_and_returns_is_checked():
    class Wrong(Predictor):
        name = "wrong"

        def __call__(self, context: Context) -> np.ndarray:
            return np.zeros(2)

    with pytest.raises(PredictorError, match="5 architectures"):
        checked_scores(Wrong(), context())
    Wrong.needs = frozenset({"truth"})
    with pytest.raises(PredictorError, match="needs a table"):
        checked_scores(Wrong(), context())
