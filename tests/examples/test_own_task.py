"""A task of one's own, outside the package: regression, trained, ranked against a table of its own, searched."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nas_lightning.benchmarks import Benchmark
from nas_lightning.data.find import make_task
from nas_lightning.data.images import DataError
from tests.helpers import process

ROOT = Path(__file__).parents[2]
TARGET = "examples.own_task.task.Spots"
OWN = ("--config-dir", "examples/own_task/conf", "data=spots", "trainer=cpu", "trainer.progress_bar=false")
SMALL = ("plan.mapping.channels=2", "plan.mapping.layers=1", "plan.protocol.epochs=2", "plan.protocol.batch_size=32")


def ran(script, *arguments, code=0):
    done = process.run([*script, *arguments], timeout=600)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def section(**settings):
    return {"name": "spots", "_target_": TARGET, "settings": settings}


def test_the_batches_of_a_task_are_a_function_of_the_step_and_its_content_names_it():
    task, again = (make_task(section(noise=0.2), 32, 0.5, 3) for _ in range(2))
    assert (task.num_outputs, task.in_channels, task.image_size) == (2, 1, 8)
    assert (task.size("train"), task.size("validation"), task.size("test")) == (200, 200, 200)
    assert task.loader().batch(5)[1].equal(again.loader().batch(5)[1])
    assert task.identity() == again.identity()
    assert make_task(section(noise=0.3), 32, 0.5, 3).identity() != task.identity()


@pytest.mark.parametrize(
    ("settings", "given", "said"),
    [
        ({"nose": 0.1}, {}, "nothing reads data.nose of data=spots: say data.noise=…"),
        ({}, {"image_size": 4}, "does not read data.image_size"),
        ({}, {"_target_": "examples.own_task.task.Spot"}, "has no Spot"),
        ({}, {"_target_": "examples.own_taks.Spots"}, "there is no module examples.own_taks"),
        ({}, {"_target_": "collections.OrderedDict"}, "neither a nas_lightning.data.source.Source nor"),
    ],
)
def test_what_a_task_does_not_read_is_refused_with_the_nearest_name(settings, given, said):
    with pytest.raises(DataError) as refusal:
        make_task({**section(**settings), **given}, 32, 0.5, 0)
    assert said in str(refusal.value)
    assert len(str(refusal.value)) < 300


@pytest.mark.timeout(900)
def test_a_regression_is_trained_ranked_searched_and_reported_with_no_edit_elsewhere(tmp_path):
    runs, table = tmp_path / "runs", tmp_path / "spots.parquet"
    made = ("mode=table", "benchmark=none", "table.architectures=8", "table.seeds=2", "table.workers=1")
    told = ran(["train.py"], *OWN, *SMALL, f"runs={runs}", *made, f"table.out={table}")
    assert "test negative squared error" in told
    assert "accuracy" not in told.replace("stand-alone accuracies", "")
    metrics = {metric for metric, _ in Benchmark.open(table, space="nasbench201").metrics}
    assert metrics == {"test_score", "validation_score"}
    against = (f"runs={runs}", f"benchmark.name={table}", "evaluation.architectures=all")
    told = ran(["train.py"], *OWN, *SMALL, *against, "seed=1")
    assert "−squared" in told
    assert "accuracy" not in told
    (path,) = runs.glob("nasbench201_spots_*")
    result = json.loads((path / "result.json").read_text())
    assert list(result["metrics"]) == ["negative_squared_error"]
    assert result["evaluation"]["score"] == "negative_squared_error"
    assert result["metrics"]["negative_squared_error"]["supernet_negative_squared_error"] < 0
    assert result["quality"]["name"] == "negative_squared_error"
    assert "standalone_negative_squared_error" in pq.read_schema(path / "ranking.parquet").names
    told = ran(["search.py"], *OWN[:3], f"runs={runs}", f"benchmark.name={table}", "budget.amount=4")
    assert "stand-alone negative squared error" in told
    trained = (*OWN[:4], *SMALL, f"runs={runs}", "objective=training", "budget.amount=2")
    told = ran(["search.py"], *trained, "plan.protocol.epochs=1")
    assert "stand-alone negative squared error -" in told
    assert "accuracy" not in told
    told = ran(["-m", "nas_lightning.report"], str(runs), "--out", str(tmp_path / "report"))
    assert "Stand-alone negative squared error" in (tmp_path / "report" / "index.html").read_text()


def test_label_smoothing_of_a_loss_that_has_none_is_refused(tmp_path):
    told = ran(["train.py"], *OWN, *SMALL, f"runs={tmp_path}", "plan.protocol.label_smoothing=0.1", code=2)
    assert "whose loss does not smooth" in told
