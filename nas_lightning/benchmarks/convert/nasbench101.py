"""NAS-Bench-101 from its official TFRecord file (full or only-108), streamed.

Each record is JSON: module hash, epochs, flattened adjacency, operations, and a base64 protocol-buffer message with an
evaluation before training, at half time and at the end. Three runs at each budget are kept apart, in file order.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.benchmarks.column import Column
from nas_lightning.benchmarks.convert.tfrecord import records
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.runs.files import parse_json
from nas_lightning.spaces import ArchitectureError, NB101Space
from nas_lightning.spaces.nasbench101_table import encode_nasbench101

RUNS = 3
_FIELDS = ("train_accuracy", "validation_accuracy", "test_accuracy", "training_time")
_HALVES = ("halfway", "final")


@lru_cache(maxsize=1)
def model_metrics() -> type[Any]:
    """The message class of the records, from its published definition (`model_metrics.proto`, package nasbench)."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="nasbench_model_metrics.proto", package="nasbench", syntax="proto2")
    kind = descriptor_pb2.FieldDescriptorProto
    metrics = file.message_type.add(name="ModelMetrics")
    metrics.field.add(
        name="evaluation_data",
        number=1,
        label=kind.LABEL_REPEATED,
        type=kind.TYPE_MESSAGE,
        type_name=".nasbench.EvaluationData",
    )
    metrics.field.add(name="trainable_parameters", number=2, label=kind.LABEL_OPTIONAL, type=kind.TYPE_INT32)
    metrics.field.add(name="total_time", number=3, label=kind.LABEL_OPTIONAL, type=kind.TYPE_DOUBLE)
    evaluation = file.message_type.add(name="EvaluationData")
    for number, name in enumerate(
        ("current_epoch", "training_time", "train_accuracy", "validation_accuracy", "test_accuracy"), 1
    ):
        evaluation.field.add(name=name, number=number, label=kind.LABEL_OPTIONAL, type=kind.TYPE_DOUBLE)
    evaluation.field.add(name="checkpoint_path", number=6, label=kind.LABEL_OPTIONAL, type=kind.TYPE_STRING)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("nasbench.ModelMetrics"))


class _Grid:
    """Runs of all cells at one budget, float32 [cells, run, half, field], grown as cells come."""

    def __init__(self) -> None:
        self.values = np.full((1024, RUNS, len(_HALVES), len(_FIELDS)), np.nan, np.float32)
        self.runs = np.zeros(1024, np.int8)

    def put(self, row: int, path: Path, values: list[list[float]]) -> None:
        while row >= len(self.runs):
            self.values = np.concatenate([self.values, np.full_like(self.values, np.nan)])
            self.runs = np.concatenate([self.runs, np.zeros_like(self.runs)])
        if self.runs[row] == RUNS:
            raise BenchmarkError(f"{path} has more than {RUNS} runs of one cell at one budget; it is no official file")
        self.values[row, self.runs[row]] = values
        self.runs[row] += 1


def read(path: Path, progress: Callable[[int], None] | None = None) -> tuple[dict[str, Any], list[Column]]:
    """Architectures and columns. Peak memory: 0.6 GB for the full file (measured).

    Raises BenchmarkError for a damaged file or records of another kind.
    """
    space, message = NB101Space(), model_metrics()
    rows: dict[bytes, int] = {}
    cells: list[tuple[int, int, tuple[int, ...]]] = []
    params: list[int] = []
    grids: dict[int, _Grid] = {}
    for record in records(path, progress):
        try:
            module_hash, epochs, adjacency, operations, raw = parse_json(record)
            if type(epochs) is not int or not 0 < epochs < 10**6:
                raise ValueError(f"{str(epochs)[:40]!r} is no number of epochs")
            metrics = message.FromString(base64.b64decode(raw))
            digest = bytes.fromhex(module_hash)
            row = rows.get(digest)
            if row is None:
                row = rows[digest] = len(cells)
                arch = space.parse(f"{adjacency}:{operations}")
                if len(rows) % 997 == 1 and space.key(arch) != module_hash:
                    raise BenchmarkError(
                        f"{path} gives cell {row} the hash {module_hash}, which is not its "
                        "module hash; give the official file"
                    )
                cells.append((arch.n_vertices, arch.adj_bits, arch.operations))
                params.append(metrics.trainable_parameters)
            evaluations = metrics.evaluation_data
            values = [[getattr(evaluations[half], field) for field in _FIELDS] for half in (1, 2)]
        except (ValueError, TypeError, IndexError, AttributeError, ArchitectureError) as error:
            if isinstance(error, BenchmarkError):
                raise
            raise BenchmarkError(
                f"{path} holds a record that is no NAS-Bench-101 measurement "
                f"({str(error)[:120]}); give the official file"
            ) from None
        except Exception as error:
            if type(error).__module__.startswith("google.protobuf"):
                raise BenchmarkError(
                    f"{path} holds a record whose metrics cannot be decoded; give the official file"
                ) from None
            raise
        grids.setdefault(int(epochs), _Grid()).put(row, path, values)
    if not cells:
        raise BenchmarkError(f"{path} holds no records; give the official file")
    return _encoded(cells, rows), _columns(grids, np.array(params, np.int32))


def _encoded(cells: list[tuple[int, int, tuple[int, ...]]], rows: dict[bytes, int]) -> dict[str, Any]:
    operations = np.array([ops + (-1,) * (7 - n) for n, _, ops in cells], np.int8)
    encoded = encode_nasbench101(np.array([c[0] for c in cells]), np.array([c[1] for c in cells]), operations)
    encoded["module_hash"] = np.frombuffer(b"".join(rows), np.uint8).reshape(-1, 16)
    return encoded


def _columns(grids: dict[int, _Grid], params: np.ndarray) -> list[Column]:
    columns = [Column(params, "params", "cifar10")]
    for epochs, grid in sorted(grids.items()):
        values = grid.values[: len(params)]
        if len(values) < len(params):
            missing = np.full((len(params) - len(values), *values.shape[1:]), np.nan, np.float32)
            values = np.concatenate([values, missing])
        for h, half in enumerate(_HALVES):
            for f, field in enumerate(_FIELDS):
                quantity = "train_seconds" if field == "training_time" else field
                name = quantity if half == "final" else f"halfway_{quantity}"
                split = None if field == "training_time" else field.split("_")[0]
                columns.append(
                    Column(
                        np.ascontiguousarray(values[:, :, h, f]),
                        name,
                        "cifar10",
                        epochs=epochs,
                        kind="seeds",
                        seeds="3",
                        split=split,
                    )
                )
    return columns
