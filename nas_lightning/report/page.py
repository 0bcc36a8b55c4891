"""index.html: one self-contained file with tables, interactive figures and the list of what is missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from nas_lightning.report import search_tables
from nas_lightning.report import sections as sections_of
from nas_lightning.report.figure import FORMATS, Figure, Panel
from nas_lightning.report.gap import Gap
from nas_lightning.report.look import CONFIG
from nas_lightning.report.search_curves import searches_of
from nas_lightning.report.study import Condition
from nas_lightning.runs.reading import COMPLETE, Run


def render(
    conditions: Sequence[Condition],
    runs: Sequence[Run],
    figures: Sequence[Figure],
    remarks: Sequence[str] = (),
    title: str = "",
    gaps: Sequence[Gap] = (),
    more: Sequence[tuple[str, str, str]] = (),
    formats: Sequence[str] = FORMATS,
) -> str:
    """The page as text: tables, figures, what is missing. `more` are sections (key, heading, HTML) of the caller's,
    shown first; `formats` those of the pictures beside the page."""
    sections = list(more)
    sections += [("ablation", "Ablation", sections_of.ablation(conditions))] if conditions else []
    if searches := searches_of(runs):
        sections.append(("searches", "Searches", search_tables.section(searches)))
    sections += [(f.id, f.title, sections_of.figure_place(f, formats)) for f in figures]
    if gaps:
        sections.append(("gap", "What separates tau from the ceiling", sections_of.gap_table(gaps)))
    if evaluations := [run for run in runs if run.status == COMPLETE and run.kind == "evaluation" and not more]:
        sections.append(("evaluations", "Evaluations of trained super-nets", sections_of.evaluations(evaluations)))
    if any(c.effects for c in conditions):
        sections.append(("effects", "Main effects and interactions", sections_of.effects(conditions)))
    if runs:
        sections.append(("missing", "Runs that are not complete", sections_of.missing(runs, remarks)))
        sections.append(("runs", "All complete runs", sections_of.complete(runs)))
    sections.append(("definitions", "How to read this", sections_of.definitions()))
    summary = sections_of.summary(conditions, runs) if runs else ""
    return page(title or heading(runs), summary, sections, figures)


def heading(runs: Sequence[Run]) -> str:
    """What the page is about, by the kinds of its runs."""
    kinds = {run.kind for run in runs if run.status == COMPLETE}
    if kinds == {"search"}:
        return "Architecture search: report"
    return "Super-net heuristics: ranking report" if "search" not in kinds else "Super-nets and searches: report"


def page(title: str, summary: str, sections: Sequence[tuple[str, str, str]], figures: Sequence[Figure]) -> str:
    """One self-contained HTML file: sections (key, heading, HTML), with the figures that they have a place for."""
    here = files("nas_lightning.report")
    links = "".join(f'<a href="#{key}">{escape(name)}</a>' for key, name, _ in sections)
    body = "".join(f'<section id="{key}"><h2>{escape(name)}</h2>{text}</section>' for key, name, text in sections)
    # No "<" in the data: nothing in them can end the script or open a comment in it.
    data = json.dumps(packed(figures), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    text = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{here.joinpath('page.css').read_text(encoding='utf-8')}</style></head>"
        f"<body><h1>{escape(title)}</h1>{summary}<nav>{links}</nav>{body}"
        f'<script type="application/json" id="report-data">{data}</script>'
    )
    if any(figure.panels for figure in figures):
        text += f"<script>{charts_script()}</script>"
    return f"{text}<script>{here.joinpath('page.js').read_text(encoding='utf-8')}</script></body></html>\n"


@cache
def charts_script() -> str:
    """Vega, Vega-Lite and Vega-Embed, minified: what draws the figures without a network. Bundled once a process, in
    seconds.

    Returns:
        JavaScript.
    """
    import vl_convert

    return str(vl_convert.javascript_bundle())  # type: ignore[call-arg]  # its stub lacks the default


TEXTS = ("title", "group", "choice", "note")
"""Of a panel: the page holds each text once."""


def packed(figures: Sequence[Figure]) -> dict[str, Any]:
    """Figures as the page's script reads them: specifications, texts and long columns that several panels share once.

    Args:
        figures: in the order of the page.

    Returns:
        ``config``, ``specs``, ``texts``, ``columns`` (lists, or a text of digits 0 and 1), and ``figures``, whose
        panels name the others by their numbers.
    """
    specs: dict[str, int] = {}
    columns: dict[str, int] = {}
    texts: dict[str, int] = {}
    of_chart: dict[int, int] = {}

    def spec_of(panel: Panel) -> int:
        if id(panel.chart) not in of_chart:
            text = json.dumps(panel.specification(), allow_nan=False, separators=(",", ":"))
            of_chart[id(panel.chart)] = specs.setdefault(text, len(specs))
        return of_chart[id(panel.chart)]

    def column(values: Sequence[Any]) -> list[Any] | int:
        short = [int(v) if isinstance(v, float) and v.is_integer() and abs(v) < 2**53 else v for v in values]
        if len(short) < 8:
            return short
        marks = all(type(v) is int and v in (0, 1) for v in short)  # as one text of digits
        held = "".join(map(str, short)) if marks else short
        return columns.setdefault(json.dumps(held, allow_nan=False, separators=(",", ":")), len(columns))

    def text(words: str) -> int:
        return texts.setdefault(words, len(texts))

    drawn = []
    for figure in figures:
        panels = [
            {**{key: text(getattr(p, key)) for key in TEXTS}, "spec": spec_of(p),
             "data": {name: {key: column(v) for key, v in table.items()} for name, table in p.data.items()}}
            for p in figure.panels
        ]  # fmt: skip
        drawn.append({"id": figure.id, "choose": figure.choose, "panels": panels})
    return {
        "config": CONFIG,
        "specs": [json.loads(text) for text in specs],
        "columns": [json.loads(text) for text in columns],
        "texts": list(texts),
        "figures": drawn,
    }
