"""Every figure of the report, in the order of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nas_lightning.report.costs import against_cost
from nas_lightning.report.curves import over_epochs, quality_over_epochs
from nas_lightning.report.derived import derived_architectures, operation_weights
from nas_lightning.report.figure import Figure, Panel
from nas_lightning.report.forest import forest, heatmap
from nas_lightning.report.matrix import matrix
from nas_lightning.report.scatter import ranking_panels, score_label
from nas_lightning.report.search_curves import fronts, search_curves
from nas_lightning.report.strip import strip
from nas_lightning.report.study import Condition, one_quality
from nas_lightning.report.tables import baseline_tau
from nas_lightning.runs.reading import COMPLETE, Run

_POINTS = 150_000
"""Points of scatters that the page holds; pictures of the other runs are in their folders."""


def all_figures(conditions: Sequence[Condition], runs: Sequence[Run]) -> list[Figure]:
    """Every figure that the runs give data for, in the order of the page."""
    found = [
        forest(conditions),
        heatmap(conditions),
        strip(conditions),
        *scatters(conditions, runs),
        over_epochs(conditions, "kendall_tau", "Kendall tau"),
        *quality_over_epochs(conditions),
        derived_architectures(conditions),
        operation_weights(conditions),
        search_curves(runs),
        fronts(runs),
        matrix(conditions),
        *against_cost(conditions),
    ]
    return [figure for figure in found if figure.panels]


def _of_files(run: Run) -> bool:
    """Whether its scores are another method's, see `nas_lightning.report.scores`."""
    return (run.ranked.get("evaluation") or {}).get("source") == "files"


def scatters(conditions: Sequence[Condition], runs: Sequence[Run] = ()) -> list[Figure]:
    """Score against stand-alone quality, and rank against rank: one panel a run, to choose from within its condition,
    and one a predictor of every mode=evaluate run. Of more points than the page can hold, runs of further seeds stay
    out first."""
    wanted: list[tuple[int, str, Run, str, dict[str, np.ndarray], str]] = []
    for condition in conditions:
        for setting in condition.settings:
            for i, run in enumerate(setting.runs):
                title = f"{setting.name}, seed {run.seed}"
                wanted.append((i, condition.label, run, run.score, run.ranking, title))
    for run in runs:
        if run.status == COMPLETE and run.kind == "evaluation":
            group = f"mode=evaluate, {run.shown.rsplit('/', 1)[-1]}"
            wanted += [(0, group, run, name, table, name) for name, table in run.predictions.items()]
    held: set[int] = set()
    size = left_out = 0
    for k in sorted(range(len(wanted)), key=lambda k: (wanted[k][0], k)):
        points = min(len(wanted[k][4].get("truth", ())), 2000)
        first = not any(wanted[j][1] == wanted[k][1] for j in held)  # the first of a group is always shown
        if first or size + points <= _POINTS:
            held.add(k)
            size += points
        else:
            left_out += 1
    values: list[Panel] = []
    ranks: list[Panel] = []
    for k in sorted(held):
        _, group, run, score, table, title = wanted[k]
        if not table:
            continue
        free = baseline_tau(run)
        pair = ranking_panels(
            table["prediction"],
            table["truth"],
            table["architecture"].tolist(),
            title=title,
            label=score if _of_files(run) else score_label(score, run.quality),
            top_k=int((run.ranked.get("evaluated") or {}).get("top_k") or 10),
            group=group,
            quality=run.quality,
            beside="" if math.isnan(free) else f" (parameters {free:.3f})",
        )
        values += pair[:1]
        ranks += pair[1:]
    note = (
        "One run of each condition is shown; choose another above its plot. Red: the predicted top of the set. Above "
    )
    note += "2,000 architectures, the darker, the more. In brackets: the parameter count's tau."
    quality = one_quality(run.quality for _, _, run, _, _, _ in wanted)
    name = quality.title if quality else "quality"
    if left_out:
        note += f" {left_out} more runs are not held in this page; their pictures are in the run folders (ranking.png)."
    return [
        Figure("scatter", f"Super-net against stand-alone {name}", note, values, choose=True),
        Figure(
            "ranks", "Rank against rank", "The same by ranks, 1 is best: what Kendall's tau sees.", ranks, choose=True
        ),
    ]
