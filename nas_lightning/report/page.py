"""index.html: one self-contained file with tables, interactive figures and the list of what is missing."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from nas_lightning.report.figure import FORMATS, Figure, Panel
from nas_lightning.report.gap import Gap
from nas_lightning.report.look import CONFIG, number
from nas_lightning.report.search_curves import algorithm_of, searches_of
from nas_lightning.report.study import BASELINE, Condition, Setting, one_quality, value_of
from nas_lightning.report.tables import NO_BASELINE, beside, describe, header, numbers, row
from nas_lightning.runs.changes import called
from nas_lightning.runs.labels import combined
from nas_lightning.runs.quality import Quality, items_of, scored_on
from nas_lightning.runs.reading import COMPLETE, FAILED, NOT_APPLICABLE, UNFINISHED, Run
from nas_lightning.runs.result import (
    Ablation,
    Best,
    Chance,
    Cost,
    EvaluationFacts,
    Found,
    ObjectiveFacts,
    SearchBaselines,
)

_DEFINITIONS = {
    "Kendall tau": "tau-b between super-net score and stand-alone quality over the evaluated architectures.",
    "s-KdT": "Sparse Kendall tau, reference definition: truths closer than the threshold do not count as ordered.",
    "top-K": "Final search performance: mean stand-alone quality of the super-net's top K architectures.",
    "P > R": "Probability that the best of the top K beats the best of n random draws from the table.",
    "Δ tau": "Mean over seeds of the setting's tau minus the baseline's (the unchanged plan's) at the same seed, which "
    "draws the same batches and paths; its interval is a hierarchical bootstrap (seeds outer, architectures inner), "
    "not adjusted.",
    "p (Holm)": "Two-sided bootstrap p-value, adjusted by Holm over all settings and conditions of the factor.",
    "verdict": "helps or hurts where the adjusted p is below 0.05, else no difference at this n; with fewer than 5 "
    "seeds nothing is decided.",
    "± ": "Standard deviation over seeds (divisor n − 1).",
    "noise ceiling": "tau between the means of two random halves of the table's seeds: what a repetition of the ground "
    "truth itself would reach.",
}


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
    sections += [("ablation", "Ablation", _ablation(conditions))] if conditions else []
    if searches := searches_of(runs):
        sections.append(("searches", "Searches", _searches(searches)))
    sections += [(f.id, f.title, _figure(f, formats)) for f in figures]
    if gaps:
        sections.append(("gap", "What separates tau from the ceiling", _gap(gaps)))
    if evaluations := [run for run in runs if run.status == COMPLETE and run.kind == "evaluation" and not more]:
        sections.append(("evaluations", "Evaluations of trained super-nets", _evaluations(evaluations)))
    if any(c.effects for c in conditions):
        sections.append(("effects", "Main effects and interactions", _effects(conditions)))
    if runs:
        sections.append(("missing", "Runs that are not complete", _missing(runs, remarks)))
        sections.append(("runs", "All complete runs", _complete(runs)))
    sections.append(("definitions", "How to read this", _definitions()))
    summary = _summary(conditions, runs) if runs else ""
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


def _summary(conditions: Sequence[Condition], runs: Sequence[Run]) -> str:
    status = Counter(run.status for run in runs)
    verdicts = Counter(s.verdict for c in conditions for s in c.settings if s.verdict)
    undecided = sum(n for v, n in verdicts.items() if v.startswith("not decided"))
    tiles = [(status[COMPLETE], "runs complete"), (status[FAILED], "failed"), (status[UNFINISHED], "unfinished"),
             (status[NOT_APPLICABLE], "not applicable")]  # fmt: skip
    if verdicts:
        tiles += [(verdicts["helps"], "settings help"), (verdicts["hurts"], "hurt"),
                  (verdicts["no difference"], "no difference"), (undecided, "not decided")]  # fmt: skip
    shown = "".join(
        f'<div class="tile"><b>{n}</b><span>{label}</span></div>' for n, label in tiles if n or label == "runs complete"
    )
    without = [c for c in conditions if c.baseline is None and len(c.settings) > 1]
    said = ""
    if without:
        which = "This study" if len(without) == len(conditions) else ", ".join(c.label for c in without)
        said = (
            f'<p class="first">{escape(which)} has no baseline: no run of the unchanged plan, so that its settings are '
            "compared with nothing. Add one with <code>ablation=baseline</code>.</p>"
        )
    entries = [f"<p><b>{escape(c.label)}.</b> {escape(describe(c))}</p>" for c in conditions]
    about = "".join(entries)
    if len(entries) > 4:
        several = f"{len(entries)} conditions, which are not compared with each other"
        about = f"<details><summary>{several}</summary>{about}</details>"
    return f'{said}<div class="tiles">{shown}</div>{about}'


def _badge(verdict: str) -> str:
    kind = {"helps": "helps", "hurts": "hurts", "no difference": "difference"}.get(verdict, "")
    return f'<span class="badge {kind}">{escape(verdict)}</span>' if verdict else ""


def head(names: Sequence[str], text: int) -> str:
    """The heading row of a table that sorts; the first `text` columns are texts."""
    cells = (
        f'<th aria-sort="none"{" class=text" if i < text else ""}><button type="button">{escape(name)}</button></th>'
        for i, name in enumerate(names)
    )
    return f"<thead><tr>{''.join(cells)}</tr></thead>"


def _minus(text: str) -> str:
    """Numbers with a true minus sign, as the other tables print them."""
    return text.replace("-", "−")


def cell(text: str, value: float | None = None, css: str = "", title: str = "") -> str:
    """A cell of HTML, sorted by `value` where it has one (NaN last)."""
    sort = "" if value is None else f' data-value="{"" if math.isnan(value) else repr(float(value))}"'
    more = (f' class="{css}"' if css else "") + (f' title="{escape(title)}"' if title else "")
    return f"<td{more}{sort}>{text}</td>"


def _ablation(conditions: Sequence[Condition]) -> str:
    bodies = []
    columns = header(conditions)[1:]
    mixed = one_quality(c.quality for c in conditions) is None
    for c in conditions:
        lines = [*(_ablation_row(c, s, mixed) for s in c.settings), *_beside_rows(c, mixed)]
        title = escape(c.label) + ("" if c.baseline is not None or len(c.settings) < 2 else f" <i>{NO_BASELINE}</i>")
        above = ""
        if len(conditions) > 1 or c.baseline is None:
            above = f'<tr class="group"><th colspan="{len(columns)}">{title}</th></tr>'
        bodies.append(f"<tbody>{above}{''.join(lines)}</tbody>")
    notes = [f"{c.label}, {s.name}: {s.note}." for c in conditions for s in c.settings if s.note]
    note = "".join(f'<p class="note">{escape(line)}</p>' for line in notes)
    compared = "Every setting by what it changes"
    if any(c.baseline is not None for c in conditions):
        compared = "Each setting against the baseline of its conditions (shaded), the unchanged plan"
    return (
        f'<p class="note">{compared}; in italics, on the same architectures, what costs little or nothing, and the '
        "ceilings. Click a heading to sort descending, ascending, and back.</p>"
        '<div class="tools"><input data-table="ablation-table" type="search" placeholder="Filter rows" '
        'aria-label="Filter rows"><span class="files"><a href="ablation.csv">CSV</a><a href="ablation.md">Markdown</a>'
        '<a href="ablation.tex">LaTeX</a></span></div>'
        f'<div class="scroll"><table class="sortable" id="ablation-table">{head(columns, 3)}{"".join(bodies)}</table>'
        f"</div>{note}"
    )


def _ablation_row(condition: Condition, setting: Setting, with_unit: bool) -> str:
    printed = row(condition, setting, with_unit)[1:]
    cells = [cell(escape(text), css="text name" if i == 1 else "text") for i, text in enumerate(printed[:2])]
    cells.append(cell(_badge(setting.verdict), css="text"))
    level = setting.level
    interval = (
        "" if level is None else f"95 % interval over seeds and architectures: {level.low:.3f} to {level.high:.3f}"
    )
    hints = [_minus(interval)] + [""] * len(printed)  # of tau itself; that of its difference has a column
    cells += [
        cell(escape(text), value, title=hint)
        for text, value, hint in zip(printed[3:], numbers(setting), hints, strict=False)
    ]
    return f"<tr{' class=reference' if not setting.changes else ''}>{''.join(cells)}</tr>"


def _beside_rows(condition: Condition, with_unit: bool) -> list[str]:
    lines = []
    for texts, values in beside(condition, with_unit):
        cells = [cell(escape(text), css="text name" if i == 1 else "text") for i, text in enumerate(texts[1:3])]
        cells.append(cell("", css="text"))
        cells += [cell(escape(text), value) for text, value in zip(texts[4:], values, strict=True)]
        lines.append(f"<tr class=beside>{''.join(cells)}</tr>")
    return lines


def in_quality(value: float, quality: Quality, with_unit: bool) -> str:
    """A cell's text of one number of a quality; with its unit where the heading cannot say it.

    Args:
        value: as a result has it (an accuracy is a fraction), NaN where it is not known.
        quality: what it is a number of.
        with_unit: whether the column holds several qualities.
    """
    if math.isnan(value):
        return "–"
    return _minus(quality.text(value) if with_unit else quality.mean_text(value))


def _searches(runs: Sequence[Run]) -> str:
    quality, lines = one_quality(run.quality for run in runs), []
    for run in runs:
        found = (run.searched.get("metrics") or Found()).get("found") or Best()
        cost, objective = run.searched.get("cost") or Cost(), run.searched.get("objective") or ObjectiveFacts()
        baselines = run.searched.get("baselines") or SearchBaselines()
        random = (baselines.get("random_search_equal_budget") or Chance()).get("found") or {}
        truth, spent, blind = value_of(found, "truth"), value_of(cost, "spent"), value_of(random, "mean")
        texts = (
            algorithm_of(run),
            f"{run.result['space']} on {run.result['dataset']}",
            str(objective.get("name") or ""),
        )
        cells = [*(cell(escape(t), css="text") for t in texts), cell(str(run.seed), run.seed)]
        cells.append(
            cell(f"{'–' if math.isnan(spent) else f'{spent:,.6g}'} {escape(str(cost.get('unit') or ''))}", spent)
        )
        cells += [cell(escape(in_quality(v, run.quality, quality is None)), v) for v in (truth, blind)]
        cells.append(cell(escape(found.get("architecture") or ""), css="text wrap"))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    unit = f" ({quality.unit})" if quality and quality.unit else ""
    names = ["algorithm", "problem", "objective", "seed", "spent", f"found{unit}", f"random search{unit}"]
    return (
        f'<p class="note">Found: stand-alone {escape(quality.title if quality else "quality")} of the best by the '
        "objective; beside it what random search finds with the same budget, mean over its seeds.</p>"
        f'<div class="scroll"><table class="sortable" id="searches-table">{head([*names, "architecture"], 3)}'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _figure(figure: Figure, formats: Sequence[str]) -> str:
    key = escape(figure.id)
    links = "".join(f'<a href="figures/{key}.{suffix}">{suffix.upper()}</a>' for suffix in formats)
    return (
        f'<p class="note">{escape(figure.note)} <span class="files">{links}</span></p>'
        f'<figure id="figure-{key}"></figure>'
    )


def _effects(conditions: Sequence[Condition]) -> str:
    lines = []
    for condition in conditions:
        for e in condition.effects:
            what = " × ".join(f"{f}: {a} → {b}" for f, a, b in e.changes)
            interval = "–" if math.isnan(e.low) else _minus(f"{e.low:+.3f} to {e.high:+.3f}")
            cells = [cell(escape(condition.label), css="text"), cell(escape(what), css="text name")]
            cells.append(cell("interaction" if len(e.changes) > 1 else "main effect", css="text"))
            cells += [cell(_minus(f"{e.estimate:+.3f}"), e.estimate), cell(interval, e.low)]
            cells += [cell(str(e.n_seeds), e.n_seeds), cell(str(e.matched), e.matched)]
            lines.append(f"<tr>{''.join(cells)}</tr>")
    names = ["conditions", "change", "kind", "effect on tau", "95 % interval", "seeds", "matched"]
    return (
        '<p class="note">Runs of a factorial sweep, compared within a seed with runs that differ in nothing else. An '
        "interaction is what two changes together do beyond the sum of each alone; intervals are Student's over seeds, "
        "unadjusted.</p>"
        f'<div class="scroll"><table class="sortable">{head(names, 3)}<tbody>{"".join(lines)}</tbody></table></div>'
    )


def _gap(gaps: Sequence[Gap]) -> str:
    def measured(value: float, text: str = "") -> str:
        return cell(text or (_minus(f"{value:.3f}") if not math.isnan(value) else "not available"), value)

    lines = []
    for g in gaps:
        cells = [cell(escape(text), css="text") for text in (g.conditions, g.factor)]
        cells.append(cell(escape(g.setting), css="text name"))
        cells += [measured(v) for v in (g.tau, g.seed_to_seed, g.repeated_scoring, g.tau_averaged)]
        cells.append(
            measured(g.ceiling, "" if math.isnan(g.ceiling) else f"{g.ceiling:.3f} ({g.ceiling_kind.split()[0]})")
        )
        cells += [measured(g.by_seeds), measured(g.left), cell(f"{g.seeds} × {g.architectures}", g.seeds)]
        lines.append(f"<tr{' class=reference' if g.factor == BASELINE else ''}>{''.join(cells)}</tr>")
    names = ["conditions", "factor", "setting", "tau, one seed", "seed to seed", "repeated scoring"]
    names += ["tau, seeds averaged", "ceiling", "gap: by seeds", "gap: left", "seeds × archs"]
    return (
        '<p class="note">Settings with several seeds. Seed to seed: tau between the scores of two seeds. Repeated '
        "scoring: tau between the scores and a redraw of them on as many images (binomial, hence cautious; accuracies "
        "only). Gap by seeds: what averaging the seeds' ranks gains. Gap left: from there to the ceiling (noise: the "
        "table's own seeds, proxy: validation against test), mis-ranked alike by all seeds. "
        '<span class="files"><a href="gap.csv">CSV</a></span></p>'
        f'<div class="scroll"><table class="sortable" id="gap-table">{head(names, 3)}<tbody>{"".join(lines)}</tbody>'
        "</table></div>"
    )


def _evaluations(runs: Sequence[Run]) -> str:
    quality, lines = one_quality(run.quality for run in runs), []
    for run in runs:
        evaluation = run.ranked.get("evaluation") or EvaluationFacts()
        conditions = (
            f"{evaluation.get('architecture_set', '?')}, {scored_on(evaluation, items_of(run.result))}, "
            f"{evaluation.get('precision', '32-true')}"
        )
        for records in (run.ranked.get("metrics"), run.ranked.get("baselines")):
            for name, record in (records or {}).items():
                if "kendall_tau" not in record:
                    continue
                interval = record.get("kendall_tau_interval") or {}
                tau, top = value_of(record, "kendall_tau"), value_of(record, "kendall_tau_top10pct")
                low, high = value_of(interval, "low"), value_of(interval, "high")
                best = value_of(record, "final_search_performance")
                texts = (str(run.result["space"]), conditions, name.replace("_", " "))
                cells = [cell(escape(t), css="text wrap" if i else "text") for i, t in enumerate(texts)]
                cells.append(cell(number(tau), tau))
                cells.append(cell("–" if math.isnan(low) else f"{number(low)} to {number(high)}", low))
                cells.append(cell(number(top), top))
                cells.append(cell(escape(in_quality(best, run.quality, quality is None)), best))
                cells.append(cell(str(record["n"]), record["n"]))
                lines.append(f"<tr>{''.join(cells)}</tr>")
    own = f"top-K {quality.label if quality else 'quality'}"
    names = ["space", "conditions", "predictor", "tau", "95 % interval", "tau top 10 %", own, "archs"]
    return (
        '<p class="note">Runs of mode=evaluate: every predictor under its own name, fusions and free baselines too.</p>'
        f'<div class="scroll"><table class="sortable" id="evaluations-table">{head(names, 3)}'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _missing(runs: Sequence[Run], remarks: Sequence[str]) -> str:
    lines = []
    for run in runs:
        if run.status != COMPLETE:
            ablation = run.trained.get("ablation") or Ablation()
            what = f"{ablation.get('factor')}: {ablation.get('setting')}" if ablation else ""
            badge = f'<span class="badge {escape(run.status)}">{escape(run.status)}</span>'
            cells = [cell(badge, css="text"), cell(escape(run.shown), css="text wrap")]
            cells += [cell(escape(str(run.result.get("space", ""))), css="text"), cell(escape(what), css="text")]
            cells.append(cell(escape(run.reason), css="text wrap"))
            lines.append(f"<tr>{''.join(cells)}</tr>")
    extra = "".join(f'<p class="note">{escape(remark)}.</p>' for remark in remarks)
    if not lines:
        return f'<p class="note">Every run found is complete.</p>{extra}'
    heading_row = head(["status", "folder", "space", "setting", "reason"], 5)
    return (
        f'<div class="scroll"><table class="sortable">{heading_row}<tbody>{"".join(lines)}</tbody></table></div>{extra}'
    )


def _complete(runs: Sequence[Run]) -> str:
    lines = []
    for run in runs:
        if run.status == COMPLETE:
            tau = value_of(run.record, "kendall_tau") if run.kind in ("train", "evaluation") else math.nan
            texts = (
                run.kind,
                _called(run),
                str(run.result["space"]),
                str(run.result["dataset"]),
                str(run.result["run_hash"]),
            )
            cells = [cell(escape(run.shown), css="text wrap"), *(cell(escape(t), css="text") for t in texts)]
            cells.append(cell(str(run.seed), run.seed))
            cells.append(cell("–" if math.isnan(tau) else _minus(f"{tau:.3f}"), tau))
            cells.append(cell("–" if math.isnan(run.seconds) else f"{run.seconds:,.0f}", run.seconds))
            lines.append(f"<tr>{''.join(cells)}</tr>")
    heading_row = head(
        ["folder", "kind", "changes", "space", "data set", "run hash", "seed", "Kendall tau", "seconds"], 6
    )
    return f'<div class="scroll"><table class="sortable">{heading_row}<tbody>{"".join(lines)}</tbody></table></div>'


def _called(run: Run) -> str:
    """What a training changes, what a search searches with."""
    if run.kind == "train":
        return combined(called(run)) or BASELINE
    return algorithm_of(run) if run.kind == "search" else ""


def _definitions() -> str:
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in _DEFINITIONS.items()) + "</dl>"
