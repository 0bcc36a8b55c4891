from itertools import product
from math import prod

import numpy as np
import pytest
from scipy.stats import chisquare

from nas_lightning.spaces import ArchitectureError, DartsArchitecture, DartsSpace
from nas_lightning.spaces.darts_nds import count_cells, relabelings

SPACE = DartsSpace()
V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
    "normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
    "('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
    "reduce_concat=[2, 3, 4, 5])"
)


def test_flat_and_nested_genotypes():
    arch = SPACE.parse(V2)
    assert SPACE.parse(str(arch)) == arch
    nested = "Genotype(normal={}, normal_concat=range(2, 6), reduce={})".format(
        *(
            [[(SPACE.operations[op], source) for op, source in node] for node in cell]
            for cell in (arch.normal, arch.reduce)
        )
    )
    assert SPACE.parse(nested) == arch


def test_parsed_genotypes_may_use_none_and_one_input_twice():
    arch = SPACE.parse(V2.replace("('sep_conv_3x3', 0), ('sep_conv_3x3', 1)", "('none', 0), ('sep_conv_3x3', 0)", 1))
    assert arch.normal[0] == ((0, 0), (4, 0))
    with pytest.raises(ArchitectureError, match="none"):
        SPACE.encode(arch)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("'dil_conv_3x3', 2", "'dil_conv_3x3', 5", "node 5"),
        ("'dil_conv_3x3', 2", "'dil_conv_3x3', -1", "node 5"),
        ("'dil_conv_3x3'", "'conv'", "no operation"),
        (", ('dil_conv_3x3', 2)", "", "7 pairs"),
        ("[2, 3, 4, 5]", "[3, 4, 5]", "concatenates all"),
        ("reduce=", "other=", "no DARTS genotype"),
        ("('dil_conv_3x3', 2)", "__import__('os').getcwd()", "no DARTS genotype"),
        ("('dil_conv_3x3', 2)", "3", "not readable"),
    ],
)
def test_malformed_genotypes_are_named(old, new, message):
    with pytest.raises(ArchitectureError, match=message):
        SPACE.parse(V2.replace(old, new))


def test_malformed_fields():
    good = SPACE.parse(V2)
    for bad in (
        good.normal[:3],
        (*good.normal[:3], ((8, 0), (1, 1))),
        (*good.normal[:3], ((1, 5), (1, 1))),
        (*good.normal[:3], ((1, 0),)),
        list(good.normal),
    ):
        with pytest.raises(ArchitectureError):
            DartsArchitecture(bad, good.reduce)
        with pytest.raises(ArchitectureError):
            DartsArchitecture(good.normal, bad)


def test_renaming_two_nodes_gives_the_same_key():
    cell = (((4, 0), (4, 1)), ((5, 0), (3, 1)), ((1, 2), (2, 3)), ((6, 0), (7, 4)))
    renamed = (((5, 0), (3, 1)), ((4, 0), (4, 1)), ((2, 2), (1, 3)), ((7, 4), (6, 0)))
    first, second = DartsArchitecture(cell, cell), DartsArchitecture(renamed, cell)
    assert first != second
    assert SPACE.key(first) == SPACE.key(second)
    assert SPACE.canonical(first) == SPACE.canonical(second)
    other = DartsArchitecture((*cell[:3], ((6, 1), (7, 4))), cell)
    assert SPACE.key(other) != SPACE.key(first)


def test_120_neighbours():
    arch = SPACE.sample(np.random.default_rng(0))
    assert len(SPACE.neighbours(arch)) == 120
    SPACE.neighbours(SPACE.parse(V2.replace("sep_conv_3x3", "none")))


def test_sizes():
    assert prod(SPACE.cardinalities) == SPACE.size
    assert SPACE.size == 1037664180**2
    assert count_cells() ** 2 == SPACE.unique_size


def all_cells(operations):
    """Every cell of a space of `operations` operations."""
    pairs = [
        [(0, 1)],
        [(0, 1), (0, 2), (1, 2)],
        [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)],
        [(a, b) for b in range(5) for a in range(b)],
    ]
    for wiring in product(*pairs):
        for ops in product(range(1, 1 + operations), repeat=8):
            yield tuple(((ops[2 * i], a), (ops[2 * i + 1], b)) for i, (a, b) in enumerate(wiring))


@pytest.mark.slow
def test_sample_unique_is_uniform_over_the_classes_of_a_small_space():
    """One operation in place of seven: 180 raw cells, every class as likely as any other."""
    classes = {min(relabelings(cell)) for cell in all_cells(1)}
    assert len(classes) < 180

    class OneOperation(DartsSpace):
        cardinalities = tuple(1 if c == 7 else c for c in DartsSpace.cardinalities)

    space, rng = OneOperation(), np.random.default_rng(1)
    seen = [space.sample_unique(rng) for _ in range(6000)]
    order = {cell: i for i, cell in enumerate(classes)}
    for cells in ([a.normal for a in seen], [a.reduce for a in seen]):
        assert chisquare(np.bincount([order[cell] for cell in cells], minlength=len(classes))).pvalue > 1e-3


@pytest.mark.slow
def test_class_count_formula_on_a_space_small_enough_to_list():
    """Two operations: 46,080 raw cells, classes counted one by one against Burnside with 2 in place of 7."""
    sample = list(all_cells(2))
    assert len(sample) == 180 * 2**8
    assert len({min(relabelings(cell)) for cell in sample}) == count_cells(operations=2)


def test_counts_and_depth():
    arch = SPACE.parse(V2)
    counts = SPACE.operation_counts(arch)
    assert counts.tolist() == [0, 0, 0, 2, 5, 0, 1, 0, 0, 5, 0, 3, 0, 0, 0, 0]
    assert SPACE.depth(arch) == 2
    assert SPACE.depth(SPACE.parse(V2.replace("sep_conv_3x3", "none").replace("dil_conv_3x3", "none"))) == 0


def test_shared_genotypes_parse(shared_table):
    texts = shared_table("darts_random214_cifar10.parquet")["genotype"].to_pylist()
    archs = [SPACE.parse(text) for text in texts]
    assert len({SPACE.key(arch) for arch in archs}) == 214
    assert [SPACE.decode(SPACE.encode(a)) for a in archs] == [
        DartsArchitecture(*(tuple(tuple(sorted(n, key=lambda e: e[1])) for n in c) for c in (a.normal, a.reduce)))
        for a in archs
    ]
