"""train.py as a user types it: the run folder it leaves, and one sentence for every bad input."""

import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
import torch

from nas_lightning.config.first_run import with_first_recipe
from nas_lightning.modes.main import train
from tests.helpers.commands import ROOT, TINY, command, job, only_folder


@pytest.mark.parametrize("space", ["nasbench201", "nasbench101", "darts_nds"])
def test_a_run_leaves_a_complete_folder(tmp_path, space):
    result = train(job(tmp_path, f"space={space}", "evaluation.every=1"))
    folder = only_folder(tmp_path)
    names = {p.name for p in folder.iterdir()}
    assert names == {
        "config.yaml", "environment.json", "metrics.csv", "ranking.parquet", "ranking.png", "timings.json",
        "checkpoints", "result.json",
    }  # fmt: skip
    assert json.loads((folder / "result.json").read_text()) == result
    assert folder.name.endswith(result["run_hash"])
    table = pq.read_table(folder / "ranking.parquet").to_pydict()
    assert len(table["architecture"]) == 20
    assert all(0 < accuracy < 1 for accuracy in table["standalone_accuracy"])
    assert result["evaluated"]["n"] == 20
    assert -1 <= result["metrics"]["accuracy"]["kendall_tau"] <= 1
    assert result["baselines"]["parameters"]["n"] == 20
    assert result["ceiling"]["noise"]["tau"] > 0
    assert result["evaluation"]["split"] == "validation"
    rows = (folder / "metrics.csv").read_text().splitlines()
    assert rows[0].startswith("epoch,step,passes,train_loss,learning_rate,rank/")
    assert [row.split(",")[0] for row in rows[1:]] == ["1", "2"]


def test_ranking_during_training_leaves_the_weights_bit_identical(tmp_path):
    weights = []
    for every in (0, 1):
        train(job(tmp_path / str(every), f"evaluation.every={every}"))
        checkpoint = only_folder(tmp_path / str(every)) / "checkpoints" / "final.ckpt"
        weights.append(torch.load(checkpoint, weights_only=True)["state_dict"])
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_complete_run_is_not_repeated_but_by_force(tmp_path, capsys):
    first = train(job(tmp_path, "benchmark=none"))
    result_file = only_folder(tmp_path) / "result.json"
    stamp = result_file.stat().st_mtime_ns
    assert train(job(tmp_path, "benchmark=none")) == first
    assert "repeat it with force=true" in capsys.readouterr().out
    assert result_file.stat().st_mtime_ns == stamp
    assert train(job(tmp_path, "benchmark=none", "force=true")) == first  # bit-identical the second time
    assert result_file.stat().st_mtime_ns != stamp


def test_an_interrupted_run_goes_on_and_ends_the_same(tmp_path):
    whole = train(job(tmp_path / "whole", "plan.protocol.epochs=3", "trainer.checkpoint_every=1"))
    part = job(tmp_path / "part", "plan.protocol.epochs=3", "trainer.checkpoint_every=1")
    import pytorch_lightning as pl

    def fail(self, trainer, pl_module):
        if trainer.current_epoch == 2:
            raise KeyError("power cut")

    original = pl.Callback.on_train_epoch_start
    pl.Callback.on_train_epoch_start = fail
    try:
        with pytest.raises(KeyError):
            train(part)
    finally:
        pl.Callback.on_train_epoch_start = original
    folder = only_folder(tmp_path / "part")
    assert "power cut" in (folder / "error.txt").read_text()
    assert not (folder / "result.json").exists()
    assert train(part) == whole
    assert not (folder / "error.txt").exists()
    other = only_folder(tmp_path / "whole")
    for name in ("ranking.parquet", "metrics.csv", "result.json"):
        assert (folder / name).read_bytes() == (other / name).read_bytes()


def test_standalone_mode_trains_one_architecture(tmp_path):
    arch = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_3x3~1|+|none~0|none~1|nor_conv_1x1~2|"
    result = train(job(tmp_path, "mode=standalone", f"architecture='{arch}'", "plan.protocol.epochs=30"))
    assert result["architecture"] == arch
    assert result["metrics"]["test"]["n_images"] == 700
    assert result["metrics"]["test"]["accuracy"] > 0.3


def test_a_table_is_built_resumed_and_opened(tmp_path):
    from nas_lightning.benchmarks import Benchmark

    overrides = ["mode=table", "table.architectures=4", f"table.out={tmp_path / 'mine.parquet'}"]
    train(job(tmp_path / "runs", *overrides, "table.seeds=1", "table.workers=1"))
    with (only_folder(tmp_path / "runs") / "journal.jsonl").open("a") as file:
        file.write('{"architecture": "cut by a ki')
    result = train(job(tmp_path / "runs", *overrides, "table.seeds=2", "table.workers=2", "force=true"))
    journal = (only_folder(tmp_path / "runs") / "journal.jsonl").read_text().split()
    assert sum(word == '"seed":' for word in journal) == 8  # the first seed was not trained again
    table = Benchmark.open(tmp_path / "mine.parquet", space="nasbench201")
    assert len(table) == 4
    assert table.seed_accuracies(table.architectures()).shape == (4, 2)
    assert table.dataset == "digits"
    assert result["metrics"]["noise_ceiling_seeds_per_half"] == 1


def test_diagnostics_add_costs_latency_and_the_optimization_gap(tmp_path):
    train(job(tmp_path, "evaluation.diagnostics=true"))
    folder = only_folder(tmp_path)
    found = pq.read_table(folder / "diagnostics.parquet").to_pydict()
    ranking = pq.read_table(folder / "ranking.parquet").to_pydict()
    assert found["architecture"] == ranking["architecture"]
    assert found["params"] == ranking["params"]
    assert min(found["latency_ms"]) > 0
    rows = zip(ranking["supernet_accuracy"], ranking["standalone_accuracy"], strict=True)
    assert found["optimization_gap"] == [alone - shared for shared, alone in rows]


def test_an_ablation_that_does_not_apply_is_recorded(tmp_path):
    result = train(job(tmp_path, "ablation=wsbn_on"))
    assert result["status"] == "not_applicable"
    assert "space=nasbench201" in result["reason"]
    assert json.loads((only_folder(tmp_path) / "result.json").read_text()) == result


BAD = [
    (["evaluation.architectures=random0_seed0"], "random0_seed0"),
    (["plan.protocol.train_portion=1.0"], "leaves no image for validation"),
    (["benchmark.name=digits_nasbench101"], "nasbench101"),
    (["benchmark.name=nowhere"], "nowhere"),
    (["data=cifar10", "data.root=/nonexistent", "benchmark=none"], "put the official folder cifar-10-batches-py there"),
    (["mode=standalone", "architecture='|nor_conv_9x9~0|+|none~0|none~1|+|none~0|none~1|none~2|'"], "nor_conv_9x9"),
    (["mode=standalone"], "needs architecture"),
    (["mode=dance"], "choose one of supernet, standalone, table"),
    (["space.name=nasbench301"], "make them agree"),
    (["plan.protocol.batch_size=500"], "fewer than one batch"),
    (["evaluation.batch_size=5000"], "do not fill one evaluation batch"),
    (["heuristics/wsbn=on"], "no vertex sums its inputs"),
    (["seed=-1"], "seeds are 0 to"),
    (["trainer.devices='2'"], "say trainer=ddp"),
]


@pytest.mark.parametrize(("overrides", "words"), BAD, ids=[words[:30] for _, words in BAD])
def test_bad_input_is_one_sentence_and_leaves_nothing(tmp_path, overrides, words):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011  the message is checked below
        train(job(tmp_path, *overrides))
    message = str(refusal.value)
    assert words in message
    assert "\n" not in message
    assert not list(tmp_path.rglob("result.json"))


def test_typing_errors_name_the_valid_names_and_exit_non_zero(tmp_path):
    typo = command("plan.protocol.lerning_rate=1", f"runs={tmp_path}")
    assert typo.returncode == 2
    assert "Did you mean learning_rate?" in typo.stderr
    assert "Traceback" not in typo.stderr
    both = command("ablation=sampling_fairnas", "heuristics/sampling=random_a", f"runs={tmp_path}")
    assert both.returncode == 2
    assert "both set heuristic sampling" in both.stderr
    assert both.stderr.count("\n") == 1  # without the overrides that Hydra would repeat
    assert not list(tmp_path.rglob("result.json"))


def test_help_answers_without_torch():
    script = (
        "import sys, runpy; sys.argv = ['train.py', '--help']\n"
        "try: runpy.run_path('train.py', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "sys.stderr.write('torch' if 'torch' in sys.modules else 'clean')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.stderr == "clean"
    assert "heuristics/sampling" in done.stdout


def test_the_bare_command_runs_the_first_recipe_and_a_choice_replaces_it():
    said = command("--cfg", "job", "seed=1")
    assert "\nrecipe: nasbench201_first\n" in f"\n{said.stdout}"
    assert "overlaid_digits" in said.stdout
    chosen = command("--cfg", "job", "space=nasbench101")
    assert "\nrecipe: null\n" in f"\n{chosen.stdout}"


@pytest.mark.parametrize("typed", ["space.name=mine", "+data=folder", "benchmark=none", "-cn=mine", "mode=table"])
def test_whoever_says_what_to_run_gets_no_recipe(typed):
    assert with_first_recipe(["seed=1", typed]) == ["seed=1", typed]


def test_a_multirun_ranks_every_space(tmp_path):
    few = ("plan.protocol.epochs=1", "evaluation.architectures=random8_seed0", "evaluation.images=100")
    done = command("-m", "space=nasbench101,nasbench201,darts_nds", f"runs={tmp_path}", *TINY, *few)
    assert done.returncode == 0, done.stderr
    results = [json.loads(p.read_text()) for p in tmp_path.rglob("result.json")]
    assert {r["space"] for r in results} == {"nasbench101", "nasbench201", "darts_nds"}
    assert done.stdout.count(": tau ") == 3
