"""All that is said about one evaluation, in one record: what a run writes into result.json and prints at its end.

Layout of `summarize` (JSON; a value that is not defined is null)::

    evaluated   n, n_without_truth, top_k, sparse_threshold, random_draws, bootstrap {replicates, level, seed}
    metrics     {score name: record}, for example "accuracy", "negative_cross_entropy", "fusion(supernet + parameters)"
    baselines   {name: record + "note"}, by the predictors' names: parameters, linear_operation_counts, naswot …
    ceiling     noise {tau, std, seeds_per_half, seeds, splits, n, [metric]} or {"not_available": why};
                proxy {tau, n} or {"not_available": why}

    record      n, kendall_tau, kendall_tau_interval {low, high}, spearman, pearson, weighted_kendall_tau,
                sparse_kendall_tau, binned_kendall_tau, kendall_tau_top10pct, kendall_tau_top25pct, ndcg_at_k,
                precision_at_top10pct, precision_at_top25pct, best_rank_at_k, regret_at_k,
                top_percentiles {"3": {minimum, median, maximum}, ...}, final_search_performance {mean, std, best, k},
                probability_beats_random {probability, n, table_size, better} or null;
                of the score "accuracy" ("seed1 accuracy") also supernet_accuracy, optimization_gap and its
                standard deviation over the architectures, optimization_gap_std;
                of a baseline fitted on several draws also draws {n, kendall_tau_mean, kendall_tau_std}: its other
                numbers are then means over the draws
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nas_lightning.ranking import metrics
from nas_lightning.ranking.baselines import Baseline
from nas_lightning.ranking.uncertainty import (
    affordable_replicates,
    bootstrap_kendall_tau,
    noise_ceiling,
    proxy_ceiling,
)
from nas_lightning.runs.quality import ACCURACY

TOP_K = 10
"""K of the final search performance, where a space says no other (`Space.top_k`, as Yu21)."""
LEVEL = 0.95
PERCENTILE_KS = (3, 5, 10, 20)


def ranking_record(
    predictions: ArrayLike,
    truth: ArrayLike,
    architectures: Sequence[str],
    top_k: int = TOP_K,
    threshold: float = metrics.SPARSE_THRESHOLD,
    *,
    quality: str = ACCURACY.name,
) -> dict[str, Any]:
    """Every metric that needs no table and no resampling, of n architectures with measured truth (fractions in [0, 1]).

    `architectures` are the distinct string forms, by which ties are broken. Cheap enough for every evaluated epoch.

    Args:
        predictions: scores [n], higher is better.
        truth: measured stand-alone qualities [n], without NaN.
        architectures: the distinct string forms [n].
        top_k: K of the measures of the predicted best.
        threshold: bin width of the sparse Kendall tau.
        quality: name of what a network is judged by, such as ``accuracy``.

    Returns:
        Metric -> number, or -> record of numbers; the module's docstring lists them.

    Raises:
        ValueError: unequal lengths, and NaN.
    """
    x, y = np.asarray(predictions, np.float64), np.asarray(truth, np.float64)
    ids, fractions = np.asarray(list(architectures), dtype=str), quality == ACCURACY.name
    top = {k: metrics.top_k_percentiles(x, y, ids, k) for k in PERCENTILE_KS}
    return {
        "n": len(y),
        "kendall_tau": metrics.kendall_tau(x, y),
        "spearman": metrics.spearman(x, y),
        "pearson": metrics.pearson(x, y),
        "weighted_kendall_tau": metrics.weighted_kendall_tau(x, y),
        "sparse_kendall_tau": metrics.sparse_kendall_tau(x, y, ids, threshold, fractions=fractions),
        "binned_kendall_tau": metrics.binned_kendall_tau(x, y, threshold, fractions=fractions),
        "kendall_tau_top10pct": metrics.kendall_tau_in_top(x, y, 10),
        "kendall_tau_top25pct": metrics.kendall_tau_in_top(x, y, 25),
        "ndcg_at_k": metrics.ndcg_at_k(x, y, ids, top_k),
        "precision_at_top10pct": metrics.precision_at_top(x, y, ids, 10),
        "precision_at_top25pct": metrics.precision_at_top(x, y, ids, 25),
        "best_rank_at_k": metrics.best_rank_at_k(x, y, ids, top_k),
        "regret_at_k": metrics.regret_at_k(x, y, ids, top_k),
        "top_percentiles": {
            str(k): {"minimum": p.minimum, "median": p.median, "maximum": p.maximum} for k, p in top.items()
        },
        "final_search_performance": asdict(metrics.final_search_performance(x, y, ids, top_k)),
    }


def epoch_metrics(
    predictions: Mapping[str, ArrayLike],
    truth: ArrayLike,
    architectures: Sequence[str],
    top_k: int = TOP_K,
    threshold: float = metrics.SPARSE_THRESHOLD,
    quality: str = ACCURACY.name,
) -> dict[str, float]:
    """Flat numbers of one evaluation during training, keys without prefix: of the first score the metric's own name, of
    the others ``<metric>_by_<score>``; `n` and `supernet_accuracy` (`supernet_<quality>`) too. Rows without truth (NaN)
    are left out.

    Args:
        predictions: score name -> [n]; the first is the one that counts.
        truth: stand-alone qualities [n]; NaN where there is none.
        architectures: the distinct string forms [n].
        top_k: K of the measures of the predicted best.
        threshold: bin width of the sparse Kendall tau.
        quality: name of what a network is judged by, such as ``accuracy``.

    Returns:
        Column -> number.
    """
    y = np.asarray(truth, np.float64)
    keep = ~np.isnan(y)
    ids = np.asarray(list(architectures), dtype=str)[keep]
    flat: dict[str, float] = {"n": float(keep.sum())}
    for i, (name, values) in enumerate(predictions.items()):
        x = np.asarray(values, np.float64)
        if name == quality:
            flat[f"supernet_{quality}"] = metrics.supernet_accuracy(x)
        record = ranking_record(x[keep], y[keep], ids.tolist(), top_k=top_k, threshold=threshold, quality=quality)
        for key in ("kendall_tau", "spearman", "sparse_kendall_tau", "kendall_tau_top10pct"):
            flat[key if i == 0 else f"{key}_by_{name}"] = record[key]
        flat["final_search_performance" if i == 0 else f"final_search_performance_by_{name}"] = record[
            "final_search_performance"
        ]["mean"]
    return flat


def summarize(
    predictions: Mapping[str, ArrayLike],
    truth: ArrayLike,
    architectures: Sequence[str],
    baselines: Sequence[Baseline] = (),
    *,
    seed_accuracies: ArrayLike | None = None,
    seed_metric: str | None = None,
    validation: ArrayLike | None = None,
    table_accuracies: ArrayLike | None = None,
    top_k: int = TOP_K,
    threshold: float = metrics.SPARSE_THRESHOLD,
    random_draws: int | None = None,
    replicates: int | None = None,
    seed: int = 0,
    quality: str = ACCURACY.name,
) -> dict[str, Any]:
    """The record of one evaluation, ready for JSON; the module's docstring has its layout.

    Args:
        predictions: score name -> float [n], higher is better, without NaN; the first is the score that counts.
        truth: stand-alone accuracies, fractions in [0, 1], float [n], NaN where the table lacks the architecture; such
            rows take part in the super-net accuracy alone and are counted in `n_without_truth`.
        architectures: n distinct string forms; they break ties.
        baselines: of the same n architectures (`nas_lightning.predictors.baselines.baselines_of`).
        seed_accuracies: float [n, seeds] of the truth, or None where the table keeps none: no noise ceiling then.
            Architectures of which a seed is missing (NaN) take no part in the ceiling; its n counts the others.
        seed_metric: what these are accuracies of, where it is not the truth itself; recorded with the ceiling.
        validation: stand-alone validation accuracies [n] for the proxy ceiling.
        table_accuracies: all accuracies of the table, for P > R; see `random_draws`.
        quality: the score that is in the unit of the truth: its mean is ``supernet_<quality>``, its distance the gap.
        replicates: of the bootstrap; by default 1000, fewer for large n (never under 50). Recorded.
        top_k: K of the measures of the predicted best.
        threshold: bin width of the sparse Kendall tau, in the unit of the truth.
        random_draws: n of P > R; None takes `top_k`.
        seed: of the bootstrap and of the splits of the noise ceiling.

    Returns:
        ``metrics``, ``baselines``, ``ceiling`` and ``evaluated``.

    Raises:
        ValueError: unpaired lengths, no score, NaN predictions, repeated architectures, and accuracies outside [0, 1].
    """
    y = np.asarray(truth, np.float64)
    ids = np.asarray(list(architectures), dtype=str)
    if len(np.unique(ids)) != len(ids) or len(ids) != len(y):
        raise ValueError(f"{len(y)} accuracies need as many distinct architectures, not {len(np.unique(ids))}")
    if not predictions:
        raise ValueError("no scores to summarize; give at least one under its name, such as accuracy")
    keep = ~np.isnan(y)
    n = int(keep.sum())
    draws = top_k if random_draws is None else random_draws
    replicates = affordable_replicates(n) if replicates is None else replicates

    def record(values: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
        found = ranking_record(
            values[rows], y[rows], ids[rows].tolist(), top_k=top_k, threshold=threshold, quality=quality
        )
        interval = bootstrap_kendall_tau(values[rows], y[rows], replicates, level=LEVEL, seed=seed)
        found["kendall_tau_interval"] = {"low": interval.low, "high": interval.high}
        best = found["final_search_performance"]["best"]
        found["probability_beats_random"] = None
        if table_accuracies is not None and not math.isnan(best):
            found["probability_beats_random"] = asdict(metrics.probability_beats_random(best, table_accuracies, draws))
        return found

    def baseline_record(baseline: Baseline) -> dict[str, Any]:
        records = [record(scores, keep & ~np.isnan(scores)) for scores in baseline.draws]
        if len(records) == 1:
            return records[0]
        taus = np.array([found["kendall_tau"] for found in records])
        draws = {"n": len(records), "kendall_tau_mean": taus.mean(), "kendall_tau_std": taus.std(ddof=1)}
        return {**mean_record(records), "draws": draws}

    by_score = {}
    for name, given in predictions.items():
        values = np.asarray(given, np.float64)
        if values.shape != y.shape:
            raise ValueError(f"score {name} has shape {values.shape} but there are {len(y)} architectures")
        by_score[name] = record(values, keep)
        if is_quality(name, quality):
            by_score[name][f"supernet_{quality}"] = metrics.supernet_accuracy(values)
            by_score[name]["optimization_gap"] = metrics.optimization_gap(values[keep], y[keep])
            by_score[name]["optimization_gap_std"] = float((y - values)[keep].std(ddof=1)) if n > 1 else math.nan
    return jsonable(
        {
            "evaluated": {
                "n": n,
                "n_without_truth": len(y) - n,
                "top_k": top_k,
                "sparse_threshold": threshold,
                "random_draws": draws,
                "bootstrap": {"replicates": replicates, "level": LEVEL, "seed": seed},
            },
            "metrics": by_score,
            "baselines": {b.name: {"note": b.note, **baseline_record(b)} for b in baselines},
            "ceiling": {
                "noise": _noise(
                    None if seed_accuracies is None else np.asarray(seed_accuracies, np.float64)[keep],
                    seed,
                    seed_metric,
                ),
                "proxy": _proxy(validation, y),
            },
        }
    )


def mean_record(records: Sequence[Any]) -> Any:
    """The same nested record with the mean of every number; what is missing in one is missing, n the smallest.

    Args:
        records: of one layout, at least one.

    Returns:
        One record of that layout.

    >>> mean_record([{"n": 3, "tau": 0.5}, {"n": 2, "tau": 0.25}])
    {'n': 2, 'tau': 0.375}
    """
    first = records[0]
    if isinstance(first, Mapping):
        return {key: mean_record([record[key] for record in records]) for key in first}
    if any(value is None for value in records):
        return None
    return min(records) if isinstance(first, int | np.integer) else float(np.mean(records))


def _noise(seed_accuracies: np.ndarray | None, seed: int, metric: str | None) -> dict[str, Any]:
    if seed_accuracies is None or seed_accuracies.ndim != 2 or seed_accuracies.shape[1] < 2:
        return {"not_available": "the table keeps no accuracies of single seeds"}
    ceiling = asdict(noise_ceiling(seed_accuracies, seed=seed))
    if ceiling["n"] < 2:
        return {"not_available": "fewer than 2 architectures have all seeds"}
    return ceiling | ({"metric": metric} if metric else {})


def _proxy(validation: ArrayLike | None, truth: np.ndarray) -> dict[str, Any]:
    if validation is None:
        return {"not_available": "no stand-alone validation accuracies were given"}
    values = np.asarray(validation, np.float64)
    return {"tau": proxy_ceiling(values, truth), "n": int((~np.isnan(values) & ~np.isnan(truth)).sum())}


def is_quality(name: str, quality: str = ACCURACY.name) -> bool:
    """Whether a score is a super-net's own quality: ``accuracy``, or ``seed1 accuracy`` where several are evaluated.

    Args:
        name: of a score.
        quality: name of what a network is judged by, such as ``accuracy``.

    Returns:
        Whether it is.
    """
    return name.split(" ")[-1] == quality and "(" not in name


def jsonable(value: Any) -> Any:
    """The same with plain Python numbers; NaN and infinities, which JSON lacks, become None.

    Args:
        value: numbers, arrays, mappings and sequences of them, nested as one likes.

    Returns:
        The same of lists, dictionaries, int, float, bool, str and None.

    >>> jsonable({"a": np.float32("nan"), "b": [np.int64(1)]})
    {'a': None, 'b': [1]}
    """
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [jsonable(v) for v in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def render_table(summary: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
    """`nas_lightning.ranking.terminal.render_table`: print the record as a table.

    Args:
        summary: of `summarize`.
        args: passed on.
        kwargs: passed on.
    """
    from nas_lightning.ranking import terminal

    terminal.render_table(summary, *args, **kwargs)
