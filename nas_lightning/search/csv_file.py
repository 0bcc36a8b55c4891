"""search.csv: every evaluation of a search, and the incumbent after it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nas_lightning.search.engine import Record
from nas_lightning.search.outcome import incumbents

COLUMNS = (
    "evaluation",
    "architecture",
    "objective",
    "incumbent_objective",
    "incumbent_truth",
    "cost",
    "seed",
    "algorithm",
    "fidelity",
    "spent",
)


def search_csv(
    records: Sequence[Record], truths: np.ndarray, seed: int, algorithm: str, format_architecture: Callable[[Any], str]
) -> str:
    """Every evaluation in the order in which the algorithm learned of it, as CSV text.

    evaluation counts from 1; objective is empty where the evaluation failed; incumbent_* is the best so far (of the
    highest fidelity so far) and its stand-alone accuracy, empty where unknown; cost is what this evaluation cost, spent
    what the search had spent by then, both in the unit of the budget. Measures (params …) follow as further columns.
    """
    names = sorted({name for record in records for name in record.measurement.measures})
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*COLUMNS, *names])
    path = incumbents(records)
    for number, (record, best, truth) in enumerate(zip(records, path, truths.tolist(), strict=True), start=1):
        measurement = record.measurement
        writer.writerow(
            [
                number,
                format_architecture(record.trial.architecture),
                _number(measurement.value),
                _number(records[best].measurement.value),
                _number(truth),
                _number(measurement.cost),
                seed,
                algorithm,
                record.trial.fidelity,
                _number(record.spent),
                *(_number(measurement.measures.get(name, np.nan)) for name in names),
            ]
        )
    return buffer.getvalue()


def _number(value: float) -> str:
    return repr(float(value)) if np.isfinite(value) else ""
