"""What the page of a report says in tables and sentences, a function a section."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from html import escape

from nas_lightning.report.cells import badge, cell, head, in_quality, minus
from nas_lightning.report.figure import Figure
from nas_lightning.report.gap import Gap
from nas_lightning.report.look import number
from nas_lightning.report.search_curves import algorithm_of
from nas_lightning.report.study import BASELINE, Condition, Setting, one_quality, value_of
from nas_lightning.report.tables import NO_BASELINE, beside, describe, header, numbers, row
from nas_lightning.runs.changes import called
from nas_lightning.runs.labels import combined
from nas_lightning.runs.quality import items_of, scored_on
from nas_lightning.runs.reading import COMPLETE, FAILED, NOT_APPLICABLE, UNFINISHED, Run
from nas_lightning.runs.result import (
    Ablation,
    EvaluationFacts,
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


def summary(conditions: Sequence[Condition], runs: Sequence[Run]) -> str:
    """How many runs of which kind there are, and what the study decides."""
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


def ablation(conditions: Sequence[Condition]) -> str:
    """The table of settings with their differences to the baseline, a body a condition."""
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
    cells.append(cell(badge(setting.verdict), css="text"))
    level = setting.level
    interval = (
        "" if level is None else f"95 % interval over seeds and architectures: {level.low:.3f} to {level.high:.3f}"
    )
    hints = [minus(interval)] + [""] * len(printed)  # of tau itself; that of its difference has a column
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


def figure_place(figure: Figure, formats: Sequence[str]) -> str:
    """Where the page's script draws a figure, and the pictures beside it."""
    key = escape(figure.id)
    links = "".join(f'<a href="figures/{key}.{suffix}">{suffix.upper()}</a>' for suffix in formats)
    return (
        f'<p class="note">{escape(figure.note)} <span class="files">{links}</span></p>'
        f'<figure id="figure-{key}"></figure>'
    )


def effects(conditions: Sequence[Condition]) -> str:
    """Main effects and interactions of factorial sweeps."""
    lines = []
    for condition in conditions:
        for e in condition.effects:
            what = " × ".join(f"{f}: {a} → {b}" for f, a, b in e.changes)
            interval = "–" if math.isnan(e.low) else minus(f"{e.low:+.3f} to {e.high:+.3f}")
            cells = [cell(escape(condition.label), css="text"), cell(escape(what), css="text name")]
            cells.append(cell("interaction" if len(e.changes) > 1 else "main effect", css="text"))
            cells += [cell(minus(f"{e.estimate:+.3f}"), e.estimate), cell(interval, e.low)]
            cells += [cell(str(e.n_seeds), e.n_seeds), cell(str(e.matched), e.matched)]
            lines.append(f"<tr>{''.join(cells)}</tr>")
    names = ["conditions", "change", "kind", "effect on tau", "95 % interval", "seeds", "matched"]
    return (
        '<p class="note">Runs of a factorial sweep, compared within a seed with runs that differ in nothing else. An '
        "interaction is what two changes together do beyond the sum of each alone; intervals are Student's over seeds, "
        "unadjusted.</p>"
        f'<div class="scroll"><table class="sortable">{head(names, 3)}<tbody>{"".join(lines)}</tbody></table></div>'
    )


def gap_table(gaps: Sequence[Gap]) -> str:
    """What separates each tau from the ceiling."""

    def measured(value: float, text: str = "") -> str:
        return cell(text or (minus(f"{value:.3f}") if not math.isnan(value) else "not available"), value)

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


def evaluations(runs: Sequence[Run]) -> str:
    """The table of mode=evaluate runs."""
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


def missing(runs: Sequence[Run], remarks: Sequence[str]) -> str:
    """Runs that failed, are unfinished or do not apply, each with its reason."""
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


def complete(runs: Sequence[Run]) -> str:
    """Every complete run with its numbers."""
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
            cells.append(cell("–" if math.isnan(tau) else minus(f"{tau:.3f}"), tau))
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


def definitions() -> str:
    """The terms of the page, a sentence each."""
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in _DEFINITIONS.items()) + "</dl>"
