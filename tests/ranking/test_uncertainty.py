import doctest
import math

import numpy as np
import pytest

from nas_lightning.ranking import comparison, uncertainty
from nas_lightning.ranking.comparison import Difference, factorial_effects, hierarchical_bootstrap, holm, verdict
from nas_lightning.ranking.metrics import kendall_tau
from nas_lightning.ranking.uncertainty import (
    affordable_replicates,
    bootstrap,
    bootstrap_kendall_tau,
    noise_ceiling,
    percentile_interval,
    proxy_ceiling,
    resample_counts,
    tau_of_counts,
)


@pytest.mark.parametrize("module", [uncertainty, comparison], ids=lambda m: m.__name__)
def test_examples_in_the_docstrings(module):
    assert not doctest.testmod(module).failed


def test_resampled_taus_equal_kendall_tau_of_the_repeated_rows(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.integers(6, size=40) / 6.0, rng.integers(5, size=40) / 5.0
    counts = resample_counts(40, 30, seed=1)
    expected = [kendall_tau(np.repeat(x, row), np.repeat(y, row)) for row in counts]
    assert tau_of_counts(x, y, counts) == pytest.approx(expected, abs=1e-12)
    monkeypatch.setattr(uncertainty, "_PAIR_MATRIX_LIMIT", 10)
    assert tau_of_counts(x, y, counts) == pytest.approx(expected, abs=0)


@pytest.mark.filterwarnings("error")
def test_dead_cells_tie_with_each_other_and_lose_to_all_without_a_warning():
    scores = np.array([-np.inf, -np.inf, 0.1, 0.5, 0.3])
    last = np.array([-1.0, -1.0, 0.1, 0.5, 0.3])
    truth = np.array([0.1, 0.2, 0.3, 0.5, 0.4])
    counts = resample_counts(5, 50, seed=0)
    expected = tau_of_counts(last, truth, counts)
    np.testing.assert_array_equal(tau_of_counts(scores, truth, counts), expected)
    np.testing.assert_array_equal(tau_of_counts(truth, scores, counts), expected)  # texts that nobody can predict


def test_interval_is_reproducible_and_covers():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200)
    predictions = truth + rng.normal(size=200)
    first = bootstrap_kendall_tau(predictions, truth)
    assert first == bootstrap_kendall_tau(predictions, truth)
    assert first != bootstrap_kendall_tau(predictions, truth, seed=1)
    assert first.low < first.estimate < first.high
    # tau of a bivariate normal with r = sqrt(1/2) is 2/pi asin(r) = 1/2, to be covered about 95 % of times.
    covered = 0
    for _ in range(100):
        t = rng.normal(size=100)
        interval = bootstrap_kendall_tau(t + rng.normal(size=100), t, replicates=200)
        covered += interval.low <= 0.5 <= interval.high
    assert 0.88 <= covered / 100 <= 0.99


def test_a_bootstrap_has_a_thousand_replicates_where_nothing_is_said():
    drawn = []
    bootstrap(lambda index: drawn.append(index.tolist()) or 0.0, 3)
    assert len(drawn) == 1001  # and the estimate itself


def test_bootstrap_of_any_statistic():
    values = np.random.default_rng(0).normal(size=400)
    interval = bootstrap(lambda index: float(values[index].mean()), 400)
    standard_error = values.std() / 20
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * standard_error, rel=0.1)
    none = bootstrap(lambda index: 0.0, 0)
    assert math.isnan(none.low)
    assert none.replicates == 0
    with pytest.raises(ValueError, match="no probability"):
        bootstrap_kendall_tau([1, 2, 3], [1, 2, 3], level=95)


def test_undefined_intervals_stay_undefined():
    assert math.isnan(bootstrap_kendall_tau([1.0], [2.0]).estimate)
    constant = bootstrap_kendall_tau([1.0, 1.0, 1.0], [1.0, 2.0, 3.0])
    assert math.isnan(constant.low)
    assert constant.replicates == 0


def test_noise_ceiling_agrees_with_its_expectation_and_rises_with_seeds():
    rng = np.random.default_rng(0)
    quality = rng.normal(size=2000)
    seeds = quality[:, None] + rng.normal(size=(2000, 8))
    ceiling = noise_ceiling(seeds, splits=20)
    assert (ceiling.seeds, ceiling.seeds_per_half, ceiling.splits, ceiling.n) == (8, 4, 20, 2000)
    # Halves of 4 have noise variance 1/4 each: correlation 1 / 1.25, tau = 2/pi asin(0.8).
    assert ceiling.tau == pytest.approx(2 / math.pi * math.asin(0.8), abs=0.02)
    assert noise_ceiling(seeds[:, :2]).tau < ceiling.tau
    assert noise_ceiling(seeds[:, :2]).splits == 1
    assert noise_ceiling(seeds[:, :5]).seeds_per_half == 2
    seeds[0, 0] = math.nan
    assert noise_ceiling(seeds, splits=2).n == 1999
    with pytest.raises(ValueError, match="not available"):
        noise_ceiling(seeds[:, :1])


def test_proxy_ceiling_leaves_out_what_was_not_measured():
    assert proxy_ceiling([0.1, 0.2, math.nan, 0.4], [0.1, 0.3, 0.2, 0.2]) == kendall_tau([1, 2, 4], [1, 3, 2])
    with pytest.raises(ValueError, match="do not pair"):
        proxy_ceiling([0.1], [0.1, 0.2])


def simulate(rng, seeds, n, shift, seed_noise):
    """Predictions of two settings; a seed moves both settings' quality, and one of them on its own."""
    truth = rng.normal(size=n)
    noise = 1 + seed_noise * rng.normal(size=(seeds, 1))
    a = truth + np.abs(noise + shift + 0.1 * rng.normal(size=(seeds, 1))) * rng.normal(size=(seeds, n))
    b = truth + np.abs(noise) * rng.normal(size=(seeds, n))
    return a, truth, b


def test_hierarchical_bootstrap_keeps_its_level_with_five_seeds():
    rng = np.random.default_rng(0)
    rejected = sum(
        hierarchical_bootstrap(*simulate(rng, 5, 60, 0.0, 0.3), replicates=300, seed=i).p < 0.05 for i in range(80)
    )
    assert rejected / 80 <= 0.09, "5 % are expected under the null; without the stretch it is far more"


def test_hierarchical_bootstrap_finds_a_real_difference_and_its_sign():
    rng = np.random.default_rng(1)
    worse, truth, better = simulate(rng, 6, 200, 0.8, 0.1)
    found = hierarchical_bootstrap(worse, truth, better)
    assert found.estimate == pytest.approx(
        np.mean([kendall_tau(w, truth) - kendall_tau(b, truth) for w, b in zip(worse, better, strict=True)])
    )
    assert found.high < 0
    assert found.p < 0.01
    assert verdict(found, found.p) == "hurts"
    mirrored = hierarchical_bootstrap(better, truth, worse)
    assert verdict(mirrored, mirrored.p) == "helps"
    alone = hierarchical_bootstrap(better, truth)
    assert alone.low < alone.estimate < alone.high
    assert found == hierarchical_bootstrap(worse, truth, better), "same numbers for the same seed"


def test_hierarchical_bootstrap_refuses_what_does_not_pair():
    with pytest.raises(ValueError, match="do not pair"):
        hierarchical_bootstrap(np.zeros((3, 5)), np.zeros(5), np.zeros((2, 5)))
    with pytest.raises(ValueError, match="NaN"):
        hierarchical_bootstrap(np.full((3, 5), np.nan), np.zeros(5))


def test_holm_by_hand_and_with_undefined_tests():
    assert holm([0.04, 0.001, 0.03, 0.005]) == pytest.approx([0.06, 0.004, 0.06, 0.015])
    assert holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])
    adjusted = holm([0.02, math.nan, 0.03])
    assert adjusted[[0, 2]] == pytest.approx([0.04, 0.04])
    assert math.isnan(adjusted[1])
    assert holm([]).size == 0


def test_verdicts_need_five_seeds():
    def difference(estimate, seeds):
        return Difference(estimate, estimate - 0.1, estimate + 0.1, 0.95, 0.5, seeds, 200)

    assert verdict(difference(0.2, 5), 0.01) == "helps"
    assert verdict(difference(0.2, 4), 0.01) == "not decided (4 seeds)"
    assert verdict(difference(0.2, 1), math.nan) == "not decided (1 seed)"
    assert verdict(difference(-0.2, 9), 0.049) == "hurts"
    assert verdict(difference(0.2, 9), 0.05) == "no difference"


def test_factorial_effects_recover_an_additive_model_with_one_interaction():
    rng = np.random.default_rng(0)
    settings, values, seeds = [], [], []
    for seed in range(4):
        for a in ("off", "on"):
            for b in ("low", "mid", "high"):
                for c in ("0", "1"):
                    value = 0.5 + 0.1 * (a == "on") - 0.05 * (b == "high") + 0.2 * (a == "on" and b == "mid")
                    settings.append({"a": a, "b": b, "c": c})
                    values.append(value + 0.01 * seed + 1e-3 * rng.normal())
                    seeds.append(seed)
    effects = {e.changes: e for e in factorial_effects(settings, values, seeds, {"a": "off", "b": "low", "c": "0"})}
    assert effects[(("a", "off", "on"),)].estimate == pytest.approx(0.1 + 0.2 / 3, abs=2e-3)
    assert effects[(("b", "low", "high"),)].estimate == pytest.approx(-0.05, abs=2e-3)
    pair = effects[("a", "off", "on"), ("b", "low", "mid")]
    assert pair.estimate == pytest.approx(0.2, abs=3e-3)
    assert pair.low < 0.2 < pair.high
    assert (pair.n_seeds, pair.matched) == (4, 8)
    assert abs(effects[("a", "off", "on"), ("c", "0", "1")].estimate) < 3e-3
    assert len(effects) == 4 + 2 + 1 + 2


def test_factorial_effects_of_a_sweep_with_a_hole_are_matched():
    """Without matching, the missing run (the worst of its level) would look like an effect of b."""
    settings = [{"a": "0", "b": "0"}, {"a": "1", "b": "0"}, {"a": "0", "b": "1"}]
    effects = {
        e.changes: e.estimate for e in factorial_effects(settings, [0.0, 9.0, 1.0], [0] * 3, {"a": "0", "b": "0"})
    }
    assert effects == {(("a", "0", "1"),): 9.0, (("b", "0", "1"),): 1.0}


def test_factorial_effects_refuse_doubtful_sweeps():
    with pytest.raises(ValueError, match="two runs share"):
        factorial_effects([{"a": "0"}, {"a": "0"}], [1, 2], [0, 0], {"a": "0"})
    with pytest.raises(ValueError, match="no setting for factor b"):
        factorial_effects([{"a": "0"}], [1], [0], {"a": "0", "b": "0"})
    with pytest.raises(ValueError, match="NaN"):
        factorial_effects([{"a": "0"}], [math.nan], [0], {"a": "0"})
    with pytest.raises(ValueError, match="do not pair"):
        factorial_effects([{"a": "0"}], [1, 2], [0], {"a": "0"})


def test_an_interval_without_replicates_or_estimate_has_no_bounds():
    none = percentile_interval(0.5, np.array([np.nan, np.nan]))
    assert (none.estimate, none.replicates) == (0.5, 0)
    assert np.isnan([none.low, none.high]).all()
    undefined = percentile_interval(float("nan"), np.array([0.1, 0.2, np.nan]))
    assert np.isnan([undefined.estimate, undefined.low, undefined.high]).all()
    assert undefined.replicates == 2


def test_replicates_of_nothing_are_as_many_as_are_asked_for():
    assert affordable_replicates(0) == 1000
    assert affordable_replicates(0, 10**7) == 3_000_000


def test_the_two_levels_of_the_hierarchical_bootstrap_by_a_plain_loop():
    rng = np.random.default_rng(5)
    truth, seeds, replicates = rng.normal(size=12), 3, 40
    a, b = truth + rng.normal(size=(seeds, 12)), truth + 2 * rng.normal(size=(seeds, 12))
    found = hierarchical_bootstrap(a, truth, b, replicates=replicates, level=0.8, seed=7)
    rows, drawn = resample_counts(12, replicates, 7), resample_counts(seeds, replicates, 8)
    # Student's t with 2 degrees of freedom has its 90 % point at 1.885618, the normal at 1.281552.
    stretch, values = math.sqrt(3 / 2) * 1.8856180831641267 / 1.2815515655446004, []
    for row, draw in zip(rows, drawn, strict=True):
        index = np.repeat(np.arange(12), row)
        taus = [
            kendall_tau(x[index], truth[index]) - kendall_tau(z[index], truth[index]) for x, z in zip(a, b, strict=True)
        ]
        centre = sum(taus) / seeds
        values.append(centre + stretch * sum(n * (tau - centre) for n, tau in zip(draw, taus, strict=True)) / seeds)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, [0.1, 0.9])))
    below, above = sum(v <= 0 for v in values), sum(v >= 0 for v in values)
    assert found.p == pytest.approx(2 * (1 + min(below, above)) / (replicates + 1))
    assert (found.level, found.n_seeds, found.n_architectures) == (0.8, 3, 12)


def test_one_seed_covers_architectures_alone_and_one_architecture_nothing():
    rng = np.random.default_rng(6)
    truth = rng.normal(size=12)
    scores = truth + rng.normal(size=12)
    found = hierarchical_bootstrap(scores, truth, replicates=30, seed=2)
    values = tau_of_counts(scores, truth, resample_counts(12, 30, 2))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))
    assert found.n_seeds == 1
    single = hierarchical_bootstrap([[1.0]], [2.0])
    assert np.isnan([single.estimate, single.low, single.high, single.p]).all()
    two = hierarchical_bootstrap([[1.0, 2.0]], [2.0, 3.0], replicates=10)
    assert (two.estimate, two.n_architectures) == (1.0, 2)


def test_a_difference_of_replicates_by_hand():
    found = comparison._difference(0.3, np.array([0.0, 1.0, np.nan, 2.0, -1.0]), 0.5, seeds=5, n=7)
    assert (found.low, found.high, found.p) == (-0.25, 1.25, 1.0)  # two at or below 0, three at or above: 2 · 3 / 5
    found = comparison._difference(0.3, np.arange(1.0, 10.0), 0.5, seeds=5, n=7)
    assert (found.low, found.high, found.p) == (3.0, 7.0, 0.2)
    assert (found.estimate, found.level, found.n_seeds, found.n_architectures) == (0.3, 0.5, 5, 7)
    for estimate, values in ((0.3, [np.nan]), (math.nan, [0.1])):
        none = comparison._difference(estimate, np.array(values), 0.5, seeds=5, n=7)
        assert np.isnan([none.low, none.high, none.p]).all()
        np.testing.assert_equal(none.estimate, estimate)
        assert (none.level, none.n_seeds, none.n_architectures) == (0.5, 5, 7)
