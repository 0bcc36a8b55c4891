"""Every ranking metric as a torchmetric: classes that collect (prediction, truth) rows and call the pure functions.

The import of torch is paid here only. Rows are gathered over DDP ranks by torchmetrics (``dist_reduce_fx="cat"``); each
architecture must therefore be scored by one rank only, as the sharded evaluator does.
"""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from nas_lightning.ranking import metrics


class RankingMetric(Metric):
    """Base: `update` takes float tensors [b] of predictions and truth and int64 [b] architecture ids.

    Ids default to a running number over the rows of this process; give the table's own ids wherever predictions can
    tie or several ranks take part.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    predictions: list[torch.Tensor]
    truth: list[torch.Tensor]
    ids: list[torch.Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("predictions", "truth", "ids"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, predictions: torch.Tensor, truth: torch.Tensor, ids: torch.Tensor | None = None) -> None:
        """Append b rows. It warns of half precision, whose rounding makes ties of scores that differed.

        Args:
            predictions: scores [b], higher is better.
            truth: stand-alone qualities [b].
            ids: integers [b] that order equal predictions; None numbers the rows.

        Raises:
            ValueError: tensors that are not of one shape [b].
        """
        if predictions.ndim != 1:
            raise ValueError(
                f"predictions of shape {tuple(predictions.shape)} are no list of scores; give a tensor [b]"
            )
        if predictions.dtype in (torch.bfloat16, torch.float16):
            name = str(predictions.dtype).removeprefix("torch.")
            warnings.warn(f"scores in {name} tie where they differed; compute them in float32", stacklevel=2)
        if ids is None:
            start = sum(len(chunk) for chunk in self.ids)
            ids = torch.arange(start, start + len(predictions), device=predictions.device)
        if predictions.shape != truth.shape or predictions.shape != ids.shape:
            raise ValueError(
                f"predictions {tuple(predictions.shape)}, truth {tuple(truth.shape)} and ids {tuple(ids.shape)} "
                "must be of one shape [b]"
            )
        self.predictions.append(predictions.detach().double())
        self.truth.append(truth.detach().double())
        self.ids.append(ids)

    @abstractmethod
    def _value(self, predictions: Any, truth: Any, ids: Any) -> float:
        """The metric of all rows as arrays."""

    def compute(self) -> torch.Tensor:
        """The metric over all rows so far, float64 []; nan without rows.

        Returns:
            A scalar tensor.

        Raises:
            ValueError: an id that came twice.
        """
        if not len(self.predictions):
            return torch.tensor(float("nan"), dtype=torch.float64)
        columns = [dim_zero_cat(column).cpu().numpy() for column in (self.predictions, self.truth, self.ids)]
        names, counts = np.unique(columns[2], return_counts=True)
        if (counts > 1).any():
            raise ValueError(
                f"architecture id {names[counts > 1][0]} came twice ({len(columns[2])} rows, {len(names)} ids); "
                "score each architecture once, on one rank, with an id of its own"
            )
        return torch.tensor(self._value(*columns), dtype=torch.float64)


class _Correlation(RankingMetric):
    function: Callable[..., float]

    def _value(self, predictions: Any, truth: Any, ids: Any) -> float:
        return type(self).function(predictions, truth)


class KendallTau(_Correlation):
    """`metrics.kendall_tau` (tau-b). torchmetrics' own is O(n²) and overflows from about n = 78,000."""

    function = staticmethod(metrics.kendall_tau)


class Spearman(_Correlation):
    """`metrics.spearman`."""

    function = staticmethod(metrics.spearman)


class Pearson(_Correlation):
    """`metrics.pearson`."""

    function = staticmethod(metrics.pearson)


class WeightedKendallTau(_Correlation):
    """`metrics.weighted_kendall_tau`."""

    function = staticmethod(metrics.weighted_kendall_tau)


class OptimizationGap(_Correlation):
    """`metrics.optimization_gap`: mean of truth minus prediction, both accuracies."""

    higher_is_better = False
    function = staticmethod(metrics.optimization_gap)


class SupernetAccuracy(RankingMetric):
    """`metrics.supernet_accuracy`: mean of the predictions, which are accuracies."""

    def _value(self, predictions: Any, truth: Any, ids: Any) -> float:
        return metrics.supernet_accuracy(predictions)


class SparseKendallTau(RankingMetric):
    """`metrics.sparse_kendall_tau` by the reference definition; truth are fractions in [0, 1]."""

    def __init__(self, threshold: float = metrics.SPARSE_THRESHOLD, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold

    def _value(self, predictions: Any, truth: Any, ids: Any) -> float:
        return metrics.sparse_kendall_tau(predictions, truth, ids, self.threshold)


class BinnedKendallTau(RankingMetric):
    """`metrics.binned_kendall_tau`: often called sparse too, but another number; truth are fractions in [0, 1]."""

    def __init__(self, threshold: float = metrics.SPARSE_THRESHOLD, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold

    def _value(self, predictions: Any, truth: Any, ids: Any) -> float:
        return metrics.binned_kendall_tau(predictions, truth, self.threshold)


class KendallTauInTop(RankingMetric):
    """`metrics.kendall_tau_in_top`: tau-b inside the true top `percent`."""

    def __init__(self, percent: float = 10, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.percent = percent

    def _value(self, predictions: Any, truth: Any, ids: Any) -> float:
        return metrics.kendall_tau_in_top(predictions, truth, self.percent)


class PrecisionAtTop(RankingMetric):
    """`metrics.precision_at_top`: share of the predicted top `percent` that lie in the true one."""

    def __init__(self, percent: float = 10, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.percent = percent

    def _value(self, predictions: Any, truth: Any, ids: Any) -> float:
        return metrics.precision_at_top(predictions, truth, ids, self.percent)


class _AtK(RankingMetric):
    """Base of what the predicted top `k` decide."""

    function: Callable[..., float]

    def __init__(self, k: int = 10, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.k = k

    def _value(self, predictions: Any, truth: Any, ids: Any) -> float:
        return type(self).function(predictions, truth, ids, self.k)


class NDCGAtK(_AtK):
    """`metrics.ndcg_at_k`."""

    function = staticmethod(metrics.ndcg_at_k)


class BestRankAtK(_AtK):
    """`metrics.best_rank_at_k`: 1 is the best of all."""

    higher_is_better = False
    function = staticmethod(metrics.best_rank_at_k)


class RegretAtK(_AtK):
    """`metrics.regret_at_k`, in the unit of truth."""

    higher_is_better = False
    function = staticmethod(metrics.regret_at_k)


class FinalSearchPerformance(_AtK):
    """Mean stand-alone accuracy of the predicted top `k` (`metrics.final_search_performance`)."""

    def _value(self, predictions: Any, truth: Any, ids: Any) -> float:
        return metrics.final_search_performance(predictions, truth, ids, self.k).mean


class TopKPercentile(_AtK):
    """`metrics.top_k_percentiles`: the `which` (minimum, median, maximum) true percentile of the predicted top `k`."""

    def __init__(self, k: int = 10, which: str = "median", **kwargs: Any) -> None:
        super().__init__(k, **kwargs)
        if which not in ("minimum", "median", "maximum"):
            raise ValueError(f"which={which} is no part of the percentiles; choose minimum, median or maximum")
        self.which = which

    def _value(self, predictions: Any, truth: Any, ids: Any) -> float:
        return float(getattr(metrics.top_k_percentiles(predictions, truth, ids, self.k), self.which))


class ProbabilityBeatsRandom(_AtK):
    """P > R (`metrics.probability_beats_random`) of the best of the predicted top `k` against `n` draws, by default k.

    table: float [size], the accuracies of the whole table, on which the random draws are taken.
    """

    def __init__(self, table: Any, k: int = 10, n: int | None = None, **kwargs: Any) -> None:
        super().__init__(k, **kwargs)
        self.table, self.draws = table, k if n is None else n

    def _value(self, predictions: Any, truth: Any, ids: Any) -> float:
        best = metrics.final_search_performance(predictions, truth, ids, self.k).best
        return (
            math.nan if math.isnan(best) else metrics.probability_beats_random(best, self.table, self.draws).probability
        )
