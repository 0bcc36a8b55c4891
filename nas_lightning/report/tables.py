"""The ablation table: factor × setting × space with its numbers, as CSV, Markdown and LaTeX.

CSV holds plain numbers (accuracies as fractions) for further work; Markdown and LaTeX hold the printed form (percent,
perplexity, or the task's own unit).
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.report.study import IN_QUALITY, MEASURES, Condition, Setting, one_quality, value_of
from nas_lightning.runs.files import write_atomically
from nas_lightning.runs.quality import Quality, items_of
from nas_lightning.runs.reading import Run

_REST = [name for name in MEASURES if name != "kendall_tau"]
_TEXT = 4  # leading columns of text; the others are numbers


def header(conditions: Sequence[Condition]) -> list[str]:
    """The headings of `row`, the answer first: what a reader scrolls to is the evidence.

    Args:
        conditions: of one table; where they are judged by several qualities, each cell bears its unit.
    """
    quality = one_quality(c.quality for c in conditions)
    own = quality.label if quality else "quality"
    named = {**MEASURES, "supernet_quality": f"super-net {own}", "final_search_performance": f"top-K {own}"}
    first = ["conditions", "factor", "setting", "verdict", "tau", "Δ tau", "95 % interval of Δ", "p (Holm)"]
    return [*first, *(named[name] for name in _REST), "seeds × archs"]


def mean_std(values: np.ndarray) -> tuple[float, float]:
    """Mean and sample standard deviation (divisor n - 1) of the defined values; nan where undefined."""
    known = values[~np.isnan(values)]
    mean = float(known.mean()) if len(known) else math.nan
    return mean, float(known.std(ddof=1)) if len(known) > 1 else math.nan


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def printed(name: str, values: np.ndarray, quality: Quality, with_unit: bool = False) -> str:
    """``mean ± std`` of a measure over seeds, in the unit that its readers expect.

    Args:
        name: a key of `nas_lightning.report.study.MEASURES`.
        values: one number a seed, float64 [seeds], NaN where it is not defined.
        quality: what the runs are judged by.
        with_unit: whether the quality's unit stands behind its numbers, where the heading cannot say it.

    >>> from nas_lightning.runs.quality import ACCURACY
    >>> printed("supernet_quality", np.array([0.5, 0.6]), ACCURACY)
    '55.0 ± 7.1'
    >>> printed("kendall_tau", np.array([0.5]), ACCURACY)
    '0.500'
    """
    mean, std = mean_std(values)
    if name not in IN_QUALITY:
        digits = 2 if name == "probability_beats_random" else 3
        text = _number(mean, digits)
        return text if math.isnan(std) else f"{text} ± {_number(std, digits)}"
    text = quality.mean_text(mean, std, 1).replace("-", "−")
    unit = quality.unit if quality.unit or quality.scale == "plain" else quality.title
    return f"{text} {unit}".rstrip() if with_unit and not math.isnan(mean) else text


def p_text(p: float) -> str:
    """A p-value as it is printed."""
    return "–" if math.isnan(p) else ("< 0.001" if p < 0.001 else f"{p:.3f}")


def row(condition: Condition, setting: Setting, with_unit: bool = False) -> list[str]:
    """One printed row, in the order of `header`; `with_unit` as `printed` takes it."""
    d, quality = setting.difference, condition.quality
    return [
        condition.label,
        setting.factor,
        setting.setting,
        setting.verdict or "–",
        printed("kendall_tau", setting.values("kendall_tau"), quality),
        "–" if d is None else f"{'+' if d.estimate > 0 else ''}{_number(d.estimate, 3)}",
        "–" if d is None else f"{_number(d.low, 3)} to {_number(d.high, 3)}",
        p_text(setting.p_holm),
        *(printed(name, setting.values(name), quality, with_unit) for name in _REST),
        setting.n,
    ]


def numbers(setting: Setting) -> list[float]:
    """What the number columns of `row` sort by."""
    d = setting.difference
    return [
        mean_std(setting.values("kendall_tau"))[0],
        d.estimate if d else math.nan,
        d.low if d else math.nan,
        setting.p_holm,
        *(mean_std(setting.values(name))[0] for name in _REST),
        float(len(setting.runs)),
    ]


def beside(condition: Condition, with_unit: bool = False) -> list[tuple[list[str], list[float]]]:
    """What every tau has to be read beside: printed rows (order of `header`) and their numbers (order of `numbers`) of
    the baselines and ceilings, mean over the runs of the baseline (of the first setting, where there is none)."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for run in condition.beside.runs:
        for name, record in (run.ranked.get("baselines") or {}).items():
            note = str(record.get("note")).split(",")[0].removesuffix(" architectures")
            fitted = "" if note == "no training" else f" ({note})"
            kind = "fitted baseline" if fitted else "free baseline"
            found.setdefault((kind, name.replace("_", " ") + fitted), []).append(record)
        for name, ceiling in (run.ranked.get("ceiling") or {}).items():
            if ceiling.get("tau") is not None:
                found.setdefault(("ceiling", name), []).append({"kendall_tau": ceiling["tau"], "n": ceiling["n"]})
    lines = []
    for (kind, name), records in found.items():
        values = {measure: np.array([value_of(record, measure) for record in records]) for measure in MEASURES}
        values = {measure: v[:1] if np.all(v == v[0]) else v for measure, v in values.items()}  # no spread to print
        sizes = " or ".join(map(str, sorted({int(record["n"]) for record in records})))
        tau = printed("kendall_tau", values["kendall_tau"], condition.quality)
        texts = [condition.label, kind, name, "–", tau, "–", "–", "–"]
        texts += [*(printed(name, values[name], condition.quality, with_unit) for name in _REST), sizes]
        plain = [mean_std(values["kendall_tau"])[0], math.nan, math.nan, math.nan]
        lines.append((texts, [*plain, *(mean_std(values[measure])[0] for measure in _REST), math.nan]))
    return lines


NO_BASELINE = "No run of the unchanged plan: nothing is compared."


def rows(condition: Condition, with_unit: bool = False) -> list[list[str]]:
    """All printed rows of a condition: the baseline, the settings, then what they have to be read beside."""
    found = [row(condition, s, with_unit) for s in condition.settings]
    return found + [texts for texts, _ in beside(condition, with_unit)]


_BESIDE = ("parameters", "macs", "depth", "linear_operation_counts")


def write_csv(path: Path, conditions: Sequence[Condition]) -> None:
    """Plain numbers, one line a setting: per measure mean, std (sample) and number of runs that define it.

    The quality with shared weights is called by its name (``supernet_accuracy_mean``); where the conditions are judged
    by several, ``supernet_quality_mean``, and a column says by which.
    """
    quality = one_quality(c.quality for c in conditions)
    several = quality is None and bool(conditions)
    own = f"supernet_{quality.name}" if quality else "supernet_quality"
    names = ["space", "dataset", *(["quality"] if several else []), "conditions", "factor", "setting", "seeds"]
    names += [f"{own if m == 'supernet_quality' else m}_{part}" for m in MEASURES for part in ("mean", "std", "n")]
    names += [
        *(f"{name}_kendall_tau" for name in _BESIDE),
        "noise_ceiling",
        "proxy_ceiling",
        "tau_low",
        "tau_high",
        "difference",
        "difference_low",
        "difference_high",
    ]
    names += ["p", "p_holm", "paired_seeds", "architectures", "verdict", "note"]
    with io.StringIO(newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        for condition in conditions:
            for s in condition.settings:
                line: list[object] = [condition.space, condition.dataset]
                line += [condition.quality.name] if several else []
                line += [condition.label, s.factor, s.setting, " ".join(map(str, s.seeds))]
                for name in MEASURES:
                    values = s.values(name)
                    line += [*mean_std(values), int((~np.isnan(values)).sum())]
                line += [mean_std(np.array([baseline_tau(r, name) for r in s.runs]))[0] for name in _BESIDE]
                line += [mean_std(np.array([_ceiling(r, kind) for r in s.runs]))[0] for kind in ("noise", "proxy")]
                line += [s.level.low, s.level.high] if s.level else [math.nan] * 2
                d = s.difference
                line += [d.estimate, d.low, d.high, d.p] if d else [math.nan] * 4
                line += [s.p_holm, d.n_seeds if d else 0, d.n_architectures if d else 0, s.verdict, s.note]
                writer.writerow("" if isinstance(v, float) and math.isnan(v) else v for v in line)
        write_atomically(path, stream.getvalue().encode())


def baseline_tau(run: Run, name: str = "parameters") -> float:
    """Kendall tau of a free baseline on the run's own architectures, NaN where the run has none."""
    return value_of((run.ranked.get("baselines") or {}).get(name) or {}, "kendall_tau")


def _ceiling(run: Run, kind: str) -> float:
    return value_of((run.ranked.get("ceiling") or {}).get(kind) or {}, "tau")


def write_markdown(path: Path, conditions: Sequence[Condition]) -> None:
    """A pipe table under a heading per condition."""
    parts = []
    columns, with_unit = header(conditions), one_quality(c.quality for c in conditions) is None
    for condition in conditions:
        parts.append(f"### {condition.label}\n\n{describe(condition)}\n")
        if condition.baseline is None:
            parts.append(f"{NO_BASELINE}\n")
        parts.append("| " + " | ".join(columns[1:]) + " |")
        parts.append("|" + "|".join(["---"] * (_TEXT - 1) + ["---:"] * (len(columns) - _TEXT)) + "|")
        cells = ([cell.replace("|", "\\|") for cell in line[1:]] for line in rows(condition, with_unit))
        parts += ["| " + " | ".join(line) + " |" for line in cells]
        parts.append("")
    write_atomically(path, "\n".join(parts).encode())


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": "$-$",
    "Δ": r"$\Delta$",
    "–": "--",
    "<": "$<$",
    ">": "$>$",
    "×": r"$\times$",
    "|": r"$|$",
}


def latex(text: str) -> str:
    """`text` with every character that LaTeX would misread escaped.

    >>> latex("50 % of a_b ± 1")
    '50 \\\\% of a\\\\_b $\\\\pm$ 1'
    """
    return "".join(_LATEX.get(c, c) for c in text)


def write_latex(path: Path, conditions: Sequence[Condition]) -> None:
    """One ``tabular`` with booktabs rules, a heading line per condition; needs ``\\usepackage{booktabs}``."""
    columns, with_unit = header(conditions)[1:], one_quality(c.quality for c in conditions) is None
    lines = [r"\begin{tabular}{" + "l" * (_TEXT - 1) + "r" * (len(columns) + 1 - _TEXT) + "}", r"\toprule"]
    lines.append(" & ".join(latex(c) for c in columns) + r" \\")
    for condition in conditions:
        lines += [r"\midrule", rf"\multicolumn{{{len(columns)}}}{{l}}{{\textbf{{{latex(condition.label)}}}}} \\"]
        lines += [" & ".join(latex(c) for c in row(condition, s, with_unit)[1:]) + r" \\" for s in condition.settings]
        if free := beside(condition, with_unit):
            lines.append(r"\addlinespace")
            lines += [" & ".join(latex(c) for c in texts[1:]) + r" \\" for texts, _ in free]
    lines += [r"\bottomrule", r"\end{tabular}", ""]
    write_atomically(path, "\n".join(lines).encode())


def describe(condition: Condition) -> str:
    """One sentence on what was evaluated, for table captions and the page."""
    about, quality = condition.about, condition.quality
    evaluations = [r.ranked.get("evaluation") or {} for s in condition.settings for r in s.runs]
    images = sorted({int(e["n_images"]) for e in evaluations if "n_images" in e})
    items = sorted({items_of(r.result) for s in condition.settings for r in s.runs})
    evaluated = [r.ranked.get("evaluated") or {} for s in condition.settings for r in s.runs]
    distances = sorted({e["sparse_threshold"] for e in evaluated if "sparse_threshold" in e})
    unit = "%" if quality.scale == "percent" else quality.points
    thresholds = [f"{quality.factor * distance:g} {unit}".rstrip() for distance in distances]
    parts = [
        f"Architectures: {about.get('architecture_set', 'not recorded')}",
        f"scored by {about.get('score', quality.name)} on {' or '.join(map(str, images)) or '?'} "
        f"{about.get('split', '?')} {items[0] if len(items) == 1 else 'items'}, batch {about.get('batch_size', '?')}",
        f"truth from {about['benchmark']}" if about.get("benchmark") else "no stand-alone table",
    ]
    if thresholds:
        parts.append(f"s-KdT threshold {' or '.join(thresholds)}")
    return "; ".join(parts) + "."
