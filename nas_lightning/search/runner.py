"""One search in its run folder: skip what is finished, resume what is not, write the result last."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from nas_lightning.runs.environment import environment, record_environment
from nas_lightning.runs.files import RunError, to_json, write_atomically
from nas_lightning.runs.folder import RESULT, remove_leftovers, run_hash
from nas_lightning.runs.lock import holding
from nas_lightning.runs.result import (
    COMPLETE,
    AlgorithmFacts,
    Chance,
    Found,
    ObjectiveFacts,
    SearchBaselines,
    SearchResult,
    finished,
    write_result,
)
from nas_lightning.search.algorithm import Algorithm, algorithm_class, make_algorithm
from nas_lightning.search.budget import Budget
from nas_lightning.search.candidates import behind_candidates
from nas_lightning.search.csv_file import search_csv
from nas_lightning.search.engine import Search
from nas_lightning.search.journal import Journal, is_in_use
from nas_lightning.search.objective import Objective
from nas_lightning.search.outcome import conclude, random_baseline, random_draws
from nas_lightning.search.progress import SearchProgress
from nas_lightning.search.trial import SearchError
from nas_lightning.search.weak_labels import WeakLabelSource

MOST_BASELINE_SEEDS = 1_000_000


@dataclass(frozen=True)
class SearchPlan:
    """What determines the result of a search, besides the objective."""

    algorithm: str
    budget: Budget
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the algorithm
    single_fidelity: bool = False
    parallel: int = 1
    deterministic: bool = True
    top_k: int = 10
    baseline_seeds: int = 20  # random searches at equal budget to compare with; only where an evaluation is a look-up
    study: str | None = None
    target: str | None = None  # dotted path of an algorithm that is none of the package's
    candidates: tuple[str, ...] = ()  # architectures that are evaluated before the algorithm proposes any

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise SearchError(f"top_k={self.top_k}: at least one architecture has to be found")
        if self.parallel < 1:
            raise SearchError(f"parallel={self.parallel}: at least one trial has to be in flight")
        if self.seed < 0:
            raise SearchError(f"seed={self.seed}: seeds are not negative")
        if not 0 <= self.baseline_seeds <= MOST_BASELINE_SEEDS:
            raise SearchError(
                f"baseline_seeds={self.baseline_seeds}: give a number of random searches up to "
                f"{MOST_BASELINE_SEEDS:,}, or 0 for none"
            )

    def determinants(self, objective: Objective, weak: WeakLabelSource | None = None) -> dict[str, Any]:
        """What the run's hash is made of, as plain JSON."""
        plan = asdict(self)
        del plan["study"]  # a label
        for name in ("target", "candidates"):  # the hashes of searches from before the field existed
            if not plan[name]:
                del plan[name]
        made_of = {"kind": "search", "plan": plan, "objective": objective.identity()}
        return made_of if weak is None else {**made_of, "weak_labels": weak.identity()}

    def run_name(self, objective: Objective, weak: WeakLabelSource | None = None) -> str:
        digest = run_hash(self.determinants(objective, weak))
        return f"{self.algorithm}-{objective.name}-{objective.space.name}-seed{self.seed}-{digest}"


def run_search(
    plan: SearchPlan,
    objective: Objective,
    output_dir: Path,
    *,
    dataset: str = "",
    benchmark: Mapping[str, str] | None = None,
    config_yaml: str = "",
    force: bool = False,
    progress: bool = True,
    weak: WeakLabelSource | None = None,
) -> tuple[dict[str, Any], Path, bool]:
    """Run, resume or skip one search under `output_dir`.

    Returns the content of result.json, the run folder, and whether the result was already there. Raises SearchError for
    input that cannot be searched, and writes error.txt where a search fails.
    """
    digest = run_hash(plan.determinants(objective, weak))
    folder = output_dir / plan.run_name(objective, weak)
    # Everything that can be refused is refused before anything is written.
    algorithm = prepared(plan, objective, weak)
    if force:
        discard(folder)
    finished = finished_result(folder, digest)
    if finished is not None:
        return finished, folder, True
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "config.yaml", config_yaml.encode())
    record_environment(folder, environment(objective.identity()))
    objective.open_folder(folder)
    try:
        started = time.perf_counter()
        about: dict[str, Any] = {"dataset": dataset, "benchmark": dict(benchmark) if benchmark else None}
        if weak is not None:
            labels = weak.labels(objective.space, algorithm.wanted_weak_labels, folder)
            algorithm.take_weak_labels(labels)
            about["weak_labels"] = {
                **weak.identity(),
                "architectures": len(labels.architectures),
                "scores": list(labels.scores),
            }
        search = _search_in(folder, plan, objective, algorithm=algorithm, digest=digest, progress=progress)
        timings = {"search_s": time.perf_counter() - started, "evaluated_by_this_process": search.evaluated}
        remove_leftovers(folder)
        with holding(folder):  # of several processes one concludes: that may mean real training
            result = finished_result(folder, digest)
            if result is None:
                result, table = _conclude(plan, objective, algorithm, search=search, digest=digest, about=about)
                timings["total_s"] = time.perf_counter() - started
                write_atomically(folder / "search.csv", table.encode())
                write_atomically(folder / "timings.json", to_json(timings))
                result = write_result(folder, result)
                objective.close_folder()
    except Exception:
        write_atomically(folder / "error.txt", traceback.format_exc().encode())
        raise
    (folder / "error.txt").unlink(missing_ok=True)
    return result, folder, False


def prepared(plan: SearchPlan, objective: Objective, weak: WeakLabelSource | None = None) -> Algorithm:
    """The algorithm of a search, ready for its first trial.

    Args:
        plan: algorithm, its settings, budget and seed.
        objective: what it will maximise.
        weak: where its weak labels come from; None without any.

    Returns:
        The algorithm, which nobody has asked yet.

    Raises:
        SearchError: whatever can be refused before the first evaluation.
    """
    algorithm = make_algorithm(
        plan.algorithm,
        objective.space,
        objective.fidelities,
        seed=plan.seed,
        settings=plan.settings,
        single_fidelity=plan.single_fidelity,
        target=plan.target,
    )
    algorithm.name_values([objective.value_name, *algorithm.measures])
    algorithm = behind_candidates(algorithm, objective, plan.candidates)
    algorithm.fit_budget(plan.budget)
    if weak is not None and not algorithm_class(plan.target or plan.algorithm).takes_weak_labels:
        raise SearchError(f"{plan.algorithm} does not use weak labels: drop them, or choose acenas or predictor_guided")
    return algorithm


def _search_in(
    folder: Path, plan: SearchPlan, objective: Objective, algorithm: Algorithm, digest: str, progress: bool
) -> Search:
    """The search, run to its end with the journal of the folder."""
    bar = SearchProgress(plan.budget, plan.algorithm, progress)
    with Journal(folder / "journal.jsonl", digest) as journal, bar:
        search = Search(
            algorithm,
            objective,
            plan.budget,
            parallel=plan.parallel,
            deterministic=plan.deterministic,
            journal=journal,
            on_record=bar.record,
            on_wait=bar.waiting,
        )
        search.run()
    return search


def _conclude(
    plan: SearchPlan, objective: Objective, algorithm: Algorithm, search: Search, digest: str, about: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    """The content of result.json and of search.csv."""
    records = search.records
    if not records:
        raise SearchError(f"{plan.algorithm} has evaluated nothing: check its settings")
    if not any(np.isfinite(record.measurement.value) for record in records):
        raise SearchError(
            f"all {len(records)} evaluations of {plan.algorithm} failed, so that nothing was found: "
            f"{objective.failed_words}"
        )
    metrics, truths = conclude(records, objective, plan.top_k, algorithm.measures)
    result: SearchResult = {
        "kind": "search",
        "status": COMPLETE,
        "reason": None,
        "run_hash": digest,
        "space": objective.space.name,
        **cast(SearchResult, about),
        "seed": plan.seed,
        "algorithm": cast(
            AlgorithmFacts,
            {
                "name": plan.algorithm,
                **({"_target_": plan.target} if plan.target else {}),
                "settings": dict(plan.settings),
                "notes": list(algorithm.notes),
            },
        ),
        "objective": cast(
            ObjectiveFacts, {"name": objective.name, **objective.identity(), **objective.quality.record()}
        ),
        "fidelities": {"unit": objective.fidelities.unit, "levels": _levels(objective)},
        "schedule": {"parallel": plan.parallel, "deterministic": plan.deterministic},
        "study": plan.study,
        "metrics": cast(Found, metrics),
        "baselines": baselines(plan, objective),
        "cost": {"unit": plan.budget.unit, "budget": plan.budget.amount, "spent": records[-1].spent},
    }
    if plan.candidates:
        result["candidates"] = list(plan.candidates)
    return cast("dict[str, Any]", result), search_csv(
        records, truths, plan.seed, algorithm=plan.algorithm, format_architecture=objective.space.format
    )


def _levels(objective: Objective) -> list[int]:
    """All levels where they are few, the ends where every integer between them is one."""
    levels = objective.fidelities.levels
    return [levels[0], levels[-1]] if objective.fidelities.continuous else list(levels)


def baselines(plan: SearchPlan, objective: Objective) -> SearchBaselines:
    """Random search at equal budget (where evaluations are look-ups), and blind draws from the table of truths."""
    out: SearchBaselines = {"random_search_equal_budget": None, "random_draws": None}
    table = objective.all_truths()
    if table is not None and np.isfinite(table).any():
        out["random_draws"] = random_draws(table, plan.top_k)
    if objective.is_lookup and plan.baseline_seeds:
        by_chance = random_baseline(objective, plan.budget, plan.top_k, plan.baseline_seeds)
        out["random_search_equal_budget"] = cast(Chance, by_chance)
    return out


def finished_result(folder: Path, digest: str) -> dict[str, Any] | None:
    """The result of a finished run. Raises RunError where the folder holds a damaged one, or one of another version."""
    result = cast("dict[str, Any] | None", finished(folder))
    if result is not None and result.get("run_hash") != digest:
        raise RunError(f"{folder / RESULT} belongs to run {result.get('run_hash')}: repeat this one with force=true")
    return result


def discard(folder: Path) -> None:
    """Remove what an earlier run left, so that it is repeated. Raises SearchError while another process works there."""
    if is_in_use(folder / "journal.jsonl"):
        raise SearchError(f"another process is at work in {folder}: wait for it, or end it, before force=true")
    for name in (
        RESULT,
        "search.csv",
        "timings.json",
        "weak_labels.parquet",
        "error.txt",
        "pareto.png",
        "journal.jsonl.damaged",
        "journal.jsonl",
    ):
        (folder / name).unlink(missing_ok=True)
