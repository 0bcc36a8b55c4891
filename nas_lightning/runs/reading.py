"""Run folders as a run leaves them behind, found and read; what cannot be read is listed, never dropped."""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from nas_lightning.errors import UserError, did_you_mean
from nas_lightning.runs import result as results
from nas_lightning.runs.files import RunError
from nas_lightning.runs.folder import RESULT
from nas_lightning.runs.json_file import clean, is_number, load_json
from nas_lightning.runs.quality import Quality, quality_of, quality_of_search
from nas_lightning.runs.result import Head, Ranked, Record, SearchResult, Trained, read_result

_OWN_ERROR = re.compile(r"^nas_lightning(\.\w+)+Error: ")
"""Before the sentence of an error of this package, whose class tells a reader nothing."""
_MARKS = ("result.json", "config.yaml", "error.txt", "environment.json")

COMPLETE, NOT_APPLICABLE, FAILED, UNFINISHED = "complete", "not applicable", "failed", "unfinished"


@dataclass
class Run:
    """One run folder; `status` is one of the four above, `reason` says why not complete, `result` is result.json."""

    path: Path
    status: str
    reason: str
    result: Head = field(default_factory=lambda: cast(Head, {}))
    """result.json, empty where there is none; `trained`, `ranked` and `searched` are its parts, by kind."""
    shown: str = ""
    """The folder as a reader is told it: as it was typed, within an archive by the archive's name."""

    def __post_init__(self) -> None:
        self.shown = clean(self.shown or str(self.path))

    @property
    def kind(self) -> str:
        """train, evaluation, standalone, table or search; empty where no result was written."""
        return str(self.result.get("kind", ""))

    @property
    def seed(self) -> int:
        """The run's seed, as its result names it."""
        return int(self.result["seed"])

    @property
    def trained(self) -> Trained:
        """What a training says of itself, a failed one too; empty of other kinds."""
        return cast(Trained, {} if self.kind in ("evaluation", "search") else self.result)

    @property
    def ranked(self) -> Ranked:
        """What a super-net's training or an evaluation says of rankings; empty of other kinds."""
        return cast(Ranked, self.result if self.kind in ("train", "evaluation") else {})

    @property
    def searched(self) -> SearchResult:
        """What a search says; empty of other kinds."""
        return cast(SearchResult, self.result if self.kind == "search" else {})

    @property
    def quality(self) -> Quality:
        """What networks were judged by; of a search, the stand-alone truth that it reports."""
        return quality_of_search(self.searched.get("objective") or {}) if self.searched else quality_of(self.result)

    @property
    def score(self) -> str:
        """Name of the score that counts in this run's ranking: of a training that fuses scores, their fusion."""
        evaluation = self.ranked.get("evaluation") or {}
        headline = evaluation.get("headline") if self.kind == "train" else None
        return str(headline or evaluation.get("score", self.quality.name))

    @property
    def record(self) -> Record:
        """Metrics of the score that counts (see `nas_lightning.ranking.summary`); empty where there are none."""
        name = (self.ranked.get("evaluation") or {}).get("headline", self.score)
        return (self.ranked.get("metrics") or {}).get(name) or {}

    @property
    def own_record(self) -> Record:
        """Metrics of the task's own quality, whatever score counts."""
        return (self.ranked.get("metrics") or {}).get(self.quality.name) or {}

    @cached_property
    def ranking(self) -> dict[str, np.ndarray]:
        """Columns of ranking.parquet: architecture (str), prediction and truth (float64 [n], truth NaN where absent).

        Empty where the run ranked nothing.

        Raises:
            UserError: the file cannot be read, or holds what no ranking has.
        """
        columns = (self.ranked.get("evaluation") or {}).get("predictors") or {} if self.kind == "train" else {}
        return self._ranking_by(columns.get(self.score, f"supernet_{self.score}"), self.score)

    @cached_property
    def predictions(self) -> dict[str, dict[str, np.ndarray]]:
        """The same for every predictor of a ranking that names their columns, by its name."""
        columns = (self.ranked.get("evaluation") or {}).get("predictors") or {}
        found = {str(name): self._ranking_by(str(column)) for name, column in columns.items()}
        return {name: table for name, table in found.items() if table}

    def _ranking_by(self, column: str, otherwise: str = "") -> dict[str, np.ndarray]:
        file = self.path / "ranking.parquet"
        if not file.is_file():
            return {}
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(file)
            prediction = np.asarray(table[column].to_numpy(), np.float64)
            truth = np.asarray(table[f"standalone_{self.quality.name}"].to_numpy(), np.float64)
            names = np.array([clean(str(name)) for name in table["architecture"].to_pylist()], dtype=str)
        except KeyError as error:
            raise UserError(f"{self._shown(file)} lacks a column ({error.args[0]}); rank this run again") from None
        except (pa.ArrowException, OSError, ValueError, TypeError) as error:
            raise UserError(f"{self._shown(file)} cannot be read ({_brief(error)}); rank this run again") from None
        low, high = (0, 1) if self.quality.scale == "percent" else (-math.inf, math.inf)
        if not ((np.isnan(truth) | ((truth >= low) & (truth <= high))).all() and not np.isposinf(prediction).any()):
            raise UserError(
                f"{self._shown(file)} holds an infinite score, or {self.quality.name} outside {low:g} to {high:g}; "
                "rank this run again"
            )
        if len(np.unique(names)) < len(names):
            raise UserError(f"{self._shown(file)} names an architecture twice; rank this run again")
        return {"architecture": names, "prediction": prediction, "truth": truth}

    def _shown(self, file: Path) -> str:
        return f"{self.shown}/{file.name}"

    @cached_property
    def epochs(self) -> dict[str, np.ndarray]:
        """Numeric columns of metrics.csv, float64 [rows], NaN where a cell is empty."""
        return self._numeric_csv("metrics.csv")

    @cached_property
    def search(self) -> dict[str, np.ndarray]:
        """Numeric columns of search.csv: evaluation, objective, incumbent_objective, incumbent_truth, cost, spent."""
        return self._numeric_csv("search.csv")

    @cached_property
    def operation_weights(self) -> dict[str, list[Any]]:
        """Columns of distribution.csv: epoch (int), cell, source, target, operation (str), weight (float).

        Empty where no distribution was learned.

        Raises:
            UserError: the file cannot be read.
        """
        rows, columns = self._csv_rows("distribution.csv"), ("epoch", "cell", "source", "target", "operation", "weight")
        if not rows:
            return {}
        try:
            table: dict[str, list[Any]] = {name: [clean(row[name]) for row in rows] for name in columns}
            table |= {"epoch": list(map(int, table["epoch"])), "weight": list(map(float, table["weight"]))}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            file = self._shown(self.path / "distribution.csv")
            raise UserError(
                f"{file} lacks a column or holds what is no number ({_brief(error)}); repeat this run"
            ) from None
        return table

    @cached_property
    def seconds(self) -> float:
        """Wall seconds of the whole run, the entry `total_s` of timings.json; NaN without.

        Raises:
            UserError: the file cannot be read.
        """
        file = self.path / "timings.json"
        if not file.is_file():
            return float("nan")
        try:
            timings = load_json(file)
        except ValueError as error:
            raise UserError(f"{self._shown(file)} {error}; delete it") from None
        total = timings.get("total_s") if isinstance(timings, dict) else None
        return float(total) if is_number(total) else float("nan")

    def _csv_rows(self, name: str) -> list[dict[str, str]]:
        """The rows of a CSV file of this folder; none where it is not there."""
        file = self.path / name
        if not file.is_file():
            return []
        try:
            with file.open(newline="", encoding="utf-8") as stream:
                return list(csv.DictReader(stream))
        except (UnicodeDecodeError, csv.Error, OSError) as error:
            raise UserError(f"{self._shown(file)} is no CSV file ({_brief(error)}); repeat this run") from None

    def _numeric_csv(self, name: str) -> dict[str, np.ndarray]:
        rows = self._csv_rows(name)

        def number(cell: str | None) -> float:
            try:
                value = float(cell) if cell else math.nan
            except ValueError:
                return math.nan
            return value if math.isfinite(value) else math.nan

        return {name: np.array([number(row[name]) for row in rows]) for name in (rows[0] if rows else []) if name}


def _brief(error: Exception) -> str:
    """An error of another library in one line."""
    return clean(str(error).splitlines()[0] if str(error) else type(error).__name__)[:160]


def checked(run: Run) -> Run:
    """The run, or the same as a failed one where a file beside its result.json cannot be used.

    Args:
        run: as it was read.

    Returns:
        The same run, or one that has failed.
    """
    if run.status != COMPLETE:
        return run
    try:
        _ = run.epochs, run.seconds, run.operation_weights
        _ = run.search if run.kind == "search" else run.ranking if run.kind == "train" else run.predictions
    except ValueError as error:
        return Run(run.path, FAILED, str(error), result=run.result, shown=run.shown)
    return run


def find_runs(folders: Iterable[str | Path], shown: Sequence[str] | None = None) -> list[Run]:
    """Every run in and below `folders`, in the order of their paths; a run found twice is listed once.

    `shown` says how each folder is called, where another name than its path means more: an archive's.

    Args:
        folders: run folders, folders of them, or archives.
        shown: how the folders are called in messages; None takes their paths.

    Returns:
        At least one run.

    Raises:
        UserError: a folder does not exist, or holds no run.
    """
    roots = [Path(folder) for folder in folders]
    for root in roots:
        if not os.path.isdir(root):
            raise UserError(f"{root} is no folder; {_beside(root)}give run folders or folders of a sweep")
    found: dict[Path, str] = {}
    for root, name in zip(roots, shown or map(str, roots), strict=True):
        for path in _run_folders(root):
            below = path.relative_to(root).as_posix()
            found.setdefault(path.resolve(), name if below == "." else f"{name.rstrip('/')}/{below}")
    if not found:
        names = ", ".join(shown or map(str, roots))
        raise UserError(f"no runs in {names}; a run folder holds a config.yaml and, once complete, a result.json")
    return [read_run(path, found[path]) for path in sorted(found, key=lambda path: (found[path], path))]


def _beside(root: Path) -> str:
    """The question that names the folders and archives beside a missing one that are most like it."""
    try:
        names = [path.name for path in root.parent.iterdir() if path.is_dir() or ".tar" in path.name]
    except OSError:
        return ""
    return did_you_mean(root.name, names)


def _run_folders(root: Path) -> Iterable[Path]:
    for folder, children, files in os.walk(root):
        # Hidden folders hold Hydra's own copies of the config, checkpoints of a run no runs.
        children[:] = sorted(c for c in children if not c.startswith(".") and c not in ("checkpoints", "wandb"))
        if any(mark in files for mark in _MARKS):
            yield Path(folder)


def read_run(path: Path, shown: str = "") -> Run:
    """The run in `path` with its status; a complete result outweighs an error.txt that an earlier attempt left.

    Args:
        path: a run folder.
        shown: how it is called; empty takes its path.

    Returns:
        Complete, unfinished, failed or not applicable.
    """

    def run(status: str, reason: str, result: Head | None = None) -> Run:
        return Run(path, status, reason, result=result if result is not None else cast(Head, {}), shown=shown)

    file = path / RESULT
    if file.is_file():
        try:
            result = read_result(file)
        except RunError as error:
            return run(FAILED, str(error))
        status, reason = result["status"], result.get("reason")
        if status == results.NOT_APPLICABLE:
            return run(NOT_APPLICABLE, str(reason or "no reason given"), result)
        if status == results.COMPLETE:
            return run(COMPLETE, "", result)
        if status == results.DIVERGED:
            return run(FAILED, str(reason or "the training diverged"), result)
        return run(FAILED, f"result.json has the unknown status {str(status)[:40]!r}", result)
    if (path / "error.txt").is_file():
        lines = (path / "error.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = _OWN_ERROR.sub("", lines[-1].strip()) if lines else "error.txt is empty"
        return run(FAILED, clean(last)[:500])
    return run(UNFINISHED, "no result.json: still running, or interrupted")
