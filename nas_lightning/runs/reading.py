"""Run folders as a run leaves them behind, found and read; what cannot be read is listed, never dropped."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.errors import UserError

SCHEMA_VERSION = 1
_MARKS = ("result.json", "config.yaml", "error.txt", "environment.json")

COMPLETE, NOT_APPLICABLE, FAILED, UNFINISHED = "complete", "not applicable", "failed", "unfinished"


@dataclass
class Run:
    """One run folder; `status` is one of the four above, `reason` says why not complete, `result` is result.json."""

    path: Path
    status: str
    reason: str
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """train, evaluation, standalone, table or search; empty where no result was written."""
        return str(self.result.get("kind", ""))

    @property
    def seed(self) -> int:
        return int(self.result["seed"])

    @property
    def score(self) -> str:
        """Name of the score that counts in this run's ranking."""
        return str((self.result.get("evaluation") or {}).get("score", "accuracy"))

    @property
    def record(self) -> dict[str, Any]:
        """Metrics of the score that counts (see `nas_lightning.ranking.summary`); empty where there are none."""
        name = (self.result.get("evaluation") or {}).get("headline", self.score)
        return dict((self.result.get("metrics") or {}).get(name) or {})

    @cached_property
    def ranking(self) -> dict[str, np.ndarray]:
        """Columns of ranking.parquet: architecture (str), prediction and truth (float64 [n], truth NaN where absent).

        Empty where the run ranked nothing. Raises ValueError naming the file where it cannot be read.
        """
        return self._ranking_by(f"supernet_{self.score}")

    @cached_property
    def predictions(self) -> dict[str, dict[str, np.ndarray]]:
        """The same for every predictor of a mode=evaluate run, by its name."""
        columns = (self.result.get("evaluation") or {}).get("predictors") or {}
        found = {str(name): self._ranking_by(str(column)) for name, column in columns.items()}
        return {name: table for name, table in found.items() if table}

    def _ranking_by(self, column: str) -> dict[str, np.ndarray]:
        file = self.path / "ranking.parquet"
        if not file.is_file():
            return {}
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(file)
            prediction = table[column].to_numpy()
            truth = table["standalone_accuracy"].to_numpy()
            names = table["architecture"].to_pylist()
        except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
            raise UserError(f"{file} cannot be read ({error}); rank this run again") from None
        return {
            "architecture": np.array(names, dtype=str),
            "prediction": np.asarray(prediction, np.float64),
            "truth": np.asarray(truth, np.float64),
        }

    @cached_property
    def epochs(self) -> dict[str, np.ndarray]:
        """Numeric columns of metrics.csv, float64 [rows], NaN where a cell is empty."""
        return _numeric_csv(self.path / "metrics.csv")

    @cached_property
    def search(self) -> dict[str, np.ndarray]:
        """Numeric columns of search.csv: evaluation, objective, incumbent_objective, incumbent_truth, cost, spent."""
        return _numeric_csv(self.path / "search.csv")

    @cached_property
    def seconds(self) -> float:
        """Wall seconds of the whole run, the entry `total_s` of timings.json; NaN without."""
        file = self.path / "timings.json"
        if not file.is_file():
            return float("nan")
        try:
            timings = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{file} is no JSON ({error}); delete it") from None
        total = timings.get("total_s") if isinstance(timings, dict) else None
        return float(total) if isinstance(total, int | float) else float("nan")


def _numeric_csv(file: Path) -> dict[str, np.ndarray]:
    if not file.is_file():
        return {}
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} is no CSV file ({error}); repeat this run") from None

    def number(cell: str | None) -> float:
        try:
            return float(cell) if cell else float("nan")
        except ValueError:
            return float("nan")

    return {name: np.array([number(row[name]) for row in rows]) for name in (rows[0] if rows else []) if name}


def find_runs(folders: Iterable[str | Path]) -> list[Run]:
    """Every run in and below `folders`, in the order of their paths; a run found twice is listed once.

    Raises ValueError for a folder that does not exist, or when nothing was found.
    """
    roots = [Path(folder) for folder in folders]
    for root in roots:
        if not root.is_dir():
            raise UserError(f"{root} is no folder; give run folders or folders of a sweep")
    paths = {path.resolve(): path for root in roots for path in _run_folders(root)}
    if not paths:
        names = ", ".join(str(root) for root in roots)
        raise UserError(f"no runs in {names}; a run folder holds a config.yaml and, once complete, a result.json")
    return [read_run(paths[key]) for key in sorted(paths)]


def _run_folders(root: Path) -> Iterable[Path]:
    for folder, children, files in os.walk(root):
        # Hidden folders hold Hydra's own copies of the config, checkpoints of a run no runs.
        children[:] = sorted(c for c in children if not c.startswith(".") and c not in ("checkpoints", "wandb"))
        if any(mark in files for mark in _MARKS):
            yield Path(folder)


_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("kind", "status", "space", "dataset", "run_hash"), str),
    "seed": int,
    **dict.fromkeys(("plan", "heuristics", "changed", "metrics", "cost", "data", "baselines", "ceiling"), dict),
    **dict.fromkeys(("ablation", "evaluation", "benchmark", "evaluated", "algorithm"), (dict, type(None))),
    **dict.fromkeys(("study", "recipe", "reason"), (str, type(None))),
}


def _wrong_types(result: dict[str, Any]) -> str:
    """The first entry whose type no run of ours has written, in words; empty where all are right."""
    for name, kind in _TYPES.items():
        if name in result and not isinstance(result[name], kind):
            return f"{name} is of type {type(result[name]).__name__}"
    scores = result.get("metrics", {}).items() if result["kind"] == "train" else ()
    return next((f"metrics.{name} is of type {type(v).__name__}" for name, v in scores if not isinstance(v, dict)), "")


def read_run(path: Path) -> Run:
    """The run in `path` with its status; a complete result outweighs an error.txt that an earlier attempt left."""
    file = path / "result.json"
    if file.is_file():
        try:
            result = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            return Run(path, FAILED, "result.json is no JSON; delete the folder and run again")
        version = result.get("schema_version") if isinstance(result, dict) else None
        if version != SCHEMA_VERSION:
            return Run(
                path, FAILED, f"result.json has schema version {version}, but this report reads {SCHEMA_VERSION}"
            )
        if missing := [k for k in ("kind", "status", "space", "dataset", "seed", "run_hash") if k not in result]:
            return Run(path, FAILED, f"result.json lacks {', '.join(missing)}")
        if wrong := _wrong_types(result):
            return Run(path, FAILED, f"in result.json {wrong}; repeat the run with force=true")
        if result["status"] == "not_applicable":
            return Run(path, NOT_APPLICABLE, str(result.get("reason") or "no reason given"), result)
        if result["status"] == "complete":
            return Run(path, COMPLETE, "", result)
        return Run(path, FAILED, f"result.json has the unknown status {result['status']!r}", result)
    if (path / "error.txt").is_file():
        lines = (path / "error.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return Run(path, FAILED, lines[-1].strip() if lines else "error.txt is empty")
    return Run(path, UNFINISHED, "no result.json: still running, or interrupted")
