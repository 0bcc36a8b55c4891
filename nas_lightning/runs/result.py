"""What a run found, one type per kind, with one author (`write_result`) and one reader (`read_result`).

A result is the content of ``result.json``: a plain mapping that mypy knows by these types. Author and reader are held
to them alike. Files of earlier versions may lack what came later, and files of later ones may hold more: what is
required stands as `Required`, unknown entries are kept as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Required, TypedDict, TypeVar, cast

from nas_lightning.runs.files import RunError, to_json, write_atomically
from nas_lightning.runs.folder import RESULT, SCHEMA_VERSION
from nas_lightning.runs.json_file import load_json
from nas_lightning.runs.shapes import misfit

COMPLETE, NOT_APPLICABLE, DIVERGED = "complete", "not_applicable", "diverged"
"""Statuses; a run diverged whose training ended at a loss that is no number, or far above that of a guess."""


class Interval(TypedDict, total=False):
    """Of a rank correlation."""

    low: float | None
    high: float | None


class Performance(TypedDict, total=False):
    """Stand-alone accuracy of the best K by a score; fractions, null where the table lacks them."""

    mean: float | None
    std: float | None
    best: float | None


class Probability(TypedDict, total=False):
    """That the best of the top K beats the best of as many random draws."""

    probability: float | None


class Record(TypedDict, total=False):
    """How well one score ranks, as `nas_lightning.ranking.summary` computes it.

    Of the task's own quality also ``supernet_<quality>``, its mean with shared weights: see `shared_quality`.
    """

    n: int
    kendall_tau: float | None
    sparse_kendall_tau: float | None
    spearman: float | None
    kendall_tau_top10pct: float | None
    kendall_tau_interval: Interval | None
    final_search_performance: Performance | None
    probability_beats_random: Probability | None
    optimization_gap: float | None
    note: str | None


NEEDED = ("n", "kendall_tau", "kendall_tau_interval", "kendall_tau_top10pct", "final_search_performance")
"""Entries of a `Record` that is ranked against a table."""


class Ablation(TypedDict, total=False):
    """The factor and setting that an ablation file names."""

    factor: str | None
    setting: str | int | float | None


class EvaluationFacts(TypedDict, total=False):
    """How sub-nets were scored, and which."""

    score: str
    headline: str
    architecture_set: str
    n_architectures: int
    split: str
    batch_norm: str
    precision: str
    n_images: int
    batch_size: int
    predictors: dict[str, str] | None
    source: str


class Table(TypedDict, total=False):
    """The table that was ranked against: its name and the hash of its content."""

    name: str | None
    sha256: str
    best: float | None


class Evaluated(TypedDict, total=False):
    """How the metrics were taken."""

    n: int
    top_k: int
    sparse_threshold: float


class Ceiling(TypedDict, total=False):
    """The rank correlation that noise allows."""

    tau: float | None
    n: int


class Pair(TypedDict, total=False):
    """Two predictors of one evaluation, compared."""

    first: str
    second: str
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    n: int


class Cost(TypedDict, total=False):
    """What was spent: of a training epochs, steps, passes and images, of a search its budget."""

    epochs: int
    steps: int
    images: int
    budget: float
    spent: float
    passes: float | None
    unit: str


class Head(TypedDict, total=False):
    """What every result says."""

    schema_version: int
    kind: Required[str]
    status: Required[str]
    reason: str | None
    run_hash: Required[str]
    space: Required[str]
    dataset: Required[str]
    seed: Required[int]
    study: str | None
    quality: dict[str, Any]
    items: str


class Trained(Head, total=False):
    """What a training says beside it, whatever the mode."""

    init_seed: int | None
    plan: dict[str, dict[str, Any]]
    heuristics: dict[str, Any]
    changed: dict[str, list[Any]]
    called: dict[str, str]
    ablation: Ablation | None
    recipe: str | None
    data: dict[str, Any] | None
    cost: Cost


class Ranked(TypedDict, total=False):
    """What an evaluation says."""

    evaluation: EvaluationFacts | None
    benchmark: Table | None
    evaluated: Evaluated | None
    metrics: dict[str, Record]
    baselines: dict[str, Record] | None
    ceiling: dict[str, Ceiling] | None


class SupernetResult(Trained, Ranked, total=False):
    """mode=supernet, kind ``train``."""

    derived: dict[str, Any]


class StandaloneResult(Trained, total=False):
    """mode=standalone."""

    architecture: str
    parameters: int
    metrics: dict[str, dict[str, Any]]


class TableResult(Trained, total=False):
    """mode=table."""

    metrics: dict[str, Any]


class EvaluationResult(Head, Ranked, total=False):
    """mode=evaluate, or scores of another method's files."""

    seeds: list[int]
    checkpoints: list[dict[str, Any]]
    comparison: list[Pair]
    cost: Cost


class Front(TypedDict, total=False):
    """What a search with several goals found."""

    measures: list[str]
    front: list[dict[str, Any]]
    reference: dict[str, Any] | None
    hypervolume: float | None
    against_true_front: dict[str, float | int] | None
    """Of `nas_lightning.search.pareto.Indicators`, and the number of points of the true front; None without a table."""


class Best(TypedDict, total=False):
    """The architecture that a search would return, with its stand-alone truth."""

    architecture: str | None
    objective: float | None
    truth: float | None


class Found(TypedDict, total=False):
    """What a search found."""

    found: Best | None
    pareto: Front | None


class Chance(TypedDict, total=False):
    """Random search over seeds of its own: means over them."""

    found: Performance | None


class SearchBaselines(TypedDict, total=False):
    """What chance reaches with the same budget; null where it was not computed."""

    random_search_equal_budget: Chance | None
    random_draws: dict[str, Any] | None


class AlgorithmFacts(TypedDict, total=False):
    """The algorithm of a search with its settings."""

    name: str
    settings: dict[str, Any]
    notes: list[str]


class ObjectiveFacts(TypedDict, total=False):
    """What guided a search; its quality, or the table's metric, say what its truth is."""

    name: str | None
    truth: Any
    quality: dict[str, Any]


class SearchResult(Head, total=False):
    """search.py."""

    benchmark: Table | None
    algorithm: AlgorithmFacts | str | None
    objective: ObjectiveFacts | None
    fidelities: dict[str, Any]
    schedule: dict[str, Any]
    weak_labels: dict[str, Any]
    candidates: list[str]
    metrics: Found | None
    baselines: SearchBaselines | None
    cost: Cost


class DivergedResult(Trained, total=False):
    """A training that ended at a loss that is no measurement."""

    step: int
    loss: float | str


Result = SupernetResult | StandaloneResult | TableResult | EvaluationResult | SearchResult | DivergedResult | Head

Written = TypeVar("Written", bound=Mapping[str, Any])

KINDS: dict[str, type] = {
    "train": SupernetResult,
    "standalone": StandaloneResult,
    "table": TableResult,
    "evaluation": EvaluationResult,
    "search": SearchResult,
}


def wrong(result: Mapping[str, Any]) -> str:
    """The first entry that no run of ours has written, in words; empty where all are right."""
    kind, status = result.get("kind"), result.get("status")
    shape = KINDS.get(kind, Trained) if isinstance(kind, str) else Head
    shape = {DIVERGED: DivergedResult, NOT_APPLICABLE: Trained}.get(str(status), shape)
    if found := misfit(result, shape):
        return found
    if status == COMPLETE and (found := _wrong_ranking(result)):
        return found
    changed = result.get("changed") or {}  # a head alone, of a kind that no run has, says nothing of its type
    if not isinstance(changed, Mapping) or not all(isinstance(values, list) for values in changed.values()):
        return "changed is no mapping of fields to before and after"
    for name, values in changed.items():
        if len(values) != 2:
            return f"changed.{name:.60} holds {len(values)} values in place of before and after"
    return ""


def _wrong_ranking(result: Mapping[str, Any]) -> str:
    if result["kind"] not in ("train", "evaluation"):
        return ""
    if result["kind"] == "evaluation" and not isinstance(result.get("evaluation"), dict):
        return "evaluation is missing"
    if result.get("benchmark", {}) is None:  # benchmark=none ranks nothing
        return ""
    for part in ("metrics", "baselines"):
        for name, record in (result.get(part) or {}).items():
            if missing := [key for key in NEEDED if key not in record]:
                return f"{part}.{name:.60} lacks {', '.join(missing)}"
            if None in (record["kendall_tau_interval"], record["final_search_performance"]):
                return f"{part}.{name:.60} lacks its interval or its final search performance"
    return ""


def algorithm_name(result: SearchResult) -> str | None:
    """The name of a search's algorithm; older files hold it alone, without its settings."""
    given = result.get("algorithm")
    return given if isinstance(given, str) or given is None else given.get("name")


def shared_quality(record: Record, quality: str) -> float | None:
    """The mean quality with shared weights, ``supernet_accuracy`` of an accuracy.

    Args:
        record: of the score that is the quality itself.
        quality: its name.
    """
    value = cast(Mapping[str, Any], record).get(f"supernet_{quality}")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def write_result(folder: Path, result: Written) -> Written:
    """Write a run's result.json, atomically and last: with it the run is complete.

    Args:
        folder: the run folder.
        result: one of the types above.

    Returns:
        What was written: the result with its schema version, which comes first.

    Raises:
        TypeError: an entry is of another type than this module says, which is a bug of the caller.
    """
    whole: dict[str, Any] = {"schema_version": SCHEMA_VERSION, **result}
    if found := wrong(whole):
        raise TypeError(f"this {whole.get('kind')} result is not as nas_lightning/runs/result.py says: {found}")
    write_atomically(folder / RESULT, to_json(whole))
    return cast(Written, whole)


def read_result(path: Path) -> Result:
    """The result of a file.

    Args:
        path: a result.json.

    Raises:
        RunError: damaged, of another version, or not what a run writes; the message says which entry.
    """
    try:
        result = load_json(path)
    except ValueError as error:
        raise RunError(f"result.json {error}; repeat the run with force=true") from None
    version = result.get("schema_version") if isinstance(result, dict) else None
    if version != SCHEMA_VERSION:
        raise RunError(
            f"result.json has schema version {version!s:.40}, but this version reads {SCHEMA_VERSION}; move the folder "
            "away or repeat the run with force=true"
        )
    if missing := [key for key in ("kind", "status", "space", "dataset", "seed", "run_hash") if key not in result]:
        raise RunError(f"result.json lacks {', '.join(missing)}; repeat the run with force=true")
    if found := wrong(result):
        raise RunError(f"in result.json {found}; repeat the run with force=true")
    return cast(Result, result)


def finished(folder: Path) -> Result | None:
    """The result of a complete run; None where there is none. Raises RunError, see `read_result`."""
    path = folder / RESULT
    if not path.exists():
        return None
    try:
        return read_result(path)
    except RunError as error:
        raise RunError(f"{folder}: {error}") from None
