"""``python -m nas_lightning.report scores FILE … --space S --benchmark B``: other methods' scores against a table.

Prints and writes what a run does: every metric with its interval, free baselines, ceilings, the top of the space, the
comparison of every two predictors on the same architectures, pictures and a page. The folder is one of a finished
evaluation, which the report of runs reads too.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.benchmarks import Benchmark, BenchmarkError
from nas_lightning.errors import UserError
from nas_lightning.plan import Mapping as PlanMapping
from nas_lightning.predictors.base import Context, make_predictor
from nas_lightning.predictors.baselines import baselines_of
from nas_lightning.ranking.baselines import Baseline
from nas_lightning.ranking.checks import top_k_indices
from nas_lightning.ranking.comparison import Difference, hierarchical_bootstrap, holm
from nas_lightning.ranking.summary import summarize
from nas_lightning.ranking.uncertainty import affordable_replicates
from nas_lightning.report.look import number, signed
from nas_lightning.report.score_files import ScoreFile, read_score_file
from nas_lightning.runs.files import write_atomically
from nas_lightning.runs.quality import Quality
from nas_lightning.runs.result import COMPLETE, write_result
from nas_lightning.spaces import get_space
from nas_lightning.spaces.base import ArchitectureError, Space


@dataclass(frozen=True)
class Pair:
    """tau of the first predictor minus that of the second, on the same architectures."""

    first: str
    second: str
    difference: Difference
    p_holm: float


@dataclass(frozen=True)
class Scores:
    """Predictors on the architectures that all of them score: names [n], scores by predictor [n], truth [n]."""

    space: Space[Any]
    architectures: list[Any]
    names: list[str]
    predictors: dict[str, np.ndarray]
    remarks: list[str]


def common_scores(
    files: Sequence[ScoreFile],
    space: Space[Any],
    lower_is_better: bool = False,
    parse: Callable[[str], Any] | None = None,
) -> Scores:
    """The predictors of all files on the architectures that every one of them scores. `parse` reads their texts, by
    default as the space does; a table's reads its keys, too (NAS-Bench-101's module hashes).

    Raises UserError for what is no architecture of the space, for one that is scored twice, and where fewer than two
    are common to all.
    """
    tables: dict[str, dict[str, float]] = {}
    parsed: dict[str, Any] = {}
    remarks: list[str] = []
    stems = Counter(file.path.stem for file in files)
    for file in files:
        names = []
        for i, text in enumerate(file.architectures, start=1):
            try:
                arch = (parse or space.parse)(text)
            except (ArchitectureError, BenchmarkError) as error:
                raise UserError(
                    f"{file.path}: row {i} is no architecture of {space.name}: {str(error)[:180]}"
                ) from None
            names.append(space.format(arch))
            parsed[names[-1]] = arch
        if file.ignored:
            remarks.append(f"{file.path}: {', '.join(file.ignored)} hold no numbers and are left out")
        owner = file.path.stem if stems[file.path.stem] == 1 else str(file.path)
        for column, values in file.scores.items():
            title = column if len(files) == 1 else owner if len(file.scores) == 1 else f"{owner} {column}"
            table: dict[str, float] = {}
            for name, value in zip(names, values, strict=True):
                if table.setdefault(name, value) != value and not math.isnan(value):
                    raise UserError(f"{file.path}: {name} has two scores of {column}, {table[name]:g} and {value:g}")
            tables[title] = {name: -v if lower_is_better else v for name, v in table.items() if not math.isnan(v)}
    shared = set.intersection(*(set(table) for table in tables.values()))
    if len(shared) < 2:
        raise UserError(f"{len(shared)} architectures are scored by all of {', '.join(tables)}; at least 2 are needed")
    names = sorted(shared)
    for title, table in tables.items():
        if len(table) > len(names):
            remarks.append(f"{title} scores {len(table)} architectures, of which {len(names)} are common to all files")
    found = {title: np.array([table[name] for name in names]) for title, table in tables.items()}
    return Scores(space, [parsed[name] for name in names], names, predictors=found, remarks=remarks)


def summary_of(scores: Scores, table: Benchmark, top_k: int | None = None) -> dict[str, Any]:
    """The record of `nas_lightning.ranking.summary` with the baselines and ceilings that the table allows."""
    archs, truth = scores.architectures, truth_of(scores, table)
    validation = None
    if any(metric == "validation_accuracy" for metric, _ in table.metrics):
        validation = table.accuracies(archs, "validation_accuracy")
    return summarize(
        scores.predictors,
        truth,
        scores.names,
        _beside(scores, table),
        seed_accuracies=table.seed_accuracies(archs),
        seed_metric=table.seed_metric,
        validation=validation,
        table_accuracies=table.accuracies(table.architectures()),
        top_k=top_k or scores.space.top_k,
        quality=table.quality_of().name,
    )


def truth_of(scores: Scores, table: Benchmark) -> np.ndarray:
    """Stand-alone qualities (accuracies are fractions), float64 [n], NaN where the table has none.

    Raises UserError where it has fewer than 2.
    """
    truth = np.asarray(table.accuracies(scores.architectures), np.float64)
    if (~np.isnan(truth)).sum() < 2:
        raise UserError(f"the table of {table.dataset} knows fewer than 2 of the {len(truth)} scored architectures")
    return truth


def _beside(scores: Scores, table: Benchmark) -> list[Baseline]:
    """Parameters, MACs, depth and operation counts. The table's own costs where it keeps them, else those of the
    published networks."""
    try:
        costs = table.params(scores.architectures), table.macs(scores.architectures)
    except (BenchmarkError, UserError):
        costs = scores.space.costs(
            scores.architectures,
            channels=scores.space.published["channels"],
            layers=scores.space.published["layers"],
            num_classes=10,
        )
    known = [
        Baseline(name, np.asarray(values, np.float64), "no training")
        for name, values in zip(("parameters", "macs"), costs, strict=True)
        if not np.isnan(np.asarray(values, np.float64)).any()
    ]
    context = Context(scores.space, scores.architectures, PlanMapping(), table=table)
    return known + baselines_of([make_predictor("depth"), make_predictor("linear_operation_counts")], context)


def compare(scores: Scores, truth: np.ndarray, replicates: int = 2000) -> list[Pair]:
    """Every two predictors: Δ tau with its paired bootstrap over architectures, p adjusted by Holm over the pairs."""
    keep = ~np.isnan(truth)
    known = {name: values[keep][None] for name, values in scores.predictors.items()}
    times = affordable_replicates(int(keep.sum()), replicates)
    found = [
        (a, b, hierarchical_bootstrap(known[a], truth[keep], known[b], replicates=times))
        for a, b in combinations(known, 2)
    ]
    adjusted = holm([d.p for _, _, d in found])
    return [Pair(a, b, d, float(p)) for (a, b, d), p in zip(found, adjusted, strict=True)]


def write_report(
    out: Path, scores: Scores, table: Benchmark, digest: str, title: str = "", top_k: int | None = None
) -> dict[str, Any]:
    """Write the folder: result.json, ranking.parquet, scores.csv, figures and index.html; returns the result."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from nas_lightning.report.__main__ import write_page
    from nas_lightning.runs.reading import checked, read_run

    truth, quality = truth_of(scores, table), table.quality_of()
    summary = summary_of(scores, table, top_k)
    pairs = compare(scores, truth)
    columns = {name: f"score_{i}" for i, name in enumerate(scores.predictors)}
    rows: dict[str, Any] = {"architecture": scores.names, f"standalone_{quality.name}": truth}
    buffer = io.BytesIO()
    pq.write_table(pa.table(rows | {columns[k]: v for k, v in scores.predictors.items()}), buffer)
    result: dict[str, Any] = {
        "kind": "evaluation", "status": COMPLETE, "reason": None, "run_hash": digest[:12],
        "space": scores.space.name, "dataset": table.dataset, "seed": 0, **quality.record(),
        "evaluation": {"architecture_set": "files", "n_architectures": len(scores.names), "predictors": columns,
                       "headline": next(iter(columns)), "source": "files"},
        "comparison": [
            {"first": p.first, "second": p.second, "difference": p.difference.estimate, "low": p.difference.low,
             "high": p.difference.high, "p": p.difference.p, "p_holm": p.p_holm, "n": p.difference.n_architectures}
            for p in pairs
        ],
        **summary,
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "ranking.parquet", buffer.getvalue())
    write_result(out, json.loads(json.dumps(result).replace("NaN", "null")))
    write_atomically(out / "scores.csv", _csv(summary, quality).encode())
    sections = [("predictors", "Every metric", _metrics_table(summary, quality))]
    sections += [("comparison", "Predictors against each other", _pairs_table(pairs))] if pairs else []
    sections.append(("top", "Top of the space", _top_table(scores, truth, int(summary["evaluated"]["top_k"]), quality)))
    run = checked(read_run(out, out.name))
    write_page(
        out,
        [],
        [run],
        remarks=scores.remarks,
        title=title or f"Scores on {scores.space.name}, {table.dataset}",
        more=sections,
    )
    return result


_COLUMNS = {
    "kendall_tau": "tau",
    "spearman": "Spearman",
    "pearson": "Pearson",
    "weighted_kendall_tau": "weighted tau",
    "sparse_kendall_tau": "s-KdT",
    "kendall_tau_top10pct": "tau top 10 %",
    "kendall_tau_top25pct": "tau top 25 %",
    "precision_at_top10pct": "precision top 10 %",
    "ndcg_at_k": "NDCG at K",
    "best_rank_at_k": "best rank at K",
    "regret_at_k": "regret at K",
}


def _records(summary: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    return [
        *(("predictor", name, record) for name, record in summary["metrics"].items()),
        *(("baseline", name.replace("_", " "), record) for name, record in summary["baselines"].items()),
    ]


def _csv(summary: Mapping[str, Any], quality: Quality) -> str:
    """Plain numbers, one line a predictor, baseline or ceiling; accuracies are fractions, empty where undefined."""
    import csv

    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    own = [f"top_k_{quality.name}", "best_of_top_k", "p_beats_random"]
    writer.writerow(["kind", "name", "n", *_COLUMNS, "tau_low", "tau_high", *own])
    for kind, name, record in _records(summary):
        interval, found = record["kendall_tau_interval"], record["final_search_performance"]
        beats = record.get("probability_beats_random") or {}
        line = [
            kind,
            name,
            record["n"],
            *(record.get(key) for key in _COLUMNS),
            interval.get("low"),
            interval.get("high"),
        ]
        writer.writerow(
            ["" if v is None else v for v in (*line, found.get("mean"), found.get("best"), beats.get("probability"))]
        )
    for kind, ceiling in summary["ceiling"].items():
        if ceiling.get("tau") is not None:
            writer.writerow(["ceiling", kind, ceiling["n"], ceiling["tau"]])
    return stream.getvalue()


def _metrics_table(summary: Mapping[str, Any], quality: Quality) -> str:
    from nas_lightning.report.cells import cell, head, in_quality
    from nas_lightning.report.study import value_of

    lines = []
    for kind, name, record in _records(summary):
        interval, best = record["kendall_tau_interval"], value_of(record, "final_search_performance")
        low, high = value_of(interval, "low"), value_of(interval, "high")
        cells = [
            cell(escape(name), css="text name"),
            cell(number(value_of(record, "kendall_tau")), value_of(record, "kendall_tau")),
        ]
        cells.append(cell("–" if math.isnan(low) else f"{number(low)} to {number(high)}", low))
        cells += [cell(number(v), v) for v in (value_of(record, key) for key in list(_COLUMNS)[1:])]
        beats = value_of(record, "probability_beats_random")
        cells += [cell(escape(in_quality(best, quality, False)), best), cell(number(beats), beats)]
        cells.append(cell(str(record["n"]), record["n"]))
        lines.append(f"<tr{' class=beside' if kind == 'baseline' else ''}>{''.join(cells)}</tr>")
    noise, proxy = (summary["ceiling"].get(kind, {}).get("tau") for kind in ("noise", "proxy"))
    said = [
        f"noise ceiling {noise:.3f}" if noise is not None else "",
        f"proxy ceiling {proxy:.3f}" if proxy is not None else "",
    ]
    note = "; ".join(text for text in said if text) or "the table allows no ceiling"
    names = ["predictor", "tau", "95 % interval", *list(_COLUMNS.values())[1:]]
    names += [f"top-K {quality.label}", "P > R", "archs"]
    return (
        f'<p class="note">{note[:1].upper()}{note[1:]}. K = {summary["evaluated"]["top_k"]}; in italics what costs '
        'little or nothing. <span class="files"><a href="scores.csv">CSV</a></span></p><div class="scroll">'
        f'<table class="sortable" id="predictors-table">{head(names, 1)}<tbody>{"".join(lines)}</tbody></table></div>'
    )


def _pairs_table(pairs: Sequence[Pair]) -> str:
    from nas_lightning.report.cells import cell, head
    from nas_lightning.report.tables import p_text

    lines = []
    for pair in pairs:
        d = pair.difference
        cells = [cell(escape(name), css="text name") for name in (pair.first, pair.second)]
        cells += [cell(signed(d.estimate), d.estimate), cell(f"{number(d.low)} to {number(d.high)}", d.low)]
        cells += [
            cell(p_text(d.p), d.p),
            cell(p_text(pair.p_holm), pair.p_holm),
            cell(str(d.n_architectures), d.n_architectures),
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    names = ["first", "second", "Δ tau", "95 % interval", "p", "p (Holm)", "archs"]
    return (
        '<p class="note">tau of the first minus tau of the second on the same architectures: paired bootstrap over '
        'architectures, two-sided, adjusted by Holm over all pairs.</p><div class="scroll">'
        f'<table class="sortable" id="pairs-table">{head(names, 2)}<tbody>{"".join(lines)}</tbody></table></div>'
    )


def _top_table(scores: Scores, truth: np.ndarray, k: int, quality: Quality) -> str:
    from nas_lightning.report.cells import cell, head, in_quality

    known = np.flatnonzero(~np.isnan(truth))
    rank = np.full(len(truth), np.nan)
    rank[known] = [1 + int((truth[known] > t).sum()) for t in truth[known]]
    lines = []
    for name, values in scores.predictors.items():
        for place, i in enumerate(top_k_indices(values, np.asarray(scores.names), k), start=1):
            cells = [
                cell(escape(name), css="text name"),
                cell(str(place), place),
                cell(escape(scores.names[i]), css="text wrap"),
            ]
            cells += [cell(f"{values[i]:.6g}", values[i]), cell(escape(in_quality(truth[i], quality, False)), truth[i])]
            cells.append(cell("–" if math.isnan(rank[i]) else f"{rank[i]:.0f} of {len(known)}", rank[i]))
            lines.append(f"<tr>{''.join(cells)}</tr>")
    names = ["predictor", "place", "architecture", "score", f"stand-alone {quality.label}", "true rank"]
    return (
        f'<p class="note">What each predictor would choose: its best {k}.</p><div class="scroll">'
        f'<table class="sortable" id="top-table">{head(names, 1)}<tbody>{"".join(lines)}</tbody></table></div>'
    )


def digest_of(table: Benchmark, files: Sequence[str | Path]) -> str:
    """SHA-256 over the content of the table and of the score files, which names the report's run."""
    content = hashlib.sha256(table.sha256.encode())
    for file in files:
        content.update(hashlib.sha256(Path(file).read_bytes()).digest())
    return content.hexdigest()


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status: 0, or 2 with one sentence on standard error where the input is wrong."""
    from nas_lightning.ranking.terminal import render_table

    parser = argparse.ArgumentParser(
        prog="python -m nas_lightning.report scores",
        description="Rank the scores in files (CSV, JSON, Parquet) against a table of stand-alone accuracies.",
    )
    parser.add_argument("files", nargs="+", help="score files; several are several predictors")
    parser.add_argument("--space", required=True, help="name of the search space, or dotted path of one's own")
    parser.add_argument("--benchmark", required=True, help="name or path of the table")
    parser.add_argument("--dataset", help="data set whose accuracies are read where the table has several")
    parser.add_argument("--root", help="folder of the table (default: NAS_LIGHTNING_BENCHMARKS, NAS_LIGHTNING_DATA)")
    parser.add_argument("--lower-is-better", action="store_true", help="the scores are losses or ranks")
    parser.add_argument("--top-k", type=int, help="K of the metrics at K (default: the space's)")
    parser.add_argument("--out", default="report", help="folder to write to (default: report)")
    parser.add_argument("--title", default="", help="heading of the page")
    given = parser.parse_args(arguments)
    try:
        if given.top_k is not None and given.top_k < 1:
            raise UserError(f"--top-k {given.top_k} is out of range; give at least 1")
        space = get_space(given.space)
        files = [read_score_file(Path(file)) for file in given.files]
        table = Benchmark.open(given.benchmark, dataset=given.dataset, root=given.root)
        if not space.reads_tables_of(table.space):
            raise UserError(f"{given.benchmark} is a table of {table.space}, not of {space.name}; name another")
        scores = common_scores(files, space, given.lower_is_better, parse=table.read)
        digest = digest_of(table, given.files)
        result = write_report(Path(given.out), scores, table, digest=digest, title=given.title, top_k=given.top_k)
    except OSError as error:
        print(
            f"report: {given.out} cannot be written ({error.strerror or error}); choose another --out", file=sys.stderr
        )
        return 2
    except (BenchmarkError, UserError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    render_table(result, title=f"{space.name}, {table.dataset}", owner="")
    for pair in result["comparison"]:
        low, high = number(pair["low"]), number(pair["high"])
        print(
            f"{pair['first']} − {pair['second']}: Δ tau {signed(pair['difference'])}, 95 % interval {low} to {high}, "
            f"p = {pair['p_holm']:.3g} (paired, n = {pair['n']})"
        )
    for name, values in scores.predictors.items():
        best = int(top_k_indices(values, np.asarray(scores.names), 1)[0])
        print(f"Best by {name}: {scores.names[best]}")
    for remark in scores.remarks:
        print(f"Note: {remark}.")
    print(Path(given.out) / "index.html")
    return 0
