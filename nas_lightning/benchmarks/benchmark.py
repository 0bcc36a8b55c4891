"""`Benchmark`: the stand-alone performance of architectures, read from a table."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nas_lightning.benchmarks.column import refused
from nas_lightning.benchmarks.encoding import open_encoding
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.benchmarks.locate import locate, sha256_of
from nas_lightning.benchmarks.row import Row
from nas_lightning.benchmarks.table_file import CHECKED_AT_OPEN, numpy_array, single
from nas_lightning.benchmarks.writer import dataset_name
from nas_lightning.errors import did_you_mean
from nas_lightning.runs.quality import ACCURACY, SCORE, Quality, quality_of
from nas_lightning.spaces import Space, get_space, space_in_file
from nas_lightning.spaces.encoding import Encoding

_PREFERRED = ("test_accuracy", "validation_accuracy", "train_accuracy", "test_score", "validation_score")


class Benchmark:
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
        self._table, self._header, self.path = table, header, path
        source = header.get("source")
        self.name: str = source["file"] if isinstance(source, Mapping) and "file" in source else path.name
        self.space: str = header["space"]
        self.datasets: tuple[str, ...] = tuple(header["datasets"])
        self.dataset: str | None = _pick_dataset(dataset, self.datasets, self.name)
        self._is_large = not path.is_file() or path.stat().st_size > CHECKED_AT_OPEN
        self._cache: dict[str, np.ndarray] = {}
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

    @property
    def metadata(self) -> dict[str, Any]:
        """The table's own description: source, protocol, license and what each column means."""
        return {key: value for key, value in self._header.items() if key not in ("crc32", "header_crc32")}

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the table's own file, whatever it was converted from."""
        return sha256_of(self.path)

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

    @cached_property
    def columns(self) -> dict[str, dict[str, Any]]:
        """Meaning of every column of the chosen data set, by name as `values` takes it."""
        meanings = self._header["columns"]
        own = {name: m for name, m in meanings.items() if m.get("dataset") in (None, self.dataset)}
        return {name.removeprefix(f"{self.dataset}/"): meaning for name, meaning in own.items()}

    @property
    def metrics(self) -> list[tuple[str, int | None]]:
        """(metric, epochs) pairs that the chosen data set has accuracies or scores (higher is better) for."""
        pairs = [
            (m["quantity"], m.get("epochs"))
            for m in self.columns.values()
            if m["quantity"].endswith(("_accuracy", "_score")) and m["kind"] in ("value", "seeds")
        ]
        pairs += [(metric, self._curve_length(metric)) for metric in self._curve_metrics]
        return sorted(set(pairs), key=lambda pair: (pair[0], pair[1] or 0))

    @cached_property
    def _curve_metrics(self) -> tuple[str, ...]:
        return tuple(m["quantity"] for m in self.columns.values() if m["kind"] == "curve")

    def _curve_length(self, metric: str) -> int:
        return self._column(self._curve_column(metric)).shape[1]

    def _curve_column(self, metric: str) -> str:
        return next(
            name
            for name, m in self._header["columns"].items()
            if m["quantity"] == metric and m["kind"] == "curve" and m.get("dataset") in (None, self.dataset)
        )

    def epochs(self, metric: str | None = None) -> tuple[int, ...]:
        """Training budgets at which the metric is known, ascending: the fidelity axis; every epoch of a curve.

        Args:
            metric: one of `metrics`, such as ``test_accuracy``; None takes the default.

        Returns:
            Ascending whole numbers.
        """
        metric = self.default_metric if metric is None else metric
        known = {e for m, e in self.metrics if m == metric and e is not None}
        if metric in self._curve_metrics:
            known |= set(range(1, self._curve_length(metric) + 1))
        return tuple(sorted(known))

    @cached_property
    def default_metric(self) -> str:
        """Test accuracy, else validation, else training accuracy, else a score.

        Raises:
            BenchmarkError: there is none.
        """
        known = {metric for metric, _ in self.metrics}
        for metric in _PREFERRED:
            if metric in known:
                return metric
        raise BenchmarkError(
            f"{self.name} holds no accuracies or scores for {self.dataset}; its columns are {', '.join(self.columns)}"
        )

    def quality_of(self, metric: str | None = None) -> Quality:
        """What a metric measures: of a score the quality that the table names, where it names one.

        Args:
            metric: one of `metrics`, by default the `default_metric`.

        Returns:
            Name, unit and direction.
        """
        metric = self.default_metric if metric is None else metric
        if metric.endswith("_accuracy"):
            return ACCURACY
        return quality_of(self._header) if "quality" in self._header else SCORE

    @cached_property
    def seed_metric(self) -> str | None:
        """The metric of which the single runs are kept, the default one if it is among them; None where none is."""
        kept = {m["quantity"] for m in self.columns.values() if m["kind"] == "seeds"}
        return next((m for m in (self.default_metric, *_PREFERRED) if m in kept), None)

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

    def metric_values(self, metric: str | None = None, epochs: int | None = None) -> np.ndarray:
        """Accuracies of all rows, float64 [len(table)], fractions; the mean over seeds where only these are stored.

        Args:
            metric: one of `metrics`, such as ``test_accuracy``; None takes the default.
            epochs: training budget; None takes the longest.

        Returns:
            float64 [len(table)].
        """
        metric = self.default_metric if metric is None else metric
        key = f"{metric}@{epochs}!mean"
        if key not in self._cache:
            name, kind = self._metric_column(metric, epochs)
            column = self._column(name)
            if kind == "curve":
                column = column[:, (len(column[0]) if epochs is None else epochs) - 1]
            if kind == "seeds":
                column = _mean_over_seeds(column)
            self._cache[key] = column.astype(np.float64, copy=False)
        return self._cache[key]

    def _metric_column(self, metric: str, epochs: int | None) -> tuple[str, str]:
        found = [
            (m.get("epochs") or 0, m["kind"] == "value", name)
            for name, m in self._header["columns"].items()
            if m["quantity"] == metric
            and m.get("dataset") in (None, self.dataset)
            and m["kind"] in ("value", "seeds")
            and (epochs is None or m.get("epochs") == epochs)
        ]
        if not found and metric in self._curve_metrics and 1 <= (epochs or 1) <= self._curve_length(metric):
            return self._curve_column(metric), "curve"
        if not found:
            known = ", ".join(m if e is None else f"{m} at {e} epochs" for m, e in self.metrics) or "none"
            raise BenchmarkError(
                f"{self.name} has no {metric}{'' if epochs is None else f' at {epochs} epochs'} for "
                f"{self.dataset}; {did_you_mean(metric, dict(self.metrics))}it has {known}"
            )
        _, is_value, name = max(found)
        return name, "value" if is_value else "seeds"

    def _resolve(self, name: str) -> str:
        columns = self._header["columns"]
        for candidate in (f"{self.dataset}/{name}", name):
            if candidate in columns:
                return candidate
        found = [
            (m.get("epochs") or 0, full)
            for full, m in columns.items()
            if m["quantity"] == name and m["kind"] == "value" and m.get("dataset") in (None, self.dataset)
        ]
        if found:
            return max(found)[1]
        raise BenchmarkError(
            f"{self.name} has no column {name} for {self.dataset}; {did_you_mean(name, self.columns)}its columns are "
            + ", ".join(self.columns)
        )

    def _column(self, name: str) -> np.ndarray:
        if name not in self._cache:
            values = numpy_array(single(self._table, name))
            if self._is_large and (wrong := refused(self._header["columns"][name]["quantity"], values)):
                raise BenchmarkError(f"{self.name}: column {name} {wrong}")  # smaller files are checked when opened
            self._cache[name] = values
        return self._cache[name]

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
                return _gather(_mean_over_seeds(self._column(total + "/seeds")), self.rows(archs))
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


def _pick_dataset(wanted: str | None, datasets: tuple[str, ...], name: str) -> str | None:
    if wanted is None:
        return datasets[0] if datasets else None
    if dataset_name(wanted) in datasets:
        return dataset_name(wanted)
    if not datasets:
        raise BenchmarkError(f"{name} has no data set {wanted}; it has none")
    raise BenchmarkError(
        f"{name} has no data set {wanted}; {did_you_mean(wanted, datasets)}it has {', '.join(datasets)}: say "
        f"data={datasets[0]}, or another benchmark"
    )


def _mean_over_seeds(runs: np.ndarray) -> np.ndarray:
    """Mean of the runs that exist, float64 [n]; NaN where none does."""
    known = ~np.isnan(runs)
    count = known.sum(1)
    return np.where(count, np.where(known, runs, 0).sum(1, dtype=np.float64) / np.maximum(count, 1), np.nan)


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
