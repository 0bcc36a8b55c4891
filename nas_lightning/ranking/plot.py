"""The picture of a ranking: super-net score against stand-alone accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from nas_lightning.ranking.checks import top_k_indices
from nas_lightning.ranking.correlation import kendall_tau

DENSE = 2000


def scatter(
    path: str | Path,
    supernet: ArrayLike,
    standalone: ArrayLike,
    title: str = "",
    top_k: int = 10,
    *,
    ids: Sequence[str] | None = None,
    score: str = "Super-net accuracy (%)",
) -> Path:
    """Write a PNG (or whatever the suffix of `path` says) and return its path; tau-b and n stand in the title.

    supernet, standalone: float [n], accuracies as fractions; rows where either is NaN are left out and counted in the
    title. The predicted top `top_k` are highlighted, ties broken by `ids` (by position where none are given). Above
    2,000 points density is drawn instead of points. For another score than accuracy give its axis label as `score`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    x, y = np.asarray(supernet, np.float64), np.asarray(standalone, np.float64)
    names = np.arange(len(x)) if ids is None else np.asarray(list(ids), dtype=str)
    keep = ~(np.isnan(x) | np.isnan(y))
    dropped = len(x) - int(keep.sum())
    x, y, names = x[keep], y[keep], names[keep]
    shown = 100 * x if "%" in score else x

    # A figure of its own, without pyplot: no global state, no display, safe beside other figures and threads.
    figure = Figure(figsize=(5.2, 4.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    if len(x) > DENSE:
        cells = axes.hexbin(shown, 100 * y, gridsize=70, bins="log", cmap="Blues", mincnt=1, linewidths=0.1)
        figure.colorbar(cells, ax=axes, label="architectures")
    else:
        axes.scatter(shown, 100 * y, s=18, color="#4477aa", alpha=0.6, linewidths=0, label="architectures")
    if len(x):
        top = top_k_indices(x, names, top_k)
        axes.scatter(
            shown[top], 100 * y[top], s=34, color="#cc3311", edgecolors="white", linewidths=0.6, label=f"top {len(top)}"
        )
        axes.legend(frameon=False, loc="lower right", fontsize=8)
    tau = kendall_tau(x, y)
    numbers = f"Kendall tau {tau:.3f}, n = {len(x)}" + (f" ({dropped} without truth)" if dropped else "")
    axes.set_title(f"{title}\n{numbers}" if title else numbers, fontsize=10, loc="left")
    axes.set_xlabel(score)
    axes.set_ylabel("Stand-alone accuracy (%)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.5)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
