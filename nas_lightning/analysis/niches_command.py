"""``python -m nas_lightning.analysis niches``: champions of nested niches, and how well searches fill them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from nas_lightning.analysis.arguments import at_least
from nas_lightning.analysis.figure import colour, save, styled
from nas_lightning.analysis.niche_searches import NicheSearches
from nas_lightning.analysis.niches import QUANTILES, Niches
from nas_lightning.analysis.output import label, print_rows, write_record, write_rows
from nas_lightning.benchmarks import Benchmark

HELP = "quality diversity: champions of nested niches, exact and by searches (type it again to go on after a stop)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--benchmark", default="nasbench201", help="table by name or path")
    parser.add_argument("--dataset", help="data set (default: the table's first)")
    parser.add_argument("--measure", default="params", help="the resource that the niches bound")
    parser.add_argument("--measures-from", help="another table that holds it (nasbench201_hw: latencies)")
    parser.add_argument("--niches", default="large", choices=tuple(QUANTILES), help="the paper's sets of niches")
    parser.add_argument(
        "--algorithms", nargs="+", default=["random_search", "nsga2", "bop_elites"], metavar="NAME[:SETTING=VALUE…]"
    )
    parser.add_argument("--evaluations", type=at_least(1), default=200)
    parser.add_argument("--seeds", type=at_least(1), default=100)


def run(arguments: argparse.Namespace, out: Path) -> None:
    table = Benchmark.open(arguments.benchmark, dataset=arguments.dataset)
    settings = {"name": arguments.benchmark, "dataset": table.dataset, "root": None}
    measure = arguments.measure
    own = table if arguments.measures_from is None else Benchmark.open(arguments.measures_from, dataset=table.dataset)
    resource = np.asarray(own.values(measure, table.architectures()), np.float64)
    niches = Niches.of(resource, QUANTILES[arguments.niches])
    searches = NicheSearches(
        settings,
        table.space,
        measure,
        measures_from=arguments.measures_from,
        niches=niches,
        evaluations=arguments.evaluations,
    )
    guide = searches.guide
    error = 100 * (1 - table.metric_values(guide))
    rows_of = niches.champions(error, resource)
    exact = niches.errors(error, resource)
    above: dict[str, np.ndarray] = {}
    unfilled = int((rows_of < 0).sum())
    rows: list[dict[str, Any]] = [{"algorithm": "optimum", "sum": float(exact.sum()), "error": None, "empty": unfilled}]
    for algorithm in arguments.algorithms:
        found = searches.all_errors(algorithm, arguments.seeds, out / "searches.jsonl")
        sums = found.sum(axis=1)
        spread = float(sums.std(ddof=1) / np.sqrt(len(sums))) if len(sums) > 1 else None
        empty = float((found == 100).sum(axis=1).mean())
        rows.append({"algorithm": algorithm, "sum": float(sums.mean()), "error": spread, "empty": empty})
        above[algorithm] = found.mean(axis=0) - exact
    title = f"{label(table)}: {len(niches.bounds)} niches of {measure}, {arguments.evaluations} evaluations"
    print_rows(f"{title}; sum of champions' errors ({guide}), mean of {arguments.seeds} seeds ± standard error", rows)
    write_rows(out / "niches.csv", rows)
    architectures = table.architectures()
    champions: list[dict[str, Any]] = [
        {
            "bound": None if np.isinf(bound) else bound,
            measure: None if row < 0 else float(resource[row]),
            "error": float(value),
            "architecture": None if row < 0 else str(architectures[row]),
        }
        for bound, value, row in zip(niches.bounds, exact, rows_of, strict=True)
    ]
    print_rows("Exact champions", champions)
    write_rows(out / "champions.csv", champions)
    write_record(out / "niches.json", {"title": title, "seeds": arguments.seeds, "rows": rows, "champions": champions})
    # Numbered, since bounds of an empty niche may be equal: bars of one name would be added up.
    names = [f"{i}: < {bound:.5g}" for i, bound in enumerate(niches.bounds[:-1], 1)] + [f"{len(niches.bounds)}: all"]
    named = [{"niche": name, **champion} for name, champion in zip(names, champions, strict=True)]
    chart = styled(niche_chart(names, exact, above, measure), title)
    save(chart, out, "niches", rows=rows, heading=title, further={"Exact champions": named})


def niche_chart(names: Sequence[str], exact: np.ndarray, above: Mapping[str, np.ndarray], measure: str) -> Any:
    """Above the exact champions' errors, below how far every algorithm's champions stay behind, in points, mean."""
    x = alt.X("niche:N", sort=list(names), title=f"niche of {measure}", axis=alt.Axis(labelAngle=-30))
    best = [{"niche": name, "error": float(error)} for name, error in zip(names, exact, strict=True)]
    base = alt.Chart(alt.Data(values=best)).encode(x=x, y=alt.Y("error:Q", title="exact champion's error (%)"))
    text = base.mark_text(dy=-8).encode(text=alt.Text("error:Q", format=".2f"))
    points = [
        {"niche": name, "algorithm": algorithm, "gap": float(gap)}
        for algorithm, gaps in above.items()
        for name, gap in zip(names, gaps, strict=True)
    ]
    lines = (
        alt.Chart(alt.Data(values=points))
        .mark_line(point=True)
        .encode(
            x=x,
            y=alt.Y("gap:Q", title="found champion minus exact, points"),
            color=colour("algorithm", list(above)),
            tooltip=["algorithm:N", "niche:N", "gap:Q"],
        )
    )
    return alt.vconcat(
        (base.mark_bar(size=18, opacity=0.6) + text).properties(width=520, height=140),
        lines.properties(width=520, height=260),
    )
