import itertools

import numpy as np
import pytest
from scipy.stats import chisquare

from nas_lightning.spaces import ArchitectureError, NB201Architecture, NB201Space
from nas_lightning.spaces.nasbench201 import canonical_codes, from_code, official_index, official_order, unique_codes

SPACE = NB201Space()
BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"


def test_string_form_names_edges_in_order():
    assert str(NB201Architecture((0, 1, 2, 3, 4, 0))) == (
        "|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|none~2|"
    )


@pytest.mark.parametrize(
    "text",
    [
        BEST.replace("skip_connect", "skip"),
        BEST[:-1],
        "x" + BEST,
        BEST.replace("~2", "~1"),
        BEST + "+|none~0|",
        BEST.replace("~1|+", "~1|y+"),
    ],
)
def test_malformed_strings(text):
    with pytest.raises(ArchitectureError):
        SPACE.parse(text)


@pytest.mark.parametrize(
    "operations",
    [(0,) * 5, (0,) * 7, (0, 0, 0, 0, 0, 5), (0, 0, 0, 0, 0, -1), [0] * 6, (0, 0, 0, 0, 0, 1.0), (0, 0, 0, 0, 0, True)],
)
def test_malformed_operations(operations):
    with pytest.raises(ArchitectureError):
        NB201Architecture(operations)


def test_indices_from_the_authors_script():
    # the assertions in the script that writes the benchmark's meta file
    for index, text in (
        (0, "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"),
        (9, "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"),
        (123, "|avg_pool_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"),
    ):
        assert str(SPACE.from_index(index)) == text
        assert SPACE.index(SPACE.parse(text)) == index
    assert sorted(official_order()) == list(range(15625))


@pytest.mark.parametrize("index", [-1, 15625])
def test_indices_outside_the_space(index):
    with pytest.raises(ArchitectureError):
        SPACE.from_index(index)
    with pytest.raises(ArchitectureError):
        from_code(index)


def test_counts():
    assert len(set(SPACE.enumerate())) == SPACE.unique_size == 6466
    assert len(set(SPACE.enumerate_raw())) == SPACE.size == 15625


def naive_expression(operations):
    """The nested sum that reaches the output, built edge by edge from the definition."""
    a, b, c, d, e, f = operations
    nodes = ["0"]
    for edges in ([(a, 0)], [(b, 0), (c, 1)], [(d, 0), (e, 1), (f, 2)]):
        terms = []
        for op, source in edges:
            if op == 0 or nodes[source] == "#":
                terms.append("#")
            elif op == 1:
                terms.append(nodes[source])
            else:
                terms.append(f"({nodes[source]})@{SPACE.operations[op]}")
        nodes.append("+".join(sorted(terms)))
    return nodes[-1]


def test_classes_are_those_of_the_definition():
    classes = {}
    for code, operations in enumerate(itertools.product(range(5), repeat=6)):
        classes.setdefault(naive_expression(operations), []).append(code)
    assert len(classes) == 6466
    index = official_index()
    for members in classes.values():
        assert set(canonical_codes()[members]) == {min(members, key=lambda code: index[code])}


def test_members_share_the_key():
    arch = SPACE.parse("|skip_connect~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|nor_conv_1x1~2|")
    members = SPACE.members(arch)
    assert arch in members
    assert len(members) > 1
    assert {SPACE.key(member) for member in members} == {SPACE.key(arch)}
    assert members[0] == SPACE.canonical(arch)


def test_sample_unique_is_uniform_over_classes():
    draws = np.random.default_rng(0)
    rank = {code: i for i, code in enumerate(unique_codes().tolist())}
    counts = np.bincount([rank[SPACE.sample_unique(draws).code] for _ in range(30000)], minlength=6466)
    assert chisquare(counts).pvalue > 1e-3


def test_depth_and_counts():
    assert SPACE.depth(SPACE.parse(BEST)) == 3
    assert SPACE.operation_counts(SPACE.parse(BEST)).tolist() == [0, 1, 0, 5, 0]
    assert SPACE.depth(NB201Architecture((3, 0, 3, 2, 0, 0))) == 1  # the two convolutions before node 2 lead nowhere
    assert SPACE.depth(NB201Architecture((0,) * 6)) == 0
    assert SPACE.depth(NB201Architecture((0, 0, 3, 0, 0, 3))) == 0  # node 1 gets nothing


def test_shared_table(shared_table):
    table = shared_table("nasbench201.parquet")
    assert [str(arch) for arch in SPACE.enumerate_raw()] == table["arch_str"].to_pylist()
    order = official_order()
    assert (official_index()[canonical_codes()[order]] == table["canonical_index"].to_numpy()).all()
