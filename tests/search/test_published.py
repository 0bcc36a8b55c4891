"""The published NAS-Bench-201 protocol on the real table: means within one published standard deviation."""

import os
from pathlib import Path

import numpy as np
import pytest

from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.benchmark_objective import benchmark_objective
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search
from nas_lightning.search.outcome import top_k

SHARED = Path(os.environ.get("NAS_LIGHTNING_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data"
SEEDS = 120
pytestmark = pytest.mark.skipif(
    not (SHARED / "benchmarks" / "nasbench201.parquet").is_file(), reason="the shared NAS-Bench-201 table is not here"
)


@pytest.fixture(scope="module")
def objective(tmp_path_factory):
    before = os.environ.get("NAS_LIGHTNING_CACHE")
    os.environ["NAS_LIGHTNING_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    settings = {"name": "nasbench201", "root": str(SHARED), "dataset": "cifar10"}
    yield benchmark_objective(settings, "nasbench201", "seconds", fidelity="none", epochs=12)
    if before is None:
        del os.environ["NAS_LIGHTNING_CACHE"]
    else:
        os.environ["NAS_LIGHTNING_CACHE"] = before


def found(objective, name, seeds=SEEDS):
    """Test accuracies in percent of what each seed found, and how many evaluations it took."""
    out, counts = [], []
    for seed in range(seeds):
        algorithm = make_algorithm(name, objective.space, objective.fidelities, seed, single_fidelity=True)
        records = Search(algorithm, objective, Budget("seconds", 12000)).run()
        counts.append(len(records))
        out.append(objective.truth([top_k(records, objective, 1)[0].trial.architecture])[0])
    return 100 * np.array(out), float(np.mean(counts))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mean", "std"), [("random_search", 93.70, 0.36), ("reinforce", 93.85, 0.37), ("bohb", 93.61, 0.52)]
)
def test_published_means(objective, name, mean, std):
    accuracy, _ = found(objective, name, 50)
    assert abs(accuracy.mean() - mean) < std
    assert 0.5 * std < accuracy.std(ddof=1) < 1.5 * std


def test_regularized_evolution_is_as_published_and_beats_random_search(objective):
    evolution, _ = found(objective, "regularized_evolution")
    random, evaluations = found(objective, "random_search")
    assert abs(evolution.mean() - 93.92) < 0.30
    assert 105 < evaluations < 115  # about 109
    standard_error = np.sqrt(evolution.var(ddof=1) / SEEDS + random.var(ddof=1) / SEEDS)
    assert (evolution.mean() - random.mean()) / standard_error > 2.33  # one-sided 1 %


def test_the_optimum_of_the_table(objective):
    assert 100 * np.nanmax(objective.all_truths()) == pytest.approx(94.373, abs=1e-3)
