"""Zero-cost proxies against what can be computed another way: finite differences, loops, graphs, published counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nas_lightning.nets.build import build_network
from nas_lightning.plan import Mapping, Plan, Protocol
from nas_lightning.predictors.base import Context, PredictorError, checked_scores, make_predictor, predictor_names
from nas_lightning.scoring.zerocost.base import ZeroCost, gradients, weights_of
from nas_lightning.scoring.zerocost.jacov import of_correlation
from nas_lightning.scoring.zerocost.logsynflow import LogSynflow
from nas_lightning.scoring.zerocost.naswot import Naswot, agreement
from nas_lightning.scoring.zerocost.snip import Snip
from nas_lightning.scoring.zerocost.synflow import Synflow
from nas_lightning.scoring.zerocost.watch import WithoutBatchNorm, activation_signs
from nas_lightning.scoring.zerocost.zen import Zen
from nas_lightning.spaces import get_space

SPACE = get_space("nasbench201")
SMALL = Mapping(channels=2, layers=1)
CELL = SPACE.parse("|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|")
DEAD = SPACE.parse("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|")
PROXIES = [name for name in predictor_names() if isinstance(make_predictor(name), ZeroCost)]
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


def images(n: int = 6, size: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(n, 3, size, size, generator=generator), torch.arange(n) % 4


def context(archs, **more) -> Context:
    return Context(SPACE, archs, SMALL, num_outputs=4, image_size=8, batches=[images()], **more)


def network(arch=CELL, dtype=torch.float64):
    torch.manual_seed(0)
    plan = Plan(mapping=SMALL, protocol=Protocol(initialization="kaiming_uniform"))
    return build_network("nasbench201", plan, 4, 3, arch).to(dtype).eval()


def of(name: str, net, x, y) -> float:
    return float(torch.as_tensor(make_predictor(name).of(net, x, y)).detach())


def test_there_are_nine_of_them():
    assert set(PROXIES) >= {
        "naswot", "synflow", "logsynflow", "snip", "grad_norm", "grasp", "fisher", "jacov", "zen",
    }  # fmt: skip


def test_only_the_flows_and_noise_need_no_images():
    kinds = (Synflow, LogSynflow, Zen, Snip, Naswot)
    assert [kind.uses_images for kind in kinds] == [False, False, False, True, True]
    assert [sorted(kind().needs) for kind in kinds] == [[], [], [], ["images"], ["images"]]


@pytest.mark.parametrize("name", PROXIES)
def test_a_score_depends_on_architecture_and_seed_alone_and_dead_cells_rank_last(name):
    predictor = make_predictor(name)
    other = SPACE.parse("|nor_conv_1x1~0|+|nor_conv_3x3~0|skip_connect~1|+|none~0|nor_conv_3x3~1|nor_conv_3x3~2|")
    together = checked_scores(predictor, context([CELL, DEAD, other]))
    alone = [checked_scores(predictor, context([arch]))[0] for arch in (other, DEAD, CELL)]
    np.testing.assert_array_equal(together, alone[::-1])
    assert together[1] == -math.inf
    assert np.isfinite(together[[0, 2]]).all()
    assert together[0] != together[2]
    assert checked_scores(predictor, context([CELL], seed=1))[0] != together[0]


@pytest.mark.parametrize("space", ["nasbench101", "darts_nds"])
@pytest.mark.parametrize("name", PROXIES)
def test_every_proxy_scores_the_other_spaces(name, space):
    domain = get_space(space)
    archs = [domain.sample_unique(np.random.default_rng(i)) for i in range(2)]
    nodes = Mapping(channels=16, layers=1, op_placement="node")
    mapping = nodes if space == "nasbench101" else Mapping(channels=4, layers=3)
    found = checked_scores(
        make_predictor(name),
        Context(domain, archs, mapping, num_outputs=4, image_size=8, batches=[images()]),
    )
    assert np.isfinite(found).all()
    assert found[0] != found[1]


def reaches(operations) -> bool:
    reached = {0}
    for (u, v), operation in zip(EDGES, operations, strict=True):  # in topological order of v
        if operation != 0 and u in reached:
            reached.add(v)
    return 3 in reached


def test_synflow_is_last_in_exactly_the_cells_without_a_path():
    cells = [SPACE.decode(genome) for genome in np.ndindex(*SPACE.cardinalities)]
    connected = {cell: reaches(cell.operations) for cell in cells}
    assert sum(not alive for alive in connected.values()) == 341  # published: synflow is 0 in 341 cells
    rng = np.random.default_rng(0)
    dead = [cell for cell in cells if not connected[cell]]
    some = [cells[i] for i in rng.choice(len(cells), 60, replace=False)]
    some += [dead[i] for i in rng.choice(len(dead), 40, replace=False)]
    found = checked_scores(make_predictor("synflow"), context(some))
    np.testing.assert_array_equal(np.isfinite(found), [connected[cell] for cell in some])


def test_synflow_is_the_sum_of_what_each_kernel_carries():
    net, (x, y) = network(), images()
    value = of("synflow", net, x.double(), y)

    def total() -> float:
        with torch.no_grad(), WithoutBatchNorm():
            return float(net(torch.ones_like(x[:1], dtype=torch.float64)).sum())

    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
    whole, carried = total(), 0.0
    for weight in weights_of(net):  # the sum is linear in each kernel
        kept = weight.detach().clone()
        weight.data.zero_()
        carried += whole - total()
        weight.data.copy_(kept)
    assert value == pytest.approx(carried, rel=1e-9)
    assert value == of("synflow", net, 100 * x.double(), y)  # it never sees an image


def test_logsynflow_from_the_gradients_of_synflow():
    from nas_lightning.scoring.zerocost.synflow import flow

    net, (x, y) = network(), images()
    by_hand = sum(float((w * (g + 1).log()).detach().abs().sum()) for w, g in flow(net, x.double()))
    assert of("logsynflow", net, x.double(), y) == pytest.approx(by_hand, rel=1e-9)


def test_nothing_flows_through_a_kernel_that_nothing_reads():
    from nas_lightning.scoring.zerocost.synflow import flow

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read, self.unread = nn.Parameter(torch.tensor([[-2.0, 3.0]])), nn.Parameter(torch.ones(3, 2))
            self.bias = nn.Parameter(torch.ones(1))  # neither kernel nor matrix: no part of the flow

        def forward(self, x, arch=None):
            return x @ self.read.T + self.bias

    (read, slope), (unread, none) = flow(Net(), torch.zeros(5, 2))
    assert (read.tolist(), slope.tolist()) == ([[2, 3]], [[1, 1]])  # the input is one row of ones
    assert torch.equal(unread, torch.ones(3, 2, dtype=torch.float64))
    assert torch.equal(none, torch.zeros(3, 2, dtype=torch.float64))


def loss_gradients(net, x, y):
    return torch.autograd.grad(F.cross_entropy(net(x), y), weights_of(net), materialize_grads=True, allow_unused=True)


def test_gradients_against_finite_differences():
    net, (x, y) = network(), images()
    x, rng, step = x.double(), np.random.default_rng(0), 1e-6
    found = gradients(net, x, y, loss=F.cross_entropy)
    assert len(found) == 17  # the stem, 3 cells of 3 kernels, 2 reductions of 3, the classifier
    for weight, gradient in zip(weights_of(net), found, strict=True):
        flat = weight.data.view(-1)
        i = int(rng.integers(len(flat)))
        kept, losses = float(flat[i]), []
        for sign in (1, -1):
            flat[i] = kept + sign * step
            with torch.no_grad():
                losses.append(float(F.cross_entropy(net(x), y)))
        flat[i] = kept
        assert float(gradient.view(-1)[i]) == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=1e-4, abs=1e-8)
    weights = [w.detach() for w in weights_of(net)]
    snip = sum(float((w * g).abs().sum()) for w, g in zip(weights, found, strict=True))
    assert of("snip", net, x, y) == pytest.approx(snip, rel=1e-9)
    assert of("grad_norm", net, x, y) == pytest.approx(sum(math.sqrt(float((g**2).sum())) for g in found), rel=1e-9)


def test_grasp_against_a_difference_of_gradients():
    net, (x, y) = network(), images()
    x, step = x.double(), 1e-6
    weights = weights_of(net)
    first = [g.detach() for g in loss_gradients(net, x, y)]
    value, moved = of("grasp", net, x, y), []
    kept = [w.detach().clone() for w in weights]
    for sign in (1, -1):
        for weight, start, g in zip(weights, kept, first, strict=True):
            weight.data.copy_(start + sign * step * g)
        moved.append([g.detach() for g in loss_gradients(net, x, y)])
    product = sum(float((w * (a - b)).sum()) for w, a, b in zip(kept, *moved, strict=True)) / (2 * step)
    assert value == pytest.approx(-product, rel=1e-3)


def test_jacov_from_one_image_at_a_time():
    net, (x, y) = network(), images()
    x, rows = x.double(), []
    for i in range(len(x)):  # batch norm mixes the images: the sum of all outputs is what is differentiated
        inputs = x.clone().requires_grad_(True)
        net(inputs).sum().backward()
        rows.append(inputs.grad[i].flatten().numpy())
    v = np.linalg.eigvalsh(np.corrcoef(np.stack(rows)))
    by_hand = -np.sum(np.log(v + 1e-5) + 1 / (v + 1e-5))
    assert of("jacov", net, x, y) == pytest.approx(by_hand, rel=1e-6)
    identity = torch.eye(3, dtype=torch.float64) - 1 / 3  # three rows with correlation −½ each
    assert of_correlation(identity) == pytest.approx(
        -sum(math.log(v + 1e-5) + 1 / (v + 1e-5) for v in (0.0, 1.5, 1.5)), rel=1e-6
    )


def test_jacov_of_an_image_that_moves_nothing_or_without_bound_is_no_number():
    x, y = images(3)
    x = x.double()

    def still(inputs):
        return inputs[1:].square()

    def endless(inputs):
        return inputs.square() * torch.tensor([1.0, math.inf, 1.0])[:, None, None, None]

    assert math.isfinite(of("jacov", torch.square, x, y))
    assert math.isnan(of("jacov", still, x, y))
    assert math.isnan(of("jacov", endless, x, y))


def test_naswot_counts_agreeing_units():
    net, (x, y) = network(), images()
    signs = activation_signs(net, x.double())
    codes = torch.cat(signs, 1).tolist()
    kernel = [[sum(a == b for a, b in zip(one, two, strict=True)) for two in codes] for one in codes]
    np.testing.assert_array_equal(agreement(signs), kernel)
    assert of("naswot", net, x.double(), y) == pytest.approx(np.linalg.slogdet(np.array(kernel, float))[1], rel=1e-9)
    one_relu = [torch.tensor([[True, False, True], [True, True, True]])]
    assert agreement(one_relu).tolist() == [[3, 2], [2, 3]]
    same = x.double().clone()
    same[1] = same[0]
    assert of("naswot", net, same, y) == -math.inf


def test_a_shared_relu_counts_once_for_every_convolution_that_reads_it():
    cell = SPACE.parse("|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|nor_conv_3x3~0|skip_connect~1|skip_connect~2|")
    found = len(activation_signs(network(cell), images()[0].double()))
    # Three stages of one cell with 3 convolutions at the input, two reductions with 2 ReLUs each, and the last one.
    assert found == 3 * 3 + 2 * 2 + 1


def test_fisher_of_a_linear_network_in_closed_form():
    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.classifier, self.unread = nn.Linear(5, 4).double(), nn.Linear(5, 3).double()

        def forward(self, x, arch=None):
            self.unread(x)  # has no effect on the loss, and none on the score
            return self.classifier(x)

    torch.manual_seed(0)
    net, x, y = Linear(), torch.randn(6, 5, dtype=torch.float64), torch.arange(6) % 4
    logits = net(x).detach()
    gradient = (logits.softmax(1) - F.one_hot(y, 4)) / 6
    by_hand = 0.5 * (logits * gradient).square().mean(0).sum()
    assert of("fisher", net, x, y) == pytest.approx(float(by_hand), rel=1e-9)


def test_zen_undoes_the_scale_that_batch_norm_takes_away():
    class Net(nn.Module):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.weight, self.scale = nn.Parameter(torch.ones(2, 3, 1, 1)), scale

        def forward(self, x, arch=None):
            y = F.batch_norm(self.scale * F.conv2d(x, self.weight), None, None, training=True, eps=1e-12)
            return F.adaptive_avg_pool2d(y, 1)

    x, y = images(2)
    one, ten = (of("zen", Net(scale), x[:1], y[:1]) for scale in (1.0, 10.0))
    assert ten - one == pytest.approx(math.log(10), rel=1e-5)


def test_shared_weights_are_those_of_the_super_net():
    torch.manual_seed(1)
    supernet = build_network("nasbench201", Plan(mapping=SMALL), 4, 3)
    before = {k: v.clone() for k, v in supernet.state_dict().items()}
    shared = make_predictor({"_target_": "snip", "weights": "shared"})
    assert shared.name == "snip_shared"
    assert shared.needs == {"weights", "images"}
    found = checked_scores(shared, context([CELL], network=supernet))[0]
    x, y = images()
    assert found == pytest.approx(of("snip", supernet.standalone(CELL).eval(), x, y), rel=1e-6)
    assert all(torch.equal(before[k], v) for k, v in supernet.state_dict().items())
    with pytest.raises(PredictorError, match="trained super-net"):
        checked_scores(shared, context([CELL]))


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"weights": "none"}, "weights=none"), ({"batch_size": 1}, "batch_size=1"), ({"repeats": 0}, "repeats=0")],
)
def test_settings_out_of_range_are_refused(settings, says):
    with pytest.raises(PredictorError, match=says):
        make_predictor({"_target_": "naswot", **settings})


def test_repeats_average_networks_of_other_seeds():
    several = make_predictor({"_target_": "synflow", "repeats": 3})
    assert checked_scores(several, context([CELL]))[0] != checked_scores(make_predictor("synflow"), context([CELL]))[0]


def test_repeats_are_networks_of_the_seeds_that_follow():
    found = checked_scores(make_predictor({"_target_": "snip", "repeats": 2}), context([CELL], seed=5))[0]
    plan, alone = Plan(mapping=SMALL, protocol=Protocol(initialization="kaiming_uniform")), []
    for repeat in range(2):
        torch.manual_seed(5_000_015 + repeat)
        alone.append(of("snip", build_network(SPACE, plan, 4, 3, CELL).eval(), *images()))
    assert found == pytest.approx(sum(alone) / 2, rel=1e-6)


def test_images_are_the_first_of_the_context_and_none_where_none_are_used():
    (x, y), (u, v) = images(3), images(4)
    two = Context(SPACE, [CELL], SMALL, num_outputs=4, image_size=8, batches=[(x, y), (u, v), (None, None)])
    for size, parts in ((2, 1), (3, 1), (4, 2), (7, 2)):
        inputs, targets = make_predictor({"_target_": "naswot", "batch_size": size}).batch(two)
        assert torch.equal(inputs, torch.cat([x, u][:parts])[:size])
        assert torch.equal(targets, torch.cat([y, v][:parts])[:size])
    with pytest.raises(PredictorError, match="at least 2 images"):
        make_predictor("naswot").batch(Context(SPACE, [CELL], SMALL, batches=[images(1)]))
    inputs, targets = make_predictor("synflow").batch(Context(SPACE, [CELL], SMALL, in_channels=2, image_size=5))
    assert (inputs.shape, targets.tolist(), inputs.any().item()) == ((1, 2, 5, 5), [0], False)


def test_zen_of_one_convolution_by_hand():
    """log of the mean |f(x + 0.01 e) − f(x)| of what is pooled, plus ½ log of the mean variance before batch norm."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(2, 3, 1, 1, generator=torch.Generator().manual_seed(1)).double())

        def forward(self, x, arch=None):
            y = F.batch_norm(F.conv2d(x, self.weight), None, None, training=True, eps=1e-14)
            return F.adaptive_avg_pool2d(y, 1)

    net, generator = Net(), torch.Generator().manual_seed(0)
    x, e = (torch.randn(64, 3, 4, 4, generator=generator).double() for _ in range(2))
    maps = [torch.einsum("ck,bkhw->bchw", net.weight.detach()[:, :, 0, 0], i) for i in (x, x + 0.01 * e)]
    normed = [(m - m.mean((0, 2, 3), keepdim=True)) / m.std((0, 2, 3), keepdim=True, correction=0) for m in maps]
    variance = maps[0].var((0, 2, 3)).mean()
    expected = math.log((normed[1] - normed[0]).abs().mean()) + 0.5 * math.log(variance)
    assert of("zen", net, torch.zeros(1, 3, 4, 4).double(), None) == pytest.approx(expected, rel=1e-9)


def test_weights_of_zen_are_standard_normal_and_vectors_stay():
    net = network()
    vectors = [p.detach().clone() for p in net.parameters() if p.ndim == 1]
    torch.manual_seed(0)
    make_predictor("zen").initialize(net)
    matrices = torch.cat([p.detach().flatten() for p in net.parameters() if p.ndim > 1])
    assert len(matrices) > 500
    assert float(matrices.std()) == pytest.approx(1, abs=0.1)
    assert all(map(torch.equal, vectors, (p.detach() for p in net.parameters() if p.ndim == 1)))


def test_fisher_sums_over_places_before_it_squares():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 1, bias=False).double()

        def forward(self, x, arch=None):
            return self.conv(x).square().mean((2, 3))

    net, y = Net(), torch.tensor([0, 1, 1])
    x = torch.randn(3, 1, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    a = (x * net.conv.weight.detach().flatten()[None, :, None, None]).requires_grad_()
    logits = a.square().mean((2, 3))
    (g,) = torch.autograd.grad(-logits.log_softmax(1)[range(3), y].mean(), a)
    expected = sum(float((a.detach()[:, c] * g[:, c]).sum((1, 2)).square().mean()) / 2 for c in range(2))
    assert of("fisher", net, x, y) == pytest.approx(expected, rel=1e-9)
