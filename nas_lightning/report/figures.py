"""What is drawn: every figure as a plain dict, from which both the page's script and matplotlib draw the same picture.

A figure has `id`, `title`, `note`, `kind` and `panels`; a panel has `title`, axis labels and the data of its kind.
Where a figure says `choose`, one panel of each `group` is shown at a time, the first one in pictures.

=========  =====================================================================================================
strip      `rows` of {group, label, values, names}; `bands` of {low, high, label}; `lines` of {value, label}
scatter    `series` of {label, x, y, names}, `tau`, `levels`; above 2,000 points `density` {x, y: bin edges, counts
           [x][y], names [x][y]: one architecture of each bin} in place of the points
lines      `series` of {label, x, y, low, high}; `step` for curves that jump; `levels`, dashed, of {value, label}
parallel   `axes` of {label, categories or range, digits}; `lines` of {values in 0..1 or null per axis, colour 0..1,
           name}
errors     `rows` of {group, label, n, mean, low, high, q25, q75, share}, see `misranked`; `note`
=========  =====================================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_lightning.ranking.correlation import kendall_tau
from nas_lightning.ranking.summary import is_accuracy
from nas_lightning.report.search_curves import search_curves
from nas_lightning.report.study import REFERENCE, Condition, Setting, measure
from nas_lightning.report.tables import baseline_tau
from nas_lightning.runs.reading import COMPLETE, Run

DENSE = 2000  # above this many points a scatter shows density
_BINS = 60
_POINTS = 60_000  # points of scatters that the page holds; pictures of the other runs are in their folders

Figure = dict[str, Any]


def all_figures(conditions: Sequence[Condition], runs: Sequence[Run]) -> list[Figure]:
    """Every figure that the runs give data for, in the order of the page."""
    found = [
        tau_per_setting(conditions),
        scatters(conditions, runs),
        over_epochs(conditions, "kendall_tau", "Kendall tau"),
        over_epochs(conditions, "supernet_accuracy", "Super-net accuracy (%)"),
        search_curves(runs),
        tau_against_cost(conditions, "passes", "Training passes (batches through one path)"),
        tau_against_cost(conditions, "seconds", "Wall seconds of the run"),
        parallel_settings(conditions),
    ]
    return [figure for figure in found if figure["panels"]]


def _setting_label(setting: Setting) -> str:
    return setting.setting if setting.factor == REFERENCE else f"{setting.factor}: {setting.setting}"


def _finite(values: Sequence[float] | np.ndarray) -> list[float | None]:
    return [float(v) if math.isfinite(v) else None for v in values]


def _span(values: np.ndarray) -> tuple[float, float] | None:
    known = values[~np.isnan(values)]
    return (float(known.min()), float(known.max())) if len(known) else None


def tau_per_setting(conditions: Sequence[Condition]) -> Figure:
    """Kendall tau of every run, one row a setting; the band is the parameter count on the same architectures."""
    panels: list[dict[str, Any]] = []
    for condition in conditions:
        rows: list[dict[str, Any]] = []
        baseline, ceiling = [], []
        for setting in condition.settings:
            taus = setting.values("kendall_tau")
            keep = ~np.isnan(taus)
            names = [f"seed {r.seed}" for r, k in zip(setting.runs, keep, strict=True) if k]
            if keep.any():
                rows.append(
                    {"group": setting.factor, "label": setting.setting, "values": _finite(taus[keep]), "names": names}
                )
        for run in condition.reference.runs:
            record = (run.result.get("baselines") or {}).get("parameters") or {}
            interval = record.get("kendall_tau_interval") or {}
            if interval.get("low") is not None:
                baseline.append((baseline_tau(run.result), interval["low"], interval["high"]))
            noise = ((run.result.get("ceiling") or {}).get("noise") or {}).get("tau")
            if noise is not None:
                ceiling.append(noise)
        if not rows:
            continue
        bands: list[dict[str, Any]] = []
        lines: list[dict[str, Any]] = []
        if baseline:
            tau, low, high = np.mean(baseline, axis=0).tolist()
            bands.append({"low": low, "high": high, "label": "parameter count, 95 % interval"})
            lines.append({"value": tau, "label": f"parameter count {tau:.3f}"})
        if ceiling:
            lines.append({"value": float(np.mean(ceiling)), "label": f"noise ceiling {np.mean(ceiling):.3f}"})
        panels.append({"title": condition.label, "x": "Kendall tau", "rows": rows, "bands": bands, "lines": lines})
    return {
        "id": "tau-per-setting",
        "kind": "strip",
        "title": "Kendall tau per setting",
        "note": "A point is one run (seed); the box spans the quartiles from 5 runs on, the bar is the median. The "
        "band is the parameter count's tau on the reference's architectures: a setting inside it ranks no better than "
        "counting parameters.",
        "panels": panels,
    }


def scatters(conditions: Sequence[Condition], runs: Sequence[Run] = ()) -> Figure:
    """Score against stand-alone accuracy: one panel a run, to choose from within its condition, and one a predictor of
    every mode=evaluate run."""
    groups = [
        (
            c.label,
            [
                (run, run.score, run.ranking, f"{_setting_label(s)}, seed {run.seed}")
                for s in c.settings
                for run in s.runs
            ],
        )
        for c in conditions
    ]
    groups += [
        (f"mode=evaluate, {run.path.name}", [(run, name, table, name) for name, table in run.predictions.items()])
        for run in runs
        if run.status == COMPLETE and run.kind == "evaluation"
    ]
    panels: list[dict[str, Any]] = []
    budget, left_out = _POINTS, 0
    for group, members in groups:
        first = True
        for run, score, table, title in members:
            panel = _scatter_panel(run, score, table, title)
            if panel is None:
                continue
            size = sum(len(s["x"]) for s in panel["series"])
            size += int(np.count_nonzero(panel["density"]["counts"])) if "density" in panel else 0
            # The first panel of a group is always shown, whatever the budget.
            if not first and size > budget:
                left_out += 1
                continue
            first = False
            budget -= size
            panels.append({"group": group, **panel})
    note = "The reference is shown first; choose another run above each plot. Red: the predicted top of the set. The "
    note += "darker, the more architectures, where there are more than 2,000. In brackets: the parameter count's tau."
    if left_out:
        note += f" {left_out} more runs are not held in this page; their pictures are in the run folders (ranking.png)."
    return {
        "id": "scatter",
        "kind": "scatter",
        "title": "Super-net against stand-alone accuracy",
        "note": note,
        "choose": True,
        "panels": panels,
    }


def _scatter_panel(run: Run, score: str, table: dict[str, np.ndarray], title: str) -> dict[str, Any] | None:
    if not table:
        return None
    keep = ~(np.isnan(table["truth"]) | np.isnan(table["prediction"]))
    x, y, names = table["prediction"][keep], table["truth"][keep], table["architecture"][keep]
    if not len(x):
        return None
    tau = kendall_tau(x, y)
    percent, free = is_accuracy(score), baseline_tau(run.result)
    x, y = 100 * x if percent else x, 100 * y
    label = f"Super-net {score.replace('_', ' ')}{' (%)' if percent else ''}"
    if "(" in score:
        label = f"{score}, 0 is worst"
    beside = "" if math.isnan(free) else f" (parameters {free:.3f})"
    k = int((run.result.get("evaluated") or {}).get("top_k", 10))
    order = np.lexsort((names, -x))
    top, rest = order[:k], order[k:]
    panel: dict[str, Any] = {
        "title": f"{title}: Kendall tau {tau:.3f}{beside}, n = {len(x)}",
        "choice": title,
        "x": label,
        "y": "Stand-alone accuracy (%)",
        "tau": tau if math.isfinite(tau) else None,
        "series": [],
    }
    shown = [("architectures", rest), (f"top {len(top)}", top)]
    if len(x) > DENSE:
        panel["density"] = _density(x, y, names)
        shown = shown[1:]
    for name, index in shown:
        panel["series"].append(
            {
                "label": name,
                "x": np.round(x[index], 5).tolist(),
                "y": np.round(y[index], 5).tolist(),
                "names": names[index].tolist(),
            }
        )
    return panel


def _density(x: np.ndarray, y: np.ndarray, names: np.ndarray) -> dict[str, Any]:
    """How many of n points lie in each of 60 × 60 bins, and the name of one of them, the last in alphabetical order."""
    edges, cells = [], []
    for values in (x, y):
        edges.append(np.histogram_bin_edges(values, bins=_BINS))
        cells.append(np.clip(np.searchsorted(edges[-1], values, side="right") - 1, 0, _BINS - 1))
    counts, examples = np.zeros((_BINS, _BINS), int), np.full((_BINS, _BINS), "", dtype=object)
    np.add.at(counts, tuple(cells), 1)
    for i in np.argsort(names, kind="stable"):
        examples[cells[0][i], cells[1][i]] = str(names[i])
    return {
        "x": edges[0].round(6).tolist(),
        "y": edges[1].round(6).tolist(),
        "counts": counts.tolist(),
        "names": examples.tolist(),
    }


def _parameter_level(condition: Condition) -> list[dict[str, Any]]:
    """The parameter count's tau on the reference's architectures: what a curve of taus has to rise above."""
    taus = [tau for run in condition.reference.runs if not math.isnan(tau := baseline_tau(run.result))]
    return [{"value": float(np.mean(taus)), "label": f"parameter count {np.mean(taus):.3f}"}] if taus else []


def over_epochs(conditions: Sequence[Condition], name: str, label: str) -> Figure:
    """A measure at the evaluated epochs: median over seeds, with the range between the lowest and highest seed."""
    scale = 100 if "%" in label else 1
    panels: list[dict[str, Any]] = []
    for condition in conditions:
        series = []
        for setting in condition.settings:
            curves = []
            for run in setting.runs:
                column, epoch = run.epochs.get(f"rank/{name}"), run.epochs.get("epoch")
                if column is not None and epoch is not None:
                    known = ~(np.isnan(column) | np.isnan(epoch))
                    curves.append(dict(zip(epoch[known].tolist(), (scale * column[known]).tolist(), strict=True)))
            line = _summary_line([c for c in curves if len(c) > 1], _setting_label(setting))
            if line:
                series.append(line)
        if series:
            levels = _parameter_level(condition) if name == "kendall_tau" else []
            panels.append({"title": condition.label, "x": "Epoch", "y": label, "series": series, "levels": levels})
    return {
        "id": "epochs-" + name.replace("_", "-"),
        "kind": "lines",
        "title": f"{label.split(' (')[0]} against epochs",
        "note": "Median over seeds; the band spans all seeds. Click a name to hide or show its curve.",
        "panels": panels,
    }


def _summary_line(curves: Sequence[dict[float, float]], label: str) -> dict[str, Any] | None:
    """Median, lowest and highest at the positions that every curve has."""
    if not curves:
        return None
    common = sorted(set.intersection(*(set(c) for c in curves)))
    values = np.array([[c[x] for x in common] for c in curves])
    if not common:
        return None
    return {
        "label": f"{label} ({len(curves)})",
        "x": common,
        "y": np.median(values, axis=0).tolist(),
        "low": values.min(axis=0).tolist(),
        "high": values.max(axis=0).tolist(),
    }


def tau_against_cost(conditions: Sequence[Condition], cost: str, label: str) -> Figure:
    """Kendall tau of every run against what its training cost."""
    panels = []
    for condition in conditions:
        series = []
        for setting in condition.settings:
            points = [(_cost(run, cost), measure(run, "kendall_tau"), f"seed {run.seed}") for run in setting.runs]
            points = [p for p in points if not (math.isnan(p[0]) or math.isnan(p[1]))]
            if points:
                x, y, names = (list(column) for column in zip(*points, strict=True))
                series.append({"label": _setting_label(setting), "x": x, "y": y, "names": names})
        if series:
            levels = _parameter_level(condition)
            panels.append(
                {"title": condition.label, "x": label, "y": "Kendall tau", "series": series, "levels": levels}
            )
    return {
        "id": f"cost-{cost}",
        "kind": "scatter",
        "title": f"Kendall tau against {cost}",
        "note": "One point a run. FairNAS makes several passes a step: compare by passes as well as by epochs.",
        "panels": panels,
    }


def _cost(run: Run, cost: str) -> float:
    if cost == "seconds":
        return run.seconds
    value = (run.result.get("cost") or {}).get(cost)
    return float(value) if isinstance(value, int | float) else math.nan


def parallel_settings(conditions: Sequence[Condition]) -> Figure:
    """One line a run through its settings of the factors that vary, ending at accuracy and tau."""
    panels = []
    for condition in conditions:
        factors = sorted({f for s in condition.settings for f in s.changes})
        runs = [(s, r) for s in condition.settings for r in s.runs if not math.isnan(measure(r, "kendall_tau"))]
        if not factors or len(runs) < 2:
            continue
        axes: list[dict[str, Any]] = []
        columns: list[list[float | None]] = []
        for factor in factors:
            at_default = condition.factors.get(factor, "default")
            chosen = [s.changes.get(factor, at_default) for s, _ in runs]
            names = [at_default, *sorted({*chosen} - {at_default}, key=_numeric_first)]
            axes.append({"label": factor.replace("_", " "), "categories": names})
            columns.append([names.index(c) / max(1, len(names) - 1) for c in chosen])
        for name, label, scale in (("supernet_accuracy", "accuracy (%)", 100), ("kendall_tau", "Kendall tau", 1)):
            values = scale * np.array([measure(r, name) for _, r in runs])
            span = _span(values)
            if span is None:
                continue
            axes.append({"label": label, "range": list(span), "digits": 1 if scale == 100 else 3})
            width = span[1] - span[0] or 1.0
            columns.append(_finite((values - span[0]) / width))
        lines = [
            {
                "values": [column[i] for column in columns],
                "colour": columns[-1][i],
                "name": f"{_setting_label(s)}, seed {r.seed}: tau {measure(r, 'kendall_tau'):.3f}",
            }
            for i, (s, r) in enumerate(runs)
        ]
        panels.append({"title": condition.label, "axes": axes, "lines": lines})
    return {
        "id": "settings",
        "kind": "parallel",
        "title": "Settings of every run",
        "note": "Each line is a run; its colour is its Kendall tau, from low (blue) to high (red). Hover to see which.",
        "panels": panels,
    }


def _numeric_first(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
