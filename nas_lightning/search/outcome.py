"""The end of a search: incumbents, the top K and their stand-alone truth, against random search at equal budget."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from nas_lightning.ranking.selection import probability_beats_random
from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Record, Search
from nas_lightning.search.objective import Objective
from nas_lightning.search.pareto import hypervolume, indicators, pareto_front

BASELINE_SEED = 1_000_000  # baseline searches draw from streams that no user's search with a small seed shares


def merit(record: Record) -> tuple[bool, int, float]:
    """How records compare: values of different fidelities do not, so the higher fidelity goes first; an evaluation that
    failed at any fidelity is behind all others."""
    return np.isfinite(record.measurement.value), record.trial.fidelity, record.measurement.value


def incumbents(records: Sequence[Record]) -> list[int]:
    """Index of the best record so far, after every record; of equal ones the earliest."""
    best, out = 0, []
    for i, record in enumerate(records):
        if merit(record) > merit(records[best]):
            best = i
        out.append(best)
    return out


def top_k(records: Sequence[Record], objective: Objective, k: int) -> list[Record]:
    """The k best records of distinct architectures (up to isomorphism); of equal ones the earliest trial.

    Failed evaluations are left out, so there may be fewer than k.
    """
    seen: set[str] = set()
    best: list[Record] = []
    for record in sorted(records, key=lambda r: (-r.trial.fidelity, -r.measurement.value, r.number)):
        if len(best) == k:
            break
        if not np.isfinite(record.measurement.value):
            continue
        key = objective.space.key(record.trial.architecture)
        if key not in seen:
            seen.add(key)
            best.append(record)
    return best


def final_performance(truth: np.ndarray) -> dict[str, Any]:
    """Mean, population standard deviation and best of the known stand-alone accuracies of the top K (fractions)."""
    known = truth[~np.isnan(truth)]
    if not len(known):
        return {"mean": None, "std": None, "best": None, "k": len(truth), "known": 0}
    return {
        "mean": float(known.mean()),
        "std": float(known.std()),
        "best": float(known.max()),
        "k": len(truth),
        "known": len(known),
    }


def conclude(
    records: Sequence[Record], objective: Objective, k: int, measures: Sequence[str] = ()
) -> tuple[dict[str, Any], np.ndarray]:
    """The ``metrics`` of result.json, and the stand-alone truth of the incumbent after every record, float64 [records].

    Calls ``objective.truth`` for the top k: real training, where the objective has no table.
    """
    best = top_k(records, objective, k)
    truth = objective.truth([record.trial.architecture for record in best])
    truths = dict(zip((record.number for record in best), truth.tolist(), strict=True))
    path = incumbents(records)
    steps = sorted(set(path))
    looked_up = dict(
        zip(steps, objective.cheap_truth([records[i].trial.architecture for i in steps]).tolist(), strict=True)
    )
    for i in steps:  # what was trained at the end is known for the incumbents among them too
        if np.isnan(looked_up[i]):
            looked_up[i] = truths.get(records[i].number, np.nan)
    table = objective.all_truths()
    known = truth[~np.isnan(truth)]
    beats = None
    if table is not None and len(known):
        beats = asdict(probability_beats_random(float(known.max()), table, n=len(best)))
        beats["probability"] = None if np.isnan(beats["probability"]) else beats["probability"]
    row = {record.number: i for i, record in enumerate(records, start=1)}  # of search.csv
    metrics: dict[str, Any] = {
        "found": _describe(records[path[-1]], objective, looked_up[path[-1]], path[-1] + 1) if records else None,
        "top_k": [_describe(record, objective, truths[record.number], row[record.number]) for record in best],
        "final_search_performance": final_performance(truth),
        "probability_beats_random": beats,
        "truth": objective.truth_name(),
        "evaluations": len(records),
        "distinct_architectures": len({objective.space.key(r.trial.architecture) for r in records}),
        "failed_evaluations": sum(not np.isfinite(record.measurement.value) for record in records),
    }
    if measures:
        metrics["pareto"] = pareto(records, objective, measures)
    return metrics, np.array([looked_up[i] for i in path])


def _describe(record: Record, objective: Objective, truth: float, row: int) -> dict[str, Any]:
    value = record.measurement.value
    out = {
        "architecture": objective.space.format(record.trial.architecture),
        "key": objective.space.key(record.trial.architecture),
        "objective": value if np.isfinite(value) else None,
        "fidelity": record.trial.fidelity,
        "truth": None if np.isnan(truth) else truth,
        "evaluation": row,
    }
    return out | ({"measures": dict(record.measurement.measures)} if record.measurement.measures else {})


def pareto(records: Sequence[Record], objective: Objective, measures: Sequence[str]) -> dict[str, Any]:
    """The Pareto front of the fully evaluated records (value up, measures down) and its hypervolume.

    The reference corner is value 0 (the worst of the table where that is lower) and, for each measure, the largest
    value of the table, or of the search without one.
    """
    full = [r for r in records if r.trial.fidelity == objective.fidelities.full and np.isfinite(r.measurement.value)]
    points = np.array([[-r.measurement.value, *(r.measurement.measures[name] for name in measures)] for r in full])
    points = points.reshape(len(full), 1 + len(measures))
    reference = objective.reference_measures(measures)
    source = "table" if reference else "search"
    if not reference and len(full):
        reference = dict(zip(measures, points[:, 1:].max(axis=0).tolist(), strict=True))
    worst = min(0.0, objective.worst_value())  # an accuracy is never below 0, a negative loss always is
    corner = np.array([-worst, *(reference.get(name, 0.0) for name in measures)])
    front = [full[i] for i in pareto_front(points)] if full else []
    front.sort(key=lambda r: -r.measurement.value)
    return {
        "measures": list(measures),
        "against_true_front": _against_true_front(front, objective, measures),
        "reference": {"objective": worst, **reference, "from": source},
        # The reference itself belongs to the dominated region's edge: an architecture as large as it adds no volume.
        "hypervolume": hypervolume(points, corner) if full else 0.0,
        "front": [
            {"architecture": objective.space.format(r.trial.architecture), "objective": r.measurement.value}
            | {name: r.measurement.measures[name] for name in measures}
            for r in front
        ],
    }


def _against_true_front(
    front: Sequence[Record], objective: Objective, measures: Sequence[str]
) -> dict[str, float | int] | None:
    """`Indicators` of the found front by its stand-alone truth, not by the values that guided; None without a table."""
    points = objective.true_points(measures)
    if points is None or not front:
        return None
    truth = objective.cheap_truth([record.trial.architecture for record in front])
    found = np.array(
        [
            [-value, *(record.measurement.measures[name] for name in measures)]
            for value, record in zip(truth, front, strict=True)
            if np.isfinite(value)
        ]
    )
    true = points[pareto_front(points)]
    return None if not len(found) else {**asdict(indicators(found, true)), "true_front": len(true)}


_baselines: dict[str, dict[str, Any]] = {}


def random_baseline(objective: Objective, budget: Budget, k: int, seeds: int) -> dict[str, Any]:
    """Random search with the same objective, budget and K, over `seeds` seeds of its own.

    ``found`` is the stand-alone accuracy of each search's best by the objective, ``best_of_top_k`` the best among its
    top K. Searches of one process that share objective and budget share the answer.
    """
    name = json.dumps([objective.identity(), budget.unit, budget.amount, k, seeds], sort_keys=True)
    if name not in _baselines:
        found, best, mean, evaluations = [], [], [], []
        for seed in range(BASELINE_SEED, BASELINE_SEED + seeds):
            algorithm = make_algorithm("random_search", objective.space, objective.fidelities, seed)
            records = Search(algorithm, objective, budget).run()
            chosen = top_k(records, objective, k)
            truth = objective.truth([record.trial.architecture for record in chosen])
            evaluations.append(len(records))
            if len(truth):
                found.append(truth[0])
                best.append(np.nanmax(truth))
                mean.append(np.nanmean(truth))
        _baselines[name] = {
            "seeds": seeds,
            "k": k,
            "evaluations": float(np.mean(evaluations)),
            "found": _mean_std(found),
            "best_of_top_k": _mean_std(best),
            "mean_of_top_k": _mean_std(mean),
        }
    return _baselines[name]


def _mean_std(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and sample standard deviation over seeds; None for the latter where there is one seed."""
    if not values:
        return {"mean": None, "std": None}
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else None}


def random_draws(table: np.ndarray, k: int) -> dict[str, Any]:
    """What k architectures drawn blindly from a table are worth: their mean, and the expected best of the k, exactly.

    ``E[max] = sum_i v_(i) ((i / n)^k - ((i - 1) / n)^k)`` over the sorted table, draws with replacement as in P > R.
    """
    values = np.sort(table[~np.isnan(table)])
    edges = (np.arange(len(values) + 1) / len(values)) ** k
    best = float(values @ np.diff(edges))
    return {"k": k, "mean": float(values.mean()), "expected_best": best, "table_size": len(values)}
