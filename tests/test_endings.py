"""What a run says at its end: a table, what the number means, and a next command that works as it is printed."""

import io
import shlex

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from rich.console import Console

from nas_lightning.config.search_schema import as_dict
from nas_lightning.modes import ending, main
from nas_lightning.modes.ending import SAME_TRAINING, _where, command
from nas_lightning.modes.job import compose as compose_job
from nas_lightning.modes.main import train
from nas_lightning.modes.search import search
from nas_lightning.ranking.terminal import words_of
from tests.helpers.commands import CONF, composed, job, only_folder

ARCH = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_3x3~1|+|none~0|none~1|nor_conv_1x1~2|"


@pytest.fixture
def said(monkeypatch):
    """What is printed, in a terminal of 120 columns."""
    stream = io.StringIO()
    monkeypatch.setattr(main, "console", Console(file=stream, width=120))
    return stream.getvalue


def summary(tau, low, high, ceiling=0.8, **beside):
    return {
        "metrics": {"accuracy": {"kendall_tau": tau, "kendall_tau_interval": {"low": low, "high": high}}},
        "baselines": {name: {"kendall_tau": value} for name, value in beside.items()},
        "ceiling": {"noise": {} if ceiling is None else {"tau": ceiling}},
    }


def test_the_words_follow_the_numbers():
    ahead = words_of(summary(0.6, 0.5, 0.7, parameters=0.3, depth=0.4), small=True)
    assert "in 80 of 100 cases" in ahead[0]
    assert "room for 90" in ahead[0]
    assert ahead[1:] == ["It is ahead of all that ranks without shared weights, the best of which is depth (0.40)."]
    behind = words_of(summary(0.1, -0.1, 0.3, None, linear_operation_counts=0.4), small=True)
    assert "room" not in behind[0]
    assert "holds 0" in behind[1]
    assert "linear operation counts (0.40)" in behind[2]
    assert "a task this small" in behind[3]
    assert len(words_of(summary(0.1, -0.1, 0.3, parameters=0.4))) == 3  # a large task is not called small
    assert "not defined" in words_of(summary(None, None, None, parameters=0.4))[0]


def test_the_words_are_of_the_fused_score_where_there_is_one():
    found = summary(0.1, -0.1, 0.3, parameters=0.4)
    fused = {"kendall_tau": 0.6, "kendall_tau_interval": {"low": 0.5, "high": 0.7}}
    found["metrics"]["fusion(accuracy + negative_cross_entropy)"] = fused
    first, second = words_of(found)
    assert "the fused score puts the better one first in 80 of 100" in first
    assert "ahead" in second


@pytest.mark.parametrize(
    ("typed", "kept", "expected"),
    [
        (["recipe=nasbench201_first"], (*SAME_TRAINING, "benchmark"), ["recipe=nasbench201_first"]),
        (["recipe=nasbench201_first"], ("data",), ["data=overlaid_digits"]),
        (
            ["data=overlaid_digits", "data.augment=none", "benchmark=none", "seed=3"],
            (*SAME_TRAINING, "benchmark"),
            ["data=overlaid_digits", "data.augment=none", "benchmark=none"],
        ),
        (["data=overlaid_digits", "benchmark=none"], SAME_TRAINING, ["data=overlaid_digits"]),
    ],
)
def test_a_further_command_stays_on_recipe_data_and_table(typed, kept, expected, monkeypatch, tmp_path):
    one = compose_job(composed(*typed, f"runs={tmp_path}"))
    hydra = OmegaConf.create({"overrides": {"task": typed}})
    monkeypatch.setattr(HydraConfig, "initialized", staticmethod(lambda: True))
    monkeypatch.setattr(HydraConfig, "get", staticmethod(lambda: hydra))
    assert _where(one, kept) == expected


def test_a_printed_command_is_typed_as_it_is():
    typed = shlex.split(command("mode=standalone", f"architecture='{ARCH}'", "a b"))
    assert typed[-3:] == ["mode=standalone", f"architecture='{ARCH}'", "a b"]


def test_a_ranked_run_explains_its_tau_and_names_the_next_command(tmp_path, said):
    train(job(tmp_path))
    assert "of two architectures, the score puts the better one first in" in said()
    assert "train.py -m heuristics/batch_norm=untracked,tracked" in said()


def test_without_truth_the_top_architectures_stand_in_order(tmp_path, said):
    import pyarrow.parquet as pq

    train(job(tmp_path, "benchmark=none"))
    rows = pq.read_table(only_folder(tmp_path) / "ranking.parquet").to_pylist()
    best = max(rows, key=lambda row: (row["supernet_accuracy"], [-ord(c) for c in row["architecture"]]))
    table, _, after = said().partition("Mean accuracy")
    assert "the best 10 of 20 by accuracy" in table
    assert f"{best['params']:,}" in table.splitlines()[4]
    assert f"architecture='{best['architecture']}'" in after.replace("\n", "")
    assert "{" not in said()


def test_a_network_and_a_table_end_in_tables(tmp_path, said):
    train(job(tmp_path / "one", "mode=standalone", f"architecture='{ARCH}'"))
    assert "cross-entropy" in said()
    out = tmp_path / "mine.parquet"
    small = ("table.architectures=3", "table.seeds=1", "table.workers=1", f"table.out={out}")
    train(job(tmp_path / "two", "mode=table", *small))
    assert "architectures × seeds" in said()
    assert f"benchmark.name={out}" in said().replace("\n", "")
    assert "{" not in said()


def test_the_command_after_a_table_keeps_the_data_and_the_starting_point(tmp_path, said, monkeypatch):
    typed = ["data=digits", "starting_point=nasbench201_digits", "plan.protocol.epochs=1"]
    result = train(job(tmp_path, "mode=table", "table.architectures=2", "table.seeds=1", "table.workers=1", *typed))
    hydra = OmegaConf.create({"overrides": {"task": typed}})
    monkeypatch.setattr(HydraConfig, "initialized", staticmethod(lambda: True))
    monkeypatch.setattr(HydraConfig, "get", staticmethod(lambda: hydra))
    again = compose_job(job(tmp_path, "mode=table", *typed))
    *_, rank = ending._table(again, result, Console(file=io.StringIO()))
    assert "train.py data=digits starting_point=nasbench201_digits benchmark.name=" in rank


def test_several_objectives_end_in_a_front_its_corner_and_a_picture(tmp_path, monkeypatch):
    from hydra import compose, initialize_config_dir

    from nas_lightning.config.search_schema import register
    from nas_lightning.modes import search as room

    stream = io.StringIO()
    monkeypatch.setattr(room, "console", Console(file=stream, width=120))
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("search", ["algorithm=nsga2", f"runs={tmp_path}", "budget.amount=40", "baseline_seeds=2"])
    assert as_dict(cfg.algorithm)["name"] == "nsga2"
    result = search(cfg)
    said = stream.getvalue()
    assert f"Pareto front: {len(result['metrics']['pareto']['front'])} architectures" in said
    assert "to the reference point objective 0.0000, params" in said
    picture = only_folder(tmp_path / "search") / "pareto.png"
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert str(picture) in said
