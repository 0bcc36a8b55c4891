"""``python -m nas_lightning.analysis landscape``: footprints of tables side by side, and of scores beside the truth."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.analysis.arguments import at_least
from nas_lightning.analysis.figure import save
from nas_lightning.analysis.landscape import Footprint, footprint
from nas_lightning.analysis.landscape_figure import landscape_chart, score_chart
from nas_lightning.analysis.neighbourhood import Neighbourhood, neighbourhood
from nas_lightning.analysis.output import label, print_rows, show, write_record, write_rows
from nas_lightning.analysis.sampled import EstimatedFootprint, estimated_footprint
from nas_lightning.analysis.scores import correlogram, distance_correlation, over_classes
from nas_lightning.analysis.walks import ascend, optima_by_repeats, random_walks, walk_autocorrelation
from nas_lightning.benchmarks import Benchmark, BenchmarkError
from nas_lightning.benchmarks.table_file import read_parquet
from nas_lightning.errors import UserError, did_you_mean
from nas_lightning.spaces import space_in_file

HELP = "fitness landscape footprint of tables, and of a super-net's score beside the truth"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--benchmark", nargs="+", required=True, help="tables by name or path")
    parser.add_argument(
        "--dataset",
        nargs="*",
        default=[None],
        help="data sets, each of the tables that have it (default: every table's first)",
    )
    parser.add_argument("--space", help="refuse tables of another space")
    parser.add_argument("--metric", help="fitness (default: the table's default metric)")
    parser.add_argument("--epochs", type=at_least(1), help="fitness after so many epochs (default: the longest)")
    parser.add_argument("--scores", type=Path, help="a ranking.parquet: its scores beside the table's truth")
    parser.add_argument("--score", nargs="*", help="columns of --scores (default: all accuracies and cross-entropies)")
    parser.add_argument(
        "--estimate", action="store_true", help="walk estimates with intervals beside exact values (samples: always)"
    )
    parser.add_argument("--walks", type=at_least(1), default=30)
    parser.add_argument("--steps", type=at_least(2), default=100)
    parser.add_argument("--ascents", type=at_least(16), default=320, help="in groups of 16, for the number of optima")
    parser.add_argument("--seed", type=at_least(0), default=0, help="of walks and bootstrap")


def run(arguments: argparse.Namespace, out: Path) -> None:
    tables = opened(arguments.benchmark, arguments.dataset, arguments.space)
    if arguments.scores is not None:
        if len(tables) != 1:
            raise UserError("--scores needs the one table that holds the truth: give one --benchmark and one --dataset")
        compare_scores(arguments, tables[0], out)
        return
    footprints: dict[str, Footprint | EstimatedFootprint] = {}
    records, rows = {}, []
    graphs: dict[tuple[Path, int], Neighbourhood] = {}
    for table in tables:
        name = label(table)
        if len(table) in (table.domain.size, table.domain.unique_size):
            graph = graphs.get((table.path, len(table)))
            if graph is None:
                graph = graphs[table.path, len(table)] = neighbourhood(table, tracker(f"neighbours of {name}"))
            found = measure(table, graph, arguments.metric, arguments.epochs)
            row: dict[str, Any] = {"table": name, **found.as_dict()}
            if arguments.estimate:
                row |= estimates(table, arguments)
            records[name] = row | {
                "neighbours": graph.definition,
                "complete": graph.complete,
                "maxima": [int(i) for i in found.maxima[:1000]],
                "largest_basins": {str(k): v for k, v in list(found.basin_shares.items())[:50]},
            }
            footprints[name] = found
        else:
            show(
                f"{name}: a sample of {table.domain.name}. Mean, deviation and persistence are estimated from its "
                "rows, the rest from walks on a regression that ranks rows it has not seen with the tau at the bottom."
            )
            estimated = sampled(table, arguments)
            row = {"table": name, **estimated.as_dict()}
            records[name] = row | {"complete": False, "seed": arguments.seed}
            footprints[name] = estimated
        rows.append(row)
        # What the figure draws is the same for both kinds.
        records[name] |= {
            "autocorrelation": footprints[name].autocorrelation.tolist(),
            "persistence_epochs": list(footprints[name].epochs),
            "persistence_positive": footprints[name].positive.tolist(),
            "persistence_negative": footprints[name].negative.tolist(),
        }
    names = list(dict.fromkeys(name for row in rows for name in row))
    rows = [{name: row.get(name) for name in names} for row in rows]
    print_rows("Fitness landscape footprint", rows, transposed=True)
    write_rows(out / "landscape.csv", rows)
    write_record(out / "landscape.json", records)
    save(landscape_chart(footprints), out, "landscape", rows=rows, heading="Fitness landscape footprint")


def opened(names: Sequence[str], datasets: Sequence[str | None], space: str | None) -> list[Benchmark]:
    """Every table on those of the data sets that it has, or on its first. Raises BenchmarkError where none has one."""
    wanted = [dataset for dataset in datasets if dataset is not None]
    if not wanted:
        return [Benchmark.open(name, space=space) for name in names]
    has = {name: Benchmark.open(name, space=space).datasets for name in names}
    for dataset in wanted:
        if not any(dataset in known for known in has.values()):
            known = ", ".join(dict.fromkeys(d for known in has.values() for d in known))
            raise BenchmarkError(f"none of the tables has the data set {dataset}; they have {known}")
    pairs = [(name, dataset) for name in names for dataset in wanted if dataset in has[name]]
    return [Benchmark.open(name, space=space, dataset=dataset) for name, dataset in pairs]


def measure(table: Benchmark, graph: Neighbourhood, metric: str | None = None, epochs: int | None = None) -> Footprint:
    """The footprint of one table's metric, with persistence over the epochs that some metric of it is known at.

    The persistence follows validation accuracies where the table has them at two budgets or more, as a search sees
    them, else the metric itself. Raises BenchmarkError where a row has no number.
    """
    fitness, stages = fitness_of(table, metric, epochs)
    if np.isnan(fitness).any():
        raise BenchmarkError(
            f"{table.name} has no {metric or table.default_metric} for {int(np.isnan(fitness).sum())} of its rows"
        )
    return footprint(graph, fitness, stages)


def fitness_of(
    table: Benchmark, metric: str | None, epochs: int | None
) -> tuple[np.ndarray, dict[int, np.ndarray] | None]:
    """Fitness of every row, float64 [n], NaN where it has none, and by epochs where some metric is known at several."""
    metric = table.default_metric if metric is None else metric
    fitness = table.metric_values(metric, epochs)
    followed = next((m for m in ("validation_accuracy", metric) if len(table.epochs(m)) > 1), None)
    stages = {e: table.metric_values(followed, e) for e in spread(table.epochs(followed))} if followed else None
    return fitness, stages


def spread(epochs: Sequence[int]) -> list[int]:
    """Epochs that a persistence looks at: all of a few; of a curve those next to 1/27, 1/9, 1/3 and all of the longest,
    as the paper's 4, 12, 36 and 108 are.

    >>> spread([12, 200]), spread(range(1, 601))
    ([12, 200], [22, 67, 200, 600])
    """
    if len(epochs) <= 4:
        return list(epochs)
    wanted = [max(epochs) / part for part in (27, 9, 3, 1)]
    return sorted({min(epochs, key=lambda epoch: abs(epoch - one)) for one in wanted})


def sampled(table: Benchmark, arguments: argparse.Namespace) -> EstimatedFootprint:
    """Estimates of the footprint of a space of which the table holds a sample, by its rows that have numbers."""
    fitness, stages = fitness_of(table, arguments.metric, arguments.epochs)
    known: np.ndarray = np.isfinite(np.stack([fitness, *(stages or {}).values()])).all(axis=0)
    return estimated_footprint(
        table.domain,
        [arch for arch, whole in zip(table.architectures(), known, strict=True) if whole],
        fitness[known],
        np.random.default_rng(arguments.seed),
        by_epoch={epoch: stage[known] for epoch, stage in stages.items()} if stages else None,
        walks=arguments.walks,
        steps=arguments.steps,
        ascents=arguments.ascents,
        track=tracker("ascents"),
    )


def estimates(table: Benchmark, arguments: argparse.Namespace) -> dict[str, float]:
    """What walks and ascents on a table of the whole space would have said, with 95 % intervals."""
    rng, space = np.random.default_rng(arguments.seed), table.domain
    values = table.metric_values(arguments.metric, arguments.epochs)

    def fitness(archs: Sequence[Any]) -> np.ndarray:
        return values[table.rows(archs)]

    rho = walk_autocorrelation(random_walks(space, fitness, rng, walks=arguments.walks, steps=arguments.steps), rng)
    starts = (space.sample(rng) for _ in tracker("ascents")(range(arguments.ascents)))
    ends = [space.key(ascend(space, fitness, start)[0]) for start in starts]
    optima = optima_by_repeats(ends, 16)
    return {
        f"{name}_{part}": value
        for name, estimate in (("rho_1_estimate", rho), ("maxima_estimate", optima))
        for part, value in asdict(estimate).items()
    }


def compare_scores(arguments: argparse.Namespace, table: Benchmark, out: Path) -> None:
    """Scores of a ranking.parquet beside the table's truth: exact where they cover all classes, else by pairs."""
    data = read_parquet(arguments.scores)
    if "architecture" not in data.column_names:
        raise UserError(f"{arguments.scores} has no column architecture: give the ranking.parquet of a run")
    names = score_names(data.column_names, arguments.score, arguments.scores)
    space = space_in_file(table.space)
    architectures = [space.parse(text) for text in data["architecture"].to_pylist()]
    scores = {name: data[name].to_numpy().astype(np.float64) for name in names}
    keys = [space.key(arch) for arch in architectures]
    covered = len(set(keys)) == space.unique_size
    if covered:
        everything = table.architectures()
        graph = neighbourhood(table, tracker("neighbours"))
        found = {"truth": measure(table, graph, arguments.metric, arguments.epochs)}
        for name, score in scores.items():
            found[name] = footprint(graph, over_classes(space, everything, dict(zip(keys, score, strict=True))))
        rows = [{"landscape": name, **one.as_dict()} for name, one in found.items()]
        chart = landscape_chart(found)
        print_rows(f"{arguments.scores}: all {len(set(keys))} classes", rows, transposed=True)
    else:
        truth = table.accuracies(architectures, arguments.metric, arguments.epochs)
        kept = np.isfinite(truth) & np.all([np.isfinite(score) for score in scores.values()], axis=0)
        _, first = np.unique(np.array([str(arch) for arch in architectures]), return_index=True)
        kept &= np.isin(np.arange(len(kept)), first)
        genomes = np.stack([space.encode(arch) for arch, keep in zip(architectures, kept, strict=True) if keep])
        values = {"truth": truth[kept], **{name: score[kept] for name, score in scores.items()}}
        distances = min(4, len(space.cardinalities))
        result = correlogram(genomes, values, np.random.default_rng(arguments.seed), distances=distances)
        centre = distance_correlation(genomes, values)
        rows = []
        for name, rho in result.rho.items():
            low, high = result.interval[name][0]
            gap = result.difference.get(name, np.full((distances, 3), np.nan))[0]
            row: dict[str, Any] = {"score": name, "rho_1": float(rho[0]), "low": float(low), "high": float(high)}
            row |= {"gap": float(gap[0]), "gap_low": float(gap[1]), "gap_high": float(gap[2])}
            rows.append(row | {"spearman": centre[name], "pairs": int(result.pairs[0])})
        chart = score_chart(result)
        print_rows(f"{len(genomes)} architectures of {label(table)}: how alike neighbours are", rows)
    rows = [{key: None if value != value else value for key, value in row.items()} for row in rows]
    write_rows(out / "scores.csv", rows)
    write_record(out / "scores.json", {"covers_all_classes": covered, "rows": rows, "seed": arguments.seed})
    save(chart, out, "scores", rows=rows, heading="Landscapes of scores beside the truth's")


def score_names(columns: Sequence[str], wanted: Sequence[str] | None, path: Path) -> list[str]:
    """The chosen score columns. Raises UserError listing what there is."""
    none = re.compile(r"architecture|key|params|macs|standalone_.*")
    known = [name for name in columns if not none.fullmatch(name)]
    if wanted and (missing := [name for name in wanted if name not in known]):
        raise UserError(
            f"{path} has no score {missing[0]}: {did_you_mean(missing[0], known)}choose from {', '.join(known)}"
        )
    names = list(wanted or [name for name in known if re.search("accuracy|cross_entropy|fusion", name)])
    if not names:
        raise UserError(f"{path} has no score: its columns are {', '.join(columns)}")
    return names


def tracker(what: str) -> Any:
    """A progress bar with the time left, on a terminal; silent elsewhere."""

    def track(numbers: range) -> Iterable[int]:
        from rich.progress import track as rich_track

        return rich_track(numbers, description=what, transient=True)

    return track
