"""Schedules, bounds and single steps of the learned distributions, by hand."""

import math
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from callbacks.darts import Darts
from callbacks.darts_pt import DartsPt
from callbacks.drnas import Drnas
from callbacks.enas import Enas
from callbacks.gdas import Gdas
from callbacks.one_shot import OneShot
from callbacks.pc_darts import PcDarts
from callbacks.setn import Setn
from nas_lightning.distributions.base import START_STREAM, WEIGHTS_STREAM
from nas_lightning.distributions.controller import Controller
from nas_lightning.heuristic import NotApplicableError
from nas_lightning.plan import Plan, PlanError
from nas_lightning.spaces import get_space


def test_gdas_cools_in_equal_steps_from_epoch_to_epoch():
    gdas = Gdas()
    gdas.trainer = SimpleNamespace(num_training_batches=3)
    gdas.module = SimpleNamespace(plan=SimpleNamespace(protocol=SimpleNamespace(epochs=5)))
    found = [gdas.temperature(step) for step in range(15)]
    expected = [10 - 9.9 * epoch / 4 for epoch in range(5) for _ in range(3)]
    assert found == pytest.approx(expected)
    gdas.module.plan.protocol.epochs = 1
    assert gdas.temperature(2) == 10


def test_one_shot_drops_more_from_step_to_step(monkeypatch):
    one_shot, rates = OneShot(0.4), []
    one_shot.relaxation = get_space("nasbench201").relaxation
    one_shot.module = SimpleNamespace(
        total_steps=lambda: 5, seed=0, network=SimpleNamespace(parameters=lambda: iter([torch.zeros(1)]))
    )

    def kept(edges, operations, rate, generator):
        rates.append(rate)
        return torch.ones(len(edges), operations)

    monkeypatch.setattr("callbacks.one_shot.kept_paths", kept)
    for step in range(5):
        one_shot.paths(step)
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    one_shot.module.total_steps = lambda: 2
    one_shot.paths(1)
    one_shot.module.total_steps = lambda: 1
    one_shot.paths(0)
    assert rates[-2:] == pytest.approx([0.4, 0])


def test_edges_of_pc_darts_share_what_comes_into_a_node():
    method = PcDarts(warmup=0.0)
    edges = ((0, 1), (0, 2), (1, 2))
    method.space = SimpleNamespace(relaxation=SimpleNamespace(shapes=((3, 2),), edges=(edges,)))
    operations = torch.tensor([[0.0, 0.0], [math.log(3), 0.0], [0.0, math.log(4)]])
    method.alphas = [operations, torch.tensor([5.0, 0.0, math.log(3)])]
    (mixed,) = method.mixing()
    expected = torch.tensor([[0.5, 0.5], [0.25 * 0.75, 0.25 * 0.25], [0.75 * 0.2, 0.75 * 0.8]])
    torch.testing.assert_close(mixed, expected)


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (PcDarts, [{"warmup": 0.0}, {"warmup": 0.99}], [{"warmup": -0.01}, {"warmup": 1.0}]),
        (Setn, [{"candidates": 1, "batch_size": 1}], [{"candidates": 0}, {"batch_size": 0}]),
        (Enas, [{"steps": 1, "samples": 1}], [{"samples": 0}]),
    ],
)
def test_settings_at_and_beyond_their_bounds(kind, right, wrong):
    for settings in right:
        kind(**settings)
    for settings in wrong:
        with pytest.raises(PlanError, match=next(iter(settings))):
            kind(**settings)


def enas():
    method = Enas(samples=3, candidates=4)
    method.space = get_space("nasbench201")
    method.generator = lambda *key: torch.Generator().manual_seed(hash(key) % 2**31)
    method.alphas = method.new_parameters(torch.zeros(1))
    method.optimizer = torch.optim.SGD(method.alphas, lr=0.0)
    method.selection_batches = lambda n, first, size: range(n)
    method.accuracy = lambda arch, batches: 0.2 + 0.1 * batches[0]
    return method


def test_a_controller_starts_from_the_first_key_of_a_stream_of_its_own():
    method = enas()
    torch.manual_seed(method.generator(0, START_STREAM).initial_seed())
    for found, expected in zip(method.alphas, Controller(method.space.cardinalities).parameters(), strict=True):
        assert torch.equal(found, expected)


def test_a_step_of_the_controller_has_the_gradient_of_its_own_draws_alone():
    once, twice = enas(), enas()
    once.reinforce(0, torch.Generator().manual_seed(1))
    assert once.baseline is not None
    twice.reinforce(0, torch.Generator().manual_seed(2))
    twice.baseline = None
    twice.reinforce(0, torch.Generator().manual_seed(1))
    for a, b in zip(once.alphas, twice.alphas, strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_a_controller_looks_before_the_first_epoch_unless_a_checkpoint_has_done_so(monkeypatch):
    monkeypatch.setattr("nas_lightning.distributions.base.Distribution.on_train_start", lambda *given: None)
    method = enas()
    method.on_train_start(None, None)
    assert [tuple(f.shape) for f in method.frequencies] == [(6, 5)]
    assert float(method.frequencies[0].sum()) == pytest.approx(6), "of four draws each edge has one operation"
    method.frequencies = kept = [torch.zeros(6, 5)]
    method.on_train_start(None, None)
    assert method.frequencies is kept


def test_darts_counts_the_passes_of_its_order():
    """∇α; with the second order ∇w L_train, both gradients of L_val, and ∇α L_train on either side."""
    assert [Darts(order=order).extra_passes for order in (1, 2)] == [1, 4]


def test_darts_stops_where_the_curvature_has_grown_and_goes_back_four_entries():
    """L = c/2·Σ α² has the Hessian c·1, and the penalty adds its factor."""
    method, logged = Darts(stop=True, weight_decay=0.01), []
    method.alphas = [torch.zeros(2, 2, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    method.module = SimpleNamespace(log=lambda name, value, rank_zero_only: logged.append((name, value)))
    method.trainer = SimpleNamespace(global_step=0)
    method.selection_batches = lambda count, first: [(None, None)]
    method.untouched = method.precision = nullcontext
    method.relaxed = lambda learned: None
    curvature = [1.0] * 7 + [2.0, 2.0]  # the last mean, (1 + 1 + 1 + 2 + 2)/5, is 1.4 times that of entry 2
    for entry, c in enumerate(curvature):
        assert method.learns(0)
        with torch.no_grad():
            for alpha in method.alphas:
                alpha.fill_(entry)
        method.selection_loss = lambda *given, c=c: c / 2 * sum(alpha.square().sum() for alpha in method.alphas)
        method.watch(2 * entry)
    assert method.eigenvalues == pytest.approx([c + 0.01 for c in curvature])
    assert logged == [("distribution/eigenvalue", value) for value in method.eigenvalues]
    assert not method.learns(0)
    assert all(bool((alpha == 2).all()) for alpha in method.alphas)


def test_perturbation_takes_its_decisions_evenly_over_the_last_steps_and_each_edge_once():
    method = DartsPt(share=0.5)
    method.space = get_space("nasbench201")
    method.module = SimpleNamespace(seed=0, total_steps=lambda: 8)
    taken = []

    def decide_edge(kind, edge, step):
        assert (kind, edge) not in [known[:2] for known in method.decided]
        taken.append((step, edge))
        method.decided.append((kind, edge, 1))

    method.decide_edge = decide_edge
    assert [method.learns(step) for step in range(8)] == [True] * 4 + [False] * 4
    for step in range(4, 8):  # 6 edges in 4 steps: after the k-th, 1.5 k of them, rounded up
        method.learn(step, None)
    assert [step for step, _ in taken] == [4, 4, 5, 6, 6, 7]
    assert sorted(edge for _, edge in taken) == list(range(6))


def test_perturbation_sets_one_weight_of_an_edge_to_zero_or_all_of_them_and_no_other():
    method, seen = DartsPt(), []
    method.alphas = [torch.randn(6, 5, generator=torch.Generator().manual_seed(0))]
    method.accuracy = lambda path, batches: seen.append(path.weights[0])
    for op in (2, None):
        method.without(0, 3, op, [])
    one, every = method.alphas[0].softmax(1), method.alphas[0].softmax(1)
    one[3, 2] = 0
    every[3] = 0
    assert torch.equal(seen[0], one)
    assert torch.equal(seen[1], every)


def test_a_step_of_drnas_trains_one_draw_of_weight_1():
    method = Drnas()
    method.module = SimpleNamespace(seed=4)
    method.alphas = [torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))]
    found = method.paths(7)
    ((drawn,),) = (path.weights for path in found.architectures)
    assert found.weight == 1.0
    assert torch.equal(drawn, method.draw(7, WEIGHTS_STREAM)[0])
    torch.testing.assert_close(drawn.sum(1), torch.ones(6, dtype=torch.float64))
    assert not torch.equal(drawn, method.paths(8).architectures[0].weights[0])


def test_one_shot_needs_sums_of_operations_in_one_network():
    method, space, plan = OneShot(), get_space("nasbench201"), Plan()
    method.check(plan, space)
    assert method.relaxation is space.relaxation
    with pytest.raises(NotApplicableError, match="one_shot does not apply to space=nasbench101"):
        OneShot().check(plan, get_space("nasbench101"))
    method.check_folded(plan)
    with pytest.raises(PlanError, match="extra=few_shot and distribution=one_shot exclude each other"):
        method.check_folded(plan.edited({"mapping.few_shot_edge": 3}))
