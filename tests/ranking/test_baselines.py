import os
from pathlib import Path

import numpy as np
import pytest

from nas_lightning.ranking.architecture_sets import architecture_set
from nas_lightning.ranking.baselines import free_baselines, linear_operation_counts
from nas_lightning.ranking.metrics import binned_kendall_tau, kendall_tau, kendall_tau_in_top, sparse_kendall_tau
from nas_lightning.ranking.uncertainty import proxy_ceiling
from nas_lightning.spaces.nasbench201 import NB201Space
from tests.helpers.memory_table import MemoryTable

SPACE = NB201Space()
SHARED = Path(os.environ.get("NAS_LIGHTNING_SHARED", Path(__file__).parents[3] / "shared" / "data"))


def additive(archs, rng):
    """Accuracies that a linear model on operation counts can learn, with a little noise."""
    weights = np.array([-0.05, 0.01, 0.03, 0.06, 0.0])
    return 0.5 + np.array([SPACE.operation_counts(a) for a in archs]) @ weights + 1e-3 * rng.normal(size=len(archs))


@pytest.fixture
def archs():
    return architecture_set("random300_seed0", SPACE)


def test_linear_model_learns_from_architectures_that_are_not_scored(archs):
    table = MemoryTable(SPACE, archs, additive(archs, np.random.default_rng(0)))
    scored = archs[:200]
    baseline = linear_operation_counts(SPACE, scored, table)
    assert "none of them scored" in baseline.note
    assert not np.isnan(baseline.scores).any()
    assert kendall_tau(baseline.scores, table.accuracies(scored)) > 0.95
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


def test_free_baselines(archs):
    found = {b.name: b for b in free_baselines(SPACE, archs, params=range(300), macs=np.arange(300) * 2)}
    assert list(found) == ["parameters", "macs", "depth"]
    assert found["depth"].scores.tolist() == [SPACE.depth(a) for a in archs]
    assert [b.name for b in free_baselines(SPACE, archs)] == ["depth"]
    with pytest.raises(ValueError, match="as many parameters"):
        free_baselines(SPACE, archs, params=[1, 2])


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
    taus = []
    for seed in range(5):
        table = MemoryTable(SPACE, archs, test)
        baseline = linear_operation_counts(SPACE, scored, table, seed=seed)
        taus.append(kendall_tau(baseline.scores, test[pick]))
    assert np.mean(taus) == pytest.approx(0.594, abs=0.03)
