import math

import numpy as np
import pytest
import torch

from nas_lightning.ranking import metrics
from nas_lightning.scoring import torchmetrics as wrapped

TABLE = np.linspace(0, 1, 500)


def beats_random(x, y, ids, k, n):
    best = metrics.final_search_performance(x, y, ids, k).best
    return metrics.probability_beats_random(best, TABLE, n).probability


@pytest.mark.parametrize(
    ("kind", "arguments", "function"),
    [
        (wrapped.KendallTau, (), lambda x, y, i: metrics.kendall_tau(x, y)),
        (wrapped.Spearman, (), lambda x, y, i: metrics.spearman(x, y)),
        (wrapped.Pearson, (), lambda x, y, i: metrics.pearson(x, y)),
        (wrapped.WeightedKendallTau, (), lambda x, y, i: metrics.weighted_kendall_tau(x, y)),
        (wrapped.SparseKendallTau, (0.01,), lambda x, y, i: metrics.sparse_kendall_tau(x, y, i, 0.01)),
        (wrapped.BinnedKendallTau, (0.01,), lambda x, y, i: metrics.binned_kendall_tau(x, y, 0.01)),
        (wrapped.SupernetAccuracy, (), lambda x, y, i: metrics.supernet_accuracy(x)),
        (wrapped.OptimizationGap, (), lambda x, y, i: metrics.optimization_gap(x, y)),
        (wrapped.NDCGAtK, (7,), lambda x, y, i: metrics.ndcg_at_k(x, y, i, 7)),
        (wrapped.PrecisionAtTop, (25,), lambda x, y, i: metrics.precision_at_top(x, y, i, 25)),
        (wrapped.BestRankAtK, (3,), lambda x, y, i: metrics.best_rank_at_k(x, y, i, 3)),
        (wrapped.RegretAtK, (3,), lambda x, y, i: metrics.regret_at_k(x, y, i, 3)),
        (wrapped.TopKPercentile, (20, "minimum"), lambda x, y, i: metrics.top_k_percentiles(x, y, i, 20).minimum),
        (wrapped.TopKPercentile, (20,), lambda x, y, i: metrics.top_k_percentiles(x, y, i, 20).median),
        (wrapped.TopKPercentile, (20, "maximum"), lambda x, y, i: metrics.top_k_percentiles(x, y, i, 20).maximum),
        (wrapped.ProbabilityBeatsRandom, (TABLE, 3, 5), lambda x, y, i: beats_random(x, y, i, 3, 5)),
        (wrapped.ProbabilityBeatsRandom, (TABLE, 3), lambda x, y, i: beats_random(x, y, i, 3, 3)),
        (wrapped.KendallTauInTop, (25,), lambda x, y, i: metrics.kendall_tau_in_top(x, y, 25)),
        (wrapped.FinalSearchPerformance, (7,), lambda x, y, i: metrics.final_search_performance(x, y, i, 7).mean),
    ],
    ids=lambda v: v.__name__ if isinstance(v, type) else "",
)
def test_classes_are_thin_over_the_functions(kind, arguments, function):
    metric = kind(*arguments)
    rng = np.random.default_rng(0)
    y = rng.random(90)
    x = np.round(y + 0.2 * rng.normal(size=90), 1)
    for part in np.array_split(np.arange(90), 4):
        metric.update(torch.tensor(x[part]), torch.tensor(y[part]))
    assert float(metric.compute()) == function(x, y, np.arange(90))
    metric.reset()
    with pytest.warns(UserWarning, match="before the ``update``"):
        assert math.isnan(float(metric.compute()))


@pytest.mark.parametrize(
    ("kind", "arguments", "function"),
    [
        (wrapped.SparseKendallTau, (), lambda x, y, i: metrics.sparse_kendall_tau(x, y, i, 0.001)),
        (wrapped.BinnedKendallTau, (), lambda x, y, i: metrics.binned_kendall_tau(x, y, 0.001)),
        (wrapped.KendallTauInTop, (), lambda x, y, i: metrics.kendall_tau_in_top(x, y, 10)),
        (wrapped.PrecisionAtTop, (), lambda x, y, i: metrics.precision_at_top(x, y, i, 10)),
        (wrapped.FinalSearchPerformance, (), lambda x, y, i: metrics.final_search_performance(x, y, i, 10).mean),
        (wrapped.TopKPercentile, (), lambda x, y, i: metrics.top_k_percentiles(x, y, i, 10).median),
        (wrapped.ProbabilityBeatsRandom, (TABLE,), lambda x, y, i: beats_random(x, y, i, 10, 10)),
    ],
    ids=lambda v: v.__name__ if isinstance(v, type) else "",
)
def test_what_is_not_said_is_a_tenth_or_ten(kind, arguments, function):
    metric = kind(*arguments)
    rng = np.random.default_rng(1)
    y = 0.9 + 0.01 * rng.random(90)
    x = y + 0.01 * rng.normal(size=90)
    metric.update(torch.tensor(x), torch.tensor(y))
    assert float(metric.compute()) == function(x, y, np.arange(90))


def test_only_gaps_ranks_and_regrets_are_better_when_lower():
    kinds = [
        kind for kind in vars(wrapped).values() if isinstance(kind, type) and issubclass(kind, wrapped.RankingMetric)
    ]
    assert {kind.__name__ for kind in kinds if not kind.higher_is_better} == {
        "OptimizationGap",
        "BestRankAtK",
        "RegretAtK",
    }


def test_ids_travel_with_their_rows():
    y, ids = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([2, 0, 1])
    metric = wrapped.FinalSearchPerformance(1)
    metric.update(torch.tensor([1.0, 1.0, 0.0]), y, ids)
    assert float(metric.compute()) == pytest.approx(0.5), "both best tied: the lower id wins"
    with pytest.raises(ValueError, match="one shape"):
        metric.update(torch.ones(3), torch.ones(2))


def test_every_metric_has_its_class():
    functions = {n for n in metrics.__all__ if n[0].islower()} - {
        "accuracy_bins",
        "true_top",
        "true_ranks",
        "top_k_indices",
    }
    names = {name.lower() for name in vars(wrapped)}
    ours = {"kendall_tau_in_top": "kendalltauintop", "top_k_percentiles": "topkpercentile"}
    assert {f for f in functions if ours.get(f, f.replace("_", "")) not in names} == set()


def test_undefined_values_stay_undefined():
    for metric in (wrapped.ProbabilityBeatsRandom(TABLE, 2), wrapped.NDCGAtK(2), wrapped.RegretAtK(2)):
        metric.update(torch.ones(3), torch.tensor([0.1, 0.5, 0.9]))
        assert math.isnan(float(metric.compute())), "constant predictions choose nothing"
    with pytest.raises(ValueError, match="choose minimum, median or maximum"):
        wrapped.TopKPercentile(3, "mean")


def test_what_a_metric_cannot_take_is_said_in_words():
    from nas_lightning.scoring.torchmetrics import KendallTau

    scores, truth = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.1, 0.3, 0.2])
    with pytest.raises(ValueError, match="no list of scores"):
        KendallTau().update(torch.tensor(0.5), torch.tensor(0.5))
    with pytest.warns(UserWarning, match="bfloat16 tie"):
        KendallTau().update(scores.bfloat16(), truth)
    twice = KendallTau()
    twice.update(scores, truth, torch.tensor([0, 1, 1]))
    with pytest.raises(ValueError, match="id 1 came twice"):
        twice.compute()


def test_pure_functions_take_tensors_that_are_differentiable_or_of_half_precision():
    from nas_lightning.ranking.metrics import kendall_tau, sparse_kendall_tau, top_k_indices

    scores, truth = torch.tensor([0.1, 0.25, 0.5], requires_grad=True), torch.tensor([0.1, 0.3, 0.2])
    assert kendall_tau(scores, truth) == kendall_tau([1, 2, 3], [1, 3, 2])
    assert kendall_tau(scores.bfloat16(), truth) == kendall_tau([1, 2, 3], [1, 3, 2])
    assert top_k_indices(scores, torch.arange(3), 2).tolist() == [2, 1]
    assert sparse_kendall_tau(scores, truth, torch.arange(3)) == sparse_kendall_tau(
        [0.1, 0.25, 0.5], [0.1, 0.3, 0.2], [0, 1, 2]
    )


def test_one_id_for_two_architectures_is_refused_and_copies_are_not():
    from nas_lightning.ranking.metrics import sparse_kendall_tau, top_k_indices

    with pytest.raises(ValueError, match="share the id 7"):
        top_k_indices([0.1, 0.2, 0.3], [7, 7, 8], 1)
    with pytest.raises(ValueError, match="share the id 7"):
        sparse_kendall_tau([0.1, 0.1, 0.3], [0.5, 0.6, 0.7], [7, 7, 8])
    assert sparse_kendall_tau([0.1, 0.1, 0.3], [0.5, 0.5, 0.7], [7, 7, 8]) == 1


def test_there_is_no_interval_of_a_handful():
    from nas_lightning.ranking.uncertainty import FEWEST, bootstrap_kendall_tau

    few = bootstrap_kendall_tau([1, 2, 3], [3, 1, 2])
    assert few.estimate == pytest.approx(-1 / 3)
    assert few.low != few.low
    enough = range(FEWEST)
    assert bootstrap_kendall_tau(enough, enough).low > 0.5


def test_a_metric_that_computes_nothing_cannot_be_made():
    with pytest.raises(TypeError, match="_value"):
        type("Nothing", (wrapped.RankingMetric,), {})()
