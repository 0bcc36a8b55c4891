"""RD-NAS: pairs in the order of a zero-cost proxy, one of them with a gradient."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from callbacks.ranking_distillation import RankingDistillation
from nas_lightning.heuristic import NotApplicableError, fold
from nas_lightning.modes.main import train
from nas_lightning.plan import PlanError
from nas_lightning.spaces import get_space
from tests.helpers.commands import composed
from tests.helpers.small_plans import data_for, small_plan, trained

SPACE = get_space("nasbench201")
SEED = 1
"""Of a second step whose pair is in the wrong order."""
PLAIN = {"protocol__gradient_clip": 0.0, "protocol__weight_decay": 0.0, "protocol__momentum": 0.0}


@pytest.fixture(scope="module")
def distilled():
    """The heuristic and the super-net after two steps, with gradients of the pair alone to be seen."""
    heuristic = RankingDistillation("macs", weight=40.0, margin=0.5, pool=60)
    return heuristic, trained("nasbench201", small_plan("nasbench201", **PLAIN), heuristic, steps=2, seed=SEED)


def test_pairs_are_far_apart_and_in_the_order_of_the_proxy(distilled):
    heuristic, _ = distilled
    size = {
        SPACE.key(arch): SPACE.macs(arch, channels=4, layers=1, num_classes=10, in_channels=1, image_size=8)
        for arch in heuristic._pool
    }
    assert [size[SPACE.key(arch)] for arch in heuristic._pool] == heuristic._scores
    assert len(size) == len(heuristic._pool) > 40  # one of every class
    trained_better = 0
    for step in range(200):
        constant, moved, order = heuristic.pair(0, step)
        assert (SPACE.encode(constant) != SPACE.encode(moved)).sum() >= 3
        assert order == (1.0 if size[SPACE.key(moved)] > size[SPACE.key(constant)] else -1.0)
        trained_better += order > 0
        assert heuristic.pair(0, step) == (constant, moved, order)
    assert 60 < trained_better < 140
    genomes = np.stack([SPACE.encode(arch) for arch in heuristic._pool])
    apart = (genomes[heuristic._pairs[:, 0]] != genomes[heuristic._pairs[:, 1]]).sum(1)
    assert apart.min() == 3, "half of six genes is enough"
    assert [heuristic.pair(1, step) for step in range(9)] != [heuristic.pair(0, step) for step in range(9)]


def test_the_weight_rises_and_falls():
    heuristic = RankingDistillation("macs", weight=2.0, margin=0.5, pool=60)
    assert heuristic.weight(0.0) == 0.0
    assert heuristic.weight(0.625) == 2.0
    assert heuristic.weight(1.0) == pytest.approx(2 * math.sin(0.8 * math.pi))


def test_a_step_adds_the_gradient_of_the_second_one(distilled):
    heuristic, after = distilled
    plan = small_plan("nasbench201", **PLAIN)
    before, (images, labels) = trained("nasbench201", plan, steps=1, seed=SEED), data_for(plan, SEED).loader().batch(1)
    network = before.network.train()  # the first step has weight 0: it is the plain one
    network.zero_grad(set_to_none=True)
    constant, moved, order = heuristic.pair(SEED, 1)
    with torch.no_grad():
        first = F.cross_entropy(network(images, constant), labels)
    hinge = F.relu(order * (F.cross_entropy(network(images, moved), labels) - first))
    assert hinge > 0, "choose another seed: this pair is in order, and the test would see nothing"
    loss = F.cross_entropy(network(images, before.paths(1).architectures[0]), labels)
    (loss + hinge * 40.0 * math.sin(0.8 * math.pi / after.total_steps())).backward()
    seen = 0
    for a, b in zip(network.parameters(), after.network.parameters(), strict=True):
        expected = a if a.grad is None else a - after.scheduled_rate(1) * a.grad
        torch.testing.assert_close(b, expected, rtol=1e-4, atol=1e-5)
        seen += a.grad is not None
    assert seen


def test_dead_cells_are_the_worse_ones_and_equal_scores_make_no_pair():
    heuristic = RankingDistillation("synflow", weight=1.0, margin=0.5, pool=4)
    heuristic._pool = [SPACE.parse(f"|{a}~0|+|{a}~0|{a}~1|+|{a}~0|{a}~1|{a}~2|") for a in ("none", "skip_connect",
                       "nor_conv_1x1", "nor_conv_3x3")]  # fmt: skip
    heuristic._scores = [-math.inf, 1.0, 1.0, 2.0]
    assert heuristic.pairs(SPACE).tolist() == [[1, 0], [2, 0], [3, 0], [3, 1], [3, 2]]
    heuristic._scores = [1.0] * 4
    with pytest.raises(PlanError, match=r"margin=0.5 leaves no pair among 4 architectures whose synflow differs"):
        heuristic.pairs(SPACE)


def test_a_proxy_of_images_sees_the_training_images_and_draws_nothing(tmp_path):
    overrides = ["extra=ranking_distillation", "heuristics.ranking_distillation.proxy=naswot",
                 "heuristics.ranking_distillation.pool=8", "plan.protocol.epochs=2", "plan.protocol.train_portion=0.3",
                 "benchmark=none", "evaluation.architectures=random2_seed0", f"runs={tmp_path}"]  # fmt: skip
    result = train(composed(*overrides))
    assert result["heuristics"]["ranking_distillation"]["proxy"] == "naswot"
    assert result["cost"]["passes"] == 3 * result["cost"]["steps"]
    rows = [row.split(",") for row in next(tmp_path.rglob("metrics.csv")).read_text().splitlines()]
    assert float(rows[1][rows[0].index("ranking_distillation_loss")]) >= 0
    state = torch.random.get_rng_state()
    heuristic = RankingDistillation("naswot", weight=1.0, margin=0.2, pool=5)
    trained("nasbench201", small_plan("nasbench201"), heuristic, steps=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.isfinite(heuristic._scores).any()


def test_it_goes_on_with_the_scores_of_its_checkpoint(distilled):
    heuristic, _ = distilled
    again = RankingDistillation("macs", weight=40.0, margin=0.5, pool=60)
    again.load_state_dict(heuristic.state_dict() | {"scores": [-score for score in heuristic._scores]})
    trained("nasbench201", small_plan("nasbench201", **PLAIN), again, steps=1, seed=SEED)
    assert {tuple(pair) for pair in again._pairs} == {tuple(pair)[::-1] for pair in heuristic._pairs}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("macs", None, 0.5, 60), "needs weight, too"),
        (("macs", 0.0, 0.5, 60), "weight=0 is out of range"),
        (("macs", 1.0, 1.5, 60), "margin=1.5 is out of range"),
        (("macs", 1.0, 0.5, 1), "pool=1 is out of range"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(settings, message):
    with pytest.raises(PlanError, match=message):
        RankingDistillation(*settings)


@pytest.mark.parametrize(
    ("proxy", "message"),
    [("nonsense", r"ranking_distillation\.proxy: predictor=nonsense is unknown"), ("accuracy", "needs weights"),
     ("linear_operation_counts", "needs truth")],
)  # fmt: skip
def test_a_proxy_that_cannot_be_asked_is_refused(proxy, message):
    with pytest.raises(PlanError, match=message):
        fold(small_plan("nasbench201"), "nasbench201", [RankingDistillation(proxy, 1.0, 0.5, 60)])


def test_a_proxy_of_images_does_not_apply_to_texts():
    with pytest.raises(NotApplicableError, match="networks that read images, and these read tokens"):
        fold(small_plan("nasbench201"), "rnn_ptb", [RankingDistillation("naswot", 1.0, 0.5, 60)])
