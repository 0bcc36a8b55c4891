"""`Benchmark`: the stand-alone performance of architectures, read from a table."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nas_lightning.benchmarks.encoding import open_encoding
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.benchmarks.locate import locate
from nas_lightning.benchmarks.measurements import Measurements, mean_over_seeds
from nas_lightning.benchmarks.row import Row
from nas_lightning.benchmarks.table_file import numpy_array, single
from nas_lightning.spaces import Space, get_space, space_in_file
from nas_lightning.spaces.encoding import Encoding


class Benchmark(Measurements):
    """A stand-alone performance table of one search space and one data set.

    Accuracies are fractions in [0, 1] and NaN where the table has none. An architecture is found by any isomorphic
    form: its own row where the table has it (NAS-Bench-201 measured isomorphic cells apart), else the first row of its
    class. `metric` is a quantity ("test_accuracy", "validation_accuracy", "train_accuracy"), by default the test
    accuracy; `epochs` the training budget, by default the longest.
    """

    def __init__(
        self,
        table: pa.Table,
        header: Mapping[str, Any],
        path: Path,
        dataset: str | None = None,
        where: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(table, header, path, dataset)
        self._kept = None if not where else self._filter(where)
        self._check_one_scale()

    @classmethod
    def open(
        cls,
        name_or_path: str | Path,
        space: str | None = None,
        dataset: str | None = None,
        root: str | Path | None = None,
        where: Mapping[str, float] | None = None,
    ) -> Benchmark:
        """Open a table by name or path.

        A name is looked up among the tables in the package, then as ``<name>.arrow`` or ``<name>.parquet`` in `root`
        (else in the folder that NAS_LIGHTNING_BENCHMARKS or NAS_LIGHTNING_DATA names). Official and shared Parquet
        layouts are converted once into the cache folder (NAS_LIGHTNING_CACHE), under the SHA-256 of the source, and
        mapped from there.

        `space` and `dataset` are what the caller expects; `where` keeps the rows with these values in these columns
        (needed where a table mixes widths or depths).

        Args:
            name_or_path: such as ``digits_nasbench201`` or ``folder/mine.parquet``.
            space: which the table has to be of; None takes any.
            dataset: whose columns are the default; None takes the table's first.
            root: folder of tables that is looked through before the usual ones.
            where: column -> value that chooses rows, of a table with several sizes of one architecture.

        Returns:
            The table, memory-mapped.

        Raises:
            BenchmarkError: a missing, damaged or other table.
        """
        path, table, header = locate(name_or_path, root)
        if space is not None and not get_space(space).reads_tables_of(header["space"]):
            raise BenchmarkError(
                f"{path} is a table of {header['space']}, not of {get_space(space).name}; "
                "choose a table of the space, or the space of the table"
            )
        return cls(table, header, path, dataset, where=where)

    # -- what the table is

    def __len__(self) -> int:
        return len(self._table) if self._kept is None else len(self._kept)

    def __repr__(self) -> str:
        return f"Benchmark({self.name}, {self.space}, {self.dataset}, {len(self)} architectures)"

    @cached_property
    def domain(self) -> Space[Any]:
        """The search space as an object."""
        return space_in_file(self.space, self._header.get("space_target"))

    @cached_property
    def encoding(self) -> Encoding:
        """How rows and architectures are matched.

        Raises:
            BenchmarkError: the table holds no codes of its space.
        """
        domain = self.domain
        try:
            return open_encoding(domain, self._table)
        except (LookupError, TypeError, ValueError, OverflowError, pa.ArrowException) as error:
            said = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
            raise BenchmarkError(
                f"{self.path} does not hold architectures of {self.space} ({said}); fetch or convert it again"
            ) from None

    # -- whole columns

    def values(self, name: str, archs: Sequence[Any] | None = None) -> np.ndarray:
        """A column, [rows] or [rows, k]; of `archs` if given (floating point, NaN where the table lacks them).

        Names are those of `columns`, with or without data set and epochs: "params", "edgegpu_latency_ms",
        "test_accuracy@12".

        Args:
            name: of the column.
            archs: n architectures of the table's space, or their strings.

        Returns:
            As stored.

        Raises:
            BenchmarkError: there is no such column; it lists those that there are.
        """
        column = self._column(self._resolve(name))
        return column if archs is None else _gather(column, self.rows(archs))

    # -- look-ups

    def read(self, text: Any) -> Any:
        """The architecture that `text` says: whatever the space reads, or the key of one of this table's rows
        (NAS-Bench-101: its module hash).

        Args:
            text: as it was typed.

        Returns:
            The architecture.

        Raises:
            ArchitectureError: the space does not read it.
            BenchmarkError: a key that no row has.
        """
        if isinstance(text, str) and self.domain.is_key(text.strip()):
            row = self._row_of_key.get(text.strip())
            if row is None:
                raise BenchmarkError(f"{self.name} has no architecture with the key {text.strip()}")
            return self.encoding.architecture(row)
        return self.domain.parse(text)

    @cached_property
    def _row_of_key(self) -> dict[str, int]:
        rows = range(len(self._table)) if self._kept is None else self._kept.tolist()
        return {key: row for row, key in zip(reversed(rows), reversed(self.keys), strict=True)}

    def _as_architecture(self, arch: Any) -> Any:
        return self.read(arch) if isinstance(arch, str) else arch

    def row(self, arch: Any) -> int:
        """Row of an architecture (a value or its string), or -1.

        Args:
            arch: an architecture, or its string.

        Returns:
            A row from 0, or −1.

        Raises:
            ArchitectureError: a malformed string.
            BenchmarkError: an architecture of another space.
        """
        row = self._own_space(self.encoding.row, self._as_architecture(arch))
        return row if row < 0 or self._kept is None or row in self._kept_set else self._first_kept(arch)

    def rows(self, archs: Sequence[Any]) -> np.ndarray:
        """Rows of architectures, int64 [n], -1 where the table lacks them.

        Args:
            archs: n architectures of the table's space, or their strings.

        Returns:
            int64 [n].
        """
        own = self.__dict__.get("_architectures")
        if own is not None and len(archs) == len(own) and all(map(operator.is_, archs, own)):  # the whole table
            return np.arange(len(self._table)) if self._kept is None else self._kept
        if self._kept is not None:
            return np.array([self.row(arch) for arch in archs], np.int64)
        return self._own_space(self.encoding.rows, [self._as_architecture(arch) for arch in archs])

    def _own_space(self, find: Any, wanted: Any) -> Any:
        try:
            return find(wanted)
        except AttributeError:
            raise BenchmarkError(
                f"{self.name} is a table of {self.space}; it was asked for architectures of another space"
            ) from None

    def find(self, codes: np.ndarray) -> np.ndarray:
        """Rows of encoded architectures, int64 [n], -1 where absent; the fast way for arrays (millions a second).

        What the codes are, the space's own encoding says: integers for NAS-Bench-101 and 201, else key strings.

        Args:
            codes: of the space's encoding, [n].

        Returns:
            int64 [n].
        """
        return self.encoding.find(codes)

    def has(self, arch: Any) -> bool:
        """Whether the table has the architecture or an isomorphic one.

        Args:
            arch: an architecture, or its string.

        Returns:
            Whether `row` finds it.
        """
        return self.row(arch) >= 0

    def query(self, arch: Any) -> Row:
        """The row of an architecture.

        Args:
            arch: an architecture, or its string.

        Returns:
            The row's architecture and numbers.

        Raises:
            BenchmarkError: the table has none of its class.
        """
        row = self.row(arch)
        if row < 0:
            raise BenchmarkError(f"{self.name} has no measurement of {arch}")
        return Row(self, row)

    def accuracies(self, archs: Sequence[Any], metric: str | None = None, epochs: int | None = None) -> np.ndarray:
        """Accuracies, float64 [n], fractions in [0, 1], NaN where the table lacks the architecture or the number.

        Args:
            archs: n architectures of the table's space, or their strings.
            metric: one of `metrics`, such as ``test_accuracy``; None takes the default.
            epochs: training budget; None takes the longest.

        Returns:
            float64 [n].
        """
        return _gather(self.metric_values(metric, epochs), self.rows(archs))

    def seed_accuracies(
        self,
        archs: Sequence[Any],
        metric: str | None = None,
        epochs: int | None = None,
    ) -> np.ndarray | None:
        """Accuracies of the single runs, float64 [n, seeds], NaN where a run is missing; None where none are kept.

        By default of `seed_metric`, which is not the default metric where only another one's runs are published
        (NAS-Bench-201 on CIFAR-10: validation).

        Args:
            archs: n architectures of the table's space, or their strings.
            metric: one of `metrics`, such as ``test_accuracy``; None takes the default.
            epochs: training budget; None takes the longest.

        Returns:
            float64 [n, seeds], or None.
        """
        metric = self.seed_metric if metric is None else metric
        found = [
            (m.get("epochs") or 0, name)
            for name, m in self._header["columns"].items()
            if m["quantity"] == metric
            and m["kind"] == "seeds"
            and m.get("dataset") in (None, self.dataset)
            and (epochs is None or m.get("epochs") == epochs)
        ]
        if not found:
            return None
        return _gather(self._column(max(found)[1]), self.rows(archs)).astype(np.float64, copy=False)

    def curves(self, archs: Sequence[Any], metric: str | None = None) -> np.ndarray | None:
        """Learning curves, [n, epochs], NaN where absent; None where the table keeps none.

        Args:
            archs: n architectures of the table's space, or their strings.
            metric: one of `metrics`, such as ``test_accuracy``; None takes the default.

        Returns:
            float [n, epochs], or None.
        """
        metric = self.default_metric if metric is None else metric
        found = [
            name
            for name, m in self._header["columns"].items()
            if m["quantity"] == metric and m["kind"] == "curve" and m.get("dataset") in (None, self.dataset)
        ]
        return _gather(self._column(found[0]), self.rows(archs)) if found else None

    def training_time(self, archs: Sequence[Any], epochs: int | None = None) -> np.ndarray:
        """Seconds of one simulated training for so many epochs (default: the metric's longest), float64 [n].

        Measured totals where the table has them for these epochs, else seconds per epoch times epochs.

        Args:
            archs: n architectures of the table's space, or their strings.
            epochs: training budget; None takes the longest.

        Returns:
            Seconds, float64 [n].

        Raises:
            BenchmarkError: the table keeps no times of so many epochs.
        """
        epochs = epochs if epochs is not None else max(self.epochs(), default=None)
        names = self._header["columns"]
        for total in (f"{self.dataset}/train_seconds@{epochs}", f"{self.dataset}/train_seconds"):
            if total in names:
                return _gather(self._column(total), self.rows(archs)).astype(np.float64)
            if total + "/seeds" in names:
                return _gather(mean_over_seeds(self._column(total + "/seeds")), self.rows(archs))
        if f"{self.dataset}/train_seconds_per_epoch" in names and epochs is not None:
            return self.values("train_seconds_per_epoch", archs) * float(epochs)
        raise BenchmarkError(
            f"{self.name} has no training times for {self.dataset} at {epochs} epochs; "
            f"its columns are {', '.join(self.columns)}"
        )

    def params(self, archs: Sequence[Any]) -> np.ndarray:
        """Trainable parameters, int64 [n] (float64 with NaN where the table lacks an architecture).

        Args:
            archs: n architectures of the table's space, or their strings.

        Returns:
            [n].
        """
        return _integers(self.values("params", archs))

    def macs(self, archs: Sequence[Any]) -> np.ndarray:
        """Multiply-accumulates of one image, int64 [n] (float64 with NaN where the table lacks an architecture).

        Args:
            archs: n architectures of the table's space, or their strings.

        Returns:
            [n].
        """
        return _integers(self.values("macs", archs))

    # -- the table as a set

    def architectures(self) -> list[Any]:
        """Every row's architecture, in the table's order; made once (423,624 cells take some seconds).

        Returns:
            [rows].
        """
        return self._architectures

    @cached_property
    def _architectures(self) -> list[Any]:
        rows = range(len(self._table)) if self._kept is None else self._kept
        return [self.encoding.architecture(row) for row in rows]

    @cached_property
    def keys(self) -> list[str]:
        """Key of every row; NAS-Bench-101's module hashes are stored, or hashed anew (half a minute for all)."""
        if "module_hash" in self._table.column_names and self._kept is None:
            return [bytes(digest).hex() for digest in numpy_array(single(self._table, "module_hash"))]
        return [self.domain.key(arch) for arch in self._architectures]

    def sample(self, n: int, seed: int) -> list[Any]:
        """`n` different rows drawn uniformly, as architectures; the same for the same seed.

        Args:
            n: how many.
            seed: of the draws.

        Returns:
            n architectures.

        Raises:
            BenchmarkError: there are fewer rows.
        """
        if not 0 <= n <= len(self):
            raise BenchmarkError(f"{n} architectures cannot be drawn from the {len(self)} of {self.name}")
        picks = np.random.default_rng(seed).choice(len(self), n, replace=False)
        rows = picks if self._kept is None else self._kept[picks]
        return [self.encoding.architecture(int(row)) for row in rows]

    def _ranked(self, metric: str | None, epochs: int | None) -> np.ndarray:
        values = self.metric_values(metric, epochs)
        return values if self._kept is None else values[self._kept]

    def best(self, metric: str | None = None, epochs: int | None = None) -> Row:
        """The row of the highest accuracy (the first of equals).

        Args:
            metric: one of `metrics`, such as ``test_accuracy``; None takes the default.
            epochs: training budget; None takes the longest.

        Returns:
            The row.

        Raises:
            BenchmarkError: every number is NaN, or the metric is unknown.
        """
        values = self._ranked(metric, epochs)
        if np.isnan(values).all():
            raise BenchmarkError(f"{self.name} holds no number to rank by")
        place = int(np.nanargmax(values))
        return Row(self, place if self._kept is None else int(self._kept[place]), metric, epochs)

    def rank_of(self, arch: Any, metric: str | None = None, epochs: int | None = None) -> int:
        """1 + the number of rows strictly better.

        Args:
            arch: an architecture, or its string.
            metric: one of `metrics`, such as ``test_accuracy``; None takes the default.
            epochs: training budget; None takes the longest.

        Returns:
            1 for the best.

        Raises:
            BenchmarkError: the architecture has no number.
        """
        own = self.metric_values(metric, epochs)[self.query(arch).index]
        if np.isnan(own):
            raise BenchmarkError(f"{self.name} has no number to rank {arch} by")
        return 1 + int((self._ranked(metric, epochs) > own).sum())

    # -- rows in use

    def _filter(self, where: Mapping[str, float]) -> np.ndarray:
        mask = np.ones(len(self._table), bool)
        for name, value in where.items():
            column = self.values(name)
            if column.ndim != 1:
                raise BenchmarkError(f"rows cannot be chosen by {name}, which has several values a row")
            mask &= column == value
        if not mask.any():
            raise BenchmarkError(f"no row of {self.name} has {', '.join(f'{k}={v}' for k, v in where.items())}")
        return np.flatnonzero(mask)

    @cached_property
    def _kept_set(self) -> frozenset[int]:
        return frozenset(self._kept.tolist() if self._kept is not None else ())

    @cached_property
    def _kept_keys(self) -> dict[str, int]:
        rows = [] if self._kept is None else self._kept.tolist()
        return {self.domain.key(self.encoding.architecture(row)): row for row in reversed(rows)}

    def _first_kept(self, arch: Any) -> int:
        return self._kept_keys.get(self.domain.key(self._as_architecture(arch)), -1)

    def _check_one_scale(self) -> None:
        """Refuse to compare networks of several widths, depths or trainings as if only the cell differed."""
        for name in self._header.get("varying", ()):
            column = self.values(name)
            column = column if self._kept is None else column[self._kept]
            found = np.unique(column)
            if len(found) > 1:
                shown = ", ".join(f"{v:g}" for v in found[:6]) + (", …" if len(found) > 6 else "")
                raise BenchmarkError(
                    f"{self.name} mixes networks of different {name} ({shown}); choose one with "
                    f"where={{'{name}': {found[0]:g}}}, or where={{'{name}': …}} for another"
                )


def _gather(column: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Column values of rows; NaN (and floating point) where a row is -1."""
    missing = rows < 0
    if not missing.any():
        return column[rows]
    out = np.full((len(rows), *column.shape[1:]), np.nan, column.dtype if column.dtype.kind == "f" else np.float64)
    out[~missing] = column[rows[~missing]]
    return out


def _integers(values: np.ndarray) -> np.ndarray:
    return values if values.dtype.kind == "f" else values.astype(np.int64, copy=False)
