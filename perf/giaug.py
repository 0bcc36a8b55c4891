"""What isomorphic copies of the training cells give a predictor: ``python perf/giaug.py --space nasbench101``.

As GIAug (arXiv 2207.00987): a forest learns stand-alone test accuracies from few cells, as they are and with all
renamings of their vertices (`nas_lightning.predictors.augmentation`), and is judged by Kendall's tau on 4,000 other
cells. `path counts` is the same forest on features that isomorphic cells share, without any copy. Training and test
cells are drawn uniformly from the isomorphism classes and never share one. Mean ± sample standard deviation over seeds.
Needs the table (folder in NAS_LIGHTNING_DATA); one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from nas_lightning.benchmarks import Benchmark
from nas_lightning.predictors.augmentation import augmented, encode_graphs
from nas_lightning.predictors.encodings import Encoder
from nas_lightning.ranking.correlation import kendall_tau
from nas_lightning.spaces import get_space
from nas_lightning.spaces.base import Space

COUNTS = {"nasbench101": (42, 127, 424), "nasbench201": (78, 156)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--space", choices=list(COUNTS), default="nasbench101")
    parser.add_argument("--seeds", type=int, default=3, help="at least 2")
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--test-cells", type=int, default=4000)
    parser.add_argument(
        "--record", type=Path, help="file of finished seeds (.jsonl): the same call goes on after a stop"
    )
    given = parser.parse_args()
    space = get_space(given.space)
    table = Benchmark.open(
        given.space, space=given.space, dataset="cifar10", root=os.environ.get("NAS_LIGHTNING_DATA", "data")
    )
    done = recorded(given.record)
    for n in COUNTS[given.space]:
        found = []
        for seed in range(given.seeds):
            key = {"space": given.space, "trees": given.trees, "test_cells": given.test_cells, "cells": n, "seed": seed}
            result = done.get(json.dumps(key))
            if result is None:
                result = measured(space, table, n, seed, given.trees, given.test_cells)
                if given.record is not None:
                    with given.record.open("a", encoding="utf-8") as file:
                        file.write(json.dumps({"key": key, "result": result}) + "\n")
            found.append(result)
        values = {name: [one["taus"][name] for one in found] for name in found[0]["taus"]}
        text = "  ".join(f"{name} {np.mean(v):.3f} ± {np.std(v, ddof=1):.3f}" for name, v in values.items())
        copies, seconds = (np.mean([one[name] for one in found]) for name in ("copies", "seconds"))
        print(f"{n} cells ({copies:.0f} copies), {given.seeds} seeds: {text}  ({seconds:.1f} s a seed)", flush=True)


def recorded(path: Path | None) -> dict[str, dict[str, Any]]:
    """What an earlier call has finished, by its settings; a line that a stop cut short does not count."""
    if path is None or not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").split("\n")
    if lines[-1]:  # cut short
        path.write_text("".join(f"{line}\n" for line in lines[:-1]), encoding="utf-8")
    return {json.dumps(one["key"]): one["result"] for one in map(json.loads, lines[:-1])}


def measured(space: Space[Any], table: Benchmark, n: int, seed: int, trees: int, test_cells: int) -> dict[str, Any]:
    """Tau of the three forests for one draw of cells, the number of copies, and seconds of processor time."""
    started = time.process_time()
    cells = distinct_cells(space, n + test_cells, seed)
    truth = table.accuracies(cells)
    plain, invariant = encode_graphs(space, cells), Encoder(space, ["path_counts"])(cells)
    copies, labels, weights = augmented(space, cells[:n], truth[:n])
    taus = {}
    for name, train, test in (
        ("as they are", (plain[:n], truth[:n], None), plain[n:]),
        ("with copies", (copies, labels, weights), plain[n:]),
        ("path counts", (invariant[:n], truth[:n], None), invariant[n:]),
    ):
        forest = RandomForestRegressor(trees, random_state=seed).fit(*train)
        taus[name] = float(kendall_tau(forest.predict(test), truth[n:]))
    return {"taus": taus, "copies": len(copies), "seconds": time.process_time() - started}


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
