import os
from pathlib import Path

import numpy as np
import pytest

from nas_lightning.plan import Mapping
from nas_lightning.predictors.base import Context, PredictorError, make_predictor
from nas_lightning.predictors.baselines import baselines_of
from nas_lightning.predictors.linear_operation_counts import LinearOperationCounts
from nas_lightning.ranking.architecture_sets import architecture_set
from nas_lightning.ranking.metrics import binned_kendall_tau, kendall_tau, kendall_tau_in_top, sparse_kendall_tau
from nas_lightning.ranking.summary import summarize
from nas_lightning.ranking.uncertainty import proxy_ceiling
from nas_lightning.spaces.nasbench201 import NB201Space
from tests.helpers.memory_table import MemoryTable

SPACE = NB201Space()
SHARED = Path(os.environ.get("NAS_LIGHTNING_SHARED", Path(__file__).parents[3] / "shared" / "data"))


def additive(archs, rng):
    """Accuracies that a linear model on operation counts can learn, with a little noise."""
    weights = np.array([-0.05, 0.01, 0.03, 0.06, 0.0])
    return 0.5 + np.array([SPACE.operation_counts(a) for a in archs]) @ weights + 1e-3 * rng.normal(size=len(archs))


def linear_operation_counts(space, scored, table, draws=1):
    """The baseline, None where the table does not allow it."""
    found = baselines_of([LinearOperationCounts(draws=draws)], Context(space, scored, Mapping(), table=table))
    return found[0] if found else None


@pytest.fixture
def archs():
    return architecture_set("random300_seed0", SPACE)


def test_linear_model_learns_from_architectures_that_are_not_scored(archs):
    table = MemoryTable(SPACE, archs, additive(archs, np.random.default_rng(0)))
    scored = archs[:200]
    baseline = linear_operation_counts(SPACE, scored, table)
    assert "none of them scored" in baseline.note
    assert not np.isnan(baseline.scores).any()
    assert kendall_tau(baseline.draws[0], table.accuracies(scored)) > 0.9
    # The scored architectures' own accuracies cannot have been used: changing them changes nothing.
    values = table.accuracies(archs)
    values[:200] = 0.5
    again = linear_operation_counts(SPACE, scored, MemoryTable(SPACE, archs, values))
    assert np.array_equal(again.scores, baseline.scores)


def test_linear_model_leaves_out_what_it_had_to_learn_from(archs):
    values = additive(archs, np.random.default_rng(0))
    table = MemoryTable(SPACE, archs[:220], values[:220])
    baseline = linear_operation_counts(SPACE, archs[:200], table)
    assert np.isnan(baseline.scores).sum() == 30, "20 others, so 30 of the scored ones fill up to 50"
    assert "30 of the scored left out of its score" in baseline.note
    assert linear_operation_counts(SPACE, archs[:49], MemoryTable(SPACE, archs[:49], values[:49])) is None
    assert linear_operation_counts(SPACE, archs[:51], MemoryTable(SPACE, archs[:51], values[:51])) is None


def test_rows_without_accuracy_are_not_fitted_on(archs):
    values = additive(archs, np.random.default_rng(0))
    values[200:240] = np.nan
    baseline = linear_operation_counts(SPACE, archs[:200], MemoryTable(SPACE, archs, values))
    assert not np.isnan(baseline.scores).any()


def test_baselines_that_need_nothing(archs):
    names = ("parameters", "macs", "depth", "linear_operation_counts")
    found = {b.name: b for b in baselines_of([make_predictor(n) for n in names], Context(SPACE, archs, Mapping()))}
    assert list(found) == ["parameters", "macs", "depth"], "nothing is fitted without a table"
    assert found["depth"].scores.tolist() == [SPACE.depth(a) for a in archs]


def test_ranks_are_fitted_so_that_broken_cells_do_not_bend_the_model(archs):
    values = additive(archs, np.random.default_rng(0))
    table = MemoryTable(SPACE, archs, values)
    broken = values.copy()
    lowest = np.argsort(values)[:30]
    broken[lowest] = 0.1 - 1e-6 * np.arange(30)[::-1]  # the same order, far below
    scored = archs[:200]
    fitted = linear_operation_counts(SPACE, scored, table).scores
    np.testing.assert_array_equal(
        fitted, linear_operation_counts(SPACE, scored, MemoryTable(SPACE, archs, broken)).scores
    )


def test_several_draws_are_kept_apart_and_averaged_by_the_summary(archs):
    table = MemoryTable(SPACE, archs, additive(archs, np.random.default_rng(0)))
    scored = archs[:100]
    baseline = linear_operation_counts(SPACE, scored, table, draws=3)
    assert baseline.scores.shape == (3, 100)
    assert len(np.unique(baseline.scores, axis=0)) == 3
    assert "mean of 3 draws" in baseline.note
    truth = table.accuracies(scored)
    found = summarize({"accuracy": truth}, truth, [str(a) for a in scored], [baseline], replicates=50)
    record = found["baselines"]["linear_operation_counts"]
    taus = [kendall_tau(scores, truth) for scores in baseline.scores]
    assert record["kendall_tau"] == pytest.approx(np.mean(taus))
    assert record["draws"] == {
        "n": 3,
        "kendall_tau_mean": pytest.approx(np.mean(taus)),
        "kendall_tau_std": pytest.approx(np.std(taus, ddof=1)),
    }


@pytest.mark.parametrize("settings", [{"fit_on": 1}, {"draws": 0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(PredictorError, match="fit on at least 2"):
        LinearOperationCounts(**settings)


@pytest.mark.slow
@pytest.mark.skipif(
    not (SHARED / "benchmarks/nasbench201.parquet").is_file(), reason="no shared benchmark tables beside this checkout"
)
def test_published_numbers_of_nasbench201():
    """Parameter count 0.577 (0.085 in the top 10 %), linear model about 0.594,
    200-epoch validation 0.894 (0.51 in the top 10 %)."""
    import pyarrow.parquet as pq

    columns = ["arch_str", "c10_test200_mean", "c10_val200_mean", "c10_params"]
    rows = pq.read_table(SHARED / "benchmarks/nasbench201.parquet", columns=columns).to_pydict()
    test = np.array(rows["c10_test200_mean"], np.float64) / 100
    validation = np.array(rows["c10_val200_mean"], np.float64) / 100
    params = np.array(rows["c10_params"])
    assert kendall_tau(params, test) == pytest.approx(0.578, abs=5e-4)
    assert kendall_tau_in_top(params, test, 10) == pytest.approx(0.078, abs=0.01)
    assert proxy_ceiling(validation, test) == pytest.approx(0.894, abs=5e-4)
    assert kendall_tau_in_top(validation, test, 10) == pytest.approx(0.51, abs=0.01)
    sparse, binned = sparse_kendall_tau(validation, test, rows["arch_str"]), binned_kendall_tau(validation, test)
    assert sparse == pytest.approx(0.904, abs=1e-3)
    assert binned == pytest.approx(sparse - 0.01, abs=5e-3), "the variant is about 0.01 lower"
    archs = [SPACE.parse(s) for s in rows["arch_str"]]
    pick = np.random.default_rng(0).permutation(len(archs))[:4000]
    scored = [archs[i] for i in pick]
    table = MemoryTable(SPACE, archs, test)
    baseline = linear_operation_counts(SPACE, scored, table, draws=10)
    taus = [kendall_tau(scores, test[pick]) for scores in baseline.scores]
    assert np.mean(taus) == pytest.approx(0.593, abs=0.015)
    assert np.std(taus, ddof=1) < 0.04
