import numpy as np
import pytest

from nas_lightning.spaces import SPACES, NB101Architecture, NB201Architecture, get_space
from nas_lightning.spaces.nasbench101 import vertex_widths
from nas_lightning.spaces.nasbench101_costs import nasbench101_cost, nasbench101_widths
from nas_lightning.spaces.nasbench201 import EDGES
from nas_lightning.spaces.nasbench201_costs import nasbench201_cost

V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
    "normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
    "('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
    "reduce_concat=[2, 3, 4, 5])"
)


def test_darts_v2_has_its_published_parameters():
    assert get_space("darts_nds").parameters(get_space("darts_nds").parse(V2), channels=36, layers=20) == 3349342


def test_all_3x3_of_nasbench201():
    arch = NB201Architecture((3,) * 6)
    assert get_space("nasbench201").macs(arch) == 7_783_050 + 6 * 35_389_440
    assert round(get_space("nasbench201").macs(arch) / 1e6, 2) == 220.12


def test_smallest_nasbench101_cell_by_hand():
    # stem, nine projections, classifier
    stem = 27 * 8 + 16
    projections = sum(a * b + 2 * b for a, b in [(8, 8), (8, 16), (16, 32)])
    arch = NB101Architecture(2, 1, ())
    space = get_space("nasbench101")
    assert space.parameters(arch, channels=8, layers=1, num_classes=3) == stem + projections + 32 * 3 + 3
    macs = 27 * 8 * 64 + 64 * 64 + 8 * 16 * 16 + 16 * 32 * 4 + 32 * 3 + 3
    assert space.macs(arch, channels=8, layers=1, num_classes=3, image_size=8) == macs


@pytest.mark.parametrize("name", SPACES)
def test_affine_flag_takes_away_two_parameters_a_channel(name):
    space = get_space(name)
    rng = np.random.default_rng(0)
    archs = [space.sample(rng) for _ in range(20)]
    with_affine, macs = space.costs(archs, channels=16, layers=2)
    without, same = space.costs(archs, channels=16, layers=2, affine=False)
    if "batch_norm" in space.lacks:
        assert (with_affine == without).all()
        return
    assert (with_affine > without).all()
    assert (macs == same).all()
    wide = space.costs(archs, channels=16, layers=2, in_channels=1, num_classes=100)[0]
    assert (wide != with_affine).all()


@pytest.mark.parametrize("name", ["nasbench101", "darts_nds"])
def test_isomorphic_cells_cost_the_same(name):
    """Where widths divide evenly; NAS-Bench-201's classes drop operations that still have parameters."""
    space, rng = get_space(name), np.random.default_rng(1)
    archs = [space.sample(rng) for _ in range(50)]
    canonical = [space.canonical(arch) for arch in archs]
    for a, b in zip(space.costs(archs, channels=60), space.costs(canonical, channels=60), strict=True):
        assert (a == b).all()


def test_widths_of_arrays_equal_widths_of_cells():
    space, rng = get_space("nasbench101"), np.random.default_rng(2)
    for _ in range(100):
        arch = space.sample_unique(rng)
        edges = arch.matrix[None].astype(np.int64)
        assert tuple(nasbench101_widths(arch.n_vertices, edges, 129)[0]) == vertex_widths(arch, 129)


def test_mixed_spaces_and_empty_lists():
    with pytest.raises(TypeError, match="no architecture of nasbench201"):
        get_space("nasbench201").costs([NB201Architecture((0,) * 6), NB101Architecture(2, 1, ())])
    assert [len(a) for a in get_space("nasbench101").costs([])] == [0, 0]


@pytest.mark.slow
def test_all_shared_parameter_counts(shared_table):
    table = shared_table("nasbench101.parquet")
    operations = np.stack([table[f"op{i}"].to_numpy() for i in range(1, 6)], 1)
    params, _ = nasbench101_cost(table["n_vertices"].to_numpy(), table["adj_bits"].to_numpy(), operations)
    assert len(params) == 423624
    assert (params == table["params"].to_numpy()).all()


@pytest.mark.parametrize(("prefix", "classes", "size"), [("c10", 10, 32), ("c100", 100, 32), ("in16", 120, 16)])
def test_all_shared_nasbench201_costs(shared_table, prefix, classes, size):
    table = shared_table("nasbench201.parquet")
    operations = np.stack([table[f"op_{u}_{v}"].to_numpy() for u, v in EDGES], 1)
    params, macs = nasbench201_cost(operations, num_classes=classes, image_size=size)
    assert len(params) == 15625
    assert (params == table[f"{prefix}_params"].to_numpy()).all()
    assert (macs == table[f"{prefix}_macs"].to_numpy()).all()
