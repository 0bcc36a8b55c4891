"""One look for all pictures of the project: colours, sizes, fonts, and the few helpers that every chart uses."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

INK, SOFT, GRID, GREY = "#1d2430", "#5b6675", "#e8ebef", "#c3c9d1"
BLUE, RED, GREEN, GOLD = "#4477aa", "#cc3311", "#228833", "#8a6d1f"
SERIES = (BLUE, RED, GREEN, "#aa3377", "#ee7733", "#009988", "#997700", "#66ccee")
"""Colours of up to eight series (Paul Tol's bright and vibrant schemes): no chart repeats one."""
VERDICTS = {"helps": GREEN, "hurts": RED, "no difference": BLUE, "not decided": "#8a94a1"}

SHORT_NUMBERS = "format(datum.value, abs(datum.value) < 1000 ? '~g' : '~s')"
"""Labels of an axis: 20k for 20,000, and 0.2 as it is (a prefix would make it 200m)."""
WIDTH, HEIGHT = 350, 260
"""Pixels of a chart's plotting area; the page narrows it where the screen is narrower."""
ROW = 16
"""Pixels of one row of a chart of rows."""

CONFIG: dict[str, Any] = {
    "background": "white",
    "font": "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif",
    "view": {"stroke": None},
    "title": {"anchor": "start", "frame": "group", "fontSize": 12.5, "fontWeight": 600, "color": INK, "offset": 8,
              "subtitleFontSize": 11, "subtitleColor": SOFT, "subtitlePadding": 3},
    "axis": {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "labelColor": SOFT,
             "titleColor": INK, "gridColor": GRID, "domainColor": "#9aa4b1", "tickColor": "#9aa4b1", "labelLimit": 260,
             "titlePadding": 8, "titleLimit": 400},
    "axisQuantitative": {"labelFlush": False, "labelOverlap": True, "labelSeparation": 4},
    "axisY": {"domain": False, "ticks": False},
    "legend": {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "labelLimit": 220},
    "text": {"fontSize": 11, "color": INK},
    "range": {"category": list(SERIES)},
    "concat": {"spacing": 34},
}  # fmt: skip
"""Vega-Lite's `config`, the same for the page and for pictures."""


def wrapped(text: str, width: int = 62) -> list[str]:
    """Lines of at most `width` characters: a title that never runs into its neighbour's."""
    return [line for part in text.split("\n") for line in textwrap.wrap(part, width, break_on_hyphens=False) or [""]]


def cut(text: str, length: int = 44) -> str:
    """`text`, shortened to `length` characters with an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign, a true minus; a dash where it is not defined.

    >>> signed(-0.5), signed(0.25, 1), signed(float("nan"))
    ('−0.500', '+0.2', '–')
    """
    return "–" if math.isnan(value) else f"{value:+.{digits}f}".replace("-", "−")


def number(value: float, digits: int = 3) -> str:
    """The same without a plus sign."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def finite(values: Iterable[float], digits: int | None = None) -> list[float | None]:
    """JSON's numbers: what is not finite becomes None; rounded to `digits` significant digits."""
    rounded = (v if digits is None or not math.isfinite(v) else float(f"{v:.{digits}g}") for v in map(float, values))
    return [v if math.isfinite(v) else None for v in rounded]


def span(values: Sequence[float], pad: float = 0.04) -> list[float]:
    """An axis from the lowest to the highest finite value with a margin; never of no extent."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if low == high:
        low, high = low - (abs(low) * 0.05 or 0.5), high + (abs(high) * 0.05 or 0.5)
    margin = (high - low) * pad
    return [low - margin, high + margin]


def spread(positions: Sequence[float], distance: float) -> list[float]:
    """The positions moved apart until neighbours are `distance` apart, in the same order, as a block about their mean.

    >>> spread([0.0, 0.1, 5.0], 1.0)
    [-0.45, 0.55, 5.0]
    """
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    blocks: list[list[float]] = []  # [sum of wished starts, size]
    for k, i in enumerate(order):
        del k
        blocks.append([positions[i], 1])
        while len(blocks) > 1:
            (before, m), (last, n) = blocks[-2:]
            if before / m + (m + n) / 2 * distance <= last / n:
                break
            blocks[-2:] = [[before + last, m + n]]
    placed = [total / size + (k - (size - 1) / 2) * distance for total, size in blocks for k in range(int(size))]
    found = [0.0] * len(positions)
    for i, position in zip(order, placed, strict=True):
        found[i] = round(position, 12)
    return found


def readings(digits: int = 4, /, **titles: str) -> list[Any]:
    """Tooltips of number columns by their titles: ``readings(x="Epoch", y="tau")``."""
    import altair as alt

    return [alt.Tooltip(f"{name}:Q", title=title, format=f".{digits}~g") for name, title in titles.items()]
