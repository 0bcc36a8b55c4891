"""Writing a table: the one way that converters, the package's own tables and users' tables share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas_lightning.benchmarks.column import Column, column
from nas_lightning.benchmarks.encoding import encode
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.benchmarks.table_file import write_columns
from nas_lightning.spaces import get_space, target_of

CONVERTER = 1  # goes up whenever a converter's output changes, so that caches are made anew
_RESERVED = (
    "format",
    "version",
    "rows",
    "crc32",
    "header_crc32",
    "columns",
    "space",
    "space_target",
    "datasets",
    "converter",
)


_DATASETS = {
    **{name: name for name in ("cifar10", "cifar100", "digits", "imagenet")},
    "c10": "cifar10",
    "c100": "cifar100",
    "in16": "imagenet16_120",
    "imagenet16120": "imagenet16_120",
}


def dataset_name(name: str) -> str:
    """The project's name of a data set: ``ImageNet16-120`` and ``imagenet16_120`` are one.

    Args:
        name: as someone else spells it.

    Returns:
        The project's spelling; `name` itself where it is not known.
    """
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return _DATASETS.get(plain, name)


def write_table(
    path: str | Path,
    *,
    space: str,
    dataset: str | None,
    architectures: Sequence[Any],
    columns: Mapping[str, Any] | Iterable[Column],
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Write a stand-alone table, atomically; ``.parquet`` is compressed, ``.arrow`` can be memory-mapped.

    Args:
        path: destination, ending in .parquet or .arrow.
        space: name of the search space, or the dotted path of one's own, which is kept beside its name.
        dataset: data set of the columns given by plain name.
        architectures: n architectures of the space, values or strings; found later by any isomorphic form.
        columns: name to values of length n, or `Column` objects that say more. Plain names are
            ``test_accuracy``, ``validation_accuracy``, ``train_accuracy`` (fractions in [0, 1], NaN where absent),
            ``params``, ``macs``, ``train_seconds`` (of one training), ``<device>_latency_ms``; behind any of them
            ``@12`` tells the epochs. ``test_accuracy_seeds`` (or ``validation_accuracy_seeds``) is float [n, seeds] or
            a list of lists: the single runs, padded with NaN; the mean is derived where no mean column is given.
        metadata: whatever describes the table: protocol, epochs, seeds, cost, source, license. JSON values.

        write_table("digits_nasbench201.parquet", space="nasbench201", dataset="digits", architectures=archs,
                    columns={"test_accuracy_seeds": runs, "params": params, "macs": macs, "train_seconds": seconds},
                    metadata={"protocol": "4 channels, 1 cell per stage, 5 epochs", "cost": "0.5 core-hours"})

    Returns:
        Where it was written.

    Raises:
        BenchmarkError: wrong shapes, accuracies outside [0, 1], architectures of another space, or no rows; nothing is
            left at `path` then.
    """
    if not len(architectures):
        raise BenchmarkError("a table needs at least one architecture")
    domain = get_space(space)
    archs = [domain.parse(arch) if isinstance(arch, str) else arch for arch in architectures]
    wrong = next((arch for arch in archs if type(arch) is not domain.architecture_type), None)
    if wrong is not None:
        raise BenchmarkError(f"{wrong} is no architecture of {space}; write one table for each space")
    if isinstance(columns, Mapping):
        name = None if dataset is None else dataset_name(dataset)
        columns = [column(key, values, name) for key, values in columns.items()]
    return write_encoded(path, space=domain.name, encoded=encode(domain, archs), columns=columns, metadata=metadata)


def write_encoded(
    path: str | Path,
    *,
    space: str,
    encoded: Mapping[str, Any],
    columns: Iterable[Column],
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """As `write_table`, for architectures already in the columns that `encoding.encode` makes.

    Args:
        path: destination, ending in .parquet or .arrow.
        space: name of the search space, or the dotted path of one's own.
        encoded: columns of the architectures.
        columns: of numbers, with their meaning.
        metadata: of the header, plain values.

    Returns:
        Where it was written.

    Raises:
        BenchmarkError: a name of the header's own in `metadata`, two columns of one name, and numbers that
            `write_table` refuses.
    """
    path, metadata = Path(path), dict(metadata or {})
    reserved = set(metadata) & set(_RESERVED)
    if reserved:
        raise BenchmarkError(f"metadata may not set {', '.join(sorted(reserved))}; choose other names")
    rows = len(next(iter(encoded.values())))
    stored = dict(encoded)
    meanings: dict[str, Any] = {}
    for entry in columns:
        if entry.name in stored:
            raise BenchmarkError(f"two columns are named {entry.name}; keep one")
        stored[entry.name] = entry.checked(rows)
        meanings[entry.name] = entry.meaning()
    datasets = list(dict.fromkeys(m["dataset"] for m in meanings.values() if "dataset" in m))
    own = target_of(space)
    header: dict[str, Any] = {"space": space, **({} if own is None else {"space_target": own})}
    write_columns(
        path, stored, {**header, "datasets": datasets, "columns": meanings, "converter": CONVERTER, **metadata}
    )
    return path
