"""NAS-Bench-201's network for fields: keeps their size, sees every point by itself, and is counted by formula."""

import numpy as np
import pytest
import torch

from nas_lightning.benchmarks import Benchmark
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.nets.build import build_network
from nas_lightning.nets.nasbench201_dense import WideningBlock
from nas_lightning.nets.norm import BatchNorm
from nas_lightning.plan import Plan
from nas_lightning.spaces import get_space
from nas_lightning.spaces.nasbench201 import NB201Architecture

SPACE = get_space("nasbench201_dense")
PLAN = Plan().edited({"mapping.channels": 4, "mapping.layers": 1, "protocol.track_running_stats": True})
ALL_3X3 = NB201Architecture((3,) * 6)


def test_a_field_comes_out_at_its_own_size_from_what_is_near():
    torch.manual_seed(0)
    network = build_network(SPACE, PLAN, 2, in_channels=3).eval()
    for norm in network.modules():
        if isinstance(norm, BatchNorm):
            norm.statistics = "tracked"  # a batch's own would carry what is far away
    network, fields = network.double(), torch.randn(2, 3, 85, 41).double()
    out = network(fields, ALL_3X3)
    assert out.shape == (2, 2, 85, 41)
    changed = fields.clone()
    changed[:, :, 0, 0] += 1
    moved = (network(changed, ALL_3X3) - out).abs().amax((0, 1))
    # The stem sees one point further, each of three cells three, each of two residual blocks two: 14 in all.
    assert moved[:8, :8].min() > 0
    assert moved[14].max() > 0
    assert moved[15:].max() == moved[:, 15:].max() == 0


@pytest.mark.parametrize("affine", [True, False])
def test_costs_are_those_of_the_built_network(affine):
    rng = np.random.default_rng(0)
    archs = [
        ALL_3X3,
        *(NB201Architecture(tuple(rng.integers(1, 5, 6).tolist())) for _ in range(6)),
    ]  # all edges are read
    shape = {"channels": 4, "layers": 2, "num_classes": 3, "in_channels": 3, "affine": affine, "image_size": 9}
    params, macs = SPACE.costs(archs, **shape)
    built, counted = SPACE.network_class().counted(archs, **shape)
    assert params.tolist() == built.tolist()
    assert (macs - counted).tolist() == [3 * 9 * 9 - 3] * len(archs)  # a bias at every point, of which one is counted


def test_smallest_cell_by_hand():
    c, points = 4, 81
    convolutions = 27 * c + sum(9 * w * 2 * w + 9 * 4 * w * w + 2 * w * w for w in (c, 2 * c))
    norms = 2 * (c + 3 * 2 * c + 3 * 4 * c + 4 * c)
    arch = NB201Architecture((0,) * 6)
    shape = {"channels": c, "layers": 1, "num_classes": 1, "in_channels": 3, "image_size": 9}
    assert SPACE.parameters(arch, **shape) == convolutions + norms + 4 * c + 1
    assert SPACE.macs(arch, **shape) == (convolutions + 4 * c + 1) * points


@pytest.mark.parametrize("code", [0, 4321, 15624])
def test_both_roles_say_the_same(code):
    torch.manual_seed(1)
    network = build_network(SPACE, PLAN, 1, in_channels=3).eval()
    arch, fields = get_space("nasbench201").decode(np.unravel_index(code, (5,) * 6)), torch.randn(2, 3, 11, 11)
    assert torch.allclose(network.standalone(arch)(fields), network(fields, arch), atol=1e-6)


def test_tables_of_the_cells_are_its_own():
    table = Benchmark.open("digits_nasbench201", space="nasbench201_dense")
    assert table.row(ALL_3X3) >= -1
    assert table.accuracies(table.architectures()[:3]).shape == (3,)
    with pytest.raises(BenchmarkError, match="not of nasbench201_dense"):
        Benchmark.open("digits_nasbench101", space="nasbench201_dense")
    with pytest.raises(BenchmarkError, match="a table of nasbench201, not of nasbench101"):
        Benchmark.open("digits_nasbench201", space="nasbench101")


class Late(type(SPACE)):
    """Of other architectures, though it derives from the space."""

    name = "late"
    architecture_type = str


def test_a_space_of_other_architectures_reads_no_tables_of_the_one_it_derives_from():
    assert SPACE.reads_tables_of("nasbench201")
    assert SPACE.reads_tables_of("nasbench201_dense")
    assert not Late().reads_tables_of("nasbench201")
    assert Late().reads_tables_of("late")


def test_a_widening_block_by_hand():
    torch.manual_seed(0)
    block = WideningBlock(3, 6, affine=True, track=False).double().eval()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 3, 5, 4).double()

    def normalised(y, norm):
        centred = y - y.mean((0, 2, 3), keepdim=True)
        scaled = centred / (y.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
        return scaled * norm.weight[:, None, None] + norm.bias[:, None, None]

    def conv(y, kernel, size):
        return torch.nn.functional.conv2d(y, kernel(size), padding=size // 2)

    read = x.clamp_min(0)
    y = normalised(conv(read, block.first, 3), block.first_norm)
    y = normalised(conv(y.clamp_min(0), block.second, 3), block.second_norm)
    y = y + normalised(conv(read, block.shortcut, 1), block.shortcut_norm)
    torch.testing.assert_close(block(x), y)


def test_what_is_dropped_before_the_linear_layer_is_dropped_here_too():
    plan = PLAN.edited({"mapping.global_dropout": 0.5, "protocol.track_running_stats": False})
    network = build_network(SPACE, plan, 1, in_channels=3)
    features = torch.ones(1, 16, 3, 3)
    network.train().set_draw(0, 0)
    assert not torch.allclose(network.classify(features), network.eval().classify(features))
