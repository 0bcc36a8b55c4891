"""Agreement of the zero-cost proxies with published values on NAS-Bench-201: Spearman's rho over random cells.

    python -m perf.zerocost TABLE.parquet CIFAR10_ROOT --cells 500 --out scores.csv

TABLE.parquet has the columns ``index`` (of the official list) and the published values (`PUBLISHED`), and ``arch_str``,
or lies beside ``nasbench201.parquet``, which has it. Scores are appended to the CSV file cell by cell, so that a
stopped run goes on where it was. NaN in the table (a cell that its authors left out, or whose score is 0) ranks last in
columns that cover the space, and is left out, and counted, in those that do not.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from nas_lightning.data.module import ImageClassification
from nas_lightning.plan import Mapping
from nas_lightning.predictors.base import Context, checked_scores, make_predictor
from nas_lightning.ranking.correlation import kendall_tau, spearman
from nas_lightning.spaces import get_space

PUBLISHED = {
    "naswot": ("c10_naswot", "c10_naslib_nwot"),
    "synflow": ("c10_log10_synflow", "c10_naslib_synflow"),
    "logsynflow": ("c10_logsynflow",),
    "snip": ("c10_naslib_snip",),
    "grad_norm": ("c10_naslib_grad_norm",),
    "grasp": ("c10_naslib_grasp",),
    "fisher": ("c10_naslib_fisher",),
    "jacov": ("c10_naslib_jacov",),
    "zen": ("c10_naslib_zen",),
}
PARTIAL = "_naslib_"  # columns of 9,445 cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("table", type=Path)
    parser.add_argument("images", help="folder of CIFAR-10 in torchvision's layout")
    parser.add_argument("--cells", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--proxies", nargs="+", default=list(PUBLISHED), choices=list(PUBLISHED))
    parser.add_argument("--out", type=Path, default=Path("zerocost.csv"))
    parser.add_argument("--report", action="store_true", help="compute nothing; print what the CSV file holds")
    given = parser.parse_args()
    published = pq.read_table(given.table).to_pydict()
    names = pq.read_table(given.table.with_name("nasbench201.parquet"), columns=["arch_str", "c10_test200_mean"])
    strings, truth = names["arch_str"].to_pylist(), names["c10_test200_mean"].to_numpy()
    chosen = np.random.default_rng(given.seed).permutation(len(strings))[: given.cells].tolist()
    done = read(given.out)
    if not given.report:
        score(given, strings, chosen, done)
    for name in given.proxies:
        cells = [i for i in chosen if (name, i) in done]
        values = np.array([done[name, i] for i in cells])
        if len(cells) < 2:
            continue
        print(f"{name}: {len(cells)} cells, tau to test accuracy {kendall_tau(values, truth[cells]):.3f}")
        for column in PUBLISHED[name]:
            theirs = np.array([np.nan if published[column][i] is None else published[column][i] for i in cells], float)
            keep = ~np.isnan(theirs) if PARTIAL in column else np.ones(len(cells), bool)
            theirs = np.where(np.isnan(theirs), -np.inf, theirs)
            print(f"  Spearman {spearman(values[keep], theirs[keep]):.3f} with {column} ({int(keep.sum())} cells)")


def score(given: argparse.Namespace, strings: list[str], chosen: list[int], done: dict[tuple[str, int], float]) -> None:
    torch.set_num_threads(1)
    space = get_space("nasbench201")
    data = ImageClassification("cifar10", given.images, given.batch_size, 0.5, 0)
    data.setup()
    batches = data.evaluation_batches(given.batch_size, given.batch_size)
    predictors = [make_predictor(name) for name in given.proxies]
    for predictor in predictors:
        vars(predictor)["batch_size"] = given.batch_size
    with given.out.open("a", newline="") as file:
        writer = csv.writer(file)
        for i in chosen:
            context = Context(space, [space.parse(strings[i])], Mapping(channels=16, layers=5), batches=batches)
            for predictor in predictors:
                if (predictor.name, i) not in done:
                    done[predictor.name, i] = float(checked_scores(predictor, context)[0])
                    writer.writerow([predictor.name, i, done[predictor.name, i]])
            file.flush()


def read(path: Path) -> dict[tuple[str, int], float]:
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        return {(name, int(index)): float(value) for name, index, value in csv.reader(file)}


if __name__ == "__main__":
    main()
