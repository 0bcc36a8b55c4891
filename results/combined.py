"""Numbers of docs/RESULTS.md and docs/RANKING_STUDY.md that no single run prints: from the archives beside this file.

    python results/combined.py

The last line needs the table of NAS-Bench-201 (NAS_LIGHTNING_BENCHMARKS).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import spearmanr

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

from nas_lightning.benchmarks import Benchmark  # noqa: E402  found by the line before it
from nas_lightning.ranking.correlation import kendall_tau  # noqa: E402
from nas_lightning.ranking.fusion import rank_average  # noqa: E402
from nas_lightning.report.misranked import rank_errors  # noqa: E402
from nas_lightning.runs.archive import unpacked  # noqa: E402
from nas_lightning.runs.reading import find_runs  # noqa: E402
from nas_lightning.spaces import get_space  # noqa: E402

NETS = ("deep", "best", "sharp")  # the order in which the trio's checkpoints were given
SCORE = "class_separation"
THIRD = {
    # what: archive, run
    "sharp, 8 epochs": ("sharp", "ra32"),
    "sharp, 8 epochs, seed 1": ("sharp", "ra32_s1"),
    "sharp, 8 epochs, seed 2": ("sharp", "ra32_s2"),
    "sharp, 16 epochs": ("sharp", "sharp16"),
    "sharp, tied edges": ("sharp", "sharp_tied"),
    "16 x 16, not augmented": ("no_augmentation", "ra_noaug"),
    "16 x 16, augmented": ("screening", "random_a"),
    "16 x 16, augmented, seed 1": ("screening", "random_a_s1"),
    "16 x 16, augmented, seed 2": ("screening", "random_a_s2"),
    "C = 16": ("sharp", "c16"),
    "8 x 8": ("sharp", "e8"),
    "N = 3, 8 x 8": ("sharp", "e8n3"),
}
PAIRS = (
    (("best", "ra_curr_noaug_again"), ("rescored", "deep_s0")),
    (("best", "ra_curr_noaug_s1"), ("screening", "n3_s1")),
    (("best", "ra_curr_noaug_s2"), ("screening", "n3_s2")),
)
"""Best and deep of seeds 0, 1, 2 on the development encodings."""


def table(archive: str, run: str) -> dict[str, Any]:
    """ranking.parquet of one archived run, by column."""
    with unpacked([HERE / f"cifar10_{archive}.tar.xz"]) as folders:
        (path,) = folders[0].rglob(f"{run}/ranking.parquet")
        return pq.read_table(path).to_pydict()


def taus(scores: list[dict[str, Any]], truth: Any) -> str:
    """Tau of every rank average, each a mapping of its members."""
    return ", ".join(f"{kendall_tau(rank_average(members)[1], truth):.3f}" for members in scores)


def trio() -> list[str]:
    """Nets of the fresh encodings in twos and all nine, what the trio finds; returns the architectures."""
    tables = [table("trio", f"s{seed}") for seed in range(3)]
    truth = tables[0]["standalone_accuracy"]
    nets = [dict(zip(NETS, [t[c] for c in t if c.endswith(f"_{SCORE}")], strict=True)) for t in tables]
    for a, b in (("deep", "best"), ("deep", "sharp"), ("best", "sharp")):
        between = np.mean([kendall_tau(of_seed[a], of_seed[b]) for of_seed in nets])
        print(f"{a} and {b}: tau {taus([{a: n[a], b: n[b]} for n in nets], truth)}; between the two {between:.2f}")
    print("nine nets: tau", taus([{f"{net} {i}": n[net] for i, n in enumerate(nets) for net in NETS}], truth))
    rng, accuracy = np.random.default_rng(0), 100 * np.array(truth)
    draws = [rng.choice(len(truth), 200, replace=False) for _ in range(1000)]
    predictors = {"trio": [np.array(t["fusion"]) for t in tables], "parameters": [np.array(tables[0]["params"])]}
    for name, ranks in predictors.items():
        of_200 = np.mean([accuracy[i[r[i].argmax()]] for r in ranks for i in draws])
        print(f"{name}: top {np.mean([accuracy[r.argmax()] for r in ranks]):.2f}, best of 200 by score {of_200:.2f}")
    names: list[str] = tables[0]["architecture"]
    return names


def third_nets() -> None:
    """Every candidate beside best and deep, and its mean rank error (percentile points) by what leads 0 to 3."""
    pairs = [tuple(table(*run)[f"supernet_{SCORE}"] for run in pair) for pair in PAIRS]
    named = {"best": PAIRS[0][0], "deep": PAIRS[0][1], **THIRD}
    for what, run in named.items():
        found = table(*run)
        truth, own = np.array(found["standalone_accuracy"]), found[f"supernet_{SCORE}"]
        errors = rank_errors([np.array(own)], truth)
        operations = np.array([get_space("nasbench201").parse(a).operations for a in found["architecture"]])
        skip, conv = operations[:, 3] == 1, operations[:, 3] == 3
        quarter = truth >= np.quantile(truth, 0.75)
        line = f"{what}: alone {kendall_tau(own, truth):.3f}"
        if what in THIRD:
            best, deep = pairs[int(what[-1]) if "seed" in what else 0]
            pair, three = taus([{"b": best, "d": deep}], truth), taus([{"b": best, "d": deep, "t": own}], truth)
            line += f", pair {pair}, trio {three}"
        groups = (("skip 0→3", skip), ("of the best quarter", skip & quarter), ("3x3 0→3", conv))
        print(line + "".join(f"; {name} {errors[chosen].mean():+.1f} (n {chosen.sum()})" for name, chosen in groups))


def accuracy_and_search() -> None:
    """Does a super-net's mean accuracy, or its tau, predict the accuracy of the top 10? All runs at N = 1."""
    rows = {}
    with unpacked(sorted(HERE.glob("cifar10_*.tar.xz"))) as folders:
        for run in find_runs(folders):
            r = run.result
            if r["kind"] != "train" or r["evaluation"]["architecture_set"] != "random300raw_seed0":
                continue
            if r["plan"]["mapping"]["layers"] == 1:
                m = r["metrics"]["accuracy"]
                rows[r["run_hash"]] = (m["supernet_accuracy"], m["final_search_performance"]["mean"], m["kendall_tau"])
    accuracy, found, tau = np.array(sorted(rows.values())).T
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(tau), len(tau)) for _ in range(2000)]
    for name, x in (("accuracy", accuracy), ("tau", tau)):
        low, high = np.percentile([spearmanr(x[i], found[i])[0] for i in draws], [2.5, 97.5])
        print(f"{name}: {len(tau)} runs, Spearman {spearmanr(x, found)[0]:.2f} [{low:.2f}, {high:.2f}]")


def of_the_table(names: list[str]) -> None:
    """Accuracies after 12 epochs against those after 200, and what leads 0 to 3 in the best tenth of all."""
    benchmark = Benchmark.open("nasbench201", dataset="cifar10")
    architectures = [benchmark.domain.parse(name) for name in names]
    truth = benchmark.accuracies(architectures)
    print("12 epochs: tau", round(kendall_tau(benchmark.values("test_accuracy@12", architectures), truth), 3))
    everyone = benchmark.architectures()
    accuracy, leads = 100 * benchmark.accuracies(everyone), np.array([a.operations[3] for a in everyone])
    top = accuracy >= np.quantile(accuracy, 0.9)
    skip, conv = accuracy[top & (leads == 1)].mean(), accuracy[top & (leads == 3)].mean()
    print(f"best tenth ({top.sum()}): mean {skip:.2f} with a skip 0→3, {conv:.2f} with a 3x3 convolution")


if __name__ == "__main__":
    fresh = trio()
    third_nets()
    accuracy_and_search()
    of_the_table(fresh)
