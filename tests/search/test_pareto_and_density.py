"""Pareto fronts, hypervolume and the kernel density of genomes, against brute force."""

import itertools

import numpy as np
import pytest

from nas_lightning.search.kernel_density import GenomeDensity
from nas_lightning.search.pareto import crowding_distance, hypervolume, nondominated_ranks, pareto_front


@pytest.mark.parametrize("m", [2, 3, 4])
def test_front_and_ranks_by_brute_force(m):
    points = np.random.default_rng(m).integers(0, 6, (60, m))

    def beaten(i, among):
        return any((points[j] <= points[i]).all() and (points[j] < points[i]).any() for j in among)

    remaining, expected, rank = set(range(60)), np.zeros(60, int), 0
    while remaining:
        front = {i for i in remaining if not beaten(i, remaining)}
        for i in front:
            expected[i] = rank
        remaining, rank = remaining - front, rank + 1
    assert nondominated_ranks(points).tolist() == expected.tolist()
    unique = [i for i in np.flatnonzero(expected == 0) if not (points[:i] == points[i]).all(axis=1).any()]
    assert pareto_front(points).tolist() == unique


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_hypervolume_counts_grid_cells(m):
    points = np.random.default_rng(m).integers(0, 6, (12, m))
    cells = itertools.product(range(5), repeat=m)
    expected = sum(any((p <= np.array(cell)).all() for p in points) for cell in cells)
    assert hypervolume(points, [5] * m) == expected


def test_hypervolume_ignores_what_is_not_better_than_the_reference():
    assert hypervolume([[4, 0], [5, 5]], [4, 4]) == 0
    assert hypervolume(np.zeros((0, 2)), [4, 4]) == 0


def test_crowding_distance_by_hand():
    assert crowding_distance([[0, 10], [1, 6], [4, 5], [10, 0]]).tolist() == [
        np.inf, pytest.approx(4 / 10 + 5 / 10), pytest.approx(9 / 10 + 6 / 10), np.inf,
    ]  # fmt: skip


def test_density_sums_to_one_and_equals_the_kernel_by_hand():
    data = np.array([[0, 1, 0], [0, 2, 0], [1, 1, 0]])
    density = GenomeDensity(data, (2, 3, 1), min_bandwidth=0.05)
    every = np.array(list(itertools.product(range(2), range(3), range(1))))
    assert np.exp(density.log_density(every)).sum() == pytest.approx(1)
    h = np.minimum(1.06 * np.sqrt([2 / 9, 2 / 9, 0]) * 3 ** (-1 / 7), [1 / 2, 2 / 3, 0])
    h[2] = 0.0  # one choice: nothing to spread to
    np.testing.assert_allclose(density.bandwidth, h)
    by_hand = np.mean([(1 - h[0]) * (1 - h[1]), (1 - h[0]) * h[1] / 2, h[0] * (1 - h[1])])
    assert np.exp(density.log_density(np.array([[0, 1, 0]])))[0] == pytest.approx(by_hand)


def test_density_draws_what_it_says():
    density = GenomeDensity(np.array([[0, 1], [0, 2], [1, 1]]), (2, 3))
    draws = density.sample(40_000, np.random.default_rng(0))
    every = np.array(list(itertools.product(range(2), range(3))))
    shares = np.array([(draws == genome).all(axis=1).mean() for genome in every])
    np.testing.assert_allclose(shares, np.exp(density.log_density(every)), atol=0.01)


def test_no_renaming_of_choices_changes_the_density():
    data = np.random.default_rng(0).integers(0, 5, (30, 4))
    renamed = np.array([3, 0, 4, 1, 2])[data]
    one, other = GenomeDensity(data, (5,) * 4), GenomeDensity(renamed, (5,) * 4)
    np.testing.assert_allclose(one.log_density(data), other.log_density(renamed))


def test_two_choices_have_the_bandwidth_of_their_codes():
    codes = np.array([[0], [0], [0], [1], [1]])
    density = GenomeDensity(codes, (2,))
    assert density.bandwidth[0] == pytest.approx(min(0.5, 1.06 * codes.std() * 5 ** (-1 / 5)))


def test_ordered_genes_have_normal_kernels():
    data = np.array([[2, 0], [3, 1], [9, 0]])
    density = GenomeDensity(data, (10, 2), ordered=(True, False))
    place = (data[:, 0] + 0.5) / 10
    h = 1.06 * place.std() * 3 ** (-1 / 6)
    assert density.bandwidth[0] == pytest.approx(h)
    keep = 1 - density.bandwidth[1]
    kernels = np.exp(-(((4.5 / 10 - place) / h) ** 2) / 2) / h * np.array([keep, 1 - keep, keep])
    assert np.exp(density.log_density(np.array([[4, 0]])))[0] == pytest.approx(kernels.mean())
    draws = GenomeDensity(data[:1], (10, 2), ordered=(True, False)).sample(2000, np.random.default_rng(0), widen=3)
    assert 0.9 < (draws[:, 0] - 2).std() < 1.6  # half a choice wide, three times, cut at the border
    assert draws[:, 0].min() >= 0
