import doctest
import math

import numpy as np
import pytest
from scipy import stats

from nas_lightning.ranking import checks, correlation, selection
from nas_lightning.ranking.metrics import (
    accuracy_bins,
    binned_kendall_tau,
    kendall_tau,
    kendall_tau_in_top,
    pearson,
    sparse_kendall_tau,
    spearman,
    true_top,
    weighted_kendall_tau,
)

CORRELATIONS = [kendall_tau, spearman, pearson, weighted_kendall_tau]
ORACLES = [stats.kendalltau, stats.spearmanr, stats.pearsonr, stats.weightedtau]


def draws():
    """Pairs of arrays of many sizes, with and without ties."""
    rng = np.random.default_rng(0)
    for n in (2, 3, 5, 17, 200):
        for levels in (2, 4, 10**6):
            for _ in range(8):
                x = rng.integers(levels, size=n) / levels
                y = np.where(rng.random(n) < 0.5, x, rng.integers(levels, size=n) / levels)
                if len(set(x)) > 1 and len(set(y)) > 1:
                    yield x, y


@pytest.mark.parametrize("module", [checks, correlation, selection], ids=lambda m: m.__name__)
def test_examples_in_the_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted >= 1
    assert not result.failed


@pytest.mark.parametrize(("function", "oracle"), zip(CORRELATIONS, ORACLES, strict=True))
def test_agrees_with_scipy(function, oracle):
    for x, y in draws():
        if oracle is stats.kendalltau and len(x) == 2:
            continue  # scipy's p-value fails there
        assert function(x, y) == pytest.approx(float(oracle(x, y).statistic), abs=1e-12), (x, y)


def test_kendall_tau_by_its_definition():
    for x, y in draws():
        i, j = np.triu_indices(len(x), 1)
        dx, dy = np.sign(x[i] - x[j]), np.sign(y[i] - y[j])
        expected = (dx * dy).sum() / math.sqrt((dx != 0).sum() * (dy != 0).sum())
        assert kendall_tau(x, y) == pytest.approx(expected, abs=1e-14)


def test_both_ways_to_count_pairs_give_the_same_bits(monkeypatch):
    rng = np.random.default_rng(1)
    infinite = (np.r_[rng.normal(size=40), np.inf, -np.inf, -np.inf], rng.integers(9, size=43).astype(float))
    for x, y in [*draws(), infinite]:
        found = []
        for few in (0, 10**6):
            monkeypatch.setattr(correlation, "FEW", few)
            found.append(kendall_tau(x, y))
        assert found[0] == found[1]


def test_kendall_tau_is_exact_at_the_size_of_nasbench101():
    """A reversal of blocks has a closed form; its pair counts overflow 32 bits, and their product 64 bits."""
    n, block = 423_624, 12
    x = np.arange(n)
    y = x // block * block + (block - 1 - x % block)  # discordant within each block of 12, concordant between
    pairs = n * (n - 1) // 2
    discordant = (n // block) * (block * (block - 1) // 2)
    assert kendall_tau(x, y) == (pairs - 2 * discordant) / pairs
    assert kendall_tau(x, -x) == -1.0
    rng = np.random.default_rng(1)
    noisy = np.round(x / n + rng.normal(size=n), 3)
    assert kendall_tau(noisy, x) == pytest.approx(float(stats.kendalltau(noisy, x).statistic), abs=1e-12)


def sampled_weighted_tau(x, y, draws=4_000_000):
    """Its definition as an expectation: pair (i, j) is drawn by the weight that the rank of i gives it."""
    rng, values = np.random.default_rng(1), []
    for first, second in ((x, y), (y, x)):
        best_first = np.lexsort((second, first))[::-1]
        weight = np.cumsum(1 / (1 + np.arange(len(x))))
        i = best_first[np.searchsorted(weight / weight[-1], rng.random(draws))]
        j = rng.integers(len(x), size=draws)
        sx, sy = np.sign(x[i] - x[j]), np.sign(y[i] - y[j])
        values.append((sx * sy).mean() / math.sqrt((sx**2).mean() * (sy**2).mean()))
    return np.mean(values)


@pytest.mark.slow
def test_the_other_correlations_at_the_size_of_nasbench101():
    n, rng = 423_624, np.random.default_rng(0)
    y = np.round(0.9 + 0.03 * rng.normal(size=n), 4).clip(0, 1)
    x = np.round(y + 0.03 * rng.normal(size=n), 3)
    bins = accuracy_bins(y)
    assert spearman(x, y) == pytest.approx(float(stats.spearmanr(x, y).statistic), abs=1e-12)
    assert pearson(x, y) == pytest.approx(float(stats.pearsonr(x, y).statistic), abs=1e-12)
    assert binned_kendall_tau(x, y) == pytest.approx(float(stats.kendalltau(x, bins).statistic), abs=1e-12)
    ids = rng.permutation(n)
    predicted = bins[np.lexsort((ids, x))]
    assert sparse_kendall_tau(x, y, ids) == pytest.approx(
        float(stats.kendalltau(np.sort(bins), predicted).statistic), abs=1e-12
    )
    top = y >= np.sort(y)[-math.ceil(n / 10)]
    assert kendall_tau_in_top(x, y, 10) == pytest.approx(float(stats.kendalltau(x[top], y[top]).statistic), abs=1e-12)
    assert weighted_kendall_tau(x, y) == pytest.approx(sampled_weighted_tau(x, y), abs=3e-3)


@pytest.mark.parametrize("function", CORRELATIONS)
def test_borders_are_defined(function):
    assert math.isnan(function([], []))
    assert math.isnan(function([1.0], [2.0]))
    assert math.isnan(function([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))
    assert math.isnan(function([1.0, 2.0, 3.0], [0.1, 0.1, 0.1]))
    with pytest.raises(ValueError, match="1 of 3 predictions are NaN"):
        function([1.0, math.nan, 3.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="2 of 3 truth are NaN"):
        function([1.0, 2.0, 3.0], [math.nan, math.nan, 3.0])
    with pytest.raises(ValueError, match="do not pair"):
        function([1.0, 2.0], [1.0, 2.0, 3.0])


def test_infinite_scores_are_ranked_but_have_no_linear_correlation():
    x = [-math.inf, 1.0, 2.0]
    assert kendall_tau(x, [0.1, 0.2, 0.3]) == 1.0
    assert spearman(x, [0.1, 0.2, 0.3]) == pytest.approx(1.0)
    assert math.isnan(pearson(x, [0.1, 0.2, 0.3]))


def test_pearson_of_values_far_below_one():
    assert pearson([1e-200, 2e-200, 3e-200], [2e-200, 4e-200, 7e-200]) == pytest.approx(0.993399, abs=1e-6)


def test_pearson_neither_overflows_nor_underflows():
    assert pearson([1e200, 2e200, 4e200], [1e-200, 2e-200, 4e-200]) == pytest.approx(1.0)


def reference_sparse_tau(predictions, truth, ids, threshold):
    """The definition of FACTS in words: sort by truth, the bin rank rises with floor(acc / threshold)."""
    order = sorted(range(len(truth)), key=lambda i: truth[i])
    rank, last, bins = -1, None, {}
    for i in order:
        level = math.floor(truth[i] / threshold)
        rank, last = (rank + 1, level) if level != last else (rank, last)
        bins[i] = rank
    predicted = sorted(range(len(truth)), key=lambda i: (predictions[i], ids[i]))
    return stats.kendalltau(sorted(bins.values()), [bins[i] for i in predicted]).statistic


@pytest.mark.parametrize("threshold", [0.001, 0.01])
def test_sparse_kendall_tau_is_the_reference_definition(threshold):
    rng = np.random.default_rng(3)
    for _ in range(20):
        truth = 0.9 + 0.03 * rng.random(60)
        predictions = np.round(truth + 0.02 * rng.normal(size=60), 2)  # many ties
        ids = [f"arch{i}" for i in rng.permutation(60)]
        expected = reference_sparse_tau(predictions, truth, ids, threshold)
        assert sparse_kendall_tau(predictions, truth, ids, threshold) == pytest.approx(expected, abs=1e-12)


def test_sparse_kendall_tau_does_not_depend_on_the_order_of_the_input():
    rng = np.random.default_rng(4)
    truth, predictions = rng.random(80), rng.integers(4, size=80) / 4
    ids = np.array([f"a{i:03}" for i in range(80)])
    expected = sparse_kendall_tau(predictions, truth, ids)
    for _ in range(10):
        p = rng.permutation(80)
        assert sparse_kendall_tau(predictions[p], truth[p], ids[p]) == expected
    assert sparse_kendall_tau(predictions, truth, ids[::-1]) != expected, "ties must really be broken by id"


def test_binned_and_sparse_tau_are_two_different_things():
    truth, predictions = np.array([0.9001, 0.9003, 0.9105]), np.array([0.1, 0.3, 0.2])
    assert binned_kendall_tau(predictions, truth) == pytest.approx(stats.kendalltau(predictions, [0, 0, 1]).statistic)
    assert binned_kendall_tau(predictions, truth) != sparse_kendall_tau(predictions, truth, [0, 1, 2])


def test_sparse_tau_refuses_what_would_silently_be_wrong():
    with pytest.raises(ValueError, match="divide percentages by 100"):
        sparse_kendall_tau([1, 2], [91.0, 92.0], [0, 1])
    with pytest.raises(ValueError, match="no bin width"):
        sparse_kendall_tau([1, 2], [0.91, 0.92], [0, 1], threshold=0)
    with pytest.raises(ValueError, match="share the id 7"):
        sparse_kendall_tau([1, 1, 2], [0.91, 0.95, 0.99], [7, 7, 8])
    with pytest.raises(ValueError, match="need 2 ids"):
        sparse_kendall_tau([1, 2], [0.91, 0.92], [0])
    assert math.isnan(sparse_kendall_tau([1, 2], [0.9101, 0.9102], [0, 1])), "one bin holds no order"
    assert math.isnan(sparse_kendall_tau([1, 1], [0.91, 0.95], [0, 1]))
    assert math.isnan(sparse_kendall_tau([1], [0.91], [0]))


def test_an_order_that_ids_do_not_settle_is_refused():
    predictions, truth = np.array([1.0, 1.0, 2.0]), np.array([0.1, 0.2, 0.3])
    assert checks.order_by_prediction(predictions, np.array([8, 7, 7]), truth).tolist() == [1, 0, 2]
    with pytest.raises(ValueError, match="share the id 7: ties cannot be broken"):
        checks.order_by_prediction(predictions, np.array([7, 7, 7]), truth)


def test_accuracies_are_fractions_unless_another_unit_is_said():
    percent, scores = [91.0, 92.0, 93.0], [1, 3, 2]
    for function in (accuracy_bins, lambda truth, **how: binned_kendall_tau(scores, truth, **how)):
        with pytest.raises(ValueError, match="divide percentages by 100"):
            function(percent)
    assert accuracy_bins(percent, 1.5, fractions=False).tolist() == [0, 1, 2]
    assert accuracy_bins([0.0, 1.0], 0.5).tolist() == [0, 1]
    assert binned_kendall_tau(scores, percent, 0.5, fractions=False) == pytest.approx(1 / 3)
    assert sparse_kendall_tau(scores, percent, [0, 1, 2], 0.5, fractions=False) == pytest.approx(1 / 3)


def test_bins_are_dense():
    assert accuracy_bins([0.95, 0.10, 0.955, 0.30], 0.01).tolist() == [2, 0, 2, 1]


def test_tau_in_the_true_top_keeps_ties_at_the_border():
    assert true_top([], 10).tolist() == []
    truth = np.array([0.1, 0.2, 0.3, 0.3, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    assert true_top(truth, 10).sum() == 1
    assert true_top(truth, 60).sum() == 8, "the sixth best shares its accuracy with two more"
    predictions = np.arange(10.0)
    assert math.isnan(kendall_tau_in_top(predictions, truth, 10))
    assert kendall_tau_in_top(-predictions, truth, 50) == -1.0
    assert kendall_tau_in_top(predictions, truth, 100) == kendall_tau(predictions, truth)
    with pytest.raises(ValueError, match="percentage above 0"):
        true_top(truth, 0)
