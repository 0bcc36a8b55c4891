"""Dropout's expectation and depth schedule; batch statistics where none are tracked; refusals in one sentence."""

import numpy as np
import pytest
import torch

from callbacks.batch_norm import BatchNorm as BatchNormHeuristic
from callbacks.dynamic_channel import DynamicChannel
from callbacks.op_placement import OpPlacement
from callbacks.wsbn import WSBN
from nas_lightning.heuristic import NotApplicableError, fold
from nas_lightning.nets.base import Network
from nas_lightning.nets.build import build_network
from nas_lightning.nets.norm import BatchNorm
from nas_lightning.plan import PlanError
from nas_lightning.scoring.score import score
from nas_lightning.spaces import get_space
from tests.helpers.small_plans import SMALL, data_for, small_plan


def arch_of(space):
    return get_space(space).sample_unique(np.random.default_rng(3))


@pytest.mark.parametrize("space", SMALL)
def test_path_dropout_reaches_every_cell_and_falls_linearly_with_depth(space, monkeypatch):
    layers = {"nasbench101": 2, "nasbench201": 2, "darts_nds": 6, "nasbench_macro": 8}[space]
    cells = 8 if space == "nasbench_macro" else 6
    network = build_network(space, small_plan(space, mapping__path_dropout=0.6, mapping__layers=layers), 10, 1)
    seen = []

    def spy(self, x, cell, n_cells):
        seen.append((cell, n_cells))
        return original(self, x, cell, n_cells)

    original = Network.drop_path
    monkeypatch.setattr(Network, "drop_path", spy)
    network(torch.randn(2, 1, 8, 8), arch_of(space))
    assert seen == [(cell, cells) for cell in range(cells)]
    n, ones = 20_000, torch.ones(20_000, 2, 1, 1)
    for cell in range(6):
        network.set_draw(0, cell)
        keep, out = 1 - 0.6 * (cell + 1) / 6, original(network, ones, cell, 6)
        assert torch.equal(out[:, 0], out[:, 1])  # the whole output of a sample
        kept = out[:, 0, 0, 0] > 0
        torch.testing.assert_close(out[kept], torch.full_like(out[kept], 1 / keep))
        deviation = (keep * (1 - keep) / n) ** 0.5
        assert abs(float(kept.float().mean()) - keep) < 5 * deviation
        assert abs(float(out.mean()) - 1) < 5 * deviation / keep  # the expectation stays
        network.set_draw(0, cell)
        assert torch.equal(original(network, ones, cell, 6), out)
    network.eval()
    assert original(network, ones, 5, 6) is ones


@pytest.mark.parametrize("space", SMALL)
def test_global_dropout_keeps_the_expectation_and_acts_in_training_alone(space):
    network = build_network(space, small_plan(space, mapping__global_dropout=0.3), 10, 1)
    features = torch.ones(5_000, 4)
    out = network.drop_global(features)
    torch.testing.assert_close(out.unique(), torch.tensor([0.0, 1 / 0.7]))
    assert abs(float((out == 0).float().mean()) - 0.3) < 5 * (0.21 / 20_000) ** 0.5
    assert abs(float(out.mean()) - 1) < 5 * (0.21 / 20_000) ** 0.5 / 0.7
    reached = []
    network.classifier.register_forward_pre_hook(lambda module, inputs: reached.append(inputs[0]))
    for training in (True, False):
        network.train(training)(torch.randn(64, 1, 8, 8), arch_of(space))
    assert (reached[0] == 0).float().mean() > (reached[1] == 0).float().mean() + 0.1


@pytest.mark.parametrize("space", SMALL)
def test_without_tracking_evaluation_normalises_with_the_evaluation_batch(space):
    network, arch = build_network(space, small_plan(space), 10, 1).eval(), arch_of(space)
    outputs = []
    norm = network.stem.norm if space == "nasbench_macro" else network.stem_norm
    norm.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    images = torch.randn(30, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 3 + 1
    with torch.no_grad():
        whole, half, trains = network(images, arch), network(images[:15], arch), network.train()(images, arch)
    for output in outputs:
        torch.testing.assert_close(output.mean((0, 2, 3)), torch.zeros(output.shape[1]), atol=1e-5, rtol=0)
        torch.testing.assert_close(output.var((0, 2, 3), correction=0), torch.ones(output.shape[1]), atol=1e-3, rtol=0)
    assert not torch.allclose(whole[:15], half)  # an image's logits depend on its company
    torch.testing.assert_close(trains, whole)
    assert not [name for name, _ in network.named_buffers() if "running" in name]


def test_tracked_statistics_follow_the_training_batches_and_serve_evaluation():
    layer = BatchNorm(3, track=True)
    reference = torch.nn.BatchNorm2d(3)
    for step in range(5):
        x = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(step)) * 2 + 5
        torch.testing.assert_close(layer(x), reference(x))
    torch.testing.assert_close(layer.running_mean, reference.running_mean)
    torch.testing.assert_close(layer.running_var, reference.running_var)
    layer.statistics = "tracked"
    torch.testing.assert_close(layer.eval()(x), reference.eval()(x))


@pytest.mark.parametrize("space", SMALL)
def test_a_network_that_kept_no_statistics_refuses_to_evaluate_with_them(space):
    plan = small_plan(space)
    data = data_for(plan)
    batches = data.evaluation_batches(50, 50, "cpu")
    network = build_network(space, plan, 10, 1)
    with pytest.raises(ValueError, match=r"track_running_stats=false.*bn_evaluation=batch or recalibrate"):
        score(network, [arch_of(space)], batches, statistics="tracked")
    assert network.training


@pytest.mark.parametrize(
    ("space", "heuristics", "words"),
    [
        ("nasbench201", [WSBN("on")], r"heuristics/wsbn .*space=nasbench201, where no vertex sums its inputs"),
        (
            "darts_nds",
            [DynamicChannel("chunk")],
            r"heuristics/dynamic_channel .*space=darts_nds, whose widths do not depend",
        ),
        ("nasbench101", [OpPlacement("edge")], r"heuristics/op_placement .*space=nasbench101.* by construction"),
    ],
)
def test_what_a_space_does_not_have_is_refused_in_one_sentence(space, heuristics, words):
    with pytest.raises(NotApplicableError, match=words) as refusal:
        fold(small_plan(space), space, heuristics)
    assert "\n" not in str(refusal.value)


def test_tracked_evaluation_without_tracking_is_refused_in_one_sentence():
    with pytest.raises(PlanError, match=r"bn_evaluation=tracked.*track_running_stats=false") as refusal:
        fold(small_plan("nasbench201"), "nasbench201", [BatchNormHeuristic(evaluation="tracked")])
    assert "\n" not in str(refusal.value)
