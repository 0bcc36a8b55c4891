"""How a search ends in the terminal: its best as a table, what chance reaches, and of several objectives the front."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from nas_lightning.runs.files import write_atomically
from nas_lightning.runs.quality import quality_of_search
from nas_lightning.runs.reading import read_run

LOG_WIDTH = 120
"""Columns in a log file, so that no architecture is broken."""
SHOWN = 20
"""Rows of a Pareto front; result.json has them all."""
PICTURE = "pareto.png"


class Words:
    """Numbers of one search as its reader expects them: accuracies in percent, scores of other kinds as they are."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        self.quality = quality_of_search(result["objective"])
        objective = result["objective"]
        self.accuracy_guides = self.quality.scale == "percent" and objective.get("name") != "zerocost"
        trained = objective.get("name") in ("benchmark", "training") or objective.get("score") == self.quality.name
        self.shown_guides = bool(self.quality.shown_name) and trained
        """Whether the objective is a number that people read as another one, such as a perplexity."""

    def value(self, value: float | None) -> str:
        return self.quality.text(value)

    def spread(self, value: float | None) -> str:
        if value is None:
            return ""
        if self.quality.shown_name:  # a deviation of the quality itself
            return f" (± {value:.3g} {self.quality.points})"
        return f" ± {100 * value:.2f}" if self.quality.factor == 100 else f" ± {value:.3g}"

    @property
    def heading(self) -> str:
        """Of the objective's column."""
        return f"objective, {self.quality.title}" if self.shown_guides else "objective"

    def objective(self, value: float | None) -> str:
        if value is None:
            return "failed"
        if self.shown_guides:
            return self.quality.text(value)
        return format(value, ".4f" if self.accuracy_guides else ".6g")


def render(result: dict[str, Any], folder: Path, was_there: bool, console: Console) -> None:
    """Print the end of one search."""
    words = Words(result)
    if not console.is_terminal:
        console.width = max(console.width, LOG_WIDTH)

    def line(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True, markup=False)

    if was_there:
        line("This search is complete; repeat it with force=true.")
    for note in result["algorithm"]["notes"]:
        line(f"Note: {note}")
    metrics, cost = result["metrics"], result["cost"]
    line(
        f"{result['algorithm']['name']}, seed {result['seed']}: {metrics['evaluations']} evaluations of "
        f"{metrics['distinct_architectures']} architectures, {cost['spent']:.6g} of {cost['budget']:g} {cost['unit']}"
    )
    if failed := metrics.get("failed_evaluations"):
        line(f"{failed} of {metrics['evaluations']} evaluations failed, and are never found: search.csv names them")
    found = metrics["found"]
    line(f"Found: {found['architecture']}")
    line(
        f"  {words.heading.replace(',', '')} {words.objective(found['objective'])}, stand-alone {words.quality.title} "
        f"{words.value(found['truth'])} (source: {metrics['truth']})"
    )
    for text in _untrained(metrics):
        line(text)
    console.print(_best(metrics["top_k"], words))
    for text in _beside(result, words):
        line(text)
    if "pareto" in metrics:
        console.print(_front(metrics["pareto"], words))
        for text in _volume(metrics["pareto"], words):
            line(text)
        if (folder / PICTURE).is_file():
            line(f"Picture of the front: {folder / PICTURE}")
    line(f"Run folder: {folder}")
    line(
        f"Next, its curve of regret beside others': uv run python -m nas_lightning.report {folder.parent} --out report"
    )


def _untrained(metrics: Mapping[str, Any]) -> list[str]:
    """Why what a search found has no stand-alone value where it was to be trained: nothing else leaves it out."""
    if metrics["found"]["truth"] is None and str(metrics["truth"]).startswith("stand-alone training"):
        return ["  Its own training diverged; lower plan.protocol.learning_rate"]
    return []


def _best(best: list[dict[str, Any]], words: Words) -> Table:
    title = f"The best {len(best)} by the objective"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title_style="bold")
    for heading in ("", words.heading, "stand-alone", "evaluation"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("architecture", overflow="fold")
    for place, record in enumerate(best, start=1):
        values = (words.objective(record["objective"]), words.value(record["truth"]), str(record["evaluation"]))
        table.add_row(str(place), *values, record["architecture"])
    return table


def _beside(result: Mapping[str, Any], words: Words) -> list[str]:
    """The top K in numbers, and what chance reaches."""
    metrics, baselines, lines = result["metrics"], result["baselines"], []
    performance, beats = metrics["final_search_performance"], metrics["probability_beats_random"]
    if performance["mean"] is not None:
        lines.append(
            f"Top {performance['k']}: {words.value(performance['mean'])}{words.spread(performance['std'])} (known for "
            f"{performance['known']}), best {words.value(performance['best'])}"
        )
    if beats is not None and beats["probability"] is None:
        what = "accuracies" if words.quality.scale == "percent" else "values"
        lines.append(f"P > R: undefined, since all {beats['table_size']} {what} of the table are equal")
    elif beats is not None:
        lines.append(
            f"P > R: {beats['probability']:.3f} (n = {beats['n']} draws; {beats['better']} of {beats['table_size']} "
            "are better)"
        )
    draws, equal = baselines["random_draws"], baselines["random_search_equal_budget"]
    if draws is not None:
        lines.append(
            f"Blind draws: mean {words.value(draws['mean'])}, expected best of {draws['k']} "
            f"{words.value(draws['expected_best'])}"
        )
    if equal is not None:
        lines.append(
            f"Random search at equal budget: found {words.value(equal['found']['mean'])}"
            f"{words.spread(equal['found']['std'])}, best of its top {equal['k']} "
            f"{words.value(equal['best_of_top_k']['mean'])} ({equal['seeds']} seeds)"
        )
    return lines


def _front(pareto: Mapping[str, Any], words: Words) -> Table:
    front, measures = pareto["front"], pareto["measures"]
    title = f"Pareto front: {len(front)} architectures that no other of this search beats in everything"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title_style="bold")
    for heading in (words.heading, *measures):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("architecture", overflow="fold")
    for point in front[:SHOWN]:
        costs = (f"{point[name]:,.6g}" if point[name] % 1 else f"{point[name]:,.0f}" for name in measures)
        table.add_row(words.objective(point["objective"]), *costs, point["architecture"])
    if len(front) > SHOWN:
        table.add_row(f"… {len(front) - SHOWN} more", *[""] * (1 + len(measures)))
    return table


def _volume(pareto: Mapping[str, Any], words: Words) -> list[str]:
    corner = pareto["reference"]
    named = ", ".join(f"{name} {corner[name]:,.6g}" for name in pareto["measures"] if name in corner)
    lines = [
        f"Hypervolume {pareto['hypervolume']:.6g} to the reference point objective "
        f"{words.objective(corner['objective'])}, {named} (from the {corner['from']})"
    ]
    if against := pareto.get("against_true_front"):
        lines.append(
            f"  against the true front of {against['true_front']}: hypervolume {100 * against['share']:.1f} % "
            f"of its own, inverted generational distance {against['distance']:.4f}"
        )
    return lines


def draw_front(result: Mapping[str, Any], folder: Path) -> None:
    """Draw the front of a search of several objectives into its folder, where it is not drawn yet."""
    if "pareto" not in result["metrics"] or (folder / PICTURE).is_file():
        return
    from nas_lightning.report.figure import encoded, picture  # the drawing library takes a second to import
    from nas_lightning.report.search_curves import fronts

    figure = fronts([read_run(folder)])
    if figure.panels:
        write_atomically(folder / PICTURE, encoded(picture(figure), "png"))
