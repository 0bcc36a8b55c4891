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


def test_a_list_of_architectures_is_one_run_wherever_it_lies(tmp_path, monkeypatch):
    space = get_space("nasbench201")
    for name in ("set.txt", "copy.txt"):
        (tmp_path / name).write_text("\n".join(str(space.from_index(i)) for i in range(5)))
    monkeypatch.chdir(tmp_path)
    assert len({job(f"evaluation.architectures={n}").hash for n in ("set.txt", tmp_path / "copy.txt")}) == 1


def test_landmarks_and_their_table_count_by_content(tmp_path):
    space, path, truth = get_space("nasbench201"), tmp_path / "landmarks.txt", table(tmp_path / "mine.arrow", 0)
    given = [
        "+extra=landmark_loss",
        f"heuristics.landmark_loss.landmarks={path}",
        f"benchmark.name={truth}",
        "evaluation.architectures=random10_seed0",
        "heuristics.landmark_loss.exclude=null",
    ]

    def write(n):
        path.write_text("\n".join(str(space.from_index(i)) for i in range(n)))

    write(5)
    first = job(*given)
    assert "sha256" in first.determining["options"]["landmark_loss"]["landmarks"]
    write(6)
    assert job(*given).hash != first.hash
    write(5)
    assert job(*given).hash == first.hash
    options = first.determining["options"]["landmark_loss"]
    table(truth, 1)
    assert job(*given).determining["options"]["landmark_loss"]["benchmark"] != options["benchmark"]


def test_weak_labels_count_by_content(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from nas_lightning.search.weak_labels import WeakLabelFile

    space, path = get_space("nasbench201"), tmp_path / "ranking.parquet"

    def write(score):
        pq.write_table(pa.table({"architecture": [str(space.from_index(1))], "supernet_accuracy": [score]}), path)
        return WeakLabelFile(path).identity()

    assert write(0.5) == write(0.5)
    assert write(0.5) != write(0.6)


def test_checkpoints_count_by_their_weights(tmp_path):
    import torch

    from nas_lightning.scoring.trained import find_trained
    from nas_lightning.training.checkpoint_file import CHECKPOINT_KEY, FORMAT, write_checkpoint
    from nas_lightning.training.module import SuperNetModule
    from tests.helpers.small_plans import small_plan

    def weights(seed):
        module = SuperNetModule("nasbench201", small_plan("nasbench201"), 10, 1, seed)
        module._trainer = None
        content = {"state_dict": module.state_dict(), CHECKPOINT_KEY: {"format": FORMAT, **module.identity, "seed": 0}}
        write_checkpoint(tmp_path / "a.ckpt", content)
        return find_trained(str(tmp_path / "a.ckpt"))[0].weights_sha256

    torch.manual_seed(0)
    assert weights(0) == weights(0)
    assert weights(0) != weights(1)
