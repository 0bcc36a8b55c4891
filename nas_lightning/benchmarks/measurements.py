"""What a stand-alone table has measured: its columns, metrics and training budgets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nas_lightning.benchmarks.column import refused
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.benchmarks.locate import sha256_of
from nas_lightning.benchmarks.table_file import CHECKED_AT_OPEN, numpy_array, single
from nas_lightning.benchmarks.writer import dataset_name
from nas_lightning.errors import did_you_mean
from nas_lightning.runs.quality import ACCURACY, SCORE, Quality, quality_of

PREFERRED = ("test_accuracy", "validation_accuracy", "train_accuracy", "test_score", "validation_score")


class Measurements:
    """The columns of a table, for one of its data sets."""

    def __init__(self, table: pa.Table, header: Mapping[str, Any], path: Path, dataset: str | None = None) -> None:
        self._table, self._header, self.path = table, header, path
        source = header.get("source")
        self.name: str = source["file"] if isinstance(source, Mapping) and "file" in source else path.name
        self.space: str = header["space"]
        self.datasets: tuple[str, ...] = tuple(header["datasets"])
        self.dataset: str | None = _pick_dataset(dataset, self.datasets, self.name)
        self._is_large = not path.is_file() or path.stat().st_size > CHECKED_AT_OPEN
        self._cache: dict[str, np.ndarray] = {}

    @property
    def metadata(self) -> dict[str, Any]:
        """The table's own description: source, protocol, license and what each column means."""
        return {key: value for key, value in self._header.items() if key not in ("crc32", "header_crc32")}

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the table's own file, whatever it was converted from."""
        return sha256_of(self.path)

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
        for metric in PREFERRED:
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
        return next((m for m in (self.default_metric, *PREFERRED) if m in kept), None)

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
                column = mean_over_seeds(column)
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


def mean_over_seeds(runs: np.ndarray) -> np.ndarray:
    """Mean of the runs that exist; NaN where none does.

    Args:
        runs: float [n, seeds], NaN where a run is missing.

    Returns:
        float64 [n].
    """
    known = ~np.isnan(runs)
    count = known.sum(1)
    return np.where(count, np.where(known, runs, 0).sum(1, dtype=np.float64) / np.maximum(count, 1), np.nan)
