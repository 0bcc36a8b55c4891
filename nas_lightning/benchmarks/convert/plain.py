"""Genotype lists (JSON, CSV) as NAS-Bench-301 and others publish them, and any CSV or Parquet with a column mapping."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.benchmarks.column import Column, column
from nas_lightning.benchmarks.encoding import encode
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.benchmarks.table_file import read_parquet
from nas_lightning.benchmarks.writer import dataset_name
from nas_lightning.spaces import ArchitectureError, get_space

_GENOTYPE_KEYS = ("genotype", "arch", "architecture")
_MAPPED = "--column test_accuracy=NAME[:percent]"


def read_columns(path: Path) -> dict[str, list[Any]]:
    """A CSV with a head line, a Parquet file, or a JSON list of records, as columns."""
    try:
        if path.suffix == ".parquet":
            return read_parquet(path).to_pydict()
        if path.suffix == ".json":
            data = json.loads(path.read_bytes())
            records = list(data.values()) if isinstance(data, dict) else data
            names = list(dict.fromkeys(name for record in records for name in record))
            return {name: [record.get(name) for record in records] for name in names}
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
            if any(None in row or None in row.values() for row in rows):
                raise ValueError("a line has more or fewer fields than the head")
            return {name: [row[name] for row in rows] for name in reader.fieldnames or ()}
    except BenchmarkError:
        raise
    except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise BenchmarkError(
            f"{path} cannot be read as {path.suffix or 'a table'} ({str(error)[:160]}); give a CSV "
            "with a head line, a JSON list of records, or a Parquet file"
        ) from None


def _numbers(values: list[Any], name: str, path: Path, percent: bool) -> np.ndarray:
    try:
        numbers = np.array([np.nan if value is None or value == "" else value for value in values], np.float64)
    except (TypeError, ValueError) as error:
        raise BenchmarkError(
            f"column {name} of {path} holds something that is no number ({str(error)[:120]}); map a column of numbers"
        ) from None
    return numbers / 100 if percent else numbers


def _take(columns: Mapping[str, list[Any]], name: str, path: Path) -> list[Any]:
    if name not in columns:
        raise BenchmarkError(f"{path} has no column {name}; it has {', '.join(columns) or 'none'}")
    return columns[name]


def read(
    path: Path,
    space: str,
    dataset: str,
    architecture: str,
    mapping: Mapping[str, str],
) -> tuple[dict[str, Any], list[Column]]:
    """Architectures from column `architecture`, numbers by `mapping` from our names to ``NAME`` or ``NAME:percent``.

    Raises BenchmarkError for a missing column, a malformed architecture (with its line) or no rows.
    """
    domain, data = get_space(space), read_columns(path)
    texts = _take(data, architecture, path)
    archs = []
    for line, text in enumerate(texts, 1):
        try:
            archs.append(domain.parse(text))
        except ArchitectureError as error:
            raise BenchmarkError(f"row {line} of {path}: {error}") from None
    if not archs:
        raise BenchmarkError(f"{path} holds no rows")
    if not mapping:
        raise BenchmarkError(f"no column of {path} was chosen; name at least one with {_MAPPED}")
    columns = []
    for ours, theirs in mapping.items():
        name, _, unit = theirs.partition(":")
        if unit not in ("", "percent"):
            raise BenchmarkError(f"{unit!r} is no unit of a mapping; use {_MAPPED}")
        values = _numbers(_take(data, name, path), name, path, unit == "percent")
        columns.append(column(ours, values, dataset_name(dataset)))
    return encode(domain, archs), columns


def read_genotypes(
    path: Path,
    dataset: str,
    accuracy: str,
    percent: bool,
    metric: str = "test_accuracy",
) -> tuple[dict[str, Any], list[Column]]:
    """DARTS genotypes with one accuracy column, the genotypes under `genotype`, `arch` or `architecture`."""
    data = read_columns(path)
    name = next((key for key in _GENOTYPE_KEYS if key in data), None)
    if name is None:
        raise BenchmarkError(
            f"{path} has none of the columns {', '.join(_GENOTYPE_KEYS)}; it has {', '.join(data) or 'none'}"
        )
    return read(path, "darts_nds", dataset, name, {metric: f"{accuracy}:percent" if percent else accuracy})
