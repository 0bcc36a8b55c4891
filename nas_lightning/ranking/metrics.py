"""All ranking metrics under one roof: pure functions of numpy arrays.

Correlations (`nas_lightning.ranking.correlation`): `kendall_tau`, `spearman`, `pearson`, `weighted_kendall_tau`,
`sparse_kendall_tau` (reference definition), `binned_kendall_tau`, `kendall_tau_in_top`.
The top of the ranking (`nas_lightning.ranking.selection`): `ndcg_at_k`, `precision_at_top`, `best_rank_at_k`,
`regret_at_k`, `top_k_percentiles`, `final_search_performance`, `probability_beats_random`; and `supernet_accuracy`,
`optimization_gap`.
"""

from nas_lightning.ranking.checks import top_k_indices
from nas_lightning.ranking.correlation import (
    SPARSE_THRESHOLD,
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
from nas_lightning.ranking.selection import (
    BeatsRandom,
    SearchPerformance,
    TopPercentiles,
    best_rank_at_k,
    final_search_performance,
    ndcg_at_k,
    optimization_gap,
    precision_at_top,
    probability_beats_random,
    regret_at_k,
    supernet_accuracy,
    top_k_percentiles,
    true_ranks,
)

__all__ = [
    "SPARSE_THRESHOLD",
    "BeatsRandom",
    "SearchPerformance",
    "TopPercentiles",
    "accuracy_bins",
    "best_rank_at_k",
    "binned_kendall_tau",
    "final_search_performance",
    "kendall_tau",
    "kendall_tau_in_top",
    "ndcg_at_k",
    "optimization_gap",
    "pearson",
    "precision_at_top",
    "probability_beats_random",
    "regret_at_k",
    "sparse_kendall_tau",
    "spearman",
    "supernet_accuracy",
    "top_k_indices",
    "top_k_percentiles",
    "true_ranks",
    "true_top",
    "weighted_kendall_tau",
]
