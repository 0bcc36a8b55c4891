import doctest

import numpy as np
import pytest
from scipy import stats

from nas_lightning.ranking import fusion
from nas_lightning.ranking.fusion import rank_average
from nas_lightning.ranking.metrics import kendall_tau


def test_examples_in_the_docstring():
    assert not doctest.testmod(fusion).failed


def test_order_is_that_of_mean_ranks_and_units_do_not_matter():
    rng = np.random.default_rng(0)
    a, b = rng.random(50), rng.integers(5, size=50)
    name, fused = rank_average({"a": a, "b": b})
    assert name == "fusion(a + b)"
    assert np.allclose(np.argsort(fused), np.argsort(stats.rankdata(a) + stats.rankdata(b)))
    _, again = rank_average({"a": np.exp(9 * a) - 3, "b": 1000.0 * b})
    assert np.array_equal(fused, again)
    assert fused.min() >= 0
    assert fused.max() <= 1


def test_fusing_independent_noise_helps():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=500)
    scores = {str(i): truth + rng.normal(size=500) for i in range(4)}
    _, fused = rank_average(scores)
    assert kendall_tau(fused, truth) > max(kendall_tau(x, truth) for x in scores.values()) + 0.05


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="at least two"):
        rank_average({"a": [1, 2]})
    with pytest.raises(ValueError, match="cannot be fused"):
        rank_average({"a": [1, 2], "b": [1, 2, 3]})
    with pytest.raises(ValueError, match="score b holds NaN"):
        rank_average({"a": [1, 2], "b": [1, np.nan]})


def test_ranks_run_from_0_to_1_for_two_and_stay_0_for_one():
    assert rank_average({"a": [1.0, 3.0], "b": [2.0, 5.0]})[1].tolist() == [0.0, 1.0]
    assert rank_average({"a": [1.0], "b": [2.0]})[1].tolist() == [0.0]
