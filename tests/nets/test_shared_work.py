"""Work that is left out or shared must not show: equal outputs, gradients and scores."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nas_lightning.nets.build import build_network
from nas_lightning.nets.nasbench201 import live
from nas_lightning.nets.norm import BatchNorm
from nas_lightning.nets.pooling import DepthwiseMean, average_pool
from nas_lightning.nets.prefix import Prefix
from nas_lightning.plan import Plan
from nas_lightning.scoring.score import score
from nas_lightning.spaces import get_space
from nas_lightning.spaces.nasbench201 import NB201Architecture


def supernet(**edits):
    torch.manual_seed(0)
    plan = Plan().edited({"mapping.channels": 4, "mapping.layers": 1} | {f"mapping.{k}": v for k, v in edits.items()})
    return build_network("nasbench201", plan, 10, 3).to(memory_format=torch.channels_last)


def images(n=12, side=8):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 3, side, side, generator=generator).to(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", [(2, 8, 32, 32), (3, 5, 7, 4), (2, 3, 2, 2), (2, 4, 1, 3)])
def test_depthwise_mean_is_average_pooling(shape):
    x = torch.randn(shape).to(memory_format=torch.channels_last).requires_grad_()
    ours, reference = DepthwiseMean.apply(x), F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    torch.testing.assert_close(ours, reference, rtol=0, atol=1e-6)
    upstream = torch.randn(shape)
    (a,), (b,) = (torch.autograd.grad(y, x, upstream) for y in (ours, reference))
    torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    torch.testing.assert_close(average_pool(x), reference, rtol=0, atol=1e-6)


def test_pooling_serves_scoring_and_training_in_turn():
    x = torch.randn(2, 6, 9, 9).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        scored = average_pool(x)
    trained = average_pool(x.requires_grad_())
    trained.sum().backward()
    assert torch.equal(scored, trained.detach())


def test_edges_that_nothing_reads_are_named_dead():
    reached = 0
    for operations in itertools.product(range(5), repeat=6):
        to1, to2, one_two, to3, one_three, two_three = operations
        alive = live(operations)
        two_used = two_three != 0
        one_used = one_three != 0 or (two_used and one_two != 0)
        expected = (to1 * one_used, to2 * two_used, one_two * two_used, to3, one_three, two_three)
        assert alive == expected
        reached += alive == operations
    assert 0 < reached < 5**6


def test_leaving_dead_edges_out_changes_neither_output_nor_gradient(monkeypatch):
    network, x = supernet(), images()
    arch = NB201Architecture((3, 3, 2, 1, 4, 0))  # node 2 reaches nothing
    found = []
    for shortcut in (True, False):
        if not shortcut:
            monkeypatch.setattr("nas_lightning.nets.nasbench201.live", lambda operations: operations)
        network.zero_grad(set_to_none=True)
        out = network(x, arch)
        out.square().sum().backward()
        found.append((out.detach(), {n: p.grad for n, p in network.named_parameters() if p.grad is not None}))
    (first, gradients), (second, all_gradients) = found
    assert torch.equal(first, second)
    assert gradients.keys() == all_gradients.keys()
    assert all(torch.equal(g, all_gradients[n]) for n, g in gradients.items())


def test_one_pooling_serves_all_edges_with_equal_output_and_gradient(monkeypatch):
    network, x = supernet(), images()
    arch = NB201Architecture((4, 4, 4, 4, 4, 3))  # three poolings of the input, two of node 1
    cell, calls, found = type(network.cells[0]), [], []
    edge, pool = cell.edge, average_pool

    def counted(y):
        calls.append(1)
        return pool(y)

    def forgetful(self, u, v, operation, values, keys, shared, prefix):
        shared.pop((u, "pool"), None)
        return edge(self, u, v, operation, values, keys, shared, prefix)

    monkeypatch.setattr("nas_lightning.nets.nasbench201.average_pool", counted)
    for forward, poolings in ((edge, 2), (forgetful, 5)):
        monkeypatch.setattr(cell, "edge", forward)
        network.zero_grad(set_to_none=True)
        calls.clear()
        out = network(x, arch)
        out.square().sum().backward()
        assert len(calls) == 3 * poolings
        found.append((out.detach(), {n: p.grad for n, p in network.named_parameters() if p.grad is not None}))
    (first, gradients), (second, all_gradients) = found
    assert torch.equal(first, second)
    assert gradients.keys() == all_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, all_gradients[name], rtol=1e-4, atol=1e-5)


def test_tracked_statistics_count_batches_of_dead_edges_too():
    torch.manual_seed(0)
    network = build_network("nasbench201", Plan().edited({"mapping.channels": 4, "mapping.layers": 1,
                                                          "protocol.track_running_stats": True}), 10, 3)  # fmt: skip
    network.train()(images(), NB201Architecture((3, 3, 2, 1, 4, 0)))
    assert network.cells[0].places["0-2"].norms["3"].running_mean.abs().sum() > 0


@pytest.mark.parametrize("placement", ["edge", "node", "node_except_input"])
@pytest.mark.parametrize("statistics", ["batch", "recalibrate"])
def test_shared_prefixes_give_the_scores_of_one_architecture_at_a_time(placement, statistics):
    network = supernet(op_placement=placement)
    rng, space = np.random.default_rng(0), get_space("nasbench201")
    archs = [space.sample(rng) for _ in range(40)] + [
        NB201Architecture((o, p, 3, 1, 2, 0)) for o in (2, 3) for p in (0, 1)
    ]
    batches = [(images(12), torch.arange(12) % 10), (-images(12), torch.arange(12) % 7)]
    calls = []
    together = score(network, archs, batches, statistics=statistics, calibration=[images(6)], progress=calls.append)
    assert calls == sorted(calls)
    assert calls[-1] == len(archs)
    assert network.prefix is None
    alone = [score(network, [arch], batches, statistics=statistics, calibration=[images(6)]) for arch in archs]
    assert together["accuracy"].tolist() == [s["accuracy"][0] for s in alone]
    assert together["negative_cross_entropy"].tolist() == [s["negative_cross_entropy"][0] for s in alone]
    with torch.inference_mode():
        network.eval()
        if statistics == "batch":
            total = sum(float(F.cross_entropy(network(x, archs[3]), y, reduction="sum")) for x, y in batches)
            assert together["negative_cross_entropy"][3] == pytest.approx(-total / 24, rel=1e-6)


def test_prefix_drops_the_least_recently_used():
    prefix = Prefix(limit=3 * 4 * 10)
    made = []

    def make(name):
        return prefix.get(name, lambda: made.append(name) or torch.zeros(10))

    for name in "abcabd":  # d drops c
        make(name)
    for name in "abdc":
        make(name)
    assert made == list("abcdc")
    assert prefix.held == 120
    prefix.clear()
    assert prefix.held == 0


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_collecting_normalises_by_the_batch_and_pools_its_moments(affine, dtype):
    torch.manual_seed(0)
    norm = BatchNorm(3, affine).eval()
    if dtype == torch.float64:
        norm.double()
    parts = [(torch.randn(n, 3, 5, 4, dtype=torch.float64) * 3 + n).to(dtype) for n in (2, 7, 4)]
    tolerance = 1e-2 if dtype == torch.bfloat16 else 0
    with torch.inference_mode():
        expected = [norm(x) for x in parts]
        norm.statistics = "collect"
        for x, y in zip(parts, expected, strict=True):  # PyTorch's bfloat16 kernels round twice without an affine part
            torch.testing.assert_close(norm(x), y, rtol=tolerance, atol=tolerance)
        norm.statistics = "recalibrated"
        mean, variance = norm.recalibrated()
        shifted = norm(parts[0])
    everything = torch.cat(parts).double()
    exact = {"rtol": 1e-5, "atol": 1e-5} if dtype != torch.float64 else {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(mean.double(), everything.mean((0, 2, 3)), **exact)
    torch.testing.assert_close(variance.double(), everything.var((0, 2, 3), correction=0), **exact)
    assert mean.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    by_hand = (parts[0].double() - mean.double()[:, None, None]) / (variance.double()[:, None, None] + 1e-5).sqrt()
    torch.testing.assert_close(shifted.double(), by_hand, rtol=2e-2, atol=2e-2)
