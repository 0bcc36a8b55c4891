"""``python -m nas_lightning.report.against RUNS --benchmark nasbench201 --dataset cifar100``: another truth as a check.

Settings that were chosen on one data set's table may fit its noise. The scores that runs left in ranking.parquet are
ranked here against accuracies that nobody looked at: another data set's, or another table's.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.benchmarks import Benchmark
from nas_lightning.benchmarks.table_file import read_parquet
from nas_lightning.errors import UserError
from nas_lightning.processes.output import forgiving_output
from nas_lightning.ranking.baselines import Baseline
from nas_lightning.ranking.summary import summarize
from nas_lightning.runs.archive import unpacked
from nas_lightning.runs.files import refused_by_disk, write_atomically
from nas_lightning.runs.reading import COMPLETE, Run, find_runs
from nas_lightning.spaces import space_in_file

SCORE = "supernet_"
"""Start of the columns of ranking.parquet that hold one super-net's scores."""


def against(run: Run, table: Benchmark) -> dict[str, Any]:
    """The summary (`nas_lightning.ranking.summary`) of a run's scores against the accuracies of `table`.

    Raises ValueError where the run left no ranking or the table knows none of its architectures.
    """
    path = Path(run.path) / "ranking.parquet"
    if not path.is_file():
        raise UserError(f"{run.path} holds no ranking.parquet; name runs that ranked")
    columns = read_parquet(path).to_pydict()
    if "architecture" not in columns:
        raise UserError(f"{path} has no column architecture; rank this run again")
    space = space_in_file(run.result["space"])
    truth = np.asarray(table.accuracies([space.parse(name) for name in columns["architecture"]]), np.float64)
    if np.isnan(truth).all():
        raise UserError(f"the table of {table.dataset} holds no architecture of {run.path}; choose another table")
    own = {name.removeprefix(SCORE): name for name in columns if name.startswith(SCORE)}
    own |= {name: name for name in ("snapshots", "fusion") if name in columns}
    named = (run.ranked.get("evaluation") or {}).get("predictors") or own  # several checkpoints name theirs
    predictions = {name: columns[column] for name, column in named.items()}
    headline = run.score if run.score in predictions else next(iter(predictions))
    return summarize(
        {headline: predictions.pop(headline), **predictions},
        truth,
        columns["architecture"],
        [Baseline("parameters", np.asarray(columns["params"], np.float64), "no training")]
        if "params" in columns
        else [],
        top_k=space.top_k,
        replicates=200,
        quality=table.quality_of().name,
    )


def mean_tau(summaries: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Per predictor that all summaries have: mean and s.d. of tau, and of tau inside the true top 10 %, over runs; and
    the mean truth of the top K (an accuracy is a fraction)."""
    found = {}
    for kind in ("metrics", "baselines"):
        for name in summaries[0][kind]:
            if all(name in s[kind] for s in summaries):
                records = [s[kind][name] for s in summaries]
                top = [r["kendall_tau_top10pct"] for r in records]
                taus = np.array([r["kendall_tau"] for r in records], np.float64)
                found[name] = {
                    "runs": len(taus),
                    "n": records[0]["n"],
                    "tau": taus.mean(),
                    "tau_sd": taus.std(ddof=1) if len(taus) > 1 else None,
                    "tau_top10pct": None if None in top else float(np.mean(top)),
                    "top_k": float(np.mean([r["final_search_performance"]["mean"] for r in records])),
                }
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 with one sentence on standard error where the input is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m nas_lightning.report.against",
        description="Rank the scores of finished runs against another table of stand-alone accuracies or scores.",
    )
    parser.add_argument("runs", nargs="+", help="run folders, folders that hold them, or .tar.xz archives of them")
    parser.add_argument("--benchmark", required=True, help="name or path of the table")
    parser.add_argument("--dataset", help="data set whose accuracies are read where the table has several")
    parser.add_argument("--root", help="folder of the table (default: NAS_LIGHTNING_BENCHMARKS, NAS_LIGHTNING_DATA)")
    parser.add_argument("--out", help="also write the numbers to this file, as JSON")
    given = parser.parse_args(arguments)
    try:
        table = Benchmark.open(given.benchmark, dataset=given.dataset, root=given.root)
        with unpacked(given.runs) as folders:
            runs = [r for r in find_runs(folders) if r.status == COMPLETE and r.kind in ("train", "evaluation")]
            if not runs:
                raise UserError("no complete training or evaluation in these folders; name others")
            summaries = [against(run, table) for run in runs]
    except UserError as error:
        print(f"against: {error}", file=sys.stderr)
        return 2
    numbers = mean_tau(summaries)
    print(f"{len(runs)} runs, trained on {', '.join(sorted({r.result['dataset'] for r in runs}))}, "
          f"against {table.dataset} of {given.benchmark}")  # fmt: skip
    quality = table.quality_of()
    own = f"top-K {quality.label}"
    print(f"{'predictor':38} {'n':>6} {'tau':>7} {'s.d.':>6} {'top 10 %':>9} {own}")
    for name, row in numbers.items():
        tau, sd, top = ("–" if row[k] is None else f"{row[k]:.3f}" for k in ("tau", "tau_sd", "tau_top10pct"))
        best = quality.mean_text(row["top_k"])
        print(f"{name.replace('_', ' '):38} {row['n']:6d} {tau:>7} {sd:>6} {top:>9} {best:>{len(own)}}")
    if given.out:
        record = {
            "dataset": table.dataset,
            "runs": [str(r.result["run_hash"]) for r in runs],
            "quality": quality.name,
            "predictors": numbers,
        }
        try:
            write_atomically(Path(given.out), json.dumps(record, indent=1).encode())
        except OSError as error:
            print(f"against: {refused_by_disk(error, given.out)}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    forgiving_output()
    sys.exit(main())
