"""Scores that other methods left in files: CSV, JSON or Parquet, one predictor a column.

=========  ==========================================================================================================
CSV        a header; the architecture's column is called so (`ARCHITECTURE`) or is the first; the others are scores
Parquet    the same
JSON       ``{architecture: score}``, ``{architecture: {name: score}}``, a list of records as of a CSV, or of pairs
=========  ==========================================================================================================
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_lightning.errors import UserError
from nas_lightning.runs.json_file import clean, load_json

ARCHITECTURE = (
    "architecture",
    "arch",
    "arch_str",
    "architecture_str",
    "genotype",
    "cell",
    "arch_index",
    "index",
    "key",
)
_LARGEST = 1 << 30
_ROW_NUMBERS = re.compile(r"__index_level_\d+__|Unnamed: \d+|")
"""Columns of row numbers that pandas leaves behind in Parquet and CSV files."""


@dataclass(frozen=True)
class ScoreFile:
    """What one file holds: architectures as they are written there, and scores by name, NaN where a cell is empty."""

    path: Path
    architectures: list[str]
    scores: dict[str, list[float]]
    ignored: tuple[str, ...] = ()
    """Columns that hold no numbers."""


def read_score_file(path: Path) -> ScoreFile:
    """The scores in a file. Raises UserError naming the file, and the row where one is wrong."""
    if not path.is_file():
        raise UserError(f"{path} is no file; give score files (CSV, JSON or Parquet)")
    if path.stat().st_size > _LARGEST:
        raise UserError(f"{path} is larger than 1 GiB; score files hold a line an architecture")
    suffix = path.suffix.lower()
    if suffix == ".json":
        records = _json_records(path)
    elif suffix in (".parquet", ".pq"):
        records = _parquet_records(path)
    elif suffix in (".csv", ".tsv", ".txt"):
        records = _csv_records(path, "\t" if suffix == ".tsv" else ",")
    else:
        raise UserError(f"{path} ends in {suffix or 'nothing'}; score files end in .csv, .tsv, .json or .parquet")
    if not records:
        raise UserError(f"{path} holds no scores")
    return _file_of(path, records)


def _file_of(path: Path, records: Sequence[dict[str, Any]]) -> ScoreFile:
    names = list(dict.fromkeys(name for record in records for name in record))
    lower = {name.strip().lower(): name for name in reversed(names)}
    named = [name for name in names if not _ROW_NUMBERS.fullmatch(name)] or names
    column = next((lower[name] for name in ARCHITECTURE if name in lower), named[0])
    texts = []
    for i, record in enumerate(records, start=1):
        if record.get(column) in (None, ""):
            raise UserError(f"{path}: row {i} names no architecture in its column {column}")
        texts.append(clean(_text(record[column])))
    scores: dict[str, list[float]] = {}
    ignored = []
    for name in names:
        if name == column or _ROW_NUMBERS.fullmatch(name):
            continue
        values = [_number(record.get(name)) for record in records]
        known = [v for v in values if v is not None]
        if not known or all(math.isnan(v) for v in known):
            ignored.append(name)
            continue
        if len(known) < len(values):
            row = values.index(None) + 1
            said = str(records[row - 1].get(name))[:40]
            raise UserError(f"{path}: row {row} of {name} is {said!r}, which is no number")
        if any(math.isinf(v) and v > 0 for v in known):
            raise UserError(f"{path}: {name} is infinite in row {known.index(math.inf) + 1}; leave such cells empty")
        scores[clean(name.strip()) or "score"] = known
    if not scores:
        raise UserError(f"{path} has no column of numbers beside {column}")
    return ScoreFile(path, texts, scores, tuple(ignored))


def _text(value: Any) -> str:
    """An architecture as spaces read it: texts as they are; indices, lists, dictionaries as Python writes them."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.strip() if isinstance(value, str) else repr(value)


def _number(value: Any) -> float | None:
    """NaN for an empty cell, None for what is no number; a percent sign is left out."""
    if value is None:
        return math.nan
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = value.strip().removesuffix("%")
        if not value:
            return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _csv_records(path: Path, separator: str) -> list[dict[str, Any]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
        header = [name.strip() for name in reader.fieldnames or []]
        if len(set(header)) < len(header):
            raise UserError(f"{path} has two columns of one name ({', '.join(header)[:120]}); rename one")
        reader.fieldnames = header
        records = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is no CSV file of UTF-8 text ({str(error)[:80]})") from None
    for i, record in enumerate(records, start=1):
        if None in record:
            raise UserError(
                f"{path}: row {i} has more cells than the header; quote architectures that hold a {separator!r}"
            )
    return records


def _parquet_records(path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return [{str(k): v for k, v in record.items()} for record in pq.read_table(path).to_pylist()]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path} is no Parquet file that can be read ({str(error).splitlines()[0][:100]})") from None


def _json_records(path: Path) -> list[dict[str, Any]]:
    try:
        value = load_json(path, unique=True, any_number=True)
    except ValueError as error:
        raise UserError(f"{path} {error}") from None
    if isinstance(value, dict):
        if all(isinstance(v, dict) for v in value.values()):
            return [{"architecture": key, **inner} for key, inner in value.items()]
        return [{"architecture": key, "score": score} for key, score in value.items()]
    if isinstance(value, list) and all(isinstance(v, dict) for v in value):
        return value
    if isinstance(value, list) and all(isinstance(v, list) and len(v) == 2 for v in value):
        return [{"architecture": architecture, "score": score} for architecture, score in value]
    raise UserError(f"{path} holds neither {{architecture: score}} nor a list of records or of pairs")
