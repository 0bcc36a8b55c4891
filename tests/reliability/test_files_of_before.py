"""Run folders written before the rooms moved: every kind is read, rebuilt, reported, and known to be complete.

They lie in tests/fixtures/before_the_move as train.py and search.py of that time left them (a few steps on digits).
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from nas_lightning.benchmarks import Benchmark
from nas_lightning.data.module import ImageClassification
from nas_lightning.plan import Plan
from nas_lightning.report.__main__ import main as report
from nas_lightning.runs.reading import COMPLETE, find_runs
from nas_lightning.runs.result import finished
from nas_lightning.scoring.score import score
from nas_lightning.scoring.trained import find_trained
from nas_lightning.search.journal import Journal
from nas_lightning.search.runner import finished_result
from nas_lightning.spaces import get_space
from nas_lightning.training.checkpoints import resume_point
from nas_lightning.training.module import StandaloneModule, SuperNetModule, load_network
from tests.helpers.small_plans import quiet_trainer

BEFORE = Path(__file__).parents[1] / "fixtures" / "before_the_move"
TRAINED = BEFORE / "nasbench201_digits_seed0_78c89297274e"
FAIRNAS = BEFORE / "s" / "nasbench201_digits_sampling-fairnas_seed0_7a44ad14d330"
STANDALONE = BEFORE / "standalone_nasbench201_digits_seed0_0cd733defe74"
TABLE = BEFORE / "table_nasbench201_digits_seed0_b5e48531cd6a"
EVALUATED = BEFORE / "evaluate_nasbench201_digits_seed0_b2c8d5d51a67"
SEARCH = BEFORE / "search" / "random_search-benchmark-nasbench201-seed0-909b6a2ae42c"
KINDS = {TRAINED: "train", FAIRNAS: "train", STANDALONE: "standalone", TABLE: "table", EVALUATED: "evaluation",
         SEARCH: "search"}  # fmt: skip
FOLDERS = pytest.mark.parametrize("folder", KINDS, ids=lambda folder: f"{KINDS[folder]}-{folder.name[-4:]}")


def images_of(folder):
    """The images of a run, from the configuration in its folder."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    protocol = json.loads((folder / "result.json").read_text())["plan"]["protocol"]
    given = config["data"]
    data = ImageClassification(
        given["name"], given["root"], protocol["batch_size"], protocol["train_portion"], config["seed"],
        given["split_seed"], given["max_train_images"], given["augment"], given["download"], given["image_size"],
    )  # fmt: skip
    data.setup()
    return data, config


@pytest.mark.parametrize("folder", [TRAINED, FAIRNAS], ids=["plain", "fairnas"])
def test_a_super_net_is_rebuilt_with_its_plan_and_gives_the_scores_of_its_ranking(folder):
    network, identity = load_network(folder / "checkpoints" / "final.ckpt")
    result = json.loads((folder / "result.json").read_text())
    assert identity["plan"] == result["plan"] == Plan.from_dict(identity["plan"]).as_dict()
    table = pq.read_table(folder / "ranking.parquet").to_pydict()
    space, (data, config) = get_space("nasbench201"), images_of(folder)
    wanted = config["evaluation"]
    batches = data.evaluation_batches(wanted["batch_size"], wanted["images"], "cpu")
    found = score(network, [space.parse(text) for text in table["architecture"]], batches)
    # Bits differ between kinds of processors, an image of a hundred may be classified otherwise.
    np.testing.assert_allclose(found["negative_cross_entropy"], table["supernet_negative_cross_entropy"], atol=1e-3)
    np.testing.assert_allclose(found["accuracy"], table["supernet_accuracy"], atol=0.011)
    assert len(table["architecture"]) == 10


def test_a_stand_alone_network_is_rebuilt_and_as_accurate_as_it_was():
    network, identity = load_network(STANDALONE / "checkpoints" / "final.ckpt")
    result, (data, config) = json.loads((STANDALONE / "result.json").read_text()), images_of(STANDALONE)
    assert identity["architecture"] == result["architecture"] == str(network.arch)
    batches = data.evaluation_batches(config["evaluation"]["batch_size"], split="test")
    found = score(network, [network.arch], batches)
    assert found["accuracy"][0] == pytest.approx(result["metrics"]["test"]["accuracy"], abs=0.005)
    assert sum(p.numel() for p in network.parameters()) == result["parameters"]


@pytest.mark.parametrize(("folder", "steps"), [(TRAINED, 1), (STANDALONE, 1)], ids=["super-net", "stand-alone"])
def test_a_training_goes_on_from_a_checkpoint_of_before(folder, steps, tmp_path):
    shutil.copytree(folder / "checkpoints", tmp_path / "checkpoints")
    result = json.loads((folder / "result.json").read_text())
    plan = Plan.from_dict(result["plan"]).edited({"protocol.epochs": 3})
    if folder is STANDALONE:
        arch = get_space("nasbench201").parse(result["architecture"])
        module = StandaloneModule("nasbench201", plan, 10, 1, 0, arch)
    else:
        module = SuperNetModule("nasbench201", plan, 10, 1, 0)
    point = resume_point(tmp_path / "checkpoints", weights=module.state_dict())
    assert point == tmp_path / "checkpoints" / "final.ckpt"
    kept = torch.load(point, weights_only=True)
    assert kept["global_step"] == steps
    stem = kept["state_dict"]["network.stem.weights.3"]
    trainer = quiet_trainer(max_epochs=3)
    trainer.fit(module, datamodule=images_of(folder)[0], ckpt_path=point, weights_only=True)
    assert trainer.global_step == 3 * steps
    assert not torch.equal(module.network.stem.weights["3"], stem)


@FOLDERS
def test_a_complete_folder_is_known_as_complete(folder):
    result = json.loads((folder / "result.json").read_text())
    found = finished_result(folder, result["run_hash"]) if folder is SEARCH else finished(folder)
    assert found == result
    assert folder.name.endswith(result["run_hash"])
    (run,) = find_runs([folder])
    assert (run.status, run.kind, run.seed) == (COMPLETE, KINDS[folder], 0)


@pytest.mark.slow
def test_the_report_reads_them_all(tmp_path):
    runs = find_runs([BEFORE])
    assert sorted(run.kind for run in runs) == sorted(KINDS.values())
    assert all(run.status == COMPLETE for run in runs), [run.reason for run in runs]
    assert report([str(BEFORE), "--out", str(tmp_path / "out"), "--replicates", "100", "--formats", "none"]) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert "nasbench201" in page
    assert "random_search" in page


def test_a_checkpoint_of_before_can_be_evaluated_again():
    trained = find_trained([str(TRAINED), str(FAIRNAS / "checkpoints" / "final.ckpt")])
    weights = json.loads((EVALUATED / "result.json").read_text())["checkpoints"]
    assert [t.seed for t in trained] == [0, 0]
    assert weights[0]["weights_sha256"] in [t.weights_sha256 for t in trained]
    assert trained[0].data["name"] == "digits"


def test_a_table_of_before_opens_with_its_accuracies():
    table = Benchmark.open(TABLE / "table.parquet", space="nasbench201", dataset="digits")
    archs = table.architectures()
    columns = pq.read_table(TABLE / "table.parquet").to_pydict()
    assert len(archs) == 2
    np.testing.assert_array_equal(table.accuracies(archs), columns["digits/test_accuracy"])


def test_a_journal_of_before_is_replayed(tmp_path):
    shutil.copytree(SEARCH, tmp_path / "run")
    with Journal(tmp_path / "run" / "journal.jsonl", "909b6a2ae42c") as journal:
        journal.acquire()
        events = journal.read_new()
        journal.release()
    told = [event for event in events if "tell" in event]
    result = json.loads((SEARCH / "result.json").read_text())
    assert len(told) == 10
    assert max(event["value"] for event in told) == result["metrics"]["found"]["objective"]
