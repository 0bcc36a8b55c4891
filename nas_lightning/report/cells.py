"""Pieces of HTML that the tables of a page are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from nas_lightning.runs.quality import Quality


def head(names: Sequence[str], text: int) -> str:
    """The heading row of a table that sorts; the first `text` columns are texts."""
    cells = (
        f'<th aria-sort="none"{" class=text" if i < text else ""}><button type="button">{escape(name)}</button></th>'
        for i, name in enumerate(names)
    )
    return f"<thead><tr>{''.join(cells)}</tr></thead>"


def cell(text: str, value: float | None = None, css: str = "", title: str = "") -> str:
    """A cell of HTML, sorted by `value` where it has one (NaN last)."""
    sort = "" if value is None else f' data-value="{"" if math.isnan(value) else repr(float(value))}"'
    more = (f' class="{css}"' if css else "") + (f' title="{escape(title)}"' if title else "")
    return f"<td{more}{sort}>{text}</td>"


def in_quality(value: float, quality: Quality, with_unit: bool) -> str:
    """A cell's text of one number of a quality; with its unit where the heading cannot say it.

    Args:
        value: as a result has it (an accuracy is a fraction), NaN where it is not known.
        quality: what it is a number of.
        with_unit: whether the column holds several qualities.
    """
    if math.isnan(value):
        return "–"
    return minus(quality.text(value) if with_unit else quality.mean_text(value))


def badge(verdict: str) -> str:
    """A verdict in its colour; nothing where there is none."""
    kind = {"helps": "helps", "hurts": "hurts", "no difference": "difference"}.get(verdict, "")
    return f'<span class="badge {kind}">{escape(verdict)}</span>' if verdict else ""


def minus(text: str) -> str:
    """Numbers with a true minus sign, as the other tables print them."""
    return text.replace("-", "−")
