"""One definition, two roles: sub-net inside the super-net equals the stand-alone network with the same weights."""

import itertools

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nas_lightning.nets.build import build_network
from nas_lightning.plan import Plan
from nas_lightning.spaces import get_space
from tests.helpers.nightly import rest_nightly

SMALL = {
    "nasbench101": {"mapping.channels": 11, "mapping.layers": 1, "mapping.op_placement": "node"},
    "nasbench201": {"mapping.channels": 6, "mapping.layers": 2},
    "darts_nds": {"mapping.channels": 4, "mapping.layers": 4},
    "nasbench_macro": {"mapping.channels": 4, "mapping.layers": 8},
}
MAPPINGS = {
    "nasbench101": [
        {"mapping.dynamic_channel": mode, "mapping.ofa_kernel": ofa, "mapping.wsbn": wsbn}
        for mode, ofa, wsbn in [
            ("fixed", "off", "off"),
            ("shuffle", "crop", "on"),
            ("chunk", "off", "per_input"),
            ("interpolate", "crop+transform", "on"),
            ("separate", "crop", "per_input"),
            ("off", "crop+transform", "on"),
        ]
    ],
    "nasbench201": [
        {"mapping.op_placement": place, "mapping.ofa_kernel": ofa}
        for place, ofa in itertools.product(("edge", "node", "node_except_input"), ("off", "crop+transform"))
    ],
    "darts_nds": [
        {"mapping.op_placement": place, "mapping.ofa_kernel": ofa, "mapping.bn_affine": affine}
        for place, ofa, affine in [
            ("edge", "off", False),
            ("node", "crop", True),
            ("node_except_input", "crop+transform", True),
        ]
    ],
    "nasbench_macro": [{"mapping.bn_affine": True}, {"mapping.bn_affine": False}],
}
CASES = [(space, edits) for space, all_edits in MAPPINGS.items() for edits in all_edits]


def drawn(space, plan, n, seed=0):
    rng, domain, found = np.random.default_rng(seed), get_space(space), []
    while len(found) < n:
        arch = domain.sample(rng)
        if domain.admits(arch, plan.mapping):
            found.append(arch)
    return found


def perturb(network):
    """Make every parameter and statistic distinct, so that a wrong one shows."""
    generator = torch.Generator().manual_seed(1)
    for tensor in [*network.parameters(), *network.buffers()]:
        tensor.data += 0.1 * (torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) - 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("track", [False, True])
@pytest.mark.parametrize(("space", "edits"), CASES, ids=[f"{s}-{'-'.join(map(str, e.values()))}" for s, e in CASES])
def test_subnet_equals_standalone_in_double_precision(space, edits, track):
    plan = Plan().edited({**SMALL[space], **edits, "protocol.track_running_stats": track})
    network = build_network(space, plan, num_classes=7, in_channels=2).double()
    perturb(network)
    network.eval()
    statistics = "tracked" if track else "batch"
    from nas_lightning.nets.norm import set_statistics

    set_statistics(network, statistics)
    images = torch.randn(3, 2, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for arch in drawn(space, plan, 6):
        alone = network.standalone(arch)
        set_statistics(alone, statistics)
        expected = alone(images)
        assert expected.std() > 1e-6
        torch.testing.assert_close(network(images, arch), expected, rtol=0, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("space", "shape"),
    [
        ("nasbench101", {"channels": 128, "layers": 3, "in_channels": 3, "num_classes": 10}),
        ("nasbench101", {"channels": 13, "layers": 2, "in_channels": 1, "num_classes": 4}),
        ("nasbench201", {"channels": 16, "layers": 5, "in_channels": 3, "num_classes": 10}),
        ("nasbench201", {"channels": 5, "layers": 1, "in_channels": 1, "num_classes": 120}),
        ("darts_nds", {"channels": 7, "layers": 5, "in_channels": 1, "num_classes": 10}),
        ("nasbench_macro", {"channels": 6, "layers": 8, "in_channels": 1, "num_classes": 12}),
    ],
)
@pytest.mark.parametrize(("built", "counted"), rest_nightly([(6, 2), (100, 25)], lambda built, counted: built == 6))
def test_built_networks_have_the_analytic_parameters_and_macs(space, shape, built, counted):
    """Every operation is counted one by one in Python, a second a network at published size."""
    archs = drawn(space, Plan(), built)
    plan = Plan().edited(
        {
            "mapping.channels": shape["channels"],
            "mapping.layers": shape["layers"],
            "mapping.op_placement": "node" if space == "nasbench101" else "edge",
            "protocol.track_running_stats": True,  # in training, the one case that computes edges that nothing reads
        }
    )
    params, macs = get_space(space).costs(archs, image_size=32, **shape)
    image = torch.empty(2, shape["in_channels"], 32, 32, device="meta")
    for index, (arch, n_params, n_macs) in enumerate(zip(archs, params, macs, strict=True)):
        with torch.device("meta"):
            network = build_network(space, plan, shape["num_classes"], shape["in_channels"], arch)
        assert sum(p.numel() for p in network.parameters()) == n_params, str(arch)
        if index >= counted:
            continue
        with FlopCounterMode(display=False) as counter:
            network(image)
        # 2 images, 2 operations a multiply-accumulate; most also count the classifier's bias, one a class.
        bias = 0 if space == "nasbench_macro" else shape["num_classes"]  # as each published table counts
        assert counter.get_total_flops() == 2 * 2 * (n_macs - bias), str(arch)


def test_published_darts_v2_has_its_published_size():
    genotype = (
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
        "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
        "normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
        "('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), "
        "('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
    )
    plan = Plan().edited({"mapping.channels": 36, "mapping.layers": 20})
    network = build_network("darts_nds", plan, 10, arch=get_space("darts_nds").parse(genotype))
    assert sum(p.numel() for p in network.parameters()) == 3_349_342
