"""TransNAS-Bench-101's two spaces: sizes, classes, spellings, the algebra."""

import numpy as np
import pytest

from nas_lightning.spaces import ArchitectureError, get_space

MICRO, MACRO = get_space("transnasbench101_micro"), get_space("transnasbench101_macro")


def test_sizes_and_classes():
    cells, stacks = list(MICRO.enumerate()), list(MACRO.enumerate())
    assert (len(cells), len({MICRO.key(cell) for cell in cells})) == (MICRO.size, MICRO.unique_size) == (4096, 1236)
    assert len(stacks) == len(set(stacks)) == MACRO.size == 3256
    assert [sum(len(stack.modules) == n for stack in stacks) for n in (4, 5, 6)] == [210, 750, 2296]


def test_classes_are_those_of_nasbench201():
    assert MICRO.key(MICRO.parse("000001")) == MICRO.key(MICRO.parse("000101"))  # node 4 gets its input twice in both
    assert MICRO.key(MICRO.parse("222222")) != MICRO.key(MICRO.parse("222223"))
    cell = MICRO.parse("100210")
    assert cell in MICRO.members(cell)
    assert MICRO.canonical(cell) == MICRO.canonical(MICRO.members(cell)[-1])
    assert [MICRO.depth(MICRO.parse(text)) for text in ("211322", "002000", "111111")] == [3, 1, 0]


@pytest.mark.parametrize("space", [MICRO, MACRO], ids=["micro", "macro"])
def test_the_algebra(space):
    rng = np.random.default_rng(0)
    for _ in range(40):
        arch = space.sample(rng)
        assert space.parse(str(arch)) == arch
        assert space.decode(space.encode(arch)) == arch
        around = space.neighbours(arch)
        assert len(set(around)) == len(around)
        assert arch not in around
        assert space.mutate(arch, rng) in around
        assert all(arch in space.neighbours(other) for other in around)
        assert space.operation_counts(arch).sum() == sum(space.encode(arch) >= (space is MACRO))
        assert space.key(space.sample_unique(rng))


def test_stacks_are_refused_in_one_sentence():
    assert MACRO.parse("(1, 2, 4, 2, 0, 0)") == MACRO.parse("1242") == MACRO.parse([1, 2, 4, 2])
    for wrong, said in [
        ("1111", "doubles the channels 0 times"),
        ("12", "4 to 6"),
        ("1259", "from 1 to 4"),
        ("x", "no ar"),
    ]:
        with pytest.raises(ArchitectureError, match=said):
            MACRO.parse(wrong)
