"""The best label-free fusion of the trio's scores with a zero-cost proxy: chosen on old encodings, told on fresh ones.

    python results/fusion.py                  # half a minute of one core: logsynflow of 1,300 networks

Members are added greedily while tau on the 300 development encodings, mean of seeds 0, 1, 2, grows: any score of
the three nets, the parameter count, logsynflow of initial networks as large as the deep net (C = 8, N = 3, 16 x 16).
Ranks are averaged. The 1,000 fresh encodings are those of docs/RESULTS.md; nothing is chosen on them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from combined import NETS, PAIRS, table  # noqa: E402  found by the line before it

from nas_lightning.plan import Plan  # noqa: E402
from nas_lightning.predictors.base import Context, make_predictor  # noqa: E402
from nas_lightning.ranking.correlation import kendall_tau  # noqa: E402
from nas_lightning.spaces import get_space  # noqa: E402

SCORES = ("class_separation", "linear_probe", "accuracy", "negative_cross_entropy")
SHARP = ("ra32", "ra32_s1", "ra32_s2")
TRIO = tuple(f"{net} class_separation" for net in NETS)
SHOWN = (
    TRIO,
    (*TRIO, "logsynflow"),
    ("deep class_separation", "deep linear_probe", "logsynflow"),
    ("deep class_separation", "best class_separation", "deep linear_probe", "best linear_probe", "logsynflow"),
    ("logsynflow",),
)
Seed = tuple[dict[str, np.ndarray], np.ndarray]
"""Ranks of every candidate, float64 [n], and true accuracies."""


def logsynflow(names: Sequence[str]) -> np.ndarray:
    """Scores of initial networks of the deep net's size, float64 [n]."""
    space = get_space("nasbench201")
    mapping = Plan().edited({"mapping.channels": 8, "mapping.layers": 3}).mapping
    context = Context(space, [space.parse(name) for name in names], mapping, num_outputs=10, image_size=16)
    return make_predictor("logsynflow")(context)


def seeds(fresh: bool) -> list[Seed]:
    """The nine nets' scores by seed, on the development or on the fresh encodings."""
    found, proxy = [], np.empty(0)
    for seed in range(3):
        if fresh:
            of = table("trio", f"s{seed}")
            columns = {f"{net} {s}": of[f"checkpoint{i}_{s}"] for i, net in enumerate(NETS, 1) for s in SCORES}
        else:
            best, deep = (table(*run) for run in PAIRS[seed])
            nets = {"deep": deep, "best": best, "sharp": table("sharp", SHARP[seed])}
            of = best
            assert all(t["architecture"][:300] == of["architecture"][:300] for t in nets.values())
            columns = {f"{net} {s}": nets[net][f"supernet_{s}"][:300] for net in NETS for s in SCORES}
        count = len(next(iter(columns.values())))
        proxy = proxy if len(proxy) else logsynflow(of["architecture"][:count])
        columns |= {"parameters": of["params"][:count], "logsynflow": proxy}
        truth = np.array(of["standalone_accuracy"][:count], float)
        found.append(({name: rankdata(values) for name, values in columns.items()}, truth))
    return found


def taus(members: Sequence[str], data: list[Seed], top: bool = False) -> np.ndarray:
    """Tau of the members' rank average by seed, inside the true top tenth where `top`."""
    found = []
    for ranks, truth in data:
        fused = np.sum([ranks[name] for name in members], axis=0)
        kept = np.argsort(-truth)[: len(truth) // 10] if top else slice(None)
        found.append(kendall_tau(fused[kept], truth[kept]))
    return np.array(found)


def main() -> None:
    torch.set_num_threads(1)
    development, fresh = seeds(False), seeds(True)

    def show(members: Sequence[str]) -> None:
        ten = [100 * truth[np.argsort(-sum(ranks[m] for m in members))[:10]].mean() for ranks, truth in fresh]
        old, new, top = taus(members, development), taus(members, fresh), taus(members, fresh, top=True)
        print(
            f"{', '.join(members)}\n  development {old.mean():.3f}, inside the top tenth "
            f"{taus(members, development, top=True).mean():+.2f}\n  fresh {new.mean():.3f} ± {new.std(ddof=1):.3f} "
            f"({', '.join(f'{t:.3f}' for t in new)}), inside the top tenth "
            f"{top.mean():+.2f}, top 10 {np.mean(ten):.2f} %"
        )

    for members in SHOWN:
        show(members)
    chosen: list[str] = []
    left = sorted(development[0][0])
    while left:
        best = max(left, key=lambda name: taus([*chosen, name], development).mean())
        if chosen and taus([*chosen, best], development).mean() <= taus(chosen, development).mean():
            break
        chosen.append(best)
        left.remove(best)
    print(f"chosen greedily among {len(development[0][0])}:")
    show(chosen)


if __name__ == "__main__":
    main()
