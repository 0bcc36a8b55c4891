import csv
import doctest
import json
from dataclasses import replace

import numpy as np
import pytest

from nas_lightning.logging import LOGGERS, facts, open_logger
from nas_lightning.logging.facts import final_numbers, plain
from nas_lightning.logging.loggers import why
from nas_lightning.plan import Protocol
from nas_lightning.training.divergence import DivergedError
from tests.helpers.logged_run import RESULT, use


def test_examples_in_the_docstrings():
    assert not doctest.testmod(facts).failed


def test_config_is_of_plain_values(run):
    config = run.config()
    assert config["protocol"] == {"learning_rate": 0.1, "track_running_stats": False}
    assert type(config["protocol"]["learning_rate"]) is float
    assert config["protocol"]["track_running_stats"] is False
    assert config["changed"] == {"sampling": True}
    assert config["ablation"] == {"factor": "sampling", "setting": "fairnas"}
    assert config["evaluation"]["architecture_set"] == "random200_seed0"
    assert json.loads(json.dumps(config, allow_nan=False)) == config
    assert plain({"a": [np.int64(1), float("inf")], "b": object}) == {"a": [1, None], "b": "<class 'object'>"}


def test_a_log_perplexity_is_told_as_perplexity_too():
    name = "negative_log_perplexity"
    quality = {"name": name, "unit": "", "scale": "perplexity", "shown_name": "perplexity"}
    metrics = {name: {"kendall_tau": 0.5, f"supernet_{name}": -4.0}}
    found = final_numbers({"metrics": metrics, "quality": quality, "evaluation": {"score": name}})
    assert found == {
        "kendall_tau": 0.5,
        f"supernet_{name}": -4.0,
        "supernet_perplexity": pytest.approx(54.598, abs=1e-3),
    }


def test_final_numbers_are_numbers_of_the_score_that_counts():
    found = final_numbers(RESULT)
    assert found["kendall_tau"] == 0.5
    assert found["by_negative_cross_entropy/kendall_tau"] == 0.6
    assert found["baselines/parameters/kendall_tau"] == 0.55
    assert found["kendall_tau_interval/low"] == 0.4
    assert found["cost/passes"] == 81
    assert "ceiling/noise/not_available" not in found
    other = final_numbers(RESULT | {"evaluation": {"score": "negative_cross_entropy"}})
    assert (other["kendall_tau"], other["supernet_accuracy"]) == (0.6, 0.7)


def test_several_checkpoints_count_by_their_headline():
    metrics = {"seed0 accuracy": {"kendall_tau": 0.5}, "seed1 accuracy": {"kendall_tau": 0.6}}
    evaluation = {"score": "accuracy", "headline": "seed0 accuracy"}
    found = final_numbers({"metrics": metrics, "evaluation": evaluation})
    assert found == {"kendall_tau": 0.5, "by_seed1 accuracy/kendall_tau": 0.6}


def test_changes_without_an_ablation_file_are_no_baseline(run):
    """Panels are grouped by `ablation`: heuristics typed one by one must not hide among the baselines."""
    given = {"sampling": "fairnas, paths_per_step=5"}
    typed = replace(run, changes=given).config()["ablation"]
    assert typed == {"factor": "sampling", "setting": "fairnas, paths_per_step=5"}
    both = replace(run, changes=given | {"channels": "16"}).config()["ablation"]
    assert both == {"factor": "combination", "setting": "channels: 16 + sampling: fairnas, paths_per_step=5"}
    none = replace(run, changes={}).config()["ablation"]
    assert none == {"factor": "baseline", "setting": "baseline"}


def test_a_plan_that_was_typed_is_no_baseline_either(run):
    """Else its runs would be grouped with those of the plan as it is."""
    typed = {"protocol.learning_rate": "100"}
    alone = replace(run, changes={}, starting_point=typed)
    assert alone.name == "nasbench201 learning_rate-100 seed3"
    assert alone.config()["ablation"] == {"factor": "starting_point", "setting": "protocol.learning_rate=100"}
    changed = replace(run, starting_point=typed)
    assert changed.name == "nasbench201 learning_rate-100+sampling-fairnas seed3"
    said = {"factor": "sampling", "setting": "fairnas (protocol.learning_rate=100)"}
    assert changed.config()["ablation"] == said


def test_names_say_what_was_varied(run):
    assert run.name == "nasbench201 sampling-fairnas seed3"
    assert run.tags == ["nasbench201", "digits", "sampling"]
    assert replace(run, changes={}).name == "nasbench201 baseline seed3"  # a default that is named changes nothing


def test_none_writes_nothing(run, tmp_path):
    with open_logger("none", run) as logger:
        use(logger, tmp_path)
        assert logger.lightning is False
    assert not run.folder.exists()


def test_csv(run, tmp_path):
    with open_logger("csv", run) as logger:
        use(logger, tmp_path)
    with (run.folder / "csv" / "metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [r["train_loss"] for r in rows[:2]] == ["1.5", "1.0"]
    assert float(rows[-1]["final/kendall_tau"]) == 0.5
    assert "learning_rate" in (run.folder / "csv" / "hparams.yaml").read_text()


def test_rows_from_before_a_kill_are_kept(run):
    for step in (1, 2, 3):  # never closed: the process was killed
        open_logger("csv", run).lightning.log_metrics({"loss": float(step)}, step=step)
    folder = run.folder / "csv"
    rows = {path.name: list(csv.DictReader(path.open())) for path in folder.glob("*.csv")}
    assert {name: [row["loss"] for row in found] for name, found in rows.items()} == {
        "metrics.1.csv": ["1.0"],
        "metrics.2.csv": ["2.0"],
        "metrics.csv": ["3.0"],
    }


def test_tensorboard(run, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (extra: tensorboard)")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with open_logger("tensorboard", run) as logger:
        use(logger, tmp_path)
    events = EventAccumulator(str(run.folder / "tensorboard"))
    events.Reload()
    assert [e.value for e in events.Scalars("train_loss")] == [1.5, 1.0]
    assert events.Scalars("final/kendall_tau")[0].value == 0.5
    assert "ranking/random2_seed0" in events.Tags()["images"]


@pytest.mark.parametrize("name", LOGGERS)
def test_other_ranks_log_nothing(run, tmp_path, name, monkeypatch):
    from pytorch_lightning.utilities.rank_zero import rank_zero_only

    monkeypatch.setattr(rank_zero_only, "rank", 1)
    with open_logger(name, run) as logger:
        use(logger, tmp_path)
    assert not run.folder.exists()


def test_unknown_logger(run):
    with pytest.raises(ValueError, match="logger=mlflow is unknown; choose one of none, csv, tensorboard, wandb"):
        open_logger("mlflow", run)


def test_a_run_that_fails_says_why():
    assert why(ValueError("two\nlines")) == {"status": "failed", "reason": "two lines"}
    assert why(KeyboardInterrupt()) == {"status": "failed", "reason": "KeyboardInterrupt"}
    found = why(DivergedError(5, 1e9, Protocol()))
    assert (found["status"], found["step"], found["loss"]) == ("diverged", 5, 1e9)
