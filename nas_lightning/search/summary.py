"""Finished searches side by side: mean and standard deviation over their seeds."""

from __future__ import annotations

import atexit
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from nas_lightning.runs.quality import ACCURACY, Quality, quality_of_search
from nas_lightning.runs.reading import load_json


def read_results(folder: Path) -> list[dict[str, Any]]:
    """The complete search results below `folder`, sorted by path. Files that are no whole result are left out."""
    results = []
    for path in sorted(folder.rglob("result.json")):
        # a file that is no result, or one of another shape: the report says which, a summary does without
        with suppress(ValueError, LookupError, TypeError, AttributeError):
            result = load_json(path)
            if isinstance(result, dict) and result.get("kind") == "search" and result.get("status") == "complete":
                summarise([result])
                results.append(result)
    return results


def summarise(results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for all searches that differ in nothing but their seed, sorted by what they found, best first.

    Accuracies are fractions; ``std`` is the sample standard deviation over seeds, None for one seed. A seed whose truth
    is unknown does not count, and ``n`` says how many do.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        same = [result[key] for key in ("algorithm", "space", "objective", "cost", "schedule", "fidelities")]
        same[3] = {key: result["cost"][key] for key in ("unit", "budget")}
        k = result["metrics"]["final_search_performance"]["k"]
        groups.setdefault(json.dumps([*same, k], sort_keys=True), []).append(result)
    rows = []
    for members in groups.values():
        first = members[0]
        found = [m["metrics"]["found"]["truth"] for m in members]
        known = [value for value in found if value is not None]
        beats = [m["metrics"]["probability_beats_random"] for m in members]
        rows.append(
            {
                "algorithm": first["algorithm"]["name"],
                "settings": first["algorithm"]["settings"],
                "notes": first["algorithm"]["notes"],
                "space": first["space"],
                "dataset": first["dataset"],
                "objective": first["objective"]["name"],
                "quality": quality_of_search(first["objective"]),
                "budget": first["cost"]["budget"],
                "unit": first["cost"]["unit"],
                "seeds": len(members),
                "n": len(known),
                "found": _spread(known),
                "top_k": first["metrics"]["final_search_performance"]["k"],
                "mean_of_top_k": _spread([m["metrics"]["final_search_performance"]["mean"] for m in members]),
                "best_of_top_k": _spread([m["metrics"]["final_search_performance"]["best"] for m in members]),
                "probability_beats_random": _spread([b["probability"] for b in beats if b is not None]),
                "evaluations": _spread([m["metrics"]["evaluations"] for m in members]),
                "seed_numbers": sorted(m["seed"] for m in members),
                "best_seed": max(zip(found, (m["seed"] for m in members), strict=True), key=_known_first)[1],
                "best": max(known, default=None),
                "spent": _spread([float(m["cost"]["spent"]) for m in members]),
                "random_search": (first["baselines"]["random_search_equal_budget"] or {}).get("found"),
                "random_draws": first["baselines"]["random_draws"],
            }
        )
    return sorted(rows, key=lambda row: -(row["found"]["mean"] if row["found"]["mean"] is not None else -np.inf))


def _known_first(pair: tuple[float | None, int]) -> tuple[float, int]:
    """By truth, an unknown one last; of equals the smaller seed first."""
    return (-np.inf if pair[0] is None else pair[0]), -pair[1]


def _spread(values: list[float | None]) -> dict[str, float | None]:
    known = [value for value in values if value is not None]
    if not known:
        return {"mean": None, "std": None}
    return {"mean": float(np.mean(known)), "std": float(np.std(known, ddof=1)) if len(known) > 1 else None}


def _shown(spread: dict[str, float | None] | None, quality: Quality) -> str:
    """Mean ± deviation as the quality's readers expect them, without unit; of a perplexity the deviation in nats."""
    if not spread or spread["mean"] is None:
        return "not known"
    text = quality.mean_text(spread["mean"], spread["std"])
    if not quality.shown_name or spread["std"] is None:
        return text
    return f"{text} (±{spread['std']:.2g})"


def print_summary(rows: list[dict[str, Any]]) -> None:
    """One table a setting (space, data set, objective, budget, quality); accuracies in percent, mean ± s.d. over
    seeds."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.width = max(console.width, 110)  # numbers that are cut off are of no use in a log file
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        place = (
            row["space"],
            row["dataset"],
            row["objective"],
            row["budget"],
            row["unit"],
            row["top_k"],
            row["quality"],
        )
        groups.setdefault(place, []).append(row)
    for (space, dataset, objective, budget, unit, k, quality), members in groups.items():
        draws, search = members[0]["random_draws"], members[0]["random_search"]
        beside = []
        if search:
            beside.append(f"random search at equal budget finds {_shown(search, quality)}")
        if draws:
            mean, best = (_shown({"mean": draws[name], "std": None}, quality) for name in ("mean", "expected_best"))
            beside.append(f"{k} blind draws: mean {mean}, best {best}")
        table = Table(
            title=f"{space} on {dataset}, objective {objective}, {budget:g} {unit}: stand-alone "
            + ("accuracy in percent" if quality == ACCURACY else quality.label),
            caption="; ".join([_caption(quality), *beside]),
            box=SIMPLE,
        )
        for heading in ("algorithm", "seeds", "evaluations", "found", f"best of top {k}", f"mean of top {k}", "P > R"):
            table.add_column(heading)
        for row in members:
            beats = row["probability_beats_random"]["mean"]
            table.add_row(
                row["algorithm"],
                str(row["seeds"]) if row["n"] == row["seeds"] else f"{row['n']} of {row['seeds']}",
                f"{row['evaluations']['mean']:.1f}",
                _shown(row["found"], quality),
                _shown(row["best_of_top_k"], quality),
                _shown(row["mean_of_top_k"], quality),
                "not known" if beats is None else f"{beats:.3f}",
            )
        console.print(table)
        for row in members:
            console.print(_trials(row, quality), highlight=False, soft_wrap=True)


def _caption(quality: Quality) -> str:
    return "mean ± standard deviation over seeds" + (f", this in {quality.points}" if quality.shown_name else "")


def _trials(row: dict[str, Any], quality: Quality) -> str:
    """The trials of one algorithm: their seeds, the best of them, and what each cost."""
    seeds, spent = ", ".join(map(str, row["seed_numbers"])), row["spent"]["mean"]
    best = "" if row["best"] is None else f"; the best is seed {row['best_seed']} with {quality.text(row['best'])}"
    return f"{row['algorithm']}: seeds {seeds}{best}; {spent:.6g} {row['unit']} each"


class SweepSummary(Callback):
    """Hydra callback: at the end of a multirun, the summary of all searches of its study.

    Hydra skips ``on_multirun_end`` when a job has failed, so the end of the process prints what was not printed yet.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        if config.dry_run:
            return
        self._folder = Path(config.runs) / (config.study or "search")
        atexit.register(self._print)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        self._print()

    def _print(self) -> None:
        if self._folder is None:
            return
        rows = summarise(read_results(self._folder))
        self._folder = None
        if rows:
            print_summary(rows)
