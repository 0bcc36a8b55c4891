import math

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from nas_lightning.ranking.metrics import (
    best_rank_at_k,
    final_search_performance,
    ndcg_at_k,
    optimization_gap,
    precision_at_top,
    probability_beats_random,
    regret_at_k,
    supernet_accuracy,
    top_k_indices,
    top_k_percentiles,
    true_ranks,
)


@pytest.fixture
def draw():
    rng = np.random.default_rng(0)
    truth = rng.random(120)
    return truth + 0.3 * rng.normal(size=120), truth, [f"id{i}" for i in range(120)]


@pytest.mark.parametrize("k", [1, 5, 120, 500])
def test_ndcg_agrees_with_scikit_learn(draw, k):
    predictions, truth, ids = draw
    gains = (truth - truth.min()) / (truth.max() - truth.min())
    expected = ndcg_score([gains], [predictions], k=min(k, 120), ignore_ties=True)
    assert ndcg_at_k(predictions, truth, ids, k) == pytest.approx(expected)


def test_gains_are_measured_from_the_worst_whatever_the_sign_of_the_truth():
    """Log perplexities are negative, and a truth may lie around 0: the discounts of three places are 1, 0.63, 0.5."""
    expected = (0.5 + 1 / np.log2(3)) / (1 + 0.5 / np.log2(3))
    for truth in ([-1.0, 0.0, 1.0], [-5.0, -4.5, -4.0], [0.2, 0.3, 0.4]):
        assert ndcg_at_k([1, 3, 2], truth, ["a", "b", "c"], 3) == pytest.approx(expected)


def test_everything_at_the_top_by_a_sorted_list(draw):
    predictions, truth, ids = draw
    by_prediction = sorted(zip(predictions, ids, truth, strict=True), reverse=True)
    by_truth = sorted(truth, reverse=True)
    found = [t for _, _, t in by_prediction[:7]]
    assert best_rank_at_k(predictions, truth, ids, 7) == 1 + by_truth.index(max(found))
    assert regret_at_k(predictions, truth, ids, 7) == by_truth[0] - max(found)
    performance = final_search_performance(predictions, truth, ids, 7)
    assert (performance.mean, performance.std) == pytest.approx((np.mean(found), np.std(found)))
    assert performance.best == max(found)
    first = [t for _, _, t in by_prediction[:12]]
    assert precision_at_top(predictions, truth, ids, 10) == sum(t >= by_truth[11] for t in first) / 12
    percentiles = top_k_percentiles(predictions, truth, ids, 7)
    ranks = [100 * (1 - by_truth.index(t) / 119) for t in found]
    assert (percentiles.minimum, percentiles.median, percentiles.maximum) == pytest.approx(
        (min(ranks), np.median(ranks), max(ranks))
    )


def test_ties_at_the_border_of_the_top_are_broken_by_id_alone():
    predictions, truth = np.array([1.0, 1.0, 1.0, 0.0]), np.array([0.1, 0.5, 0.9, 0.2])
    ids = np.array(["c", "a", "b", "d"])
    for p in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        assert [ids[p][i] for i in top_k_indices(predictions[p], ids[p], 2)] == ["a", "b"]
        assert final_search_performance(predictions[p], truth[p], ids[p], 2).mean == pytest.approx(0.7)


def test_probability_to_beat_random_search():
    table = np.array([0.1] * 90 + [0.9] * 10)
    assert probability_beats_random(0.9, table, 5).probability == 1.0, "ties are not strictly better"
    found = probability_beats_random(0.5, table, 5)
    assert found.probability == pytest.approx(0.9**5)
    assert (found.n, found.table_size, found.better) == (5, 100, 10)
    assert probability_beats_random(0.05, table, 1).probability == 0.0
    assert probability_beats_random(0.5, [0.1, math.nan], 1).table_size == 1
    assert math.isnan(probability_beats_random(0.5, [], 1).probability)
    # By simulation of its meaning: no draw (with replacement) is strictly better than the best found.
    rng = np.random.default_rng(0)
    simulated = (rng.choice(table, size=(20_000, 5)).max(axis=1) <= 0.5).mean()
    assert found.probability == pytest.approx(simulated, abs=0.01)
    with pytest.raises(ValueError, match="at least 1"):
        probability_beats_random(0.5, table, 0)
    with pytest.raises(ValueError, match="NaN"):
        probability_beats_random(math.nan, table, 1)


def test_ranks_of_ties_and_perfect_prediction():
    assert true_ranks([0.5, 0.5, 0.1]).tolist() == [1, 1, 3]
    truth = [0.1, 0.4, 0.2]
    assert best_rank_at_k(truth, truth, [0, 1, 2], 1) == 1
    assert regret_at_k(truth, truth, [0, 1, 2], 1) == 0
    assert final_search_performance(truth, truth, [0, 1, 2], 10).k == 3, "k says how many were really taken"


ORDERED = [
    lambda x, y, ids: ndcg_at_k(x, y, ids, 1),
    lambda x, y, ids: precision_at_top(x, y, ids, 10),
    lambda x, y, ids: best_rank_at_k(x, y, ids, 1),
    lambda x, y, ids: regret_at_k(x, y, ids, 1),
    lambda x, y, ids: top_k_percentiles(x, y, ids, 1).minimum,
    lambda x, y, ids: top_k_percentiles(x, y, ids, 1).median,
    lambda x, y, ids: top_k_percentiles(x, y, ids, 1).maximum,
]


@pytest.mark.parametrize("i", range(len(ORDERED)))
def test_without_an_order_there_is_no_number(i):
    """Constant predictions would take the lowest ids, a constant truth would call anything a success."""
    assert not math.isnan(ORDERED[i]([1, 2, 3], [0.5, 0.7, 0.6], [0, 1, 2]))
    assert math.isnan(ORDERED[i]([], [], []))
    assert math.isnan(ORDERED[i]([1.0], [0.5], [0]))
    assert math.isnan(ORDERED[i]([1.0, 1.0, 1.0], [0.5, 0.7, 0.6], [0, 1, 2]))
    assert math.isnan(ORDERED[i]([1.0, 2.0, 3.0], [0.5, 0.5, 0.5], [0, 1, 2]))
    for x, y, name in (([1, math.nan], [0.1, 0.2], "predictions"), ([1, 2], [0.1, math.nan], "truth")):
        with pytest.raises(ValueError, match=f"1 of 2 {name} are NaN"):
            ORDERED[i](x, y, [0, 1])


def test_means_of_accuracies_need_no_order_in_the_truth_but_a_choice():
    assert final_search_performance([1.0], [0.5], [0], 3).mean == 0.5
    assert final_search_performance([1.0, 2.0], [0.5, 0.5], [0, 1], 1).mean == 0.5
    chosen_by_nothing = final_search_performance([1.0, 1.0], [0.5, 0.7], [0, 1], 1)
    assert math.isnan(chosen_by_nothing.mean)
    assert math.isnan(chosen_by_nothing.best)
    assert chosen_by_nothing.k == 0
    assert optimization_gap([0.5], [0.75]) == optimization_gap([0.5, 0.5], [0.75, 0.75]) == 0.25
    assert supernet_accuracy([0.5]) == 0.5
    for function in (optimization_gap, lambda x, y: final_search_performance(x, y, [0, 1], 1)):
        with pytest.raises(ValueError, match="are NaN"):
            function([0.5, math.nan], [0.75, 0.75])
    with pytest.raises(ValueError, match="are NaN"):
        supernet_accuracy([0.5, math.nan])


def test_the_top_at_the_size_of_nasbench101():
    """A shifted ramp: the predicted top 20 are the true ranks 1001 to 1020 of 423,624."""
    n = 423_624
    truth = np.arange(n) / n
    predictions, ids = np.roll(truth, -1000), np.arange(n)
    predictions[n - 1000 :] = -1 - np.arange(1000)
    assert best_rank_at_k(predictions, truth, ids, 20) == 1001
    assert regret_at_k(predictions, truth, ids, 20) == pytest.approx(1000 / n)
    found = top_k_percentiles(predictions, truth, ids, 20)
    assert found.maximum == pytest.approx(100 * (1 - 1000 / (n - 1)), abs=1e-9)
    assert found.minimum == pytest.approx(100 * (1 - 1019 / (n - 1)), abs=1e-9)
    m = math.ceil(n / 10)
    assert precision_at_top(predictions, truth, ids, 10) == (m - 1000) / m
    assert probability_beats_random(float(truth[-1001]), truth, 5).better == 1000


def test_borders():
    assert math.isnan(regret_at_k([], [], [], 3))
    assert math.isnan(best_rank_at_k([], [], [], 3))
    assert math.isnan(precision_at_top([], [], [], 10))
    assert math.isnan(final_search_performance([], [], [], 3).mean)
    assert math.isnan(top_k_percentiles([1], [0.5], [0], 3).median)
    assert math.isnan(supernet_accuracy([]))
    assert math.isnan(optimization_gap([], []))
    with pytest.raises(ValueError, match="k must be at least 1"):
        top_k_indices([1, 2], [0, 1], 0)
    with pytest.raises(ValueError, match="NaN"):
        top_k_indices([1, math.nan], [0, 1], 1)
    with pytest.raises(ValueError, match="predictions are NaN"):
        regret_at_k([1, math.nan], [0.1, 0.2], [0, 1], 1)


def test_there_is_nothing_to_beat_where_all_accuracies_are_equal():
    import math

    from nas_lightning.ranking.selection import probability_beats_random

    assert math.isnan(probability_beats_random(0.9, [0.9, 0.9, 0.9], 10).probability)
    assert probability_beats_random(0.9, [0.9], 10).probability == 1
