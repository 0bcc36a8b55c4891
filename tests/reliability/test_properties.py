"""Properties that hold for every input: parsers, encodings, canonical forms, metrics."""

import itertools
import math
from contextlib import suppress
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nas_lightning.ranking.correlation import (
    accuracy_bins,
    binned_kendall_tau,
    kendall_tau,
    pearson,
    sparse_kendall_tau,
    spearman,
    weighted_kendall_tau,
)
from nas_lightning.ranking.fusion import rank_average
from nas_lightning.search.pareto import hypervolume, nondominated_ranks, pareto_front
from nas_lightning.spaces import SPACES, get_space
from nas_lightning.spaces.base import ArchitectureError
from nas_lightning.spaces.nasbench101 import NB101Architecture

NAMES = sorted(SPACES)
few = settings(derandomize=True, max_examples=40, deadline=None)
many = settings(derandomize=True, max_examples=100, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def drawn(name, seed):
    return get_space(name).sample(np.random.default_rng(seed))


@pytest.mark.parametrize("name", NAMES)
@few
@given(seed=seeds)
def test_string_and_genome_are_inverses(name, seed):
    space, arch = get_space(name), drawn(name, seed)
    assert space.parse(str(arch)) == arch
    assert space.decode(space.encode(arch)) == arch
    hot = space.one_hot(arch)
    assert hot.sum() == len(space.cardinalities)
    assert space.operation_counts(arch).min() >= 0


@pytest.mark.parametrize("name", NAMES)
@few
@given(seed=seeds)
def test_canonical_forms_are_idempotent_and_tell_classes_apart(name, seed):
    space, arch = get_space(name), drawn(name, seed)
    canonical = space.canonical(arch)
    assert space.canonical(canonical) == canonical
    assert space.key(canonical) == space.key(arch)
    mutant = space.mutate(arch, np.random.default_rng(seed))
    assert (space.key(mutant) == space.key(arch)) == (space.canonical(mutant) == canonical)


def runs_forward(order, edges):
    return all(order.index(x) < order.index(y) for x, y in edges)


@many
@given(seed=seeds, data=st.data())
def test_nasbench101_cells_renamed_are_the_same_architecture(seed, data):
    """Any renaming of the interior vertices that keeps edges pointing forward, unused vertices added or not."""
    space, arch = get_space("nasbench101"), drawn("nasbench101", seed)
    matrix, n = arch.matrix, arch.n_vertices
    edges = [(x, y) for x in range(n) for y in range(n) if matrix[x, y]]
    orders = [order for order in itertools.permutations(range(1, n - 1)) if runs_forward((0, *order, n - 1), edges)]
    order = (0, *data.draw(st.sampled_from(orders)), n - 1)
    operations = [arch.operations[v - 1] for v in order[1:-1]]
    renamed = NB101Architecture.from_matrix(matrix[np.ix_(order, order)], operations)
    assert space.key(renamed) == space.key(arch)
    assert space.canonical(renamed) == space.canonical(arch)
    if n < 7:
        wide = np.zeros((n + 1, n + 1), int)
        kept = [v for v in range(n + 1) if v != n - 1]
        wide[np.ix_(kept, kept)] = renamed.matrix
        assert space.key(NB101Architecture.from_matrix(wide, [*operations, 0])) == space.key(arch)


def renamed_cell(cell, names, swapped):
    """Node i under the name `names[i]`, its edges exchanged where `swapped` says so; None if an edge points back."""
    image = {}
    for name, pair, swap in zip(names, cell, swapped, strict=True):
        edges = [(operation, source if source < 2 else 2 + names[source - 2]) for operation, source in pair]
        if any(source >= 2 + name for _, source in edges):
            return None
        image[name] = tuple(reversed(edges)) if swap else tuple(edges)
    return tuple(image[name] for name in range(4))


@many
@given(seed=seeds, data=st.data())
def test_darts_cells_renamed_are_the_same_architecture(seed, data):
    from nas_lightning.spaces.darts_nds import DartsArchitecture

    space, arch = get_space("darts_nds"), drawn("darts_nds", seed)
    swapped = data.draw(st.tuples(*[st.booleans()] * 4))
    cells = [
        data.draw(st.sampled_from([c for p in permutations(range(4)) if (c := renamed_cell(cell, p, swapped))]))
        for cell in (arch.normal, arch.reduce)
    ]
    renamed = DartsArchitecture(*cells)
    assert space.key(renamed) == space.key(arch)
    assert space.canonical(renamed) == space.canonical(arch)


TOKENS = [
    "|", "+", "~", "0", "1", "2", ",", ":", "(", ")", "[", "]", "'", "nor_conv_3x3", "skip_connect", "none", "input",
    "output", "conv3x3-bn-relu", "maxpool3x3", "Genotype(", "normal=", "reduce=", "normal_concat=range(2, 6)",
    "sep_conv_3x3", "range(", "9" * 30, "__import__('os')", "\0", "\n", "=", "**", "lambda: 0", "0001",
]  # fmt: skip
texts = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(TOKENS), max_size=20).map("".join))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@many
@given(text=texts)
def test_arbitrary_text_is_read_or_refused_in_one_sentence(name, text):
    with suppress(ArchitectureError):
        get_space(name).parse(text)


@pytest.mark.parametrize("name", NAMES)
@many
@given(seed=seeds, at=st.floats(0, 1, exclude_max=True), new=st.one_of(st.characters(), st.sampled_from(TOKENS)))
def test_a_changed_string_is_read_or_refused(name, seed, at, new):
    """What is read back is an architecture whose string reads as itself."""
    space, text = get_space(name), str(drawn(name, seed))
    position = int(at * len(text))
    with suppress(ArchitectureError):
        arch = space.parse(text[:position] + new + text[position + 1 :])
        assert space.parse(str(arch)) == arch


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        "[" * 300,
        "-" * 100_000 + "1",
        "Genotype(normal=range(0, 10**12), reduce=[])",
        "Genotype(normal=range(1000000000000), reduce=[])",
        "Genotype(normal=[], normal_concat=range(0, 1000000000000), reduce=[])",
        "Genotype(normal=__import__('os').mkdir('boom'), reduce=[])",
        "9" * 100_000,
        "|" * 100_000,
        "1" * 100_000 + ":input,output",
    ],
    ids=lambda text: text[:40],
)
@pytest.mark.parametrize("name", NAMES)
def test_hostile_text_is_refused(name, text):
    with pytest.raises(ArchitectureError) as refusal:
        get_space(name).parse(text)
    assert len(str(refusal.value)) < 2000


@pytest.mark.parametrize("name", NAMES)
@few
@given(genome=st.lists(st.integers(-(2**40), 2**40) | st.integers(0, 6), max_size=30))
def test_arbitrary_genomes_are_read_or_refused(name, genome):
    space = get_space(name)
    with suppress(ArchitectureError):
        assert space.encode(space.decode(genome)).tolist() == genome


# Few distinct values, so that ties are common.
pairs = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=2, max_size=40).map(np.array)


def close(one, other):
    return (math.isnan(one) and math.isnan(other)) or one == pytest.approx(other, abs=1e-9)


@many
@given(pairs=pairs)
def test_correlations_agree_with_scipy(pairs):
    x, y = pairs.T
    constant = len(set(x)) == 1 or len(set(y)) == 1
    for ours, theirs in ((kendall_tau, stats.kendalltau), (spearman, stats.spearmanr), (pearson, stats.pearsonr)):
        assert close(ours(x, y), math.nan if constant else theirs(x, y).statistic)


@many
@given(pairs=pairs, data=st.data())
def test_rank_correlations_depend_on_order_alone(pairs, data):
    x, y = pairs.T / 13
    order = np.array(data.draw(st.permutations(range(len(x)))))
    for tau in (kendall_tau, spearman, weighted_kendall_tau):
        value = tau(x, y)
        assert math.isnan(value) or -1 - 1e-12 <= value <= 1 + 1e-12
        assert close(tau(x[order], y[order]), value) or tau is weighted_kendall_tau  # its ties are broken by position
        assert close(tau(np.exp(3 * x), y), value)
    assert close(kendall_tau(-x, y), -kendall_tau(x, y))
    assert close(kendall_tau(x, y), kendall_tau(y, x))
    ids = np.arange(len(x))
    assert close(sparse_kendall_tau(x[order], y[order], ids[order], 0.1), sparse_kendall_tau(x, y, ids, 0.1))
    assert close(sparse_kendall_tau(np.exp(x), y, ids, 0.1), sparse_kendall_tau(x, y, ids, 0.1))
    assert close(binned_kendall_tau(x, y, 0.1), kendall_tau(x, accuracy_bins(y, 0.1)))


@few
@given(pairs=pairs)
def test_a_fusion_of_one_order_is_that_order(pairs):
    x = pairs[:, 0].astype(float)
    _, fused = rank_average({"a": x, "b": 2 * x + 1})
    assert (np.sign(fused[:, None] - fused) == np.sign(x[:, None] - x)).all()


@few
@given(points=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=15).map(np.array))
def test_the_pareto_front_is_what_nothing_dominates(points):
    points = points.astype(float)
    beaten = [any((q <= p).all() and (q < p).any() for q in points) for p in points]
    front = pareto_front(points)
    assert {tuple(p) for p in points[front]} == {tuple(p) for p, b in zip(points, beaten, strict=True) if not b}
    assert ((nondominated_ranks(points) == 0) == ~np.array(beaten)).all()
    cells = {(a, b) for a in range(7) for b in range(7) if any((p <= (a, b)).all() for p in points)}
    assert hypervolume(points, [7.0, 7.0]) == pytest.approx(len(cells))
