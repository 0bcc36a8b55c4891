"""What each method draws: frequencies, moments and limits that follow from its definition."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from callbacks.gdas import StraightThrough, gumbel_softmax
from callbacks.one_shot import kept_paths
from callbacks.pc_darts import PcDarts
from nas_lightning.distributions.controller import Controller, policy_loss
from nas_lightning.nets.build import build_network
from nas_lightning.nets.relaxed import RelaxedPath
from nas_lightning.plan import Plan
from nas_lightning.spaces import get_space
from tests.helpers.learned_paths import fit, heuristic
from tests.helpers.small_plans import SMALL


def network():
    torch.manual_seed(0)
    return build_network("nasbench201", Plan().edited(SMALL["nasbench201"]), 10, 1).double()


@pytest.mark.parametrize("temperature", [10.0, 0.1])
def test_hard_gumbel_draws_are_distributed_as_the_softmax(temperature):
    alpha = torch.tensor([[1.0, 0.0, -1.0, 0.5, 0.2]], dtype=torch.float64)
    draws = gumbel_softmax(alpha.expand(100_000, 5), temperature, torch.Generator().manual_seed(0))
    frequencies = F.one_hot(draws.argmax(-1), 5).double().mean(0)
    error = float((frequencies - alpha.softmax(-1)[0]).abs().max())
    assert error < 5 * math.sqrt(0.25 / 100_000)


def test_straight_through_is_one_hot_with_the_soft_gradient():
    soft = torch.rand(6, 5, dtype=torch.float64, requires_grad=True)
    hard = StraightThrough.apply(soft)
    assert torch.equal(hard.sum(-1), torch.ones(6, dtype=torch.float64))
    assert torch.equal(hard.argmax(-1), soft.argmax(-1))
    weights = torch.rand(6, 5, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((hard * weights).sum(), [soft])
    assert torch.equal(gradient, weights)


def test_at_temperature_zero_gdas_is_a_sampled_path():
    space, net = get_space("nasbench201"), network()
    alpha = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(4)).requires_grad_()
    soft = gumbel_softmax(alpha, 1e-6, torch.Generator().manual_seed(1))
    hard = StraightThrough.apply(soft)
    assert torch.allclose(soft, hard, atol=1e-12)
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    arch = space.decode(hard.argmax(-1).tolist())
    assert torch.equal(net(images, RelaxedPath((hard,))), net(images, arch))


def test_the_released_gradient_has_the_same_loss_and_another_direction():
    net = network()
    images, labels = torch.randn(8, 1, 8, 8, dtype=torch.float64), torch.arange(8)
    alpha = torch.zeros(6, 5, dtype=torch.float64, requires_grad=True)
    found = {}
    for scalars in (False, True):
        hard = StraightThrough.apply(gumbel_softmax(alpha, 5.0, torch.Generator().manual_seed(3)))
        loss = F.cross_entropy(net(images, RelaxedPath((hard,), scalars=scalars)), labels)
        (gradient,) = torch.autograd.grad(loss, [alpha])
        found[scalars] = (loss.item(), gradient)
        assert float(gradient.sum(1).abs().max()) < 1e-12
    assert found[False][0] == found[True][0]
    assert float((found[False][1] - found[True][1]).norm() / found[False][1].norm()) > 0.1


def test_the_released_gradient_by_hand():
    """One edge, y = 3·x drawn: ∂L/∂h of the operations that were not drawn is the sum of ∂L/∂y."""
    hard = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    x, slope = torch.randn(2, 4, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    y = RelaxedPath((hard,), scalars=True).mixture(0, 0, lambda op: x * (op + 2))
    (gradient,) = torch.autograd.grad((y * slope).sum(), [hard])
    assert torch.allclose(gradient[0], torch.stack([slope.sum(), (3 * x * slope).sum(), slope.sum()]))


def test_gdas_cools_from_ten_to_a_tenth():
    method, seen = heuristic("gdas"), []
    draw = method.draw
    method.draw = lambda step, stream: (seen.append((step, method.temperature(step))), draw(step, stream))[1]
    fit("nasbench201", method)
    assert dict(seen)[0] == 10.0
    assert dict(seen)[max(dict(seen))] == pytest.approx(0.1)


def test_the_controller_has_the_published_size_and_bounds():
    torch.manual_seed(0)
    controller = Controller((5,) * 6)
    assert sum(p.numel() for p in controller.parameters()) == 17_253
    genomes, logs, entropies = controller(generator=torch.Generator().manual_seed(0), count=64)
    assert genomes.shape == (64, 6)
    assert torch.equal(controller(genomes)[1], logs)
    assert float(entropies.max()) <= 6 * math.log(5) + 1e-5
    assert float(entropies.mean().detach()) == pytest.approx(9.6566, abs=0.02)
    with torch.no_grad():
        controller.outputs["5"].bias.copy_(torch.tensor([1e6, -1e6, -1e6, -1e6, -1e6]))
    p = controller(torch.zeros(1, 6, dtype=torch.int64))[1].exp()
    assert float(p) == pytest.approx((math.exp(5) / (4 + math.exp(5))) ** 6, rel=1e-4)  # 0.8525


def test_the_policy_gradient_is_unbiased_on_a_space_that_can_be_enumerated():
    """Σ p·∇(−ln p·(r − b)) over all genomes = −∇E[r], whatever the baseline."""
    torch.manual_seed(0)
    controller = Controller((2, 3, 2)).double()
    genomes = torch.tensor(list(itertools.product(range(2), range(3), range(2))))
    rewards = torch.rand(len(genomes), dtype=torch.float64)
    parameters = list(controller.parameters())
    _, logs, _ = controller(genomes)
    assert float(logs.exp().sum().detach()) == pytest.approx(1)
    expected = torch.autograd.grad(-(logs.exp() * rewards).sum(), parameters)
    for baseline in (0.0, 0.7):
        _, logs, _ = controller(genomes)
        parts = [
            torch.autograd.grad(
                policy_loss(logs[i : i + 1], rewards[i : i + 1], baseline), parameters, retain_graph=True
            )
            for i in range(len(genomes))
        ]
        p = logs.exp().detach()
        for k, value in enumerate(expected):
            assert torch.allclose(sum(p[i] * parts[i][k] for i in range(len(genomes))), value, atol=1e-12)


def test_the_controller_draws_by_its_own_probabilities():
    torch.manual_seed(1)
    controller = Controller((2, 3))
    for parameter in controller.parameters():
        parameter.data *= 20
    genomes, *_ = controller(generator=torch.Generator().manual_seed(0), count=20_000)
    every = torch.tensor(list(itertools.product(range(2), range(3))))
    p = controller(every)[1].exp().detach()
    found = torch.stack([(genomes == genome).all(1).double().mean() for genome in every])
    assert float((found - p).abs().max()) < 0.02
    assert float(p.max() - p.min()) > 0.02


def test_reinforce_moves_the_controller_towards_what_is_rewarded():
    """Reward = share of the first operation: its frequency rises."""
    method = heuristic("enas", steps=12, samples=8, candidates=40, learning_rate=0.1)
    method.accuracy = lambda arch, batches: sum(op == 0 for op in arch.operations) / 6
    fit("nasbench201", method, max_epochs=2)
    assert float(method.frequencies[0][:, 0].mean()) > 0.4


@pytest.mark.slow
def test_dirichlet_draws_at_alpha_zero_are_uniform_over_the_simplex():
    method = heuristic("drnas")
    fit("nasbench201", method, max_steps=1)
    method.alphas = [torch.zeros(6, 5, requires_grad=True)]
    draws = torch.stack([method.draw(step, 9)[0].detach() for step in range(1000)])
    assert torch.allclose(draws.sum(-1), torch.ones(1000, 6))
    assert torch.allclose(draws.mean((0, 1)), torch.full((5,), 0.2), atol=0.01)
    assert draws.var((0, 1)).mean().item() == pytest.approx(2 / 75, rel=0.1)
    assert torch.allclose(method.mixing()[0], torch.full((6, 5), 0.2))


def test_uniform_edge_weights_divide_a_node_by_its_in_degree():
    """With k = 1 PC-DARTS at β = 0 is DARTS with every node divided by how many edges it sums."""
    edges = get_space("darts_nds").relaxation.edges[0]
    weights = PcDarts.edge_weights(torch.zeros(len(edges)), edges)
    targets = [target for _, target in edges]
    assert weights.tolist() == pytest.approx([1 / targets.count(t) for t in targets])
    beta = torch.arange(14.0)
    sums = {
        t: sum(w for w, u in zip(PcDarts.edge_weights(beta, edges).tolist(), targets, strict=True) if u == t)
        for t in targets
    }
    assert list(sums.values()) == pytest.approx([1.0] * 4)


def test_pc_darts_stands_still_during_its_warm_up():
    method = heuristic("pc_darts", warmup=0.5)
    method.values["mapping.partial_channels"] = 2
    moved = []
    learn = method.learn

    def watched(step, batch):
        before = [a.detach().clone() for a in method.alphas]
        learn(step, batch)
        moved.append(any(not torch.equal(a, b) for a, b in zip(before, method.alphas, strict=True)))

    method.learn = watched
    fit("nasbench201", method)
    half = len(moved) // 2
    assert moved == [False] * half + [True] * (len(moved) - half)


def test_all_paths_of_a_node_vanish_with_the_rate_whatever_their_number():
    edges = get_space("darts_nds").relaxation.edges[0]
    generator = torch.Generator().manual_seed(0)
    kept = torch.stack([kept_paths(edges, 8, 0.3, generator) for _ in range(4000)])
    for target in range(2, 6):
        into = [i for i, (_, t) in enumerate(edges) if t == target]
        gone = (kept[:, into].flatten(1).sum(1) == 0).double().mean()
        assert float(gone) == pytest.approx(0.3, abs=5 * math.sqrt(0.21 / 4000))
    assert bool(kept_paths(edges, 8, 0.0, generator).all())


def test_one_shot_with_everything_kept_sums_all_operations_and_with_one_path_is_the_sub_net():
    space, net = get_space("nasbench201"), network()
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    every = net(images, RelaxedPath((torch.ones(6, 5, dtype=torch.float64),)))
    cell = net.cells[0]
    x = torch.randn(4, 4, 8, 8, dtype=torch.float64)
    node1 = sum(cell.edge(0, 1, op, [x], [], {}, None) for op in (1, 2, 3, 4))
    node2 = sum(
        cell.edge(0, 2, op, [x], [], {}, None) + cell.edge(1, 2, op, [x, node1], [], {}, None) for op in (1, 2, 3, 4)
    )
    node3 = sum(
        cell.edge(0, 3, op, [x], [], {}, None)
        + cell.edge(1, 3, op, [x, node1], [], {}, None)
        + cell.edge(2, 3, op, [x, node1, node2], [], {}, None)
        for op in (1, 2, 3, 4)
    )
    relaxed = cell.relaxed(x, RelaxedPath((torch.ones(6, 5, dtype=torch.float64),)))
    torch.testing.assert_close(relaxed, node3)
    arch = space.sample(np.random.default_rng(0))
    alone = net(images, RelaxedPath.of(space.relaxation.one_hot(arch), images))
    assert torch.equal(alone, net(images, arch))
    assert not torch.equal(alone, every)


@pytest.mark.slow
def test_perturbation_keeps_the_operation_whose_removal_hurts_most_and_none_never_hurts():
    method = heuristic("darts_pt", share=0.5)
    module = fit("nasbench201", method)
    assert sorted((kind, edge) for kind, edge, _ in method.decided) == [(0, e) for e in range(6)]
    rows = method.weights()[0]
    assert np.array_equal(np.sort(rows, axis=1), np.eye(5)[[4] * 6])
    assert method.choice == method.relaxation.derived(method.weights())
    fresh = heuristic("darts_pt")
    fresh.space, fresh.module, fresh.trainer = method.space, module, method.trainer
    fresh.alphas = [torch.randn(6, 5, requires_grad=True)]
    batches = method.selection_batches(2, 0)
    whole = fresh.accuracy(fresh.relaxed(learned=False), batches)
    assert fresh.without(0, 3, 0, batches) == whole
    left = [fresh.without(0, 3, op, batches) for op in range(5)]
    fresh.options["batches"] = 2
    fresh.decide_edge(0, 3, 0)
    assert fresh.decided == [(0, 3, int(np.argmin(left)))]


@pytest.mark.slow
def test_perturbation_on_darts_keeps_two_edges_a_node():
    method = heuristic("darts_pt", share=0.5)
    numbers = iter(np.random.default_rng(0).permutation(1000))
    method.accuracy = lambda arch, batches: float(next(numbers))
    fit("darts_nds", method)
    kept = [[np.count_nonzero(table[e]) for e in range(14)] for table in method.weights()]
    targets = [target for _, target in method.relaxation.edges[0]]
    for row in kept:
        assert [sum(n for n, t in zip(row, targets, strict=True) if t == node) for node in range(2, 6)] == [2] * 4


def test_setn_derives_the_best_scored_of_the_most_probable():
    method = heuristic("setn", candidates=7)
    fit("nasbench201", method, max_steps=3, max_epochs=None)
    asked = []
    method.accuracy = lambda arch, batches: asked.append(arch) or float(len(asked) == 5)
    assert method.derive(1) == asked[4]
    assert asked == method.relaxation.best(method.weights(), 7)
    equal = tuple(np.full(shape, 1 / shape[1]) for shape in method.relaxation.shapes)
    log_p = float(np.log(equal[0]).sum() / 5)
    assert log_p == pytest.approx(-9.6566, abs=1e-4)
