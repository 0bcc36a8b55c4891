"""Path samplers: keyed draws, uniform distributions, and FairNAS's every-operation-once."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from nas_lightning.plan import Plan
from nas_lightning.spaces import SPACES, get_space
from nas_lightning.spaces.nasbench201 import from_code
from nas_lightning.training.paths import PathSampler


def sampler(space, seed=0, **edits):
    return PathSampler(
        space,
        Plan().edited({f"{'mapping' if k.startswith('dynamic') else 'protocol'}.{k}": v for k, v in edits.items()}),
        seed,
    )


@pytest.mark.parametrize("space", [name for name in SPACES if get_space(name).no_supernet is None])
@pytest.mark.parametrize("method", ["random_a", "random_nas", "fairnas"])
def test_draws_depend_on_seed_and_step_alone(space, method):
    first, again = sampler(space, sampling=method), sampler(space, sampling=method)
    later = [again.paths(step) for step in (5, 3, 4)]  # in another order, without the steps before
    assert [first.paths(step) for step in (5, 3, 4)] == later
    assert sampler(space, seed=1, sampling=method).paths(3) != first.paths(3)


@pytest.mark.slow
def test_random_nas_is_uniform_over_encodings_and_random_a_over_classes():
    space = get_space("nasbench201")
    n = 20_000
    encodings = Counter(
        a for s in range(n) for a in sampler("nasbench201", sampling="random_nas").paths(s).architectures
    )
    operations = np.array([a.operations for a in encodings.elements()])
    for edge in range(6):
        assert chisquare(np.bincount(operations[:, edge], minlength=5)).pvalue > 1e-4
    by_class = Counter(a for s in range(n) for a in sampler("nasbench201", sampling="random_a").paths(s).architectures)
    assert all(space.canonical(a) == a for a in by_class)
    # 6,466 classes in 64 bins, by their number of members, then by key.
    members = Counter(space.key(from_code(code)) for code in range(5**6))
    order = {key: i for i, key in enumerate(sorted(members, key=lambda key: (members[key], key)))}
    assert len(order) == 6466
    classes = np.bincount(np.arange(6466) * 64 // 6466, minlength=64)
    raw = np.bincount([order[key] * 64 // 6466 for key in members.elements()], minlength=64)

    def pvalue(draws, expected):
        bins = np.bincount([order[space.key(a)] * 64 // 6466 for a in draws.elements()], minlength=64)
        return chisquare(bins, expected / expected.sum() * n).pvalue

    assert pvalue(by_class, classes) > 1e-4
    assert pvalue(encodings, raw) > 1e-4
    # The two distributions differ, and the test tells them apart.
    assert pvalue(by_class, raw) < 1e-9
    assert pvalue(encodings, classes) < 1e-9


def test_a_random_member_is_uniform_over_its_class():
    space = get_space("nasbench201")
    arch = space.parse("|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|none~0|nor_conv_1x1~1|none~2|")
    members = space.members(arch)
    assert len(members) == 25  # nobody reads node 2: any of 5 x 5 operations on the edges into it
    chosen, rng = sampler("nasbench201", sampling="random_a", random_member=True), np.random.default_rng(0)
    found = Counter(chosen.member(arch, rng) for _ in range(40 * len(members)))
    assert set(found) == set(members)
    assert chisquare(list(found.values())).pvalue > 1e-4
    drawn = [a for step in range(40) for a in chosen.paths(step).architectures]
    assert any(space.canonical(a) != a for a in drawn)


@pytest.mark.parametrize(("space", "passes"), [("nasbench101", 3), ("nasbench201", 5), ("darts_nds", 7)])
def test_fairnas_uses_every_operation_of_every_slot_once(space, passes):
    for step in range(20):
        paths = sampler(space, sampling="fairnas").paths(step)
        assert len(paths.architectures) == passes
        assert paths.weight == 1.0  # gradients are summed
        if space == "darts_nds":
            slots = [
                [cell[node][slot] for cell in ((a.normal, a.reduce)[c] for a in paths.architectures)]
                for c in range(2)
                for node in range(4)
                for slot in range(2)
            ]
            assert all({op for op, _ in slot} == set(range(1, 8)) for slot in slots)
            assert all(len({source for _, source in slot}) == 1 for slot in slots)  # one topology
        else:
            assert len({getattr(a, "adj_bits", 0) for a in paths.architectures}) == 1
            for operations in zip(*(a.operations for a in paths.architectures), strict=True):
                assert set(operations) == set(range(passes))


def test_dynamic_channel_off_restricts_the_paths():
    restricted = sampler("nasbench101", sampling="random_nas", dynamic_channel="off", dynamic_channel_outputs=2)
    for step in range(10):
        (arch,) = restricted.paths(step).architectures
        assert arch.pruned().matrix[1:-1, -1].sum() == 2


def test_several_paths_are_averaged():
    paths = sampler("nasbench201", sampling="random_nas", paths_per_step=4).paths(0)
    assert len(paths.architectures) == 4
    assert paths.weight == 0.25
