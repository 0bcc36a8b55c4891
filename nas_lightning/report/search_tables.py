"""The tables of searches: what each algorithm found over its seeds, every search, and both as plain numbers."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.report.cells import cell, head, in_quality, minus
from nas_lightning.report.search_curves import algorithm_of
from nas_lightning.report.study import one_quality, value_of
from nas_lightning.runs.files import write_atomically
from nas_lightning.runs.quality import Quality
from nas_lightning.runs.reading import Run
from nas_lightning.runs.result import Best, Chance, Cost, Found, Front, ObjectiveFacts, SearchBaselines

_JUDGED = ("hypervolume (% of true front’s)", "distance to true front")
_JUDGED_NOTE = (
    " Fronts are judged by their stand-alone truth, scaled by the table's true front: its hypervolume is 100 %, "
    "and the distance is the inverted generational one."
)
NOTE = (
    "the best by the objective; beside it what random search finds with the same budget, mean over its seeds. "
    "Intervals are Student's over the seeds of an algorithm."
)


@dataclass(frozen=True)
class Search:
    """One complete search, as a row of searches.csv."""

    algorithm: str
    settings: str
    """Of the algorithm, as JSON."""
    space: str
    dataset: str
    objective: str
    seed: int
    budget: float
    spent: float
    unit: str
    found: float
    """Stand-alone quality of what was found (an accuracy is a fraction); NaN where no table knows it."""
    random_search: float
    """Mean of what random search finds with the same budget; NaN where it was not computed."""
    architecture: str
    hypervolume_share: float
    """Of a search of several objectives: hypervolume of its front's truth, as a share of the true front's (EvoXBench's
    scaling, `nas_lightning.search.pareto`); NaN for one objective and without a table."""
    front_distance: float
    """Inverted generational distance to the true front, in the same scaling; NaN likewise."""

    @classmethod
    def of(cls, run: Run) -> Search:
        """What a run's files say of it.

        Args:
            run: a complete search.

        Returns:
            Its row; numbers that it lacks are NaN.
        """
        metrics = run.searched.get("metrics") or Found()
        found = metrics.get("found") or Best()
        against = (metrics.get("pareto") or Front()).get("against_true_front") or {}
        cost, objective = run.searched.get("cost") or Cost(), run.searched.get("objective") or ObjectiveFacts()
        baselines = run.searched.get("baselines") or SearchBaselines()
        chance = (baselines.get("random_search_equal_budget") or Chance()).get("found") or {}
        return cls(
            algorithm_of(run),
            settings=json.dumps(_settings(run), sort_keys=True),
            space=str(run.result["space"]),
            dataset=str(run.result["dataset"]),
            objective=str(objective.get("name") or ""),
            seed=run.seed,
            budget=value_of(cost, "budget"),
            spent=value_of(cost, "spent"),
            unit=str(cost.get("unit") or ""),
            found=value_of(found, "truth"),
            random_search=value_of(chance, "mean"),
            architecture=found.get("architecture") or "",
            hypervolume_share=value_of(against, "share"),
            front_distance=value_of(against, "distance"),
        )


@dataclass(frozen=True)
class Summary:
    """What an algorithm found on one problem with one budget, over its seeds."""

    name: str
    """Of the algorithm, with the settings in which others of that name differ on the same page."""
    searches: Sequence[Search]
    quality: Quality

    def mean(self, name: str) -> float:
        """Mean of a column over seeds; NaN where a seed lacks it."""
        return float(np.mean([getattr(search, name) for search in self.searches]))

    @property
    def deviation(self) -> float:
        """Standard deviation of what was found, over seeds; NaN for one."""
        values = [search.found for search in self.searches]
        return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval of the mean, Student's over seeds; NaN for one."""
        from scipy.stats import t

        n = len(self.searches)
        return float(t.ppf(0.975, n - 1)) * self.deviation / math.sqrt(n) if n > 1 else math.nan


def summaries(runs: Sequence[Run]) -> list[Summary]:
    """Searches that differ in the seed alone, together.

    Args:
        runs: complete searches.

    Returns:
        Problem by problem, in each the best mean first, what no table knows last.
    """
    groups: dict[str, list[Run]] = defaultdict(list)
    settings: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for run in runs:
        search, objective = Search.of(run), dict(run.searched.get("objective") or {})
        objective.pop("truth_seeds", None)  # how the truth is averaged is said by the table
        what = [search.algorithm, search.settings, search.space, search.dataset, search.unit, search.budget]
        groups[json.dumps([*what, run.quality.name, objective], sort_keys=True, default=str)].append(run)
        for key, value in _settings(run).items():
            settings[search.algorithm][key].add(json.dumps(value))
    found = []
    for group in groups.values():
        own, name = _settings(group[0]), algorithm_of(group[0])
        told = [f"{key}={own[key]}" for key, values in settings[name].items() if key in own and len(values) > 1]
        found.append(Summary(" ".join([name, *told]), [Search.of(run) for run in group], group[0].quality))
    return sorted(found, key=_place)


def _settings(run: Run) -> dict[str, Any]:
    given = run.searched.get("algorithm")
    return dict(given.get("settings") or {}) if isinstance(given, dict) else {}  # older files hold the name alone


def _place(summary: Summary) -> tuple[Any, ...]:
    mean, first = summary.mean("found"), summary.searches[0]
    problem = (first.space, first.dataset, first.objective, first.unit, first.budget)
    return (*problem, math.isnan(mean), 0.0 if math.isnan(mean) else -mean, summary.name)


def write_csv(path: Path, runs: Sequence[Run]) -> None:
    """One row a search, plain numbers, empty where not available.

    Args:
        path: the file.
        runs: complete searches.
    """
    with io.StringIO(newline="") as stream:
        writer = csv.writer(stream)
        names = [f.name for f in fields(Search)]
        writer.writerow([*names, "folder"])
        for run in runs:
            values = [getattr(Search.of(run), name) for name in names]
            writer.writerow(["" if isinstance(v, float) and math.isnan(v) else v for v in values] + [run.shown])
        write_atomically(path, stream.getvalue().encode())


def section(runs: Sequence[Run]) -> str:
    """The page's section: means over seeds where an algorithm has several, then every search.

    Args:
        runs: complete searches.

    Returns:
        HTML.
    """
    quality = one_quality(run.quality for run in runs)
    unit = f" ({quality.unit})" if quality and quality.unit else ""
    title = escape(quality.title if quality else "quality")
    link = '<span class="files"><a href="searches.csv">CSV</a></span>'
    groups = summaries(runs)
    judged = _JUDGED_NOTE if _several(search for group in groups for search in group.searches) else ""
    note = f'<p class="note">Found: stand-alone {title} of {NOTE}{judged} {link}</p>'
    averaged = _averaged(groups, unit, quality is None) if any(len(g.searches) > 1 for g in groups) else ""
    return f"{note}{averaged}{_each(runs, unit, quality is None)}"


def _averaged(groups: Sequence[Summary], unit: str, with_unit: bool) -> str:
    lines, several = [], _several(search for group in groups for search in group.searches)
    for group in groups:
        first, mean, chance = group.searches[0], group.mean("found"), group.mean("random_search")
        cells = [cell(escape(text), css="text") for text in (group.name, *_problem(first))]
        cells.append(cell(str(len(group.searches)), len(group.searches)))
        cells.append(_spent(group.mean("spent"), first.unit))
        own = f" {group.quality.unit}" if with_unit and group.quality.unit else ""
        cells.append(cell(minus(group.quality.mean_text(mean, group.deviation)) + own, mean))
        bounds = [mean - group.half_width, mean + group.half_width]
        low, high = bounds if group.quality.shown_higher_is_better else bounds[::-1]
        interval = "–" if math.isnan(low) else " to ".join(in_quality(v, group.quality, False) for v in (low, high))
        cells.append(cell(interval, bounds[0]))
        cells.append(cell(in_quality(chance, group.quality, with_unit), chance))
        if several:
            cells += _judged(group.mean("hypervolume_share"), group.mean("front_distance"))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    names = ["algorithm", "problem", "objective", "seeds", "spent", f"found{unit}", "95 % interval"]
    return _table("searches-means", [*names, f"random search{unit}", *(_JUDGED if several else ())], lines)


def _each(runs: Sequence[Run], unit: str, with_unit: bool) -> str:
    lines, several = [], _several(Search.of(run) for run in runs)
    for run in runs:
        search = Search.of(run)
        cells = [cell(escape(text), css="text") for text in (search.algorithm, *_problem(search))]
        cells += [cell(escape(search.architecture), css="text wrap"), cell(str(search.seed), search.seed)]
        cells.append(_spent(search.spent, search.unit))
        cells += [cell(in_quality(v, run.quality, with_unit), v) for v in (search.found, search.random_search)]
        if several:
            cells += _judged(search.hypervolume_share, search.front_distance)
        lines.append(f"<tr>{''.join(cells)}</tr>")
    names = ["algorithm", "problem", "objective", "architecture", "seed", "spent", f"found{unit}"]
    return _table("searches-table", [*names, f"random search{unit}", *(_JUDGED if several else ())], lines, texts=4)


def _several(searches: Iterable[Search]) -> bool:
    """Whether the front of any search was judged."""
    return any(not math.isnan(search.hypervolume_share) for search in searches)


def _judged(share: float, distance: float) -> list[str]:
    share *= 100
    texts = ("–" if math.isnan(share) else f"{share:.1f}", "–" if math.isnan(distance) else f"{distance:.4f}")
    return [cell(text, value) for text, value in zip(texts, (share, distance), strict=True)]


def _problem(search: Search) -> tuple[str, str]:
    return f"{search.space} on {search.dataset}", search.objective


def _spent(value: float, unit: str) -> str:
    return cell(f"{'–' if math.isnan(value) else f'{value:,.6g}'} {escape(unit)}", value)


def _table(key: str, names: Sequence[str], lines: Sequence[str], texts: int = 3) -> str:
    return (
        f'<div class="scroll"><table class="sortable" id="{key}">{head(names, texts)}'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )
