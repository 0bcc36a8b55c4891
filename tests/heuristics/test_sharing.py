"""Slice identity: what a sub-operation computes with IS the named slice of the shared tensor, and only that learns."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nas_lightning.nets.build import build_network
from nas_lightning.nets.darts import Separable
from nas_lightning.nets.kernel import SharedKernel
from nas_lightning.nets.nasbench101 import CONV1, CONV3, Place
from nas_lightning.nets.nasbench201 import ConvPlace
from nas_lightning.plan import Mapping
from nas_lightning.spaces.nasbench101 import NB101Architecture
from nas_lightning.training.module import SuperNetModule
from nas_lightning.training.paths import StepPaths
from tests.helpers.small_plans import small_plan, trained

FULL, WIDTH, DRAW = 12, 5, (3, 7)


def conv_bn_relu(x, weight, scale, shift):
    """The operation from its formula: batch statistics, epsilon 1e-5."""
    y = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
    mean, variance = y.mean((0, 2, 3), keepdim=True), y.var((0, 2, 3), correction=0, keepdim=True)
    y = (y - mean) / (variance + 1e-5).sqrt()
    return F.relu(y * scale[None, :, None, None] + shift[None, :, None, None])


def place_of(mode, **mapping):
    place = Place("cell0.3", FULL, (FULL, WIDTH), (1, 3), Mapping(dynamic_channel=mode, **mapping), False).double()
    generator = torch.Generator().manual_seed(0)
    for p in place.parameters():  # every element distinct, batch-norm's too, and no channel dead behind its ReLU
        p.data = torch.randn(p.shape, generator=generator, dtype=torch.float64)
        if p.ndim == 1:
            p.data = p.data.abs() + 0.5
    return place


def image(channels=WIDTH):
    return torch.randn(4, channels, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("mode", ["fixed", "chunk", "shuffle"])
def test_dynamic_channel_computes_with_the_named_slice_and_trains_it_alone(mode, size):
    place = place_of(mode)
    _, out_cut, in_cut = place.cuts(WIDTH, DRAW)
    rows, columns = (
        {
            "fixed": list(range(WIDTH)),
            "chunk": list(range(cut.start, cut.start + WIDTH)),
            "shuffle": list(cut.index),
        }[mode]
        for cut in (out_cut, in_cut)
    )
    assert len(set(rows)) == len(set(columns)) == WIDTH
    assert max(rows + columns) < FULL
    block = place.blocks[str(FULL)]
    weight, norm = block.kernel.weights[str(size)], block.norms[str(size)]
    expected = conv_bn_relu(image(), weight[rows][:, columns], norm.weight[rows], norm.bias[rows])
    out = place(image(), size, WIDTH, 0, DRAW)
    torch.testing.assert_close(out, expected)
    (out * torch.randn_like(out)).sum().backward()
    inside = torch.zeros(FULL, FULL, dtype=torch.bool)
    inside[np.ix_(rows, columns)] = True
    assert torch.equal(weight.grad.abs().sum((2, 3)) > 0, inside)
    assert set(norm.bias.grad.nonzero().flatten().tolist()) <= set(rows)
    other = "1" if size == 3 else "3"
    assert block.kernel.weights[other].grad is None
    assert block.norms[other].weight.grad is None


@pytest.mark.parametrize("mode", ["chunk", "shuffle"])
def test_channel_draws_are_keyed_by_seed_step_vertex_and_axis(mode):
    def drawn(place, draw):
        _, out_cut, in_cut = place.cuts(WIDTH, draw)
        return [(cut.start, cut.index) for cut in (out_cut, in_cut)]

    first, other = place_of(mode), Place("cell0.4", FULL, (FULL,), (1, 3), Mapping(dynamic_channel=mode), False)
    many = [drawn(first, (0, step)) for step in range(40)]
    assert many == [drawn(first, (0, step)) for step in range(40)]
    for changed in ([drawn(first, (1, step)) for step in range(40)], [drawn(other, (0, step)) for step in range(40)]):
        assert changed != many
    assert any(out != into for out, into in many)  # producer and consumer independently
    starts = {min(index) if index else start for (start, index), _ in many}
    assert len(starts) > 3


def test_interpolation_is_adaptive_average_pooling_over_both_channel_axes():
    place = place_of("interpolate")
    block = place.blocks[str(FULL)]
    weight, norm = block.kernel.weights["3"], block.norms["3"]
    pooled = F.adaptive_avg_pool2d(weight.permute(2, 3, 0, 1), (WIDTH, WIDTH)).permute(2, 3, 0, 1)
    scale, shift = (F.adaptive_avg_pool1d(p[None, None], WIDTH)[0, 0] for p in (norm.weight, norm.bias))
    out = place(image(), 3, WIDTH, 0, DRAW)
    torch.testing.assert_close(out, conv_bn_relu(image(), pooled, scale, shift))
    # By hand: bin i averages the channels floor(12 i / 5) … ceil(12 (i + 1) / 5) − 1.
    bins = [range(3), range(2, 5), range(4, 8), range(7, 10), range(9, 12)]
    by_hand = torch.stack(
        [torch.stack([weight[list(rows)][:, list(columns)].mean((0, 1)) for columns in bins]) for rows in bins]
    )
    torch.testing.assert_close(pooled, by_hand)
    factor = torch.randn_like(out)
    gradient = torch.autograd.grad((out * factor).sum(), weight, retain_graph=True)[0]
    expected = torch.autograd.grad((conv_bn_relu(image(), pooled, scale, shift) * factor).sum(), weight)[0]
    torch.testing.assert_close(gradient, expected)


def test_separate_blocks_share_nothing():
    place = place_of("separate")
    blocks = {int(width): list(block.parameters()) for width, block in place.blocks.items()}
    assert set(blocks) == {FULL, WIDTH}
    storages = {width: {p.untyped_storage().data_ptr() for p in found} for width, found in blocks.items()}
    assert not storages[FULL] & storages[WIDTH]
    block = place.blocks[str(WIDTH)]
    out = place(image(), 3, WIDTH, 0, DRAW)
    expected = conv_bn_relu(image(), block.kernel.weights["3"], block.norms["3"].weight, block.norms["3"].bias)
    torch.testing.assert_close(out, expected)
    out.sum().backward()
    assert block.kernel.weights["3"].shape == (WIDTH, WIDTH, 3, 3)
    assert block.kernel.weights["3"].grad is not None
    assert all(p.grad is None for p in blocks[FULL])


def test_off_keeps_one_width_and_cuts_at_most_the_remainders_channel():
    plan = small_plan("nasbench101", mapping__dynamic_channel="off", mapping__dynamic_channel_outputs=3)
    network = build_network("nasbench101", plan, 10, 1)
    place = network.cells[0].vertices["1"]
    assert set(place.blocks) == {"4"}  # 10 channels over 3 vertices: 4 + 3 + 3
    _, out_cut, _ = place.cuts(3, DRAW)
    assert out_cut.take(torch.arange(4)).tolist() == [0, 1, 2]
    assert place.cuts(4, DRAW)[1:] == (None, None)


@pytest.mark.parametrize(("small", "large"), [(1, 3), (3, 5)])
@pytest.mark.parametrize("mode", ["crop", "crop+transform"])
def test_the_small_ofa_kernel_is_the_centre_of_the_large_one(mode, small, large):
    kernel = SharedKernel(4, 3, (small, large), mode)
    (weight,) = kernel.weights.values()
    margin = (large - small) // 2
    centre = slice(margin, margin + small)
    assert torch.equal(kernel(large), weight)
    torch.testing.assert_close(kernel(small), weight[:, :, centre, centre], rtol=0, atol=0)  # the identity at the start
    if mode == "crop+transform":
        matrix = kernel.transforms[str(small)]
        assert matrix.shape == (small**2, small**2)
        matrix.data += torch.randn(matrix.shape)
        crop = weight[:, :, centre, centre].reshape(4, 3, small**2)
        torch.testing.assert_close(kernel(small), torch.einsum("pq,oiq->oip", matrix, crop).view(4, 3, small, small))
    else:
        assert not list(kernel.transforms)
    (kernel(small) * torch.randn(4, 3, small, small)).sum().backward()
    inside = torch.zeros(large, large, dtype=torch.bool)
    inside[centre, centre] = True
    assert torch.equal(weight.grad.abs().sum((0, 1)) > 0, inside)
    assert all((p.grad != 0).any() for p in kernel.transforms.values())


def test_places_of_the_other_spaces_compute_with_the_crop():
    mapping = Mapping(ofa_kernel="crop")
    conv = ConvPlace(4, (1, 3), mapping, False).double()
    x = torch.rand(5, 4, 6, 6, dtype=torch.float64)
    (weight,) = conv.kernel.weights.values()
    y = F.conv2d(x, weight[:, :, 1:2, 1:2])
    expected = (y - y.mean((0, 2, 3), keepdim=True)) / (y.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(conv(x, 1), expected)
    for dilation in (1, 2):
        separable = Separable(4, (3, 5), dilation, mapping, False).double()
        (depthwise,) = separable.kernel.weights.values()
        y = F.conv2d(x, depthwise[:, :, 1:4, 1:4], padding=dilation, dilation=dilation, groups=4)
        y = F.conv2d(y, separable.pointwise["3"](1))
        expected = (y - y.mean((0, 2, 3), keepdim=True)) / (y.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
        torch.testing.assert_close(separable(x, 3, 1), expected)
        assert separable.pointwise["3"](1) is not separable.pointwise["5"](1)  # depthwise kernels alone are shared


# input -> 1, 2; 1 -> 2, 3; 2 -> 3; 3 -> output. Patterns, bit u for predecessor u: {0}, {0, 1}, {1, 2}.
CELL = NB101Architecture.from_matrix(
    [[0, 1, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]],
    ["input", "conv3x3-bn-relu", "conv1x1-bn-relu", "conv3x3-bn-relu", "output"],
)
PATTERNS = {"1": (CONV3, 0b001), "2": (CONV1, 0b011), "3": (CONV3, 0b110)}


@pytest.mark.parametrize("mode", ["on", "per_input"])
def test_wsbn_trains_and_tracks_the_banks_of_the_sampled_edges_alone(mode, monkeypatch):
    plan = small_plan("nasbench101", mapping__wsbn=mode, protocol__track_running_stats=True, protocol__weight_decay=0.1)

    start = SuperNetModule("nasbench101", plan, 10, 1, 0).network.state_dict()
    monkeypatch.setattr(SuperNetModule, "paths", lambda self, step: StepPaths((CELL,), 1.0))
    network = trained("nasbench101", plan, steps=3).network
    after, used = network.state_dict(), set()
    for index in range(len(network.cells)):
        for vertex, (operation, pattern) in PATTERNS.items():
            size = {CONV3: "3", CONV1: "1"}[operation]
            banks = {pattern - 1} if mode == "on" else {u for u in range(3) if pattern >> u & 1}
            ((width, block),) = network.cells[index].vertices[vertex].blocks.items()
            assert len(block.norms[size].banks) == (2 ** int(vertex) - 1 if mode == "on" else int(vertex))
            prefix = f"cells.{index}.vertices.{vertex}.blocks.{width}.norms.{size}.banks"
            used |= {f"{prefix}.{bank}." for bank in banks}
    named = dict(network.named_parameters())
    banked = [name for name in after if ".banks." in name]
    assert len({name.rsplit(".", 1)[0] for name in banked}) > 3 * len(used)
    for name in banked:
        mine = name.rsplit(".", 1)[0] + "." in used
        assert torch.equal(after[name], start[name]) != mine, name
        if name in named:
            assert (named[name].grad is not None) == mine, name
