"""What a space is like, without a command: every part of docs/ANALYSIS.md by its functions.

    NAS_LIGHTNING_BENCHMARKS=FOLDER python examples/analysis_from_python.py

FOLDER holds nasbench201, darts_random214_cifar10 and fcnet_hpolib. Each function returns its numbers.
"""

import numpy as np

from nas_lightning import Benchmark
from nas_lightning.analysis.curves import CurveSurrogate
from nas_lightning.analysis.hyperparameters_command import regrets
from nas_lightning.analysis.landscape import Footprint, footprint
from nas_lightning.analysis.neighbourhood import neighbourhood
from nas_lightning.analysis.niches import Niches
from nas_lightning.search.benchmark_objective import benchmark_objective
from nas_lightning.search.pareto import Indicators, indicators, pareto_front


def landscape(table: Benchmark) -> Footprint:
    """The eight measures of a table that holds its whole space, by its default accuracy."""
    return footprint(neighbourhood(table), table.metric_values(None))


def unseen_curves(table: Benchmark, n: int = 150) -> float:
    """Mean absolute error of the last epoch that a surrogate of the first n whole curves expects of the others."""
    curves = table.curves(table.architectures(), None)
    features = np.stack([table.domain.one_hot(arch) for arch in table.architectures()])
    whole = np.isfinite(curves).all(axis=1)
    curves, features = curves[whole].astype(np.float64), features[whole]
    expected = CurveSurrogate(seed=0).fit(features[:n], curves[:n]).predict(features[n:])
    return float(np.abs(expected[:, -1] - curves[n:, -1]).mean())


def champions(table: Benchmark, quantiles: tuple[float, ...] = (0.25, 0.5, 0.75)) -> list[str]:
    """The best architecture below each quantile of the parameter count, and the best of all."""
    error, size = 1 - table.metric_values(None), np.asarray(table.values("params", table.architectures()), np.float64)
    return [str(table.architectures()[row]) for row in Niches.of(size, quantiles).champions(error, size)]


def front_of_a_sample(table: Benchmark, n: int = 500) -> Indicators:
    """What a random sample knows of the true front of error and parameters."""
    points = np.stack(
        [1 - table.metric_values(None), np.asarray(table.values("params", table.architectures()))], axis=1
    )
    drawn = np.random.default_rng(0).choice(len(points), n, replace=False)
    return indicators(points[drawn][pareto_front(points[drawn])], points[pareto_front(points)])


def two_searches(name: str, dataset: str) -> dict[str, float]:
    """Mean regret of two algorithms after 50 evaluations at the full budget, five seeds."""
    table = Benchmark.open(name, dataset=dataset)
    settings = {"name": name, "dataset": dataset, "root": None}
    objective = benchmark_objective(settings, table.space, "evaluations", fidelity="none")
    return {
        a: float(regrets(objective, a, range(5), [50])[0].mean()) for a in ("random_search", "regularized_evolution")
    }


def main() -> None:
    cells = Benchmark.open("nasbench201", dataset="cifar10")
    found = landscape(cells)
    print(f"NAS-Bench-201: {len(found.maxima)} strict maxima, autocorrelation {found.autocorrelation[0]:.4f}")
    for name in champions(cells):
        print(f"  champion of its size: {name}")
    judged = front_of_a_sample(cells)
    print(f"  500 random cells cover {100 * judged.share:.1f} % of the true front, {judged.distance:.4f} away from it")
    curves = Benchmark.open("darts_random214_cifar10")
    print(f"DARTS-214: the last epoch of unseen curves to within {unseen_curves(curves):.4f}")
    for algorithm, regret in two_searches("fcnet_hpolib", "protein_structure").items():
        print(f"FC-Net, {algorithm}: regret {regret:.4f}")


if __name__ == "__main__":
    main()
