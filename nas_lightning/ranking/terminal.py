"""The table that a run ends with: the super-net's scores beside what costs nothing, under the ceiling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nas_lightning.ranking.fusion import FUSION
from nas_lightning.runs.quality import ACCURACY, Quality, items_of, quality_of, scored_on

if TYPE_CHECKING:
    from rich.console import Console


def render_table(
    summary: Mapping[str, Any],
    console: Console | None = None,
    *,
    title: str = "Ranking",
    evaluation: Mapping[str, Any] | None = None,
    seeds: str | None = None,
    owner: str = "super-net",
) -> None:
    """Print the record of an evaluation as one table with its conditions beneath.

    Args:
        summary: of `nas_lightning.ranking.summary.summarize`.
        console: of rich; None prints to the standard output.
        title: of the table.
        evaluation: block of result.json: architecture_set, split, n_images, batch_size, batch_norm.
        seeds: which seeds of the super-net the scores come from.
        owner: whose scores they are; empty for those of files.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    evaluated, quality = summary["evaluated"], quality_of(summary)
    console = console or Console()
    wide = console.width >= 100
    # 80 columns hold the names and seven numbers only without padding, Spearman and n (n stands beneath then).
    padding = (0, 1, 0, 0) if wide else 0
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=padding, title_style="bold")
    table.add_column("predictor", max_width=_NAME_WIDTH)  # names of fusions are as long as their members
    top = f"top-{evaluated['top_k']}\n{quality.title} {quality.unit}".rstrip()
    for name in (
        "Kendall\ntau",
        "95 %\ninterval",
        "s-KdT",
        "Spearman",
        "tau top\n10 %",
        top,
        "P > R" if wide else "P>R",
        "n",
    ):
        if wide or name not in ("Spearman", "n"):
            table.add_column(name, justify="right", no_wrap=True)
    columns = (evaluation or {}).get("predictors", {})
    for name, record in summary["metrics"].items():
        # A predictor whose column bears its own name looks at no super-net.
        said = name.replace("_", " ") if columns.get(name) == name else _predictor_name(name, owner)
        table.add_row(said, *_cells(record, wide, quality), style="bold")
    table.add_section()
    for name, record in summary["baselines"].items():
        table.add_row(name.replace("_", " "), *_cells(record, wide, quality))
    noise, proxy = summary["ceiling"]["noise"], summary["ceiling"]["proxy"]
    table.add_section()
    table.add_row("noise ceiling", _number(noise.get("tau"), 3), style="dim")
    if proxy.get("tau") is not None:
        table.add_row("proxy ceiling", _number(proxy.get("tau"), 3), style="dim")

    console.print(table)
    for line in _conditions(summary, evaluation or {}, seeds):
        console.print(line, highlight=False, style="dim")


_NAME_WIDTH = 24


def _predictor_name(name: str, owner: str) -> str:
    """``accuracy`` and ``seed1 accuracy`` are scores of super-nets, ``fusion(…)`` stands for itself."""
    return name if name.startswith(FUSION) or not owner else f"{owner} {_score_name(name)}"


def _score_name(name: str) -> str:
    return name.replace("negative_", "−").replace("_", "-" if name == "negative_cross_entropy" else " ")


def _cells(record: Mapping[str, Any], wide: bool, quality: Quality) -> list[str]:
    interval, found = record["kendall_tau_interval"], record["final_search_performance"]
    random = record["probability_beats_random"]
    return [
        _number(record["kendall_tau"], 3),
        "–" if interval["low"] is None else f"{interval['low']:.2f},{interval['high']:.2f}",
        _number(record["sparse_kendall_tau"], 3),
        *([_number(record["spearman"], 3)] if wide else []),
        _number(record["kendall_tau_top10pct"], 2),
        "–" if found["mean"] is None else quality.mean_text(found["mean"], found["std"]),
        "–" if random is None else _number(random["probability"], 2),
        *([str(record["n"])] if wide else []),
    ]


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _conditions(summary: Mapping[str, Any], evaluation: Mapping[str, Any], seeds: str | None) -> list[str]:
    evaluated, noise, quality = summary["evaluated"], summary["ceiling"]["noise"], quality_of(summary)
    lines = []
    if evaluation:
        scored = (
            f"Scored: {evaluation['n_architectures']} architectures of {evaluation['architecture_set']} on "
            f"{scored_on(evaluation, items_of(summary))}"
            + (f", {evaluation['precision']}" if evaluation.get("precision", "32-true") != "32-true" else "")
        )
        lines.append(scored + (f", super-net seed {seeds}." if seeds else "."))
    without = evaluated["n_without_truth"]
    lines.append(
        f"Ranked: n = {evaluated['n']} architectures with measured stand-alone {quality.title}"
        + (f"; {without} are not in the table and take no part." if without else ".")
    )
    own, mean = summary["metrics"].get(quality.name), f"supernet_{quality.name}"
    if own and own[mean] is not None:
        gap = own["optimization_gap"]
        lines.append(
            f"Mean {quality.title} with shared weights {quality.text(own[mean])}"
            + ("." if gap is None else f", {_gap(gap, own.get('optimization_gap_std'), quality)} stand-alone training.")
        )
    random = next(iter(summary["metrics"].values()))["probability_beats_random"]
    lines.append(
        f"s-KdT: threshold {quality.factor * evaluated['sparse_threshold']:g} {quality.unit or quality.points}".rstrip()
        + ". "
        + (f"P > R: {random['n']} draws from {random['table_size']:,}. " if random else "")
        + f"Interval: bootstrap over architectures, {evaluated['bootstrap']['replicates']} replicates."
    )
    if "tau" in noise:
        lines.append(
            f"Noise ceiling: tau between two halves of the table's {noise['seeds']} seeds, {noise['seeds_per_half']} "
            f"per half, mean of {noise['splits']} splits, on {noise['n']} architectures that have all of them"
            + (f" ({noise['metric'].replace('_', ' ')})." if "metric" in noise else ".")
        )
    else:
        lines.append(f"Noise ceiling: not available, {noise['not_available']}.")
    lines += [
        f"{name.replace('_', ' ')}: {b['note']}{_drawn(b)}." for name, b in summary["baselines"].items() if _fitted(b)
    ]
    return lines


def words_of(summary: Mapping[str, Any], small: bool = False) -> list[str]:
    """What a tau means, in sentences: against guessing, the ceiling, and what ranks for free.

    It is that of the fused score where scores are fused, and of the first one otherwise.

    Args:
        summary: of `summarize`.
        small: whether the task is the package's own small one, which explains why size alone ranks well there.

    Returns:
        One sentence an entry.
    """
    metrics = summary["metrics"]
    name = next((n for n in metrics if n.startswith(FUSION)), next(iter(metrics)))
    record, which = metrics[name], "fused score" if name.startswith(FUSION) else "score"
    tau, low, high = record["kendall_tau"], *(record["kendall_tau_interval"][end] for end in ("low", "high"))
    if tau is None:
        return [f"tau is not defined: {name.replace('_', ' ')} or the stand-alone truth is all alike."]
    ceiling = summary["ceiling"]["noise"].get("tau")
    room = "" if ceiling is None else f", and the table's own noise leaves room for {_right(ceiling)}"
    lines = [
        f"tau {tau:.2f}: of two architectures, the {which} puts the better one first in {_right(tau)} of 100 cases; "
        f"guessing does in 50{room}."
    ]
    if low is not None and low <= 0 <= high:
        lines.append("Its interval holds 0: on this many architectures it cannot be told from guessing.")
    beside = {n: b["kendall_tau"] for n, b in summary["baselines"].items() if b["kendall_tau"] is not None}
    if not beside:
        return lines
    best = max(beside, key=lambda n: beside[n])
    rival = f"{best.replace('_', ' ')} ({beside[best]:.2f})"
    if tau > beside[best]:
        lines.append(f"It is ahead of all that ranks without shared weights, the best of which is {rival}.")
        return lines
    lines.append(f"What needs no shared weights ranks as well or better here: {rival}.")
    if small:
        lines.append(
            "That is common on a task this small: most networks learn nearly all of it, and what is left follows "
            "their size and operations. Measure heuristics by what they change in tau, not by one tau."
        )
    return lines


def _right(tau: float) -> str:
    """How many of 100 pairs without ties a tau orders rightly.

    >>> _right(0.5), _right(-1)
    ('75', '0')
    """
    return f"{50 * (1 + tau):.0f}"


def _gap(gap: float, std: float | None, quality: Quality = ACCURACY) -> str:
    """``3.85 ± 1.20 points below``, of stand-alone minus super-net quality; in its own unit where it is no percentage.

    >>> _gap(-0.0385, None)
    '3.85 points above'
    """
    spread = "" if std is None else f" ± {quality.factor * std:.{2 if quality.factor == 100 else 4}f}"
    points = f"{quality.factor * abs(gap):.{2 if quality.factor == 100 else 4}f}{spread} {quality.points}".rstrip()
    return f"{points} {'above' if gap < 0 else 'below'}"


def _drawn(baseline: Mapping[str, Any]) -> str:
    draws = baseline.get("draws")
    if not draws:
        return ""
    return f", tau {draws['kendall_tau_mean']:.3f} ± {draws['kendall_tau_std']:.3f} (s.d. over draws)"


def _fitted(baseline: Mapping[str, Any]) -> bool:
    return baseline["note"] != "no training"
