"""NAS-Bench-301's result records (Siems et al., arXiv 2008.09777): one JSON a training, with its learning curves.

A record names the operation of every chosen edge of both cells and the two inputs of every node
(``NetworkSelectorDatasetInfo:darts:…``); accuracies are in percent. Shorter
curves are padded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.benchmarks.column import Column
from nas_lightning.benchmarks.encoding import encode
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.spaces import ArchitectureError, get_space

_PREFIX = "NetworkSelectorDatasetInfo:darts:"
_NOTE = "given in percent, divided by 100"


def genotype(config: Mapping[str, Any]) -> Any:
    """The DARTS architecture of a record's configuration. Raises ArchitectureError."""
    cells = {}
    for ours, theirs in (("normal", "normal"), ("reduce", "reduce")):
        edges, cell, first = [], [], 0
        for node in range(2, 6):
            text = config.get(f"{_PREFIX}inputs_node_{theirs}_{node}", "0_1" if node == 2 else None)
            if not isinstance(text, str):
                raise ArchitectureError(f"the record names no inputs of node {node} of the {theirs} cell")
            # edges are numbered node by node: those into node 2 first
            edges += [(first + int(digit), int(digit)) for digit in text.split("_")]
            first += node
        for edge, source in edges:
            op = config.get(f"{_PREFIX}edge_{theirs}_{edge}")
            if not isinstance(op, str):
                raise ArchitectureError(f"the record names no operation of edge {edge} of the {theirs} cell")
            cell.append((op, source))
        cells[ours] = cell
    return get_space("darts_nds").parse(cells)


def _records(path: Path, progress: Callable[[int], None]) -> Iterator[dict[str, Any]]:
    if path.is_file():
        data = json.loads(path.read_bytes())
        yield from data if isinstance(data, list) else [data]
        return
    done = 0
    for file in sorted(path.rglob("*.json")):
        record = json.loads(file.read_bytes())
        done += file.stat().st_size
        progress(done)
        if isinstance(record, dict) and "optimized_hyperparamater_config" in record:
            yield record


def read(path: Path, progress: Callable[[int], None] = lambda position: None) -> tuple[dict[str, Any], list[Column]]:
    """Architectures and columns of a folder of records (searched through), of one record, or of a list of them.

    Raises BenchmarkError.
    """
    space = get_space("darts_nds")
    archs, validation, test, seconds, params, epochs, curves = [], [], [], [], [], [], []
    try:
        for record in _records(path, progress):
            archs.append(genotype(record["optimized_hyperparamater_config"]))
            (info, *_) = record["info"]
            validation.append(float(info["val_accuracy"]))
            test.append(float(record["test_accuracy"]))
            seconds.append(float(record["runtime"]))
            params.append(float(info.get("model_parameters", np.nan)))
            epochs.append(float(record["budget"]))
            curves.append([float(value) for value in record["learning_curves"]["Train/val_accuracy"]])
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, ArchitectureError) as error:
        raise BenchmarkError(
            f"{path.name} is no NAS-Bench-301 result ({type(error).__name__}: {str(error)[:120]}); give a folder of "
            "results_*.json or one of them"
        ) from None
    if not archs:
        raise BenchmarkError(f"{path} holds no results of NAS-Bench-301; give the folder of results_*.json")
    longest = max(map(len, curves))
    curve = np.full((len(curves), longest), np.nan, np.float32)
    for row, values in enumerate(curves):
        curve[row, : len(values)] = np.array(values) / 100
    columns = [
        Column(np.array(test) / 100, "test_accuracy", "cifar10", seeds="1", note=_NOTE),
        Column(np.array(validation) / 100, "final_validation_accuracy", "cifar10", seeds="1", note=_NOTE),
        Column(np.array(epochs), "train_epochs", unit="setting"),
        Column(np.array(seconds), "train_seconds", "cifar10"),
        Column(np.array(params), "params", "cifar10", note="as published"),
    ]
    if longest > 1:
        columns.insert(1, Column(curve, "validation_accuracy", "cifar10", kind="curve", seeds="1", note=_NOTE))
    return encode(space, archs), columns
