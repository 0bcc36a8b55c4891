"""What a search leaves behind: the files of its run folder."""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.search.engine import Record
from nas_lightning.search.outcome import incumbents

RESULT_SCHEMA = 1
COLUMNS = (
    "evaluation",
    "architecture",
    "objective",
    "incumbent_objective",
    "incumbent_truth",
    "cost",
    "seed",
    "algorithm",
    "fidelity",
    "spent",
)


def run_hash(determinants: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that name what determines a result."""
    text = json.dumps(determinants, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new, and nothing between."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_json(path: Path, content: Any) -> None:
    write_atomically(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def search_csv(
    records: Sequence[Record], truths: np.ndarray, seed: int, algorithm: str, format_architecture: Any
) -> str:
    """Every evaluation in the order in which the algorithm learned of it, as CSV text.

    evaluation counts from 1; objective is empty where the evaluation failed; incumbent_* is the best so far (of the
    highest fidelity so far) and its stand-alone accuracy, empty where unknown; cost is what this evaluation cost, spent
    what the search had spent by then, both in the unit of the budget. Measures (params …) follow as further columns.
    """
    names = sorted({name for record in records for name in record.evaluation.measures})
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*COLUMNS, *names])
    for record, best, truth in zip(records, incumbents(records), truths.tolist(), strict=True):
        evaluation = record.evaluation
        writer.writerow(
            [
                record.number + 1,
                format_architecture(record.trial.architecture),
                _number(evaluation.value),
                _number(records[best].evaluation.value),
                _number(truth),
                _number(evaluation.cost),
                seed,
                algorithm,
                record.trial.fidelity,
                _number(record.spent),
                *(_number(evaluation.measures.get(name, np.nan)) for name in names),
            ]
        )
    return buffer.getvalue()


def _number(value: float) -> str:
    return repr(float(value)) if np.isfinite(value) else ""


def environment() -> dict[str, Any]:
    """Versions, threads, commit and command. Reads version numbers without importing the packages."""
    versions: dict[str, str | None] = {}
    for package in ("nas-lightning", "numpy", "torch", "pytorch-lightning", "hydra-core", "pyarrow"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    source = Path(__file__).resolve().parents[2]
    commit: str | None
    try:
        commit = subprocess.run(
            ["git", "-C", str(source), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        commit = None  # installed from a wheel, or git is missing
    return {
        "commit": commit,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions,
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "command": sys.argv,
    }
