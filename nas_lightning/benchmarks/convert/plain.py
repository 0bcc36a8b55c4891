"""Genotype lists (JSON, CSV) as NAS-Bench-301 and others publish them, and any CSV or Parquet with a column mapping."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nas_lightning.benchmarks.column import Column, column
from nas_lightning.benchmarks.encoding import encode, open_encoding
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.benchmarks.table_file import arrow_array, read_parquet
from nas_lightning.benchmarks.writer import dataset_name
from nas_lightning.errors import did_you_mean
from nas_lightning.runs.files import parse_json
from nas_lightning.spaces import ArchitectureError, get_space

_GENOTYPE_KEYS = ("genotype", "arch", "architecture")
_MAPPED = "--column test_accuracy=NAME[:percent]"


def read_columns(path: Path) -> dict[str, list[Any]]:
    """A CSV with a head line, a Parquet file, or a JSON list of records, as columns."""
    try:
        if path.suffix == ".parquet":
            return read_parquet(path).to_pydict()
        if path.suffix == ".json":
            data = parse_json(path.read_bytes(), unique=True)
            records = list(data.values()) if isinstance(data, dict) else data
            names = list(dict.fromkeys(name for record in records for name in record))
            return {name: [record.get(name) for record in records] for name in names}
        return _csv_columns(path.read_bytes().decode("utf-8-sig"))
    except BenchmarkError:
        raise
    except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise BenchmarkError(
            f"{path} cannot be read as {path.suffix or 'a table'} ({str(error)[:160]}); give a CSV "
            "with a head line, a JSON list of records, or a Parquet file"
        ) from None


def _csv_columns(text: str) -> dict[str, list[str]]:
    """Columns of a CSV file with a head line, without the spaces around cells. Raises ValueError."""
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True))
    rows = [[cell.strip() for cell in row] for row in rows if row]
    head = rows[0] if rows else []
    if twice := [name for name in head if head.count(name) > 1]:
        raise ValueError(f"two columns are named {twice[0][:60]!r}; rename or remove one")
    if any(len(row) != len(head) for row in rows):
        raise ValueError("a line has more or fewer fields than the head")
    return {name: [row[i] for row in rows[1:]] for i, name in enumerate(head)}


def _numbers(values: list[Any], name: str, ours: str, unit: str, path: Path) -> np.ndarray:
    """float64 [n], NaN for an empty cell; percents, by the mapping or by a % behind every number, become fractions."""
    texts = [value.strip() if isinstance(value, str) else value for value in values]
    signs = [text.endswith("%") for text in texts if isinstance(text, str) and text]
    percent = unit == "percent" or (bool(signs) and all(signs))
    if any(signs) and not percent:
        raise BenchmarkError(f"some numbers in column {name} of {path} are percents and some are not; write all alike")
    try:
        plain = [text.removesuffix("%") if isinstance(text, str) else text for text in texts]
        numbers = np.array([np.nan if value is None or value == "" else value for value in plain], np.float64)
        if numbers.ndim != 1 or any(isinstance(value, bool) for value in plain):
            raise ValueError("it is no list of numbers")
    except (TypeError, ValueError, OverflowError) as error:
        raise BenchmarkError(
            f"column {name} of {path} holds something that is no number ({str(error)[:120]}); map a column of numbers"
        ) from None
    largest = np.fmax.reduce(numbers, initial=0)
    if percent and not any(signs) and 0 < largest <= 1:
        raise BenchmarkError(
            f"column {name} of {path} reaches only to {largest:g}: these are fractions already; leave percent out"
        )
    if not percent and ours.partition("@")[0].endswith("_accuracy") and 1 < largest <= 100:
        raise BenchmarkError(f"column {name} of {path} reaches to {largest:g}: say percent, as {ours}={name}:percent")
    return numbers / 100 if percent else numbers


def _take(columns: Mapping[str, list[Any]], name: str, path: Path) -> list[Any]:
    if name not in columns:
        guess = did_you_mean(name, columns)
        raise BenchmarkError(f"{path} has no column {name}; {guess}it has {', '.join(columns) or 'none'}")
    return columns[name]


def read(
    path: Path,
    space: str,
    dataset: str,
    architecture: str,
    mapping: Mapping[str, str],
    seeds: bool = False,
) -> tuple[dict[str, Any], list[Column]]:
    """Architectures from column `architecture`, numbers by `mapping` from our names to ``NAME`` or ``NAME:percent``.

    Rows of one architecture are repeated trainings where `seeds` says so: their numbers are kept apart, as seeds.
    Raises BenchmarkError for a missing column, a malformed architecture (with its line), an architecture twice (else),
    a row without a number, or no rows.
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
    numbers = {}
    for ours, theirs in mapping.items():
        name, _, unit = (theirs, "", "") if theirs in data else theirs.partition(":")
        if unit not in ("", "percent"):
            raise BenchmarkError(f"{unit!r} is no unit of a mapping; use {_MAPPED}")
        numbers[ours] = _numbers(_take(data, name, path), name, ours, unit=unit, path=path)
    empty = np.flatnonzero(np.all([np.isnan(values) for values in numbers.values()], axis=0))
    if len(empty):
        raise BenchmarkError(f"row {empty[0] + 1} of {path} has no number in {', '.join(mapping)}; remove the row")
    encoded = encode(domain, archs)
    first = open_encoding(domain, pa.table({k: arrow_array(v) for k, v in encoded.items()})).rows(archs)
    if (first == np.arange(len(archs))).all():
        return encoded, [column(ours, values, dataset_name(dataset)) for ours, values in numbers.items()]
    if not seeds:
        again = int(np.flatnonzero(first != np.arange(len(archs)))[0])
        raise BenchmarkError(
            f"rows {first[again] + 1} and {again + 1} of {path} hold the same architecture; remove one, or say --seeds "
            "where they are repeated trainings"
        )
    kept = np.unique(first)
    columns = [_repeated(ours, values, first, dataset_name(dataset)) for ours, values in numbers.items()]
    return encode(domain, [archs[row] for row in kept]), columns


def _repeated(ours: str, values: np.ndarray, first: np.ndarray, dataset: str) -> Column:
    """A column of kind "seeds", [architectures, most runs of one], of the rows that belong together by `first`."""
    runs = [values[first == row] for row in np.unique(first)]
    plain = column(ours, values, dataset)
    if not plain.quantity.endswith(("_accuracy", "_loss", "_score", "_seconds")):  # a fact of the architecture
        known = [np.unique(run[~np.isnan(run)]) for run in runs]
        if any(len(run) > 1 for run in known):
            raise BenchmarkError(f"{ours} differs between rows of one architecture; it can be no fact of it")
        return replace(plain, values=np.array([run[0] if len(run) else np.nan for run in known]))
    table = np.full((len(runs), max(map(len, runs))), np.nan)
    for place, run in enumerate(runs):
        table[place, : len(run)] = run
    return replace(plain, values=table, kind="seeds", seeds=f"up to {table.shape[1]}")


def read_genotypes(
    path: Path,
    dataset: str,
    accuracy: str,
    percent: bool,
    metric: str = "test_accuracy",
    seeds: bool = False,
) -> tuple[dict[str, Any], list[Column]]:
    """DARTS genotypes with one accuracy column, the genotypes under `genotype`, `arch` or `architecture`."""
    data = read_columns(path)
    name = next((key for key in _GENOTYPE_KEYS if key in data), None)
    if name is None:
        raise BenchmarkError(
            f"{path} has none of the columns {', '.join(_GENOTYPE_KEYS)}; it has {', '.join(data) or 'none'}"
        )
    mapping = {metric: f"{accuracy}:percent" if percent else accuracy}
    return read(path, "darts_nds", dataset, architecture=name, mapping=mapping, seeds=seeds)
