import math

import numpy as np
import pytest
import torch

from nas_lightning.ranking import metrics
from nas_lightning.ranking import torchmetrics as wrapped


@pytest.mark.parametrize(
    ("metric", "function"),
    [
        (wrapped.KendallTau(), lambda x, y, i: metrics.kendall_tau(x, y)),
        (wrapped.Spearman(), lambda x, y, i: metrics.spearman(x, y)),
        (wrapped.Pearson(), lambda x, y, i: metrics.pearson(x, y)),
        (wrapped.WeightedKendallTau(), lambda x, y, i: metrics.weighted_kendall_tau(x, y)),
        (wrapped.SparseKendallTau(0.01), lambda x, y, i: metrics.sparse_kendall_tau(x, y, i, 0.01)),
        (wrapped.KendallTauInTop(25), lambda x, y, i: metrics.kendall_tau_in_top(x, y, 25)),
        (wrapped.FinalSearchPerformance(7), lambda x, y, i: metrics.final_search_performance(x, y, i, 7).mean),
    ],
    ids=lambda v: type(v).__name__,
)
def test_classes_are_thin_over_the_functions(metric, function):
    rng = np.random.default_rng(0)
    y = rng.random(90)
    x = np.round(y + 0.2 * rng.normal(size=90), 1)
    for part in np.array_split(np.arange(90), 4):
        metric.update(torch.tensor(x[part]), torch.tensor(y[part]))
    assert float(metric.compute()) == function(x, y, np.arange(90))
    metric.reset()
    with pytest.warns(UserWarning, match="before the ``update``"):
        assert math.isnan(float(metric.compute()))


def test_ids_travel_with_their_rows():
    y, ids = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([2, 0, 1])
    metric = wrapped.FinalSearchPerformance(1)
    metric.update(torch.ones(3), y, ids)
    assert float(metric.compute()) == pytest.approx(0.5), "all tied: the lowest id wins"
    with pytest.raises(ValueError, match="one shape"):
        metric.update(torch.ones(3), torch.ones(2))
