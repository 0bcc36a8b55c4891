"""What separates a super-net's tau from the ceiling: how much is noise between seeds, how much stays.

Per setting with at least two seeds, on the architectures that all of them ranked:

=====================  =============================================================================================
tau, one seed          mean over seeds of tau-b(score, truth)
seed to seed           mean over pairs of seeds of tau-b(score, score): 1 if a seed changes nothing
repeated scoring       tau-b between the scores and a binomial redraw of them on as many images: what image sampling
                       alone leaves. Cautious, since really all architectures see the same images. Accuracies only
tau, seeds averaged    tau-b of the mean percentile over the seeds with the truth: seed noise mostly averaged out
ceiling                the table's noise ceiling where it keeps seeds, else its proxy ceiling, else not available
by seeds               tau of the average − tau of one seed: the part of the gap that more seeds close
left                   ceiling − tau of the average: mis-ranked alike by all seeds
=====================  =============================================================================================
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from pathlib import Path

import numpy as np

from nas_lightning.ranking.correlation import kendall_tau
from nas_lightning.report.misranked import common, percentiles
from nas_lightning.report.study import Condition, Setting
from nas_lightning.runs.files import write_atomically
from nas_lightning.runs.quality import ACCURACY
from nas_lightning.runs.reading import Run
from nas_lightning.runs.result import Ceiling

REDRAWS = 20


@dataclass(frozen=True)
class Gap:
    """One row of the table; NaN where a number is not available."""

    conditions: str
    factor: str
    setting: str
    seeds: int
    architectures: int
    tau: float
    seed_to_seed: float
    repeated_scoring: float
    tau_averaged: float
    ceiling: float
    ceiling_kind: str
    by_seeds: float
    left: float


def repeated_scoring(accuracies: np.ndarray, n_images: int, redraws: int = REDRAWS) -> float:
    """Mean tau-b between accuracies [n] and binomial redraws of them on `n_images` images; the same every time."""
    rng = np.random.default_rng([len(accuracies), n_images])
    draws = rng.binomial(n_images, np.clip(accuracies, 0, 1), size=(redraws, len(accuracies)))
    return float(np.mean([kendall_tau(draw / n_images, accuracies) for draw in draws]))


def ceiling_of(run: Run) -> tuple[float, str]:
    """The ceiling that a run recorded, and which one."""
    recorded = run.ranked.get("ceiling") or {}
    for kind in ("noise", "proxy"):
        value = (recorded.get(kind) or Ceiling()).get("tau")
        if value is not None:
            return float(value), f"{kind} ceiling"
    return math.nan, "not available"


def gap_of(condition: Condition, setting: Setting) -> Gap | None:
    """The row of one setting; None with fewer than two seeds or two common architectures."""
    by_seed: dict[int, Run] = {}
    for run in setting.runs:
        if run.ranking:
            by_seed.setdefault(run.seed, run)
    runs = list(by_seed.values())
    if len(runs) < 2:
        return None
    found = common([run.ranking for run in runs])
    predictions, truth = found["predictions"], found["truth"]
    if len(truth) < 2:
        return None
    tau = float(np.mean([kendall_tau(p, truth) for p in predictions]))
    pairs = float(np.mean([kendall_tau(a, b) for a, b in combinations(predictions, 2)]))
    images = {(r.ranked.get("evaluation") or {}).get("n_images") for r in runs}
    repeated = math.nan
    if all(r.score == ACCURACY.name for r in runs) and len(images) == 1 and (n := images.pop()):
        repeated = float(np.mean([repeated_scoring(p, int(n)) for p in predictions]))
    averaged = kendall_tau(np.mean([percentiles(p) for p in predictions], axis=0), truth)
    ceiling, kind = ceiling_of(runs[0])
    return Gap(
        condition.label,
        setting.factor,
        setting.setting,
        seeds=len(runs),
        architectures=len(truth),
        tau=tau,
        seed_to_seed=pairs,
        repeated_scoring=repeated,
        tau_averaged=averaged,
        ceiling=ceiling,
        ceiling_kind=kind,
        by_seeds=averaged - tau,
        left=ceiling - averaged,
    )


def gaps(conditions: Sequence[Condition]) -> list[Gap]:
    """Every row, in the order of the ablation."""
    return [row for c in conditions for s in c.settings if (row := gap_of(c, s)) is not None]


def write_csv(path: Path, rows: Sequence[Gap]) -> None:
    """Plain numbers, empty where not available."""
    with io.StringIO(newline="") as stream:
        writer = csv.writer(stream)
        names = [f.name for f in fields(Gap)]
        writer.writerow(names)
        for row in rows:
            values = (getattr(row, name) for name in names)
            writer.writerow("" if isinstance(v, float) and math.isnan(v) else v for v in values)
        write_atomically(path, stream.getvalue().encode())
