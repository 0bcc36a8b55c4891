"""Run folders as one pandas table, a row a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nas_lightning.errors import UserError
from nas_lightning.runs.changes import called
from nas_lightning.runs.labels import change
from nas_lightning.runs.quality import ACCURACY
from nas_lightning.runs.reading import COMPLETE, Run, checked, find_runs
from nas_lightning.runs.result import Ablation, Best, Found, Record, StandaloneResult, algorithm_name

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("kendall_tau", "spearman", "sparse_kendall_tau", "kendall_tau_top10pct", "ndcg_at_k", "regret_at_k")


def read_runs(*folders: str | Path) -> pd.DataFrame:
    """Every run in and below some folders, as a pandas DataFrame with one row each.

    Args:
        folders: run folders, or folders that hold them at any depth.

    Returns:
        Columns: ``path``, ``status`` (complete, not applicable, failed, unfinished), ``reason``, ``kind`` (train,
        evaluation, standalone, table, search), ``space``, ``dataset``, ``study``, ``recipe``, ``seed``, ``factor`` and
        ``setting`` (what the run changed), ``algorithm``, ``score``, the ranking's metrics and ``parameters_tau``,
        ``quality`` (what its networks are judged by), ``reached`` (that of a stand-alone network on test items, or
        what a search found) and, where it is an accuracy, ``accuracy`` (a fraction), ``seconds``. What a run does not
        have is missing.

    Raises:
        UserError: where a folder is missing or holds no run, or pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise UserError("read_runs needs pandas; install it with: pip install 'nas-lightning[notebook]'") from None
    return pd.DataFrame([_row(checked(run)) for run in find_runs(folders)])


def _row(run: Run) -> dict[str, Any]:
    result, record = run.result, run.record
    ablation = run.trained.get("ablation") or Ablation()
    factor, setting = ablation.get("factor"), ablation.get("setting")
    if "called" in run.trained or (factor is None and "heuristics" in run.trained):
        factor, setting = change(called(run))
    row: dict[str, Any] = {"path": run.shown, "status": run.status, "reason": run.reason or None}
    row |= {name: result.get(name) for name in ("kind", "space", "dataset", "study", "recipe", "seed")}
    row |= {"factor": factor, "setting": setting, "algorithm": algorithm_name(run.searched)}
    row["score"] = run.score if record else None
    row |= {name: record.get(name) for name in METRICS}
    row["parameters_tau"] = ((run.ranked.get("baselines") or {}).get("parameters") or Record()).get("kendall_tau")
    row |= {"quality": run.quality.name, "reached": _reached(run)}
    row["accuracy"] = row["reached"] if run.quality == ACCURACY else None
    row["seconds"] = run.seconds if run.status == COMPLETE else None
    return row


def _reached(run: Run) -> float | None:
    if run.kind == "standalone":
        metrics = cast(StandaloneResult, run.result).get("metrics") or {}
        return (metrics.get("test") or {}).get(run.quality.name)
    found = (run.searched.get("metrics") or Found()).get("found") or Best()
    return found.get("truth")
