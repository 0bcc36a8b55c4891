"""A relaxed path of ones and zeros is the sampled path, bit for bit; parts of the channels; published sizes."""

import numpy as np
import pytest
import torch

from nas_lightning.nets.build import build_network
from nas_lightning.nets.relaxed import RelaxedPath, shuffled
from nas_lightning.plan import Plan, PlanError
from nas_lightning.spaces import get_space
from tests.helpers.small_plans import SMALL

SPACES = ("nasbench201", "darts_nds")


def network_of(space, **edits):
    torch.manual_seed(0)
    named = {name.replace("__", "."): value for name, value in edits.items()}
    network = build_network(space, Plan().edited({**SMALL[space], **named}), 10, 3)
    return network.double().to(memory_format=torch.channels_last)


def images(n=4):
    return torch.randn(n, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def outputs_and_gradients(network, arch):
    network.zero_grad(set_to_none=True)
    y = network(images(), arch)
    y.square().sum().backward()
    return y.detach(), {name: p.grad for name, p in network.named_parameters()}


@pytest.mark.slow
@pytest.mark.parametrize("placement", ["edge", "node"])
@pytest.mark.parametrize("space", SPACES)
def test_a_one_hot_path_is_the_sampled_path_bit_for_bit(space, placement):
    domain, network = get_space(space), network_of(space, mapping__op_placement=placement)
    rng = np.random.default_rng(0)
    for arch in [domain.sample(rng) for _ in range(8)]:
        path = RelaxedPath.of(domain.relaxation.one_hot(arch), images())
        (y, expected), (z, found) = outputs_and_gradients(network, arch), outputs_and_gradients(network, path)
        assert torch.equal(y, z)
        for name, gradient in expected.items():
            if gradient is None:  # of an operation that nothing reads, too
                assert found[name] is None or not found[name].any()
            else:
                assert torch.equal(gradient, found[name]), name
        assert network(images(), domain.sample(rng)).ne(y).any()


@pytest.mark.parametrize("space", SPACES)
def test_weights_that_learn_give_the_same_values_and_gradients_to_rounding(space):
    domain, network = get_space(space), network_of(space)
    arch = domain.sample(np.random.default_rng(3))
    path = RelaxedPath.of(domain.relaxation.one_hot(arch), images())
    for weights in path.weights:
        weights.requires_grad_()
    (y, expected), (z, found) = outputs_and_gradients(network, arch), outputs_and_gradients(network, path)
    assert torch.equal(y, z)
    for name, gradient in expected.items():
        if gradient is not None:
            torch.testing.assert_close(gradient, found[name], rtol=1e-11, atol=1e-13)
    assert all(weights.grad.ne(0).sum() > len(weights) for weights in path.weights)  # of operations of weight 0, too


@pytest.mark.parametrize("space", SPACES)
def test_the_gradient_of_the_weights_is_that_of_finite_differences(space):
    network, domain = network_of(space), get_space(space)
    generator = torch.Generator().manual_seed(2)
    start = [torch.rand(shape, generator=generator, dtype=torch.float64) for shape in domain.relaxation.shapes]
    weights = [w.clone().requires_grad_() for w in start]
    network(images(), RelaxedPath(tuple(weights))).square().sum().backward()
    direction = [torch.randn(w.shape, generator=generator, dtype=torch.float64) for w in start]

    def value(step):
        moved = tuple(w + step * d for w, d in zip(start, direction, strict=True))
        return float(network(images(), RelaxedPath(moved)).detach().square().sum())

    slope = (value(1e-7) - value(-1e-7)) / 2e-7  # short, since ReLU and max-pooling have kinks
    expected = float(sum((w.grad * d).sum() for w, d in zip(weights, direction, strict=True)))
    assert slope == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_published_numbers_of_weights():
    """DARTS's search network as its authors print it; NAS-Bench-201's with affine norms, and without: there the
    authors' convolutions have a bias each, which batch statistics take out again, and ours have none."""
    cell = {"mapping.channels": 16, "mapping.bn_affine_outside": True}

    def count(space, **edits):
        with torch.device("meta"):
            network = build_network(space, Plan().edited({**cell, **edits}), 10, 3)
        return sum(p.numel() for p in network.parameters())

    assert count("darts_nds", **{"mapping.layers": 8, "mapping.bn_affine": False}) == 1_930_618
    assert count("nasbench201", **{"mapping.bn_affine": True}) == 1_699_546
    biases = 2 * 6 * 5 * (16 + 32 + 64)  # two convolutions an edge, six edges, five cells a stage
    assert count("nasbench201", **{"mapping.bn_affine": False}) + biases == 1_692_826


def test_a_shuffle_is_a_permutation_across_the_groups():
    x = torch.arange(12.0).view(1, 12, 1, 1)
    assert shuffled(x, 4).flatten().tolist() == [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]


@pytest.mark.parametrize("space", SPACES)
def test_with_a_part_of_the_channels_the_others_pass_by(space):
    """An edge of no operation passes the others on; one of weight 0 passes nothing."""
    domain, network = get_space(space), network_of(space, mapping__channels=8, mapping__partial_channels=4)
    rng = np.random.default_rng(0)
    arch = domain.sample(rng)
    one_hot = RelaxedPath.of(domain.relaxation.one_hot(arch), images())
    assert torch.equal(network(images(), arch), network(images(), one_hot))
    whole = network_of(space, mapping__channels=8)
    assert sum(p.numel() for p in network.parameters()) < sum(p.numel() for p in whole.parameters())
    nothing = RelaxedPath(tuple(torch.zeros_like(w) for w in one_hot.weights))
    assert not torch.equal(network(images(), nothing), network(images(), arch))
    with pytest.raises(PlanError, match="narrower"):
        network.standalone(arch)


def test_partial_mixture_by_hand():
    x = torch.randn(2, 8, 4, 4, dtype=torch.float64)
    path = RelaxedPath((torch.tensor([[0.5, 0.25]], dtype=torch.float64),))
    read = x[:, :2]
    y = path.partial_mixture(0, 0, x, 4, 1, lambda op: read * (op + 1))
    expected = torch.cat([read * (0.5 + 2 * 0.25), x[:, 2:] * 0.75], 1)
    assert torch.equal(y, shuffled(expected, 4))


def test_parts_must_divide_the_channels_and_the_space_must_offer_them():
    with pytest.raises(PlanError, match=r"partial_channels=3 does not divide mapping\.channels=16"):
        Plan().edited({"mapping.partial_channels": 3})
    with pytest.raises(PlanError, match="partial_channels=2 does not apply to nasbench101"):
        get_space("nasbench101").check_mapping(
            Plan().edited({"mapping.partial_channels": 2, "mapping.op_placement": "node"}).mapping
        )


@pytest.mark.parametrize("space", SPACES)
def test_the_best_architectures_of_a_table_of_weights(space):
    """k best by merging equals brute force where that is feasible, and the first is the derived one."""
    domain = get_space(space)
    rng = np.random.default_rng(0)
    weights = tuple(rng.dirichlet(np.ones(n), edges) for edges, n in domain.relaxation.shapes)

    def log_weight(arch):
        return sum(float((np.log(w) * h).sum()) for w, h in zip(weights, domain.relaxation.one_hot(arch), strict=True))

    best = domain.relaxation.best(weights, 20)
    values = [log_weight(arch) for arch in best]
    assert len(set(best)) == 20
    assert values == sorted(values, reverse=True)
    assert domain.relaxation.derived(weights) == best[0]
    if space == "nasbench201":
        from nas_lightning.spaces.nasbench201 import from_code

        every = sorted((log_weight(from_code(code)) for code in range(15625)), reverse=True)
        assert values == pytest.approx(every[:20])
    else:
        assert values[0] > max(log_weight(domain.sample(rng)) for _ in range(300))
        assert all(log_weight(near) <= values[0] + 1e-12 for near in domain.neighbours(best[0]))
