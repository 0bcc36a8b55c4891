"""A result never answers for other inputs: files count in a run's name by content, not by name or path."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nas_lightning.benchmarks import Benchmark, write_table
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.errors import UserError
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


def images(path, seed):
    """Other seeds turn the order around: classes have other images, all of which have the same mean."""
    pixels = np.random.default_rng(0).integers(0, 256, (240, 8, 8), dtype=np.uint8)
    if seed:
        pixels[:180] = pixels[:180][::-1].copy()
    labels = np.arange(240) % 3
    np.savez(path, x_train=pixels[:180], y_train=labels[:180], x_test=pixels[180:], y_test=labels[180:])
    return path


def test_images_count_by_their_content(tmp_path):
    given = ("data=npz", f"data.path={images(tmp_path / 'mine.npz', 0)}", "benchmark=none")
    first = job(*given)
    copy = images(tmp_path / "copy.npz", 0)
    assert job(given[0], f"data.path={copy}", given[2]).hash == first.hash
    images(tmp_path / "mine.npz", 1)
    assert job(*given).hash != first.hash


@pytest.fixture
def super_net(tmp_path):
    """The checkpoint of a super-net of one's own images, in a run folder, and how the images are named."""
    from nas_lightning.objectives.candidate import task_of
    from nas_lightning.training.checkpoint_file import write_checkpoint
    from nas_lightning.training.module import SuperNetModule

    given = ("data=npz", f"data.path={images(tmp_path / 'mine.npz', 0)}", "benchmark=none")
    run = job(*given)
    task = task_of(run.config.data, run.plan, 0)
    module = SuperNetModule("nasbench201", run.plan, 3, 1, 0)
    module._trainer = SimpleNamespace(datamodule=task)
    content = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(content)
    file = tmp_path / "run" / "checkpoints" / "final.ckpt"
    file.parent.mkdir(parents=True)
    write_checkpoint(file, content)
    return file, given, content


def evaluated(file, given):
    return compose(composed("space=nasbench201", "mode=evaluate", f"checkpoint={file}", *given))


def test_images_changed_under_their_name_do_not_score_the_super_net_that_others_trained(tmp_path, super_net):
    from nas_lightning.training.checkpoint_file import CHECKPOINT_KEY, write_checkpoint

    file, given, content = super_net
    assert content[CHECKPOINT_KEY]["data"]["dataset"] == "npz"
    first = evaluated(file, given).hash
    images(tmp_path / "mine.npz", 1)
    with pytest.raises(
        UserError, match=r"data=npz is not what trained .*final\.ckpt \(its hash was .*bring the old"
    ) as no:
        evaluated(file, given)
    assert len(str(no.value)) < 300 + len(str(file))
    images(tmp_path / "mine.npz", 0)
    assert evaluated(file, given).hash == first
    # a checkpoint of an earlier version says nothing: its run folder's environment.json does
    sha256 = content[CHECKPOINT_KEY].pop("data")["content_sha256"]
    write_checkpoint(file, content)
    images(tmp_path / "mine.npz", 1)
    assert evaluated(file, given)
    (tmp_path / "run" / "environment.json").write_text(json.dumps({"data": {"content_sha256": sha256}}))
    with pytest.raises(UserError, match="is not what trained"):
        evaluated(file, given)


def test_a_search_guided_by_a_super_net_refuses_changed_images_too(tmp_path, super_net):
    from hydra import compose as compose_with_hydra
    from hydra import initialize_config_dir

    from nas_lightning.config.schema import typed
    from nas_lightning.config.search_schema import register
    from nas_lightning.modes.search import make_objective, plan_of
    from tests.helpers.commands import CONF

    file, given, _ = super_net

    def objective():
        register()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            overrides = ["objective=supernet", f"checkpoint={file}", "objective.batch_size=16", "trainer=cpu", *given]
            config = typed(compose_with_hydra("search", overrides))
        return make_objective(config, plan_of(config))

    first = objective().identity()
    assert objective().identity() == first
    images(tmp_path / "mine.npz", 1)
    with pytest.raises(UserError, match="data=npz is not what trained"):
        objective()


def test_a_search_counts_its_table_by_content(tmp_path):
    from nas_lightning.search.benchmark_objective import benchmark_objective

    def identity(path):
        settings = {"name": str(path), "root": None, "dataset": None}
        return benchmark_objective(settings, space="nasbench201", cost_unit="evaluations", fidelity="none").identity()

    path = table(tmp_path / "mine.arrow", 0)
    first = identity(path)
    (tmp_path / "copy.arrow").write_bytes(path.read_bytes())
    assert identity(tmp_path / "copy.arrow") == first
    table(path, 1)
    assert identity(path) != first


def test_a_report_of_score_files_counts_them_by_content(tmp_path):
    from nas_lightning.report.scores import digest_of

    path, truth = tmp_path / "scores.csv", Benchmark.open("digits_nasbench201")
    path.write_text("arch,score\na,1\n")
    first = digest_of(truth, [path])
    path.write_text("arch,score\na,2\n")
    assert digest_of(truth, [path]) != first
    path.write_text("arch,score\na,1\n")
    assert digest_of(truth, [path]) == first


def folder_of_images(path, seed):
    from PIL import Image

    rng = np.random.default_rng(0)
    for c in ("cat", "dog"):
        (path / c).mkdir(parents=True, exist_ok=True)
        for i in range(60):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)[:, :: -1 if seed else 1]  # mirrored, of one mean
            Image.fromarray(np.ascontiguousarray(pixels)).save(path / c / f"{i}.png")
    return path


def parquet_of_images(path, seed):
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    rng = np.random.default_rng(0)
    path.mkdir(exist_ok=True)

    def encoded():
        stream = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(stream, "PNG")
        return {"bytes": stream.getvalue()}

    for split in ("train", "test"):
        cells = {"image": [encoded() for _ in range(60)][:: -1 if seed else 1], "label": [i % 2 for i in range(60)]}
        pq.write_table(pa.table(cells), path / f"{split}-0.parquet")
    return path


def text(path, seed):
    rng = np.random.default_rng(seed)
    path.write_text(" ".join(f"w{i}" for i in rng.integers(0, 9, 20_000)))
    return path


def arrays(path, seed):
    rng = np.random.default_rng(seed)
    path.mkdir(exist_ok=True)
    for part in ("train", "test"):
        np.save(path / f"x_{part}.npy", rng.normal(size=(40, 1, 52, 16)))
        np.save(path / f"y_{part}.npy", np.arange(40) % 3)
    return path


@pytest.mark.parametrize(
    ("write", "typed", "place"),
    [
        (folder_of_images, ["data=folder"], "data.path"),
        (parquet_of_images, ["data=parquet"], "data.path"),
        (text, ["data=text", "space=rnn_ptb"], "data.path"),
        (arrays, ["data=ninapro"], "data.root"),
    ],
)
def test_data_of_every_kind_counts_by_its_content(tmp_path, write, typed, place):
    def hash_of(path):
        return compose(composed(*typed, f"{place}={path}", "benchmark=none", "plan.protocol.batch_size=8")).hash

    path = write(tmp_path / "mine", 0)
    first = hash_of(path)
    assert hash_of(write(tmp_path / "copy", 0)) == first
    write(path, 1)
    assert hash_of(path) != first


def test_the_file_of_one_architecture_counts_by_its_content(tmp_path):
    path = tmp_path / "derived.txt"
    path.write_text("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|\n")
    first = compose(composed("mode=standalone", f"architecture={path}")).hash
    path.write_text("|nor_conv_1x1~0|+|none~0|none~1|+|none~0|none~1|none~2|\n")
    assert compose(composed("mode=standalone", f"architecture={path}")).hash != first


def test_candidates_and_another_tables_measures_count_by_content(tmp_path):
    from hydra import compose as compose_with_hydra
    from hydra import initialize_config_dir

    from nas_lightning.config.schema import typed
    from nas_lightning.config.search_schema import register
    from nas_lightning.modes.search import describe_search
    from tests.helpers.commands import CONF

    space, candidates = get_space("nasbench201"), tmp_path / "candidates.txt"
    measures = tmp_path / "latencies.arrow"

    def write(n, seed):
        candidates.write_text("\n".join(map(str, Benchmark.open("digits_nasbench201").architectures()[:n])))
        archs = [space.from_index(i) for i in range(15625)]
        columns = {"latency_ms": np.random.default_rng(seed).uniform(1, 2, len(archs))}
        write_table(measures, space="nasbench201", dataset="digits", architectures=archs, columns=columns)

    def folder():
        register()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            given = ["algorithm=nsga2", "algorithm.minimise=[latency_ms]", f"objective.measures_from={measures}"]
            config = compose_with_hydra("search", [*given, f"candidates={candidates}", "benchmark=embedded"])
        return describe_search(typed(config)).name

    write(5, 0)
    first = folder()
    assert folder() == first
    write(6, 0)
    other = folder()
    assert other != first
    write(6, 1)
    assert folder() != other


def test_a_file_that_a_predictor_of_ones_own_reads_counts_by_its_content(tmp_path):
    path = tmp_path / "weights.json"
    path.write_text("[1]")
    typed = f"evaluation.predictors=[{{_target_: mine.Mine, file: '{path}'}}]"
    first = job(typed).hash
    path.write_text("[2]")
    assert job(typed).hash != first
    path.write_text("[1]")
    assert job(typed).hash == first
