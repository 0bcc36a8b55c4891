"""A result never answers for other inputs: files count in a run's name by content, not by name or path."""

import os

import numpy as np
import pytest

from nas_lightning.benchmarks import write_table
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.modes.job import compose
from nas_lightning.spaces import get_space
from tests.helpers.commands import composed


def table(path, seed):
    rng, space = np.random.default_rng(seed), get_space("nasbench201")
    archs = [space.from_index(i) for i in range(30)]
    columns = {"test_accuracy": rng.uniform(0.1, 0.9, 30)}
    write_table(path, space="nasbench201", dataset="digits", architectures=archs, columns=columns)
    return path


def job(*overrides):
    return compose(composed("recipe=nasbench201_quick", *overrides))


def test_a_table_made_anew_under_its_name_is_another_run(tmp_path, monkeypatch):
    path = table(tmp_path / "mine.arrow", 0)
    first = job(f"benchmark.name={path}")
    monkeypatch.chdir(tmp_path)
    assert job(f"benchmark.name={os.path.join('.', 'mine.arrow')}").hash == first.hash, (
        "a relative path is the same run"
    )
    copy = tmp_path / "copy.arrow"
    copy.write_bytes(path.read_bytes())
    assert job(f"benchmark.name={copy}").hash == first.hash
    table(path, 1)
    assert job(f"benchmark.name={path}").hash != first.hash


def test_a_file_of_architectures_counts_by_its_content(tmp_path):
    path = tmp_path / "set.txt"
    space = get_space("nasbench201")
    path.write_text("\n".join(str(space.from_index(i)) for i in range(5)))
    first = job(f"evaluation.architectures={path}")
    path.write_text("\n".join(str(space.from_index(i)) for i in range(6)))
    assert job(f"evaluation.architectures={path}").hash != first.hash


def test_the_packages_own_tables_keep_the_names_of_runs_from_before():
    assert job().determining["benchmark"] == {"name": "digits_nasbench201", "dataset": None}


def test_a_missing_table_is_refused_before_anything_starts():
    with pytest.raises(BenchmarkError, match="does not exist"):
        job("benchmark.name=/nowhere/mine.arrow")
