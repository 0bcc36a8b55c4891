"""Architectures that grow step by step."""

import numpy as np
import pytest

from nas_lightning.search.subspaces import ListedSpace
from nas_lightning.spaces import get_space


def levels(space, n):
    """The first n levels, everything grown."""
    found = [list(dict.fromkeys(space.smallest()))]
    while len(found) < n:
        found.append(list(dict.fromkeys(larger for arch in found[-1] for larger in space.grown(arch))))
    return found


def test_nasbench201_grows_by_edges_that_have_an_operation():
    """1, 24, 240, 1,280, 3,840, 6,144, 4,096 raw cells: 4^k times 6 over k."""
    found = levels(get_space("nasbench201"), 8)
    assert [len(level) for level in found] == [1, 24, 240, 1280, 3840, 6144, 4096, 0]
    assert all(sum(op > 0 for op in arch.operations) == n for n, level in enumerate(found) for arch in level)


def test_nasbench101_grows_by_vertices():
    """1, 6, 84 and 2,441 classes of 2 to 5 vertices, counted in the table of the benchmark."""
    space = get_space("nasbench101")
    found = levels(space, 4)
    assert [len(level) for level in found] == [1, 6, 84, 2441]
    assert all(
        arch.n_vertices == n and space.canonical(arch) == arch for n, level in enumerate(found, 2) for arch in level
    )


def test_darts_grows_by_nodes_in_either_cell_in_turn():
    space = get_space("darts_nds")
    found = space.smallest()
    assert len(found) == 49**2
    arch, sizes = found[100], []
    while larger := space.grown(arch):
        sizes.append(len(larger))
        arch = larger[len(larger) // 2]
    assert sizes == [147, 147, 294, 294, 490, 490]
    assert space.decode(space.encode(arch)) == space.decode(space.encode(space.parse(str(arch))))


@pytest.mark.parametrize(
    "name", ["nasbench101", "nasbench201", "darts_nds", "nasbench_macro", "fcnet", "transnasbench101_macro", "rnn_ptb"]
)
def test_smaller_is_the_inverse_of_grown(name):
    space, rng = get_space(name), np.random.default_rng(0)
    for _ in range(5):
        arch = space.sample_unique(rng)
        trail = [arch]
        while smaller := space.smaller(trail[-1]):
            for one in smaller:
                assert trail[-1] in space.grown(one)
            trail.append(smaller[int(rng.integers(len(smaller)))])
        assert trail[-1] in space.smallest()
        for larger in space.grown(trail[-1])[:10]:
            assert trail[-1] in space.smaller(larger)
        assert not space.grown(arch) or name not in ("darts_nds",)


def test_in_a_list_only_what_leads_to_the_listed_grows():
    whole = get_space("nasbench201")
    listed = [whole.parse(text) for text in (
        "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|avg_pool_3x3~2|",
    )]  # fmt: skip
    space = ListedSpace(whole, listed)
    found = levels(space, 4)
    assert set(listed) <= {arch for level in found for arch in level}
    assert found[3] == []
    assert space.paths(listed[0]) == whole.paths(listed[0])
    assert (space.zero_operation, space.identity_operation) == ("none", "skip_connect")


def test_a_list_of_nasbench101_grows_by_canonical_cells():
    whole, rng = get_space("nasbench101"), np.random.default_rng(0)
    listed = [whole.sample(rng) for _ in range(4)]
    space = ListedSpace(whole, listed)
    found = levels(space, 6)
    grown = {arch for level in found for arch in level}
    assert {whole.canonical(arch) for arch in listed} <= grown
    ends = [arch for arch in grown if not space.grown(arch)]
    assert set(ends) <= {whole.canonical(arch) for arch in listed}
