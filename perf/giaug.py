"""What isomorphic copies of the training cells give a predictor: ``python perf/giaug.py --space nasbench101``.

As GIAug (arXiv 2207.00987): a forest learns stand-alone test accuracies from few cells, as they are and with all
renamings of their vertices (`nas_lightning.predictors.augmentation`), and is judged by Kendall's tau on 4,000 other
cells. `path counts` is the same forest on features that isomorphic cells share, without any copy. Training and test
cells are drawn uniformly from the isomorphism classes and never share one. Mean ± sample standard deviation over seeds.
Needs the table (folder in NAS_LIGHTNING_DATA); one thread.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from nas_lightning.benchmarks import Benchmark
from nas_lightning.predictors.augmentation import augmented, encode_graphs
from nas_lightning.predictors.encodings import Encoder
from nas_lightning.ranking.correlation import kendall_tau
from nas_lightning.spaces import get_space

COUNTS = {"nasbench101": (42, 127, 424), "nasbench201": (78, 156)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--space", choices=list(COUNTS), default="nasbench101")
    parser.add_argument("--seeds", type=int, default=3, help="at least 2")
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--test-cells", type=int, default=4000)
    given = parser.parse_args()
    space = get_space(given.space)
    table = Benchmark.open(
        given.space, space=given.space, dataset="cifar10", root=os.environ.get("NAS_LIGHTNING_DATA", "data")
    )
    for n in COUNTS[given.space]:
        taus: dict[str, list[float]] = {"as they are": [], "with copies": [], "path counts": []}
        started, rows = time.process_time(), 0
        for seed in range(given.seeds):
            cells = distinct_cells(space, n + given.test_cells, seed)
            truth = table.accuracies(cells)
            plain, invariant = encode_graphs(space, cells), Encoder(space, ["path_counts"])(cells)
            copies, labels, weights = augmented(space, cells[:n], truth[:n])
            rows = len(copies)
            for name, train, test in (
                ("as they are", (plain[:n], truth[:n], None), plain[n:]),
                ("with copies", (copies, labels, weights), plain[n:]),
                ("path counts", (invariant[:n], truth[:n], None), invariant[n:]),
            ):
                forest = RandomForestRegressor(given.trees, random_state=seed).fit(*train)
                taus[name].append(kendall_tau(forest.predict(test), truth[n:]))
        found = "  ".join(f"{name} {np.mean(v):.3f} ± {np.std(v, ddof=1):.3f}" for name, v in taus.items())
        print(f"{n} cells ({rows} copies): {found}  ({time.process_time() - started:.0f} s)", flush=True)


def distinct_cells(space, n: int, seed: int) -> list:
    """n cells of n classes, uniform over the classes."""
    rng = np.random.default_rng(seed)
    found: dict[str, object] = {}
    while len(found) < n:
        cell = space.sample_unique(rng)
        found.setdefault(space.key(cell), cell)
    return list(found.values())


if __name__ == "__main__":
    main()
