"""The chart of a ranking: score against stand-alone accuracy, as values and as ranks; density above 2,000 points."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from nas_lightning.ranking.checks import top_k_indices
from nas_lightning.ranking.correlation import kendall_tau
from nas_lightning.ranking.summary import is_quality
from nas_lightning.report.figure import Columns, Panel
from nas_lightning.report.look import BLUE, HEIGHT, RED, WIDTH, finite, number, readings
from nas_lightning.runs.quality import ACCURACY, Quality

if TYPE_CHECKING:
    import altair as alt

DENSE = 2000
"""Above this many points a scatter shows how many lie in each of 60 × 60 cells."""
_BINS = 60
_OUTSIDE = 3.0


def score_label(score: str, quality: Quality = ACCURACY) -> str:
    """What the axis of a score says.

    >>> score_label("accuracy"), score_label("negative_cross_entropy"), score_label("fusion(a + b)")
    ('Super-net accuracy (%)', 'Super-net negative cross entropy', 'fusion(a + b), 0 is worst')
    """
    if "(" in score:
        return f"{score}, 0 is worst"
    if is_quality(score, quality.name):
        return f"Super-net {score.replace(quality.name, quality.label).replace('_', ' ')}"
    return f"Super-net {score.replace('_', ' ')}"


def inside(values: np.ndarray) -> np.ndarray:
    """The values with outliers moved to the edge, so that a few do not squeeze all others into a corner.

    An outlier lies more than three times the middle 90 % beyond it; the edge is a twentieth of it beyond what is left.
    """
    low, high = np.percentile(values, [5, 95])
    reach = _OUTSIDE * (high - low)
    kept = values[(values >= low - reach) & (values <= high + reach)]
    if high == low or len(kept) == len(values):
        return values
    margin = 0.05 * (kept.max() - kept.min())
    return np.clip(values, kept.min() - margin, kept.max() + margin)


def ranking_panels(
    scores: ArrayLike,
    truth: ArrayLike,
    names: Sequence[str],
    *,
    title: str,
    label: str,
    top_k: int = 10,
    group: str = "",
    beside: str = "",
    quality: Quality = ACCURACY,
) -> list[Panel]:
    """Score against stand-alone accuracy (percent), and rank against rank (1 is best), of one ranking.

    Args:
        scores: Float [n], higher is better; in the unit of the truth where `label` ends with the quality's.
        truth: Stand-alone accuracies, fractions, float [n]. Rows where either is NaN are left out and counted.
        names: The n architectures, shown under the mouse.
        title: What was ranked; tau-b and n are added.
        label: Of the axis of scores.
        top_k: The predicted best so many are red; ties go by name.
        group: Heading of panels to choose from.
        quality: What the truth is, and its unit.
        beside: Said behind tau, such as the parameter count's.

    Returns:
        Two panels; none where no row is left.
    """
    x, y = np.asarray(scores, np.float64), np.asarray(truth, np.float64)
    ids = np.asarray(list(names), dtype=str)
    keep = np.isfinite(x) & np.isfinite(y)
    dropped = len(x) - int(keep.sum())
    x, y, ids = x[keep], y[keep], ids[keep]
    if not len(x):
        return []
    tau = kendall_tau(x, y)
    said = f"Kendall tau {number(tau)}{beside}, n = {len(x)}" + (f" ({dropped} without truth)" if dropped else "")
    top = np.zeros(len(x), bool)
    top[top_k_indices(x, ids, top_k)] = True
    show = np.vectorize(quality.show, otypes=[np.float64])
    shown, reached = (show(x) if label.endswith(quality.label) else x), show(y)
    edge, ranks = inside(shown), (_ranks(x), _ranks(y))
    outside = int((edge != shown).sum())
    note = f"Outside and drawn at the edge: {outside} of {len(x)} scores." if outside else ""
    by_rank = f"Rank by {label.removesuffix(f' ({quality.unit})').replace('Super-net', 'super-net')}"
    full = f"{title}: {said}" if title else said
    return [
        Panel(full, _chart(label, f"Stand-alone {quality.label}", len(x) > DENSE, False),
              _data(edge, reached, ids, top), group=group, choice=title, note=note),
        Panel(full, _chart(by_rank, f"Rank by stand-alone {quality.title}", len(x) > DENSE, True),
              _data(*ranks, ids, top), group=group, choice=title),
    ]  # fmt: skip


def _ranks(values: np.ndarray) -> np.ndarray:
    """1 for the highest; ties share their average rank."""
    from scipy.stats import rankdata

    return rankdata(-values)


def _data(x: np.ndarray, y: np.ndarray, names: np.ndarray, top: np.ndarray) -> dict[str, Columns]:
    if len(x) <= DENSE:
        order = np.argsort(names, kind="stable")
        points = (x[order], y[order], names[order], top[order])
        return {"rows": _columns(*points)}
    return {"rows": _columns(x[top], y[top], names[top], top[top]), "cells": density(x, y, names)}


def _columns(x: np.ndarray, y: np.ndarray, names: np.ndarray, top: np.ndarray) -> Columns:
    return {"x": finite(x, 5), "y": finite(y, 5), "name": names.tolist(), "top": top.astype(int).tolist()}


def density(x: np.ndarray, y: np.ndarray, names: np.ndarray) -> Columns:
    """The occupied ones of 60 × 60 cells: edges, how many of n points lie in it, and one of them (last by name)."""
    edges, cells = [], []
    for values in (x, y):
        edges.append(np.histogram_bin_edges(values, bins=_BINS))
        cells.append(np.clip(np.searchsorted(edges[-1], values, side="right") - 1, 0, _BINS - 1))
    counts, examples = np.zeros((_BINS, _BINS), int), np.full((_BINS, _BINS), "", dtype=object)
    np.add.at(counts, tuple(cells), 1)
    for i in np.argsort(names, kind="stable"):
        examples[cells[0][i], cells[1][i]] = str(names[i])
    i, j = np.nonzero(counts)
    return {
        "x": finite(edges[0][i], 5), "x2": finite(edges[0][i + 1], 5),
        "y": finite(edges[1][j], 5), "y2": finite(edges[1][j + 1], 5),
        "count": counts[i, j].tolist(), "name": examples[i, j].tolist(),
    }  # fmt: skip


@cache
def _chart(x_label: str, y_label: str, dense: bool, ranks: bool) -> Any:
    import altair as alt

    scale: dict[str, Any] = {"zero": False, "nice": False, "reverse": ranks, "padding": 6}
    x = alt.X("x:Q", title=x_label, scale=alt.Scale(**scale))
    y = alt.Y("y:Q", title=y_label, scale=alt.Scale(**scale))
    shown = [alt.Tooltip("name:N", title="architecture"), *readings(5, x=x_label, y=y_label)]
    points: alt.Chart = alt.Chart(alt.NamedData("rows")).encode(x=x, y=y, tooltip=shown)
    best = points.transform_filter("datum.top == 1").mark_circle(size=44, color=RED, opacity=0.9)
    if not dense:
        rest = points.transform_filter("datum.top == 0").mark_circle(size=30, color=BLUE, opacity=0.55)
        return (rest + best).properties(width=WIDTH, height=HEIGHT)
    tones = alt.Scale(type="log", range=["#d9e4f0", "#163e6b"])
    cells = (
        alt.Chart(alt.NamedData("cells"))
        .mark_rect()
        .encode(
            x=x, x2="x2:Q", y=y, y2="y2:Q",
            color=alt.Color("count:Q", title="architectures", scale=tones),
            tooltip=[alt.Tooltip("count:Q", title="architectures"), alt.Tooltip("name:N", title="one of them")],
        )
    )  # fmt: skip
    return (cells + best).properties(width=WIDTH, height=HEIGHT)


def write_scatter(
    path: Any,
    scores: ArrayLike,
    truth: ArrayLike,
    names: Sequence[str],
    *,
    title: str,
    label: str,
    top_k: int = 10,
    quality: Quality = ACCURACY,
) -> Any:
    """The picture that a run leaves: score against stand-alone accuracy as a PNG at `path`; returns `path`.

    Arguments as of `ranking_panels`. A ranking without any truth gives an empty plot that says so.
    """
    from pathlib import Path

    from nas_lightning.report.figure import encoded
    from nas_lightning.runs.files import write_atomically

    panels = ranking_panels(scores, truth, names, title=title, label=label, top_k=top_k, quality=quality)
    empty = Panel(
        f"{title}: no architecture with both a score and a truth",
        _chart(label, f"Stand-alone {quality.label}", False, False),
        {"rows": _columns(*(np.empty(0),) * 2, np.empty(0, str), np.empty(0, bool))},
    )
    write_atomically(Path(path), encoded((panels or [empty])[0].whole(), Path(path).suffix[1:]))
    return Path(path)
