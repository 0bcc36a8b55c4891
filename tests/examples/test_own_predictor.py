"""A score from outside the package: trained, stored, ranked and fused by the name that its own file gives."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from nas_lightning.modes.main import train
from nas_lightning.nets.build import build_network
from nas_lightning.predictors.base import Context, PredictorError, make_predictor
from nas_lightning.runs.reading import read_run
from nas_lightning.spaces import get_space
from tests.helpers.commands import composed
from tests.helpers.small_plans import small_plan

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))


def test_it_is_computed_stored_ranked_and_fused(tmp_path):
    result = train(
        composed(
            "recipe=nasbench201_quick",
            "plan.protocol.epochs=1",
            "evaluation.architectures=random20_seed0",
            "evaluation.images=200",
            "evaluation.predictors=[{_target_: own_predictor.Margin, batches: 2}]",
            "evaluation.score=margin",
            "evaluation.fuse=[accuracy]",
            f"runs={tmp_path}",
        )
    )
    (file,) = tmp_path.rglob("ranking.parquet")
    columns = pq.read_table(file).to_pydict()
    assert len(set(columns["supernet_margin"])) == 20
    assert min(columns["supernet_margin"]) > 0
    assert result["evaluation"]["score"] == "margin"
    fused = "fusion(supernet margin + supernet accuracy)"
    assert {"margin", "accuracy", fused} <= set(result["metrics"])
    run = read_run(file.parent)  # what a report, a sweep and a logger take for the score that counts
    assert (run.score, run.record) == (fused, result["metrics"][fused])
    assert run.ranking["prediction"].tolist() == columns["fusion"]


def test_it_is_the_gap_between_the_two_largest_logits():
    plan, space = small_plan("nasbench201"), get_space("nasbench201")
    archs = [space.sample(np.random.default_rng(seed)) for seed in range(3)]
    network = build_network("nasbench201", plan, 10, 1).eval()
    images = torch.randn(8, 1, 8, 8)
    context = Context(space, archs, plan.mapping, network=network, batches=[(images, torch.zeros(8))])
    found = make_predictor({"_target_": "own_predictor.Margin"})(context)
    with torch.no_grad():
        logits = network(images, archs[0]).sort(1).values
    assert found[0] == pytest.approx(float((logits[:, -1] - logits[:, -2]).mean()), rel=1e-5)


def test_a_misspelt_setting_is_one_sentence():
    with pytest.raises(PredictorError, match="cannot be built with") as error:
        make_predictor({"_target_": "own_predictor.Margin", "batch": 2})
    assert "\n" not in str(error.value)
