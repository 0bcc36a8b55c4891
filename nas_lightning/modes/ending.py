"""How a run of train.py ends in the terminal: its table, what the number means, and which command to type next."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from nas_lightning.modes.job import Job
from nas_lightning.ranking.terminal import render_table, words_of
from nas_lightning.runs.quality import items_of, quality_of
from nas_lightning.spaces import get_space

LOG_WIDTH = 120
"""Columns in a log file, so that no architecture is broken."""
SHOWN = 10
"""Architectures of a ranking without truth."""


def command(*overrides: str) -> str:
    """A command line of train.py as the user starts it, quoted for the shell.

    >>> command("seed=1", "study=my runs").partition("seed")[2]
    "=1 'study=my runs'"
    """
    name = Path(sys.argv[0]).name
    started = name if name.startswith("nas-") else "uv run train.py"
    return " ".join([started, *map(_quoted, overrides)])


def _quoted(override: str) -> str:
    """One override for the shell; Hydra's own single quotes are kept within double ones."""
    return f'"{override}"' if "'" in override and not set(override) & set('"$`\\!') else shlex.quote(override)


def render(job: Job, result: dict[str, Any], console: Console) -> None:
    """The end of one run, whatever its mode; ends with its folder and the next step."""
    if not console.is_terminal:
        console.width = max(console.width, LOG_WIDTH)
    next_steps: Sequence[str] = ()
    if result["status"] == "not_applicable":
        console.print(f"Not applicable: {result['reason']}", highlight=False)
    elif result["kind"] in ("train", "evaluation"):
        next_steps = _ranked(job, result, console) if result["benchmark"] else _without_truth(job, result, console)
    elif result["kind"] == "standalone":
        next_steps = _standalone(job, result, console)
    else:
        next_steps = _table(job, result, console)
    console.print(f"Run folder: {job.folder}", highlight=False, soft_wrap=True)
    for step in next_steps:
        console.print(step, highlight=False, soft_wrap=True, markup=False)


SAME_TRAINING = ("data", "recipe", "starting_point")
"""Groups that a further command repeats to train on the same images from the same plan."""


def _where(job: Job, kept: tuple[str, ...] = SAME_TRAINING) -> list[str]:
    """What a further command has to say to stay on this space, and of what was typed the groups `kept`.

    A recipe that is left out may have chosen the data: then they are named.
    """
    config = job.config
    said = [] if config.space.name == "nasbench201" else [f"space={config.space.name}"]
    data = [] if config.data.name == "digits" else [f"data={config.data.name}"]
    if not HydraConfig.initialized():
        return said + data
    typed: dict[str, list[str]] = {}  # data=folder data.path=…, with everything else of that section
    for override in HydraConfig.get().overrides.task:
        typed.setdefault(re.split("[=.]", override.lstrip("+"))[0], []).append(override)
    unsaid = "recipe" in typed and "recipe" not in kept and "data" not in typed
    return said + (data if unsaid else []) + [o for group in kept for o in typed.get(group, [])]


def _ranked(job: Job, result: dict[str, Any], console: Console) -> list[str]:
    render_table(
        result,
        console,
        title=f"{result['space']} on {result['dataset']}",
        evaluation=result["evaluation"],
        seeds=", ".join(map(str, result.get("seeds") or [result["seed"]])),
    )
    console.print()
    small = job.config.benchmark.name is not None and job.config.benchmark.name.startswith("digits_")
    for line in words_of(result, small=small):
        console.print(line, highlight=False, soft_wrap=True)
    if result["kind"] == "evaluation":
        return [f"Next: uv run python -m nas_lightning.report {job.config.runs} --out report"]
    where = _where(job, (*SAME_TRAINING, "benchmark"))
    if any(h.active for h in job.heuristics):
        return [
            f"Next, against the unchanged plan: {command(*where)}; then uv run python -m nas_lightning.report "
            f"{job.config.runs} --out report"
        ]
    normalises = "batch_norm" not in get_space(result["space"]).lacks
    toggle = "heuristics/batch_norm=untracked,tracked" if normalises else "heuristics/sampling=random_a,fairnas"
    another = command("-m", *where, toggle)
    return [
        f"Next, the effect of one heuristic: {another}",
        f"      tables and figures of all runs: uv run python -m nas_lightning.report {job.config.runs} --out report",
    ]


def quoted(text: str) -> str:
    """A text as Hydra's grammar reads it, for a command that can be copied.

    >>> print(quoted("[('tanh', 0)]"))
    '[(\\'tanh\\', 0)]'
    """
    escaped = text.replace("'", "\\'")
    return f"'{escaped}'"


def _without_truth(job: Job, result: dict[str, Any], console: Console) -> list[str]:
    """The best by the score that counts, from ranking.parquet."""
    import pyarrow.parquet as pq

    record = result["evaluation"]
    name = record.get("headline", record["score"])
    rows = pq.read_table(job.folder / "ranking.parquet").to_pylist()
    wanted = record.get("predictors", {}).get(name)
    column = next(c for c in (wanted, f"supernet_{name}", name) if c is not None and c in rows[0])
    best = sorted(rows, key=lambda row: (-row[column], row["architecture"]))[:SHOWN]
    table = Table(
        title=f"{result['space']} on {result['dataset']}: the best {len(best)} of {len(rows)} by {name}",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title_style="bold",
    )
    quality = quality_of(result)
    is_quality = name == quality.name and quality.shown_name  # people read another number: perplexity
    for heading in ("", quality.label if is_quality else "score", "parameters", "MACs"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("architecture", overflow="fold")
    for place, row in enumerate(best, start=1):
        costs = (f"{row['params']:,}", f"{row['macs']:,}")
        score = f"{quality.show(row[column]):.2f}" if is_quality else f"{row[column]:.4f}"
        table.add_row(str(place), score, *costs, row["architecture"])
    console.print(table)
    shared = result["metrics"].get(quality.name, {}).get(f"supernet_{quality.name}")
    if shared is not None:
        console.print(
            f"Mean {quality.title} with shared weights {quality.text(shared)}. Without a table of stand-alone "
            "trainings (benchmark=none) nothing says how far to trust this order.",
            highlight=False,
            style="dim",
        )
    chosen = command("mode=standalone", *_where(job), f"architecture={quoted(best[0]['architecture'])}")
    return [f"Next, train the best one on its own: {chosen}"]


def _standalone(job: Job, result: dict[str, Any], console: Console) -> list[str]:
    table = Table(
        title=f"{result['space']} on {result['dataset']}, one network trained",
        title_justify="left",
        box=SIMPLE_HEAD,
        title_style="bold",
    )
    quality = quality_of(result)
    losses = [k for k in next(iter(result["metrics"].values())) if k.startswith("negative_") and k != quality.name]
    spelt = [loss.removeprefix("negative_").replace("cross_entropy", "cross-entropy") for loss in losses]
    items = items_of(result)
    for heading in (items, "n", f"{quality.title} {quality.unit}".rstrip(), *spelt):
        table.add_column(heading, justify="left" if heading == items else "right")
    for split, found in result["metrics"].items():
        reached = quality.text(found[quality.name]).removesuffix(f" {quality.unit}")
        table.add_row(split, str(found["n_images"]), reached, *(f"{-found[loss]:.4f}" for loss in losses))
    console.print(table)
    cost = result["cost"]
    console.print(
        f"{result['architecture']}: {result['parameters']:,} parameters, {cost['epochs']} epochs, {cost['steps']:,} "
        f"steps, seed {result['seed']}.",
        highlight=False,
        style="dim",
        markup=False,
    )
    return [f"Next, a table of many such networks: {command('mode=table', *_where(job), 'table.architectures=100')}"]


def _table(job: Job, result: dict[str, Any], console: Console) -> list[str]:
    found = result["metrics"]
    table = Table(
        title=f"{result['space']} on {result['dataset']}, stand-alone",
        title_justify="left",
        box=SIMPLE_HEAD,
        title_style="bold",
        show_header=False,
    )
    table.add_column("what")
    table.add_column("value", justify="right")
    wanted = job.config.table
    table.add_row("architectures × seeds", f"{wanted.architectures} × {wanted.seeds}")
    quality = quality_of(result)
    ends = ("lowest", "highest") if quality.shown_higher_is_better else ("worst", "best")
    names = (ends[0], "5 %", "median", "95 %", ends[1])
    quantiles = next(values for key, values in found.items() if key.endswith("_quantiles_0_5_50_95_100"))
    for name, value in zip(names, quantiles, strict=True):
        reached = quality.text(value).removesuffix(f" {quality.unit}")
        table.add_row(f"test {quality.title} {quality.unit}".rstrip() + f", {name}", reached)
    ceiling = found["noise_ceiling_tau"]
    table.add_row("noise ceiling (tau)", "needs 2 seeds" if ceiling is None else f"{ceiling:.3f}")
    if found.get("diverged_trainings"):
        table.add_row("trainings that diverged", str(found["diverged_trainings"]))
    console.print(table)
    if ceiling is not None:
        console.print(
            "Noise ceiling: tau between the means of two halves of the seeds, which is all that a score can reach.",
            highlight=False,
            style="dim",
        )
    out = Path(wanted.out or job.folder / found["table"])
    rank = command(*_where(job, ("data", "starting_point")), f"benchmark.name={out}")
    return [f"Table: {out}", f"Next, rank a super-net against it: {rank}"]
