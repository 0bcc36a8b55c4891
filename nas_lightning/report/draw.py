"""The figures as pictures: PNG and SVG with matplotlib, from the same descriptions that the page draws."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

COLOURS = ("#4477aa", "#cc3311", "#228833", "#aa3377", "#ee7733", "#009988", "#997700", "#66ccee", "#555555", "#bb5566")
_ROW = 0.2  # inches of height a strip row


def write_pictures(folder: Path, figures: Sequence[dict[str, Any]]) -> list[Path]:
    """``<id>.png`` and ``<id>.svg`` of every figure; of panels to choose from, the first of each group."""
    from matplotlib import rc_context

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    # Text stays text in the SVG, and no date or random ids: the same report gives the same bytes.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "nas-lightning", "font.size": 8.5}):
        for figure in figures:
            canvas = _canvas(figure)
            for suffix, options in (("png", {"dpi": 160}), ("svg", {"metadata": {"Date": None}})):
                path = folder / f"{figure['id']}.{suffix}"
                canvas.savefig(path, bbox_inches="tight", **options)
                written.append(path)
    return written


def _canvas(figure: dict[str, Any]) -> Canvas:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    panels = figure["panels"]
    if figure.get("choose"):
        first: dict[str, dict[str, Any]] = {}
        for panel in panels:
            first.setdefault(panel["group"], panel | {"title": f"{panel['group']}\n{panel['title']}"})
        panels = list(first.values())
    strip = figure["kind"] in ("strip", "errors")
    across = 1 if figure["kind"] == "parallel" else min(3, len(panels))
    down = -(-len(panels) // across)
    height = max(2.2, 0.9 + _ROW * max(len(p["rows"]) for p in panels)) if strip else 3.4
    width = 4.6 if strip else (8.0 if figure["kind"] == "parallel" else 4.4)
    canvas = Canvas(figsize=(width * across, height * down), layout="constrained")
    FigureCanvasAgg(canvas)
    grid = canvas.subplots(down, across, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _DRAW[figure["kind"]](axes, panel)
        title = "\n".join(line for part in panel["title"].split("\n") for line in textwrap.wrap(part, 58) or [""])
        axes.set_title(title if figure["kind"] == "errors" else panel["title"], loc="left", fontsize=9)
        if strip:
            axes.set_ylim(max(len(p["rows"]) for p in panels) - 0.4, -0.6)  # rows of one height in all panels
        axes.spines[["top", "right"]].set_visible(False)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_axis_off()
    return canvas


def _strip(axes: Axes, panel: dict[str, Any]) -> None:
    rows = panel["rows"]
    for band in panel["bands"]:
        axes.axvspan(band["low"], band["high"], color="#e8c468", alpha=0.35, linewidth=0)
    for line, style in zip(panel["lines"], ("-", "--", ":"), strict=False):
        axes.axvline(line["value"], color="#8a6d1f", linewidth=0.9, linestyle=style)
    notes = [f"band: {band['label']}" for band in panel["bands"]] + [line["label"] for line in panel["lines"]]
    groups = list(dict.fromkeys(row["group"] for row in rows))
    for i, row in enumerate(rows):
        values = np.array(row["values"], float)
        colour = COLOURS[groups.index(row["group"]) % len(COLOURS)]
        if len(values) >= 5:
            axes.boxplot(
                [values],
                positions=[i],
                orientation="horizontal",
                widths=0.6,
                showfliers=False,
                whis=(0, 100),
                boxprops={"color": colour, "linewidth": 0.7},
                whiskerprops={"color": colour, "linewidth": 0.7},
                capprops={"linewidth": 0},
                medianprops={"color": "black", "linewidth": 1.3},
            )
        else:
            axes.plot([np.median(values)] * 2, [i - 0.3, i + 0.3], color="black", linewidth=1.3)
        axes.scatter(values, np.full(len(values), i), s=11, color=colour, alpha=0.75, linewidths=0, zorder=3)
    labels = [r["label"] if r["group"] == "reference" else f"{r['group']}: {r['label']}" for r in rows]
    axes.set_yticks(range(len(rows)), [_cut(label) for label in labels], fontsize=7)
    axes.set_xlabel("\n".join([panel["x"], *notes]), fontsize=7.5)
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)


def _legend(axes: Axes) -> None:
    """Beneath the plot, where it hides nothing."""
    names = axes.get_legend_handles_labels()[1]
    columns = 2 if len(names) > 2 and max(map(len, names)) < 26 else 1 if len(names) > 2 else 2
    axes.legend(
        frameon=False, fontsize=7, ncols=columns, loc="upper left", bbox_to_anchor=(-0.02, -0.22), borderaxespad=0
    )


def _levels(axes: Axes, panel: dict[str, Any]) -> None:
    for level in panel.get("levels", ()):
        axes.axhline(level["value"], color="#8a6d1f", linewidth=0.9, linestyle="--", label=level["label"])


def _scatter(axes: Axes, panel: dict[str, Any]) -> None:
    from matplotlib.colors import LogNorm

    density = panel.get("density")
    if density:
        counts = np.array(density["counts"], float).T
        mesh = axes.pcolormesh(
            density["x"],
            density["y"],
            np.where(counts > 0, counts, np.nan),
            cmap="Blues",
            norm=LogNorm(),
            rasterized=True,
        )
        axes.figure.colorbar(mesh, ax=axes, label="architectures")
    _levels(axes, panel)
    many = len(panel["series"]) > 12
    for i, series in enumerate(panel["series"]):
        colour = COLOURS[(i + bool(density)) % len(COLOURS)]
        axes.scatter(series["x"], series["y"], s=13, color=colour, alpha=0.7, linewidths=0, label=_cut(series["label"]))
    axes.set_xlabel(panel["x"])
    axes.set_ylabel(panel["y"])
    axes.grid(alpha=0.25, linewidth=0.5)
    if not many:
        _legend(axes)


def _lines(axes: Axes, panel: dict[str, Any]) -> None:
    from matplotlib.ticker import MaxNLocator

    step: Literal["post"] | None = "post" if panel.get("step") else None
    _levels(axes, panel)
    for i, series in enumerate(panel["series"]):
        colour, x = COLOURS[i % len(COLOURS)], series["x"]
        axes.fill_between(x, series["low"], series["high"], color=colour, alpha=0.15, linewidth=0, step=step)
        (line,) = axes.plot(x, series["y"], color=colour, linewidth=1.2, label=_cut(series["label"]))
        if step:
            line.set_drawstyle("steps-post")
    axes.set_xlabel(panel["x"])
    axes.set_ylabel(panel["y"])
    axes.grid(alpha=0.25, linewidth=0.5)
    if all(float(x).is_integer() for series in panel["series"] for x in series["x"]):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # epochs and evaluations have no halves
    if len(panel["series"]) <= 12:
        _legend(axes)


def _parallel(axes: Axes, panel: dict[str, Any]) -> None:
    from matplotlib import colormaps
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.0, foreground="white")]  # names stay legible on the lines
    colours = colormaps["coolwarm"]
    positions = [float(i) for i in range(len(panel["axes"]))]
    for line in panel["lines"]:
        values = [np.nan if v is None else v for v in line["values"]]
        colour = "#999999" if line["colour"] is None else colours(line["colour"])
        axes.plot(positions, values, color=colour, alpha=0.55, linewidth=0.9)
    for x, axis in zip(positions, panel["axes"], strict=True):
        axes.axvline(x, color="#bbbbbb", linewidth=0.6, zorder=0)
        names = axis.get("categories") or [f"{v:.{axis['digits']}f}" for v in axis["range"]]
        for i, name in enumerate(names):
            y = i / max(1, len(names) - 1)
            axes.text(x + 0.03, y, _cut(name, 16), fontsize=6, va="center", path_effects=halo, zorder=4)
    axes.set_xticks(positions, [axis["label"] for axis in panel["axes"]], fontsize=7, rotation=25, ha="right")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _gap(label: str) -> str:
    return " " if label.startswith("×") else ": "


def _errors(axes: Axes, panel: dict[str, Any]) -> None:
    groups = list(dict.fromkeys(row["group"] for row in panel["rows"]))
    for i, row in enumerate(panel["rows"]):
        colour = COLOURS[groups.index(row["group"]) % len(COLOURS)]
        axes.barh(i, row["q75"] - row["q25"], left=row["q25"], height=0.62, color=colour, alpha=0.22, linewidth=0)
        axes.plot([row["low"], row["high"]], [i, i], color=colour, linewidth=1.6)
        axes.plot([row["mean"]], [i], "o", color=colour, markersize=4)
    axes.axvline(0, color="#555555", linewidth=0.8)
    labels = [_cut(f"{row['group']}{_gap(row['label'])}{row['label']} (n = {row['n']})", 56) for row in panel["rows"]]
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set_xlabel("\n".join([panel["x"], *textwrap.wrap(panel["note"], 76)]), fontsize=7.5)
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)


_DRAW = {"strip": _strip, "scatter": _scatter, "lines": _lines, "parallel": _parallel, "errors": _errors}


def _cut(text: str, length: int = 44) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
