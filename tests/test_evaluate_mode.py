"""mode=evaluate as a user types it: trained super-nets scored again, other statistics, fusion, interruption."""

import hashlib
import json
import logging

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from nas_lightning.config.schema import TrainerSchema
from nas_lightning.modes import evaluate as mode
from nas_lightning.modes.main import train
from nas_lightning.scoring import partial
from nas_lightning.scoring import score as evaluator
from tests.helpers.commands import TINY, job
from tests.helpers.nightly import rest_nightly

SET = ["evaluation.architectures=random40_seed0", "evaluation.images=100"]
NARROW = "plan.mapping.channels=2"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Run folders of two seeds that track statistics, and of one that does not."""
    root = tmp_path_factory.mktemp("trained")
    for seed in (0, 1):
        train(job(root / f"seed{seed}", *SET, NARROW, f"seed={seed}", "heuristics/batch_norm=tracked"))
    train(job(root / "untracked", *SET, NARROW, "benchmark=none"))
    return {name: next((root / name).iterdir()) for name in ("seed0", "seed1", "untracked")}


def evaluate(tmp_path, checkpoint, *overrides):
    given = f"[{','.join(map(str, checkpoint))}]" if isinstance(checkpoint, list) else str(checkpoint)
    plain = [o for o in TINY if not o.startswith("plan")]
    return train(
        job(
            tmp_path,
            *plain,
            *SET,
            "mode=evaluate",
            f"checkpoint='{given}'".replace("'[", "[").replace("]'", "]"),
            *overrides,
        )
    )


def table(folder):
    return pq.read_table(next(folder.rglob("ranking.parquet"))).to_pydict()


def test_the_same_statistics_give_the_numbers_of_the_training_run(tmp_path, trained):
    result = evaluate(tmp_path, trained["seed1"], "evaluation.batch_norm=tracked")
    run = json.loads((trained["seed1"] / "result.json").read_text())
    assert result["kind"] == "evaluation"
    assert result["seed"] == 1
    assert result["metrics"] == run["metrics"]
    assert result["baselines"] == run["baselines"]
    assert table(tmp_path) == table(trained["seed1"])
    (folder,) = tmp_path.iterdir()
    assert {p.name for p in folder.iterdir()} == {
        "config.yaml", "environment.json", "ranking.parquet", "ranking.png", "timings.json", "result.json",
    }  # fmt: skip
    assert result["evaluation"]["predictors"]["accuracy"] == "supernet_accuracy"
    names = "\n".join(table(tmp_path)["architecture"])
    assert result["evaluation"]["architecture_set_version"] == 1
    assert result["evaluation"]["architectures_sha256"] == hashlib.sha256(names.encode()).hexdigest()


def test_a_file_with_other_contents_is_another_evaluation(tmp_path, trained):
    names, file = table(trained["untracked"])["architecture"], tmp_path / "set.txt"
    found = []
    for part in (names[:6], names[6:14]):
        file.write_text("\n".join(part) + "\n")
        found.append(evaluate(tmp_path / "runs", trained["untracked"], f"evaluation.architectures={file}"))
    assert [r["evaluation"]["n_architectures"] for r in found] == [6, 8]
    assert found[0]["run_hash"] != found[1]["run_hash"]


def test_a_difference_scores_what_is_left(tmp_path, trained):
    result = evaluate(tmp_path, trained["seed0"], "evaluation.architectures=random40_seed0-random34_seed0")
    assert result["evaluation"]["architecture_set"] == "random40_seed0-random34_seed0"
    assert table(tmp_path)["architecture"] == table(trained["seed0"])["architecture"][34:]


def test_other_statistics_are_another_evaluation(tmp_path, trained):
    found = {
        name: evaluate(tmp_path, trained["seed0"], f"evaluation.batch_norm={name}")
        for name in ("batch", "tracked", "recalibrate")
    }
    assert {r["evaluation"]["batch_norm"] for r in found.values()} == set(found)
    assert len({r["metrics"]["accuracy"]["supernet_accuracy"] for r in found.values()}) == 3
    assert len(list(tmp_path.iterdir())) == 3


def test_several_checkpoints_and_the_parameter_count_are_fused_beside_their_own_numbers(tmp_path, trained, capsys):
    both = [trained["seed0"], trained["seed1"]]
    result = evaluate(tmp_path, both, "evaluation.fuse=[parameters]", "evaluation.batch_norm=tracked")
    fusion = "fusion(seed0 + seed1 + parameters)"
    assert list(result["metrics"]) == [
        "seed0 accuracy", "seed1 accuracy", "seed0 negative_cross_entropy", "seed1 negative_cross_entropy",
        "fusion(seed0 + seed1)", fusion,
    ]  # fmt: skip
    for seed in (0, 1):
        alone = json.loads((trained[f"seed{seed}"] / "result.json").read_text())
        assert result["metrics"][f"seed{seed} accuracy"] == alone["metrics"]["accuracy"]
    rows = table(tmp_path)
    members = [rows["seed0_accuracy"], rows["seed1_accuracy"], rows["params"]]
    from scipy.stats import rankdata

    expected = np.mean([rankdata(m) - 1 for m in members], axis=0) / (len(rows["params"]) - 1)
    assert np.allclose(rows["fusion_all"], expected)
    assert result["evaluation"]["predictors"][fusion] == "fusion_all"
    alone = np.mean([rankdata(m) - 1 for m in members[:2]], axis=0) / (len(rows["params"]) - 1)
    assert np.allclose(rows["fusion"], alone)
    shown = " ".join(capsys.readouterr().out.split())
    assert "fusion(seed0 + seed1 +" in shown
    assert "super-net seed 0, 1." in shown


def test_further_scores_of_every_checkpoint_are_fused_with_its_headline(tmp_path, trained):
    both = [trained["seed0"], trained["seed1"]]
    result = evaluate(tmp_path, both, "evaluation.fuse=[negative_cross_entropy,parameters]")
    fusion = list(result["metrics"])[-1]
    assert fusion == (
        "fusion(seed0 accuracy + seed0 negative_cross_entropy"
        " + seed1 accuracy + seed1 negative_cross_entropy + parameters)"
    )
    rows = table(tmp_path)
    from scipy.stats import rankdata

    scores = [f"seed{s}_{name}" for s in (0, 1) for name in ("accuracy", "negative_cross_entropy")]
    members = [*(rows[name] for name in scores), rows["params"]]
    expected = np.mean([rankdata(m) - 1 for m in members], axis=0) / (len(members[0]) - 1)
    assert np.allclose(rows["fusion_all"], expected)


def test_super_nets_of_several_image_sizes_are_scored_on_their_own(tmp_path, trained):
    small = train(job(tmp_path / "small", *SET, NARROW, "seed=5", "data.image_size=4"))
    folder = next((tmp_path / "small").iterdir())
    result = evaluate(tmp_path / "both", [trained["seed0"], folder], "evaluation.batch_norm=batch")
    assert result["metrics"]["seed5 accuracy"] == small["metrics"]["accuracy"]
    sizes = [checkpoint["data"]["image_size"] for checkpoint in result["checkpoints"]]
    assert sizes == [8, 4]
    with pytest.raises(ValueError, match=r"say data.image_size=null"):
        evaluate(tmp_path / "both", [trained["seed0"], folder], "data.image_size=4")


def test_a_training_run_fuses_on_request_and_keeps_its_own_numbers(tmp_path, trained):
    fused = train(
        job(tmp_path, *SET, NARROW, "seed=0", "heuristics/batch_norm=tracked", "evaluation.fuse=[depth,macs]")
    )
    run = json.loads((trained["seed0"] / "result.json").read_text())
    assert list(fused["metrics"])[-1] == "fusion(supernet + depth + macs)"
    assert fused["metrics"]["accuracy"] == run["metrics"]["accuracy"]
    assert "fusion" in table(tmp_path)


def test_an_interrupted_evaluation_goes_on_and_ends_with_the_same_bytes(tmp_path, trained, monkeypatch, caplog):
    whole = evaluate(tmp_path / "whole", trained["seed0"])
    monkeypatch.setattr(partial, "SAVE_EVERY_S", 0)
    monkeypatch.setattr(partial, "CHUNK", 8)
    scored, original = [], evaluator.score

    def dies(network, architectures, *rest, **named):
        if len(scored) == 24:
            raise KeyError("power cut")
        scored.extend(architectures)
        return original(network, architectures, *rest, **named)

    monkeypatch.setattr("nas_lightning.scoring.scorer.score", dies)
    with pytest.raises(KeyError, match="power cut"):
        evaluate(tmp_path / "part", trained["seed0"])
    (folder,) = (tmp_path / "part").iterdir()
    assert not (folder / "result.json").exists()
    assert (folder / "evaluation.partial.rank0.npz").exists()
    recording = lambda n, a, *r, **named: scored.extend(a) or original(n, a, *r, **named)  # noqa: E731
    monkeypatch.setattr("nas_lightning.scoring.scorer.score", recording)
    with caplog.at_level(logging.WARNING):
        assert evaluate(tmp_path / "part", trained["seed0"]) == whole
    assert "24 of 40 architectures are scored already" in caplog.text
    assert len(scored) == len(set(map(str, scored))) == 40, "nothing is scored twice"
    assert not list(folder.glob("evaluation.partial*"))
    (other,) = (tmp_path / "whole").iterdir()
    for name in ("ranking.parquet", "result.json"):
        assert (folder / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.parametrize(
    ("space", "precision"),
    rest_nightly(
        [("nasbench201", "bf16-mixed"), ("nasbench101", "bf16-mixed"), ("darts_nds", "bf16-mixed"),
         ("nasbench201", "64-true")],
        lambda space, precision: space == "nasbench201",
    ),
)  # fmt: skip
def test_precision_is_recorded_and_changes_numbers_little(tmp_path, space, precision):
    """Trained and scored in that precision: mixed precision on a CPU too."""
    few = ["evaluation.architectures=random6_seed0", "evaluation.images=100", "plan.protocol.epochs=1"]
    result = train(job(tmp_path / "run", *few, f"space={space}", f"trainer.precision={precision}"))
    assert result["evaluation"]["precision"] == precision
    plain = [f"space={space}", *few[:2]]
    single, same = (
        evaluate(tmp_path / name, next((tmp_path / "run").iterdir()), *plain, f"trainer.precision={name}")
        for name in ("32-true", precision if precision != "64-true" else "32-true")
    )
    difference = np.abs(
        np.array(table(tmp_path / "32-true")["supernet_negative_cross_entropy"])
        - np.array(table(tmp_path / "run")["supernet_negative_cross_entropy"])
    )
    assert difference.max() < 0.1
    assert single["evaluation"]["precision"] == "32-true"
    if precision == "bf16-mixed":
        assert difference.max() > 0
        assert same["metrics"] == result["metrics"]


def test_bad_input_is_one_sentence(tmp_path, trained):
    for overrides, words in (
        (["evaluation.batch_norm=tracked"], "did not keep"),
        (["evaluation.batch_norm=layer"], "choose one of batch, tracked, recalibrate"),
        (["evaluation.fuse=[accuracy]"], "names accuracy twice"),  # the headline
        (["evaluation.fuse=[linear_probe]"], "linear_probe needs training images"),  # without images
        (["space=nasbench101"], "say space=nasbench201"),
        (["data.split_seed=3"], "say data.split_seed=0"),
    ):
        with pytest.raises(ValueError, match=words):
            evaluate(tmp_path, trained["untracked"], *overrides)
    with pytest.raises(ValueError, match="does not exist"):
        evaluate(tmp_path, tmp_path / "nowhere.ckpt")
    with pytest.raises(ValueError, match="hold the same weights"):
        evaluate(tmp_path, [trained["seed0"], trained["seed0"]])
    with pytest.raises(ValueError, match="needs checkpoint"):
        train(job(tmp_path, "mode=evaluate"))
    with pytest.raises(ValueError, match="belongs to mode=evaluate"):
        train(job(tmp_path, f"checkpoint={trained['seed0']}"))
    with pytest.raises(ValueError, match="belongs to mode=evaluate"):
        train(job(tmp_path, "evaluation.batch_norm=batch"))
    assert not list(tmp_path.rglob("result.json"))


def test_the_device_is_the_one_asked_for():
    assert mode.device_of(TrainerSchema(accelerator="cpu")) == torch.device("cpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match=r"asks for GPU 2, but this machine has 0"):
            mode.device_of(TrainerSchema(accelerator="gpu", devices="[2]"))
