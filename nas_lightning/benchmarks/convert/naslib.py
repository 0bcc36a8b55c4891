"""NAS-Bench-Suite-Zero (Krishnakumar et al., arXiv 2210.03230): NASLib's JSON of zero-cost scores, and its tuples.

``{data set: {tuple of the architecture: {proxy: {score, time}, val_accuracy}}}``, one file a space. The same content
collected as Parquet (columns space, dataset, arch, val_acc and the proxies) is read for one space at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.benchmarks.column import Column
from nas_lightning.benchmarks.encoding import encode
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.benchmarks.table_file import read_parquet
from nas_lightning.benchmarks.writer import dataset_name
from nas_lightning.spaces import ArchitectureError, get_space
from nas_lightning.spaces.reading import listed, literal

_NB201 = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
_NB201_PLACES = (0, 1, 3, 2, 4, 5)  # NASLib's edges go by their source, NAS-Bench-201's by their target
_DARTS = (
    "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
)  # fmt: skip
_ACCURACIES = ("class_object", "class_scene", "jigsaw")
"""TransNAS-Bench-101's tasks that are measured in percent; the others have scores of their own."""


def _numbers(value: Any, length: int | None = None) -> list[int]:
    parts = listed(value)
    if parts is None or any(type(part) is not int for part in parts) or (length and len(parts) != length):
        raise ArchitectureError(f"{str(value)[:80]} is no tuple of {length or 'whole'} numbers")
    return parts


def _nasbench201(value: Any) -> Any:
    space, ops = get_space("nasbench201"), _numbers(value, 6)
    if any(not 0 <= op < 5 for op in ops):
        raise ArchitectureError(f"{str(value)[:80]} names an operation that is not among 0 to 4")
    return space.decode([space.operations.index(_NB201[ops[place]]) for place in _NB201_PLACES])


def _nasbench301(value: Any) -> Any:
    cells = listed(value)
    if cells is None or len(cells) != 2:
        raise ArchitectureError(f"{str(value)[:80]} is no pair of cells")
    made = {}
    for name, cell in zip(("normal", "reduce"), cells, strict=True):
        pairs = [_numbers(pair, 2) for pair in listed(cell) or ()]
        if any(not 0 <= op < 7 for _, op in pairs):
            raise ArchitectureError(f"{str(cell)[:80]} names an operation that is not among 0 to 6")
        made[name] = [(_DARTS[op], source) for source, op in pairs]
    return get_space("darts_nds").parse(made)


_TUPLES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "nasbench101": ("nasbench101", lambda value: get_space("nasbench101").parse(_numbers(value))),
    "nasbench201": ("nasbench201", _nasbench201),
    "nasbench301": ("darts_nds", _nasbench301),
    "transnasbench101_micro": (
        "transnasbench101_micro", lambda value: get_space("transnasbench101_micro").parse(_numbers(value, 6)),
    ),
    "transnasbench101_macro": (
        "transnasbench101_macro", lambda value: get_space("transnasbench101_macro").parse(_numbers(value, 6)),
    ),
}  # fmt: skip
_SUITE_OF = {space: suite for suite, (space, _) in _TUPLES.items()}
"""NASLib's names of the spaces by ours."""
_FILES = {
    "zc_nasbench101": "nasbench101",
    "zc_nasbench201": "nasbench201",
    "zc_nasbench301": "nasbench301",
    "zc_transbench101_micro": "transnasbench101_micro",
    "zc_transbench101_macro": "transnasbench101_macro",
}


def architecture_of(suite: str, text: Any) -> Any:
    """The architecture that NASLib writes as this tuple (or its text), in the space that `_TUPLES` names for `suite`.

    Raises ArchitectureError.
    """
    return _TUPLES[suite][1](literal(text) if isinstance(text, str) else text)


Records = Mapping[str, Mapping[str, Mapping[str, Any]]]  # data set -> tuple as text -> measured


def read(path: Path, space: str) -> tuple[dict[str, Any], list[Column], str]:
    """Architectures, columns, and the name of the space, of a suite file.

    space: our name of the space, where the file's name does not say it (zc_nasbench201.json does), as for Parquet.

    Raises BenchmarkError.
    """
    suite = _FILES.get(path.stem) or _SUITE_OF.get(space)
    if suite is None:
        raise BenchmarkError(
            f"NAS-Bench-Suite-Zero has no space {space}; give --space as one of {', '.join(_SUITE_OF)}"
        )
    try:
        records = _collected(path, suite) if path.suffix == ".parquet" else _json(path)
        texts = list(dict.fromkeys(text for measured in records.values() for text in measured))
        archs = [architecture_of(suite, text) for text in texts]
        columns = _columns(suite, records, texts)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, ArchitectureError) as error:
        if isinstance(error, BenchmarkError):
            raise
        raise BenchmarkError(
            f"{path.name} is no NAS-Bench-Suite-Zero file of {suite} ({type(error).__name__}: {str(error)[:100]})"
        ) from None
    if not archs:
        raise BenchmarkError(f"{path.name} holds no architectures of {suite}; give another --space or file")
    target = get_space(_TUPLES[suite][0])
    return encode(target, archs), columns, target.name


def _json(path: Path) -> Records:
    data = json.loads(path.read_bytes())
    records: dict[str, dict[str, dict[str, Any]]] = {}
    for dataset, measured in data.items():
        rows = records[dataset] = {}
        for text, record in measured.items():
            rows[text] = {
                name: value["score"] if isinstance(value, dict) else value
                for name, value in record.items()
                if isinstance(value, (int, float)) or (isinstance(value, dict) and "score" in value)
            }
    return records


def _collected(path: Path, suite: str) -> Records:
    table = read_parquet(path).to_pylist()
    records: dict[str, dict[str, dict[str, Any]]] = {}
    for row in table:
        if row["space"] == suite:
            proxies = {k: v for k, v in row.items() if k not in ("space", "dataset", "arch", "table_index", "val_acc")}
            records.setdefault(row["dataset"], {})[row["arch"]] = {"val_accuracy": row["val_acc"], **proxies}
    return records


def _columns(suite: str, records: Records, texts: Sequence[str]) -> list[Column]:
    columns = []
    for dataset, measured in records.items():
        ours = dataset_name(dataset)
        names = dict.fromkeys(name for record in measured.values() for name in record)
        for name in names:
            values = np.array([_value(measured.get(text, {}).get(name)) for text in texts])
            if name != "val_accuracy":
                columns.append(Column(values, f"naslib_{name}", ours, unit="score", note="as NASLib publishes it"))
            elif suite.startswith("transnasbench101") and dataset not in _ACCURACIES:
                columns.append(Column(values, "validation_score", ours, unit="score of the task"))
            else:
                columns.append(Column(values / 100, "validation_accuracy", ours, note="given in percent"))
    # the accuracy is what a table is opened by: it comes first
    return sorted(columns, key=lambda column: column.quantity.startswith("naslib_"))


def _value(value: Any) -> float:
    return float("nan") if value is None or not np.isfinite(value) else float(value)
