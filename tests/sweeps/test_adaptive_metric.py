"""A metric that no result has is refused after the first complete job, with the names there are."""

import json
from types import SimpleNamespace

import pytest

from nas_lightning.errors import UserError
from nas_lightning.runs.reading import read_run
from nas_lightning.sweep.adaptive import numbers_of
from tests.helpers.run_folders import write_run


def refusal_of(tmp_path, metric):
    from nas_lightning.sweep import adaptive

    sweep = next(v for v in vars(adaptive).values() if isinstance(v, type) and hasattr(v, "check_metric"))
    self = SimpleNamespace(metric=metric)
    self.value = lambda job: sweep.value(self, job)
    folder = write_run(tmp_path / metric, n=12)
    with pytest.raises(UserError) as refusal:
        sweep.check_metric(self, SimpleNamespace(run=lambda: read_run(folder), folder=folder))
    return str(refusal.value)


def test_a_misspelt_metric_names_the_nearest(tmp_path):
    assert "metrics.accuracy.kendall_tau" in refusal_of(tmp_path, "metrics.accuracy.kendal_tau")
    assert "metrics.accuracy.kendall_tau" in refusal_of(tmp_path, "kendall_tau")
    assert "result.json has all" in refusal_of(tmp_path, "zzz")


def test_numbers_are_named_by_their_path():
    result = json.loads('{"a": {"b": 1, "c": null, "d": true, "e": "x"}, "f": 2.5}')
    assert list(numbers_of(result)) == ["a.b", "a.c", "f"]
