"""Named sets of architectures to evaluate: a name says exactly which ones, today and in a year.

========================  ==============================================================================================
``random200_seed0``       200 isomorphism classes, uniform, one representative each; any number, any seed
``random200raw_seed0``    200 distinct raw encodings, uniform over encodings (large classes come more often)
``all``                   every architecture of the table, or every raw encoding of a space small enough to list
``unique``                one representative of every isomorphism class of the table, or of the space
``top10pct``              the best 10 % of the table by its accuracy; any percentage
a file                    one architecture a line (.txt), or the column `architecture` of a .csv or .parquet file; in
                          any spelling that the space reads, or as a key (module hash) of the table
``all-random9raw_seed0``  a difference of two of the names above, files excepted: what the first holds and the second
                          does not, in the order of the first; as raw encodings, so that other members of a class stay
========================  ==============================================================================================

With a table, only architectures that the table holds are drawn. Draws of one seed are nested: ``random100_seed0`` are
the first 100 of ``random200_seed0`` (of tables above 50,000 rows, up to a quarter of the table),
and ``random200_seed0-random100_seed0`` are the other hundred: fresh ones for what was chosen on the first.
"""

from __future__ import annotations

import csv
import hashlib
import math
import os
import re
from collections.abc import Hashable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nas_lightning.errors import UserError, did_you_mean
from nas_lightning.spaces.base import ArchitectureError, Space

VERSION = 1
"""Rises whenever a name would come to mean other architectures; results record it."""

_RANDOM = re.compile(r"random([1-9]\d*)(raw)?_seed(\d+)")
_TOP = re.compile(r"top(\d+(?:\.\d+)?)pct")
_LISTABLE = 1_000_000  # raw encodings of a space that `all` still lists
_LARGE = 50_000  # rows of a table whose keys are not all computed for a draw (NAS-Bench-101: half a minute)
_NAMES = (
    "random<N>_seed<S>, random<N>raw_seed<S>, all, unique, top<P>pct, a difference A-B of two of these, "
    "or a .txt, .csv or .parquet file"
)


class Table(Protocol):
    """What a set asks of a benchmark table (`nas_lightning.benchmarks.Benchmark` has it)."""

    space: str

    def architectures(self) -> Sequence[Any]:
        """Of all rows.

        Returns:
            Architectures in the table's order.
        """

    def has(self, arch: Any) -> bool:
        """Whether the architecture or an isomorphic one has a row.

        Args:
            arch: of the table's space.

        Returns:
            Whether it has.
        """

    def read(self, text: str) -> Any:
        """The architecture that a text says.

        Args:
            text: an encoding, or the key of a row.

        Returns:
            The architecture.
        """

    def accuracies(self, archs: Sequence[Any]) -> np.ndarray:
        """Stand-alone accuracies.

        Args:
            archs: n architectures.

        Returns:
            float64 [n], fractions; NaN where the table lacks one.
        """


def _meant(text: str) -> str:
    """The question that names what may have been meant, with the numbers that were typed; empty for nothing near."""
    numbers = re.findall(r"\d+", text)
    forms = ("all", "unique", "top{}pct", "random{}_seed{}", "random{}raw_seed{}")
    near = [form.format(*numbers) for form in forms if form.count("{}") <= len(numbers)]
    guess = did_you_mean(text, [name for name in near if _named(name) and name != text]).rstrip()
    return f" ({guess})" if guess else ""


def architecture_set(name: str | Path, space: Space[Any], benchmark: Table | None = None) -> list[Any]:
    """The architectures of the set `name`, without duplicates, always the same and in the same order.

    Args:
        name: see above, such as ``random200_seed0``, ``all``, or a file.
        space: whose architectures they are.
        benchmark: the table they have to be in; None takes the whole space.

    Returns:
        The architectures, each once.

    Raises:
        UserError: an unknown name, more architectures than there are (naming the largest possible number), a difference
            that leaves none, and a table of another space.
        ArchitectureError: a malformed line in a file, with its number.
    """
    if benchmark is not None and not space.reads_tables_of(benchmark.space):
        raise UserError(
            f"the table holds architectures of {benchmark.space}, not of {space.name}; choose a table of the space"
        )
    text = str(name)
    if match := _RANDOM.fullmatch(text):
        n, raw, seed = int(match[1]), bool(match[2]), int(match[3])
        return (_random_raw if raw else _random_unique)(text, n, seed, space=space, table=benchmark)
    if match := _TOP.fullmatch(text):
        return _top(float(match[1]), space, benchmark)
    if text == "all":
        return list(benchmark.architectures()) if benchmark is not None else list(_every_encoding(space))
    if text == "unique":
        return _representatives(space, benchmark) if benchmark is not None else list(space.enumerate())
    if Path(text).suffix in (".txt", ".csv", ".parquet"):
        return _from_file(Path(text), space, benchmark)
    first, dash, second = text.partition("-")
    if dash and _named(first) and _named(second):
        return _difference(first, second, space, benchmark)
    raise UserError(f"{text!r}{_meant(text)} names no architecture set; give {_NAMES}")


def identity(name: str | Path) -> dict[str, Any]:
    """What the name of a set leaves open and a run's hash must hold: a file's contents, and a version above the first.

    A file that is missing or unreadable has none; `architecture_set` says so.

    Args:
        name: of a set, or the path of a file of architectures.

    Returns:
        ``architecture_set_version`` and ``architectures_sha256`` as far as they apply; empty where the name says it
        all.
    """
    path = Path(str(name))
    found: dict[str, Any] = {"architecture_set_version": VERSION} if VERSION > 1 else {}
    if path.suffix in (".txt", ".csv", ".parquet") and os.path.isfile(path):
        found["architectures_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _named(text: str) -> bool:
    """Whether this is a name of one set, not of a file or a difference."""
    return text in ("all", "unique") or any(pattern.fullmatch(text) for pattern in (_RANDOM, _TOP))


def _difference(first: str, second: str, space: Space[Any], table: Table | None) -> list[Any]:
    without = set(architecture_set(second, space, table))
    left = [arch for arch in architecture_set(first, space, table) if arch not in without]
    if not left:
        raise UserError(
            f"{first}-{second} leaves no architecture, since {second} holds all of {first}; take away a smaller set"
        )
    return left


def _representatives(space: Space[Any], table: Table) -> list[Any]:
    """The first row of each isomorphism class, in the order of the table."""
    first: dict[str, Any] = {}
    for arch in table.architectures():
        first.setdefault(space.key(arch), arch)
    return list(first.values())


def _random_unique(name: str, n: int, seed: int, space: Space[Any], table: Table | None) -> list[Any]:
    # The generator is keyed by the version too, so that a new meaning can never pass for the old one.
    rng = np.random.default_rng([VERSION, seed])
    if table is not None and (rows := len(table.architectures())) > _LARGE and 4 * n < rows:
        # Nearly complete tables: the space's own draws, kept where measured; the same set as without a table then.
        kept: dict[str, Any] = {}
        for _ in range(100 * n + 1000):
            arch = space.sample_unique(rng)
            if table.has(arch):
                kept.setdefault(space.key(arch), arch)
            if len(kept) == n:
                return list(kept.values())
    if table is not None:
        classes = _representatives(space, table)
        if n > len(classes):
            raise UserError(
                f"{name} asks for {n} unique architectures but the table holds {len(classes)}; "
                f"the largest possible is random{len(classes)}_seed{seed}"
            )
        # Sorted by key: a table with its rows in another order gives the same set.
        classes.sort(key=space.key)
        return [classes[i] for i in rng.permutation(len(classes))[:n]]
    if space.unique_size is not None and n > space.unique_size:
        raise UserError(
            f"{name} asks for {n} unique architectures but {space.name} has {space.unique_size}; "
            f"the largest possible is random{space.unique_size}_seed{seed}"
        )
    found: dict[str, Any] = {}
    while len(found) < n:
        arch = space.sample_unique(rng)
        found.setdefault(space.key(arch), arch)
    return list(found.values())


def _random_raw(name: str, n: int, seed: int, space: Space[Any], table: Table | None) -> list[Any]:
    rng = np.random.default_rng([VERSION, seed, 1])
    listable = space.size <= _LISTABLE and math.prod(space.cardinalities) == space.size
    if listable:
        pool = [arch for arch in _every_encoding(space) if table is None or table.has(arch)]
        if n > len(pool):
            raise UserError(
                f"{name} asks for {n} raw encodings but there are {len(pool)}; "
                f"the largest possible is random{len(pool)}raw_seed{seed}"
            )
        return [pool[i] for i in rng.permutation(len(pool))[:n]]
    found: dict[Hashable, None] = {}
    for _ in range(20_000 + 200 * n):
        arch = space.sample(rng)
        if table is None or table.has(arch):
            found[arch] = None
        if len(found) == n:
            return list(found)
    raise UserError(
        f"{name} asks for {n} raw encodings but only {len(found)} turned up in {20_000 + 200 * n:,} draws from "
        f"{space.name}; take random{len(found)}raw_seed{seed} at most, or the unique architectures random{n}_seed{seed}"
    )


def _every_encoding(space: Space[Any]) -> Iterator[Any]:
    """Every raw encoding of a small space in lexicographic order; else what the space enumerates."""
    if math.prod(space.cardinalities) == space.size <= _LISTABLE:
        return (space.decode(genome) for genome in product(*(range(c) for c in space.cardinalities)))
    return space.enumerate()


def _top(percent: float, space: Space[Any], table: Table | None) -> list[Any]:
    if table is None:
        raise UserError("the top of a space is known from a table only; choose a benchmark")
    if not 0 < percent <= 100:
        raise UserError(f"top{percent:g}pct is no part of a table; give a percentage above 0 and up to 100")
    archs = list(table.architectures())
    accuracies = np.asarray(table.accuracies(archs), np.float64)
    measured = np.flatnonzero(~np.isnan(accuracies))
    strings = np.array([space.format(archs[i]) for i in measured])
    # Best first; ties by the string form, so that the order of the table's rows never matters.
    order = measured[np.lexsort((strings, -accuracies[measured]))]
    return [archs[i] for i in order[: math.ceil(round(len(order) * percent / 100, 9))]]


def _from_file(path: Path, space: Space[Any], table: Table | None) -> list[Any]:
    if not os.path.isfile(path):  # which a name that is too long for a file system is none, without an error
        raise UserError(f"no architecture set file {path}; give an existing file or one of {_NAMES}")
    found: dict[Hashable, int] = {}
    try:
        lines = list(_lines(path))
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise UserError(
            f"{path} cannot be read as a list of architectures ({error}); write one string a line"
        ) from None
    for number, line in lines:
        try:
            arch = table.read(line) if table is not None and space.is_key(line) else space.parse(line)
        except ArchitectureError as error:
            raise ArchitectureError(f"{path.name}, line {number}: {error}") from None
        if arch in found:
            raise UserError(f"{path.name}: lines {found[arch]} and {number} hold the same architecture; keep one")
        if table is not None and not table.has(arch):
            raise UserError(f"{path.name}, line {number}: the table does not hold this architecture; remove the line")
        found[arch] = number
    if not found:
        raise UserError(f"{path.name} holds no architectures; write one string a line")
    return list(found)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    if path.suffix == ".txt":
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                yield number, line.strip()
        return
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        columns, values = (list(rows[0]) if rows else []), [row.get("architecture") for row in rows]
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            columns = pq.read_schema(path).names
            present = "architecture" in columns
            values = pq.read_table(path, columns=["architecture"])["architecture"].to_pylist() if present else []
        except (pa.ArrowException, UnicodeError) as error:
            raise OSError(str(error).splitlines()[0]) from error
    if values and "architecture" not in columns:
        raise UserError(f"{path.name} has the columns {', '.join(columns)} but none named architecture")
    # A header is line 1 of a CSV file; rows of Parquet are counted from 1.
    yield from ((i + (2 if path.suffix == ".csv" else 1), str(value)) for i, value in enumerate(values))
