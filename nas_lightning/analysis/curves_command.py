"""``python -m nas_lightning.analysis curves``: what early epochs tell of the last, and a surrogate table of curves."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
from scipy.stats import kendalltau

from nas_lightning.analysis.arguments import at_least
from nas_lightning.analysis.curves import (
    CurveSurrogate,
    compressed,
    energy,
)
from nas_lightning.analysis.figure import colour, logarithmic, save, styled
from nas_lightning.analysis.output import label, print_rows, show, write_record, write_rows
from nas_lightning.benchmarks import Benchmark, write_table
from nas_lightning.benchmarks.column import Column
from nas_lightning.benchmarks.table_file import read_parquet
from nas_lightning.errors import UserError, did_you_mean
from nas_lightning.predictors.extrapolation import parametric_extrapolation, svr_extrapolation

HELP = "learning curves: their rank, extrapolation beside the last value seen, a surrogate as a table"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--benchmark", help="a table with curves, by name or path")
    parser.add_argument("--dataset", help="data set (default: the table's first)")
    parser.add_argument("--metric", help="of the curves (default: the table's default metric)")
    parser.add_argument(
        "--curves", type=Path, help="any Parquet file with a list of numbers a row, in place of a table"
    )
    parser.add_argument("--column", default="val_losses", help="of --curves; rows that are not whole are left out")
    parser.add_argument("--epochs", nargs="+", type=at_least(3), default=[5, 10, 20], help="extrapolate from so many")
    parser.add_argument("--fit", type=Path, help="write a surrogate table (.arrow) of this table's space")
    parser.add_argument("--architectures", type=at_least(2), default=1000, help="drawn at random for --fit")
    parser.add_argument("--rank", type=at_least(1), default=6)
    parser.add_argument("--seed", type=at_least(0), default=0)


def read_curves(path: Path, column: str) -> np.ndarray:
    """The whole, finite curves of a Parquet file, float64 [n, epochs]. Raises UserError for anything else."""
    data = read_parquet(path)
    if column not in data.column_names:
        raise UserError(
            f"{path} has no column {column}; {did_you_mean(column, data.column_names)}it has "
            f"{', '.join(data.column_names)}"
        )
    lists = [np.asarray(row, np.float64) for row in data[column].to_pylist() if row is not None]
    longest = max((row.size for row in lists), default=0)
    whole = [row for row in lists if row.size == longest and np.isfinite(row).all()]
    if longest < 2 or len(whole) < 10:
        raise UserError(f"{column} of {path} holds {len(whole)} whole curves; ten or more are needed")
    return np.stack(whole)


def run(arguments: argparse.Namespace, out: Path) -> None:
    if (arguments.benchmark is None) == (arguments.curves is None):
        raise UserError("give either --benchmark, a table with curves, or --curves, a Parquet file")
    table, architectures = None, []
    if arguments.benchmark is not None:
        table = Benchmark.open(arguments.benchmark, dataset=arguments.dataset)
        found = table.curves(table.architectures(), arguments.metric)
        if found is None:
            raise UserError(f"{table.name} keeps no learning curves of {arguments.metric or table.default_metric}")
        whole = np.isfinite(found).all(axis=1)  # trainings that ended early are left out
        if whole.sum() < 10:
            raise UserError(f"{table.name} holds {int(whole.sum())} whole curves; ten or more are needed")
        architectures = [arch for arch, kept in zip(table.architectures(), whole, strict=True) if kept]
        curves = found[whole].astype(np.float64)
    else:
        curves = read_curves(arguments.curves, arguments.column)
    total = curves.shape[1]
    if wrong := [k for k in arguments.epochs if not 3 <= k <= total]:
        raise UserError(f"curves of {total} epochs cannot be extrapolated from {wrong[0]}; choose from 3 to {total}")
    rows: list[dict[str, Any]] = []
    for epochs in arguments.epochs:
        last = curves[:, -1]
        families = np.array([parametric_extrapolation(curve[:epochs], total) for curve in curves])
        predictions = {
            "last value": curves[:, epochs - 1],
            "families": families,
            "svr": svr_extrapolation(curves, epochs, arguments.seed),
        }
        rows.append({"epochs": epochs} | {name: float(kendalltau(p, last)[0]) for name, p in predictions.items()})
    name = label(table) if table is not None else arguments.curves.stem
    print_rows(f"{len(curves)} curves of {total} epochs, {name}: Kendall's tau with the last epoch", rows)
    kept = energy(curves, min(8, *curves.shape))
    ranks = [
        {"rank": k, "tau": float(kendalltau(compressed(curves, k)[:, -1], curves[:, -1])[0]), "energy": float(e)}
        for k, e in enumerate(kept, start=1)
    ]
    print_rows("Compression by singular vectors", ranks)
    write_rows(out / "curves.csv", rows)
    write_record(out / "curves.json", {"curves": len(curves), "epochs": total, "extrapolation": rows, "ranks": ranks})
    methods = ["last value", "families", "svr"]
    points = [{"epochs": row["epochs"], "method": m, "tau": row[m]} for row in rows for m in methods]
    chart = (
        alt.Chart(alt.Data(values=points))
        .mark_line(point=True)
        .encode(
            x=alt.X("epochs:Q", title="epochs seen", **logarithmic(arguments.epochs, sorted(set(arguments.epochs)))),
            y=alt.Y("tau:Q", title="Kendall's tau with the last epoch", scale=alt.Scale(zero=False)),
            color=colour("method", methods),
        )
        .properties(width=480, height=280)
    )
    title = f"{name}: extrapolating {len(curves)} curves"
    save(styled(chart, title), out, "curves", rows=rows, heading=title)
    if arguments.fit is not None:
        if table is None:
            raise UserError("--fit needs --benchmark, since a surrogate table holds architectures")
        fit_table(table, architectures, curves, arguments)
        show(f"Surrogate table: {arguments.fit}")


def fit_table(
    table: Benchmark, architectures: Sequence[Any], curves: np.ndarray, arguments: argparse.Namespace
) -> Path:
    """Fit the surrogate on architectures of a table and their curves, and write expected curves of random ones; any
    epoch is a fidelity there."""
    space, metric = table.domain, arguments.metric or table.default_metric
    features = np.stack([space.one_hot(arch) for arch in architectures])
    model = CurveSurrogate(rank=arguments.rank, seed=arguments.seed).fit(features, curves)
    rng = np.random.default_rng(arguments.seed)
    drawn: dict[str, Any] = {}
    for _ in range(100 * arguments.architectures):
        if len(drawn) == arguments.architectures:
            break
        arch = space.sample(rng)
        drawn.setdefault(space.key(arch), arch)
    archs = list(drawn.values())
    found = model.predict(np.stack([space.one_hot(arch) for arch in archs]))
    if metric.endswith("_accuracy"):
        found = np.clip(found, 0, 1)
    column = Column(found.astype(np.float32), metric, table.dataset, kind="curve", seeds="0", note="surrogate")
    about = {"surrogate": {"of": table.name, "sha256": table.sha256, "rank": model.rank, "curves": len(curves)}}
    return write_table(
        arguments.fit, space=space.name, dataset=table.dataset, architectures=archs, columns=[column], metadata=about
    )
