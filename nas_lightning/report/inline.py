"""The report's numbers and figures in a notebook: no page, no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas_lightning.benchmarks import Benchmark
from nas_lightning.errors import UserError, did_you_mean
from nas_lightning.ranking.terminal import words_of
from nas_lightning.report.figure import picture
from nas_lightning.report.scatter import ranking_panels
from nas_lightning.report.scores import Scores, summary_of
from nas_lightning.runs.reading import checked, find_runs

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    from rich.console import Console

COLUMNS = {
    "kendall_tau": "tau",
    "spearman": "Spearman",
    "sparse_kendall_tau": "s-KdT",
    "kendall_tau_top10pct": "tau top 10 %",
    "ndcg_at_k": "NDCG@K",
    "regret_at_k": "regret@K",
}


@dataclass(frozen=True)
class Ranking:
    """How well scores rank architectures of known accuracy, beside what ranks for free.

    Args:
        summary: the record that a run writes (`nas_lightning.ranking.summary`).
        scores: what was ranked.
        truth: stand-alone accuracies, fractions, float64 [n], NaN where the table has none.
    """

    summary: dict[str, Any]
    scores: Scores
    truth: np.ndarray

    @property
    def tau(self) -> float:
        """Kendall's tau-b of the first score."""
        return float(next(iter(self.summary["metrics"].values()))["kendall_tau"])

    def frame(self) -> pd.DataFrame:
        """A pandas table: a row a predictor or free baseline, a column a metric.

        Returns:
            One row a score and baseline, one column a metric.

        Raises:
            UserError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise UserError("Ranking.frame needs pandas; pip install 'nas-lightning[notebook]'") from None
        records = {**self.summary["metrics"], **self.summary["baselines"]}
        rows = {}
        for name, record in records.items():
            interval = record["kendall_tau_interval"]
            rows[name] = {title: record[key] for key, title in COLUMNS.items()}
            rows[name] |= {"low": interval["low"], "high": interval["high"], "n": record["n"]}
        return pd.DataFrame.from_dict(rows, orient="index")

    def show(self, console: Console | None = None) -> None:
        """Print the table that a run ends with, and what its first number means.

        Args:
            console: of rich; None prints to the standard output.
        """
        from rich.console import Console

        from nas_lightning.ranking.terminal import render_table

        console = console or Console(width=100)
        render_table(self.summary, console, title=self.scores.space.name, owner="")
        for line in words_of(self.summary):
            console.print(line, highlight=False, soft_wrap=True)

    def chart(self, score: str | None = None, by_rank: bool = False) -> alt.TopLevelMixin:
        """The scatter of one score (by default the first) against accuracy, or of rank against rank, as in the report.

        Args:
            score: its name; None takes the one that counts.
            by_rank: whether ranks are drawn in place of values.

        Returns:
            An Altair chart.

        Raises:
            UserError: an unknown score.
        """
        name = next(iter(self.scores.predictors)) if score is None else score
        if name not in self.scores.predictors:
            raise UserError(
                f"no score {name}; {did_you_mean(name, self.scores.predictors)}"
                f"choose from {', '.join(self.scores.predictors)}"
            )
        values = self.scores.predictors[name]
        panels = ranking_panels(
            values, self.truth, self.scores.names, title="", label=name.replace("_", " "), top_k=self.scores.space.top_k
        )
        return panels[int(by_rank)].altair()


def rank_architectures(
    scores: Mapping[str, Any], architectures: Sequence[Any], table: Benchmark, top_k: int | None = None
) -> Ranking:
    """Compare scores with a table's stand-alone accuracies: metrics, intervals, free baselines, ceilings.

    Args:
        scores: numbers by a predictor's name, n each, higher is better; the first one counts.
        architectures: n distinct architectures of the table's space, or their texts.
        table: `Benchmark.open`.
        top_k: K of the metrics at K; by default the space's.

    Returns:
        The ranking: ``tau``, ``frame()``, ``show()``, ``chart()``, ``summary``.

    Raises:
        UserError: for unequal lengths, and where the table knows fewer than two of the architectures.

    Examples:
        >>> from nas_lightning import Benchmark, rank_architectures
        >>> table = Benchmark.open("digits_nasbench201")
        >>> chosen = table.architectures()[:100]
        >>> ranking = rank_architectures({"size": table.params(chosen)}, chosen, table)
        >>> bool(0 < ranking.tau < 1), sorted(ranking.summary["baselines"])
        (True, ['depth', 'linear_operation_counts', 'macs', 'parameters'])
    """
    space = table.domain
    chosen = [space.parse(arch) if isinstance(arch, str) else arch for arch in architectures]
    values = {name: np.asarray(column, np.float64) for name, column in scores.items()}
    for name, column in values.items():
        if column.shape != (len(chosen),):
            raise UserError(f"{name} has {column.size} scores, and there are {len(chosen)} architectures")
    found = Scores(space, chosen, [space.format(arch) for arch in chosen], predictors=values, remarks=[])
    from nas_lightning.report.scores import truth_of

    return Ranking(summary_of(found, table, top_k), found, truth_of(found, table))


def report_figures(*folders: str | Path, replicates: int = 2000) -> dict[str, alt.TopLevelMixin]:
    """Every figure of the report that some run folders give data for, to show inline.

    Args:
        folders: run folders, or folders that hold them at any depth.
        replicates: of the bootstrap.

    Returns:
        Altair charts by the names of the report's files, such as ``forest``, ``heatmap``, ``scatter``, ``search``,
        ``misranked``. Figures that let one choose show their first entry.

    Raises:
        UserError: where a folder is missing or holds no run.
    """
    import altair as alt

    from nas_lightning.report import study
    from nas_lightning.report.figures import all_figures
    from nas_lightning.report.misranked import misranked

    runs = [checked(run) for run in find_runs(folders)]
    conditions, _ = study.conditions_of(runs, replicates)
    diagnosis, _ = misranked(conditions, runs)
    drawn = [*all_figures(conditions, runs), *([diagnosis] if diagnosis.panels else [])]
    return {figure.id: alt.Chart.from_dict(picture(figure)) for figure in drawn}
