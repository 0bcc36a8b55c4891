"""What a sweep says: its jobs before anything starts, and at the end what is done, failed, missing."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from nas_lightning.ranking.fusion import FUSION
from nas_lightning.runs.quality import Quality, quality_of, quality_of_search
from nas_lightning.runs.reading import COMPLETE, FAILED, NOT_APPLICABLE, Run
from nas_lightning.runs.result import DIVERGED
from nas_lightning.sweep.jobs import Job, count_states, unsettled, varying

MOST_ROWS = 60
"""Longer tables leave out the rows in which every job is done."""
MOST_ERRORS = 20


def in_words(seconds: float) -> str:
    """A duration with the unit that suits it."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def pace(jobs: Sequence[Job]) -> float:
    """How many times longer the jobs that are complete took than was estimated, their median; 1 without any."""
    ratios = []
    for job in jobs:
        run = job.run()
        with suppress(ValueError):  # a damaged timings.json
            if job.seconds and run.status == COMPLETE and run.seconds > 0:
                ratios.append(run.seconds / job.seconds)
    return statistics.median(ratios) if ratios else 1.0


def cost_in_words(jobs: Sequence[Job], processes: int, times: float = 1.0) -> str:
    """The estimated cost of running `jobs`, side by side in `processes`, at so many times the cost model's seconds."""
    known = [times * job.seconds for job in jobs if job.seconds is not None]
    if not jobs:
        return "nothing to run"
    if not known:
        return "cost not known"
    total = sum(known)
    words = f"about {in_words(total / processes)}"
    if processes > 1:
        words += f" on {processes} processes ({in_words(total)} in all)"
    unknown = len(jobs) - len(known)
    return words + (f", without {unknown} jobs whose cost is not known" if unknown else "")


def grouped(jobs: Sequence[Job]) -> dict[tuple[str, ...], list[Job]]:
    """Jobs that differ in nothing but their seed: the values of the varying keys -> jobs, in the order typed."""
    keys = [key for key in varying([job.overrides for job in jobs]) if key != "seed"]
    groups: dict[tuple[str, ...], list[Job]] = {}
    for job in jobs:
        typed = {key: value for key, _, value in (override.partition("=") for override in job.overrides)}
        groups.setdefault(tuple(typed.get(key, "") for key in keys), []).append(job)
    return groups


def print_jobs(jobs: Sequence[Job], processes: int) -> None:
    """The dry run: every group of jobs, its states and its cost; nothing is run."""
    todo, times = unsettled(jobs), pace(jobs)
    _print_groups(jobs, "cost to run", lambda members: cost_in_words(unsettled(members), 1, times), keep_all=True)
    print_refusals(jobs)
    print_start(jobs, todo, processes)
    _print("This was a dry run: nothing was started, nothing was written.")


def print_refusals(jobs: Sequence[Job]) -> None:
    """What will fail, before anything starts: equal reasons are said once."""
    refused: dict[str, list[Job]] = {}
    for job in jobs:
        if job.refusal is not None:
            refused.setdefault(job.refusal, []).append(job)
    for reason, members in list(refused.items())[:MOST_ERRORS]:
        _print(f"Will fail: {_which(members, len(jobs))}{reason}")
    if len(refused) > MOST_ERRORS:
        _print(f"… and {len(refused) - MOST_ERRORS} more reasons.")


def _which(members: Sequence[Job], of: int) -> str:
    """Jobs that one sentence is about, as ``51 of 61 jobs, the first ablation=baseline: ``; nothing where there is one
    job in all."""
    if of == 1:
        return ""
    if len(members) == 1:
        return f"{members[0].title}: "
    return f"{len(members)} of {of} jobs, the first {members[0].title}: "


def print_start(jobs: Sequence[Job], todo: Sequence[Job], processes: int) -> None:
    """One line before anything starts."""
    counts = ", ".join(f"{n} {state}" for state, n in count_states(job.run() for job in jobs).items())
    times = pace(jobs)
    source = "" if times == 1 else f"; the finished ones took {times:.2g} times the cost model's estimate"
    _print(f"{len(jobs)} jobs: {counts}. To run: {len(todo)}, {cost_in_words(todo, processes, times)}{source}.")


def print_summary(jobs: Sequence[Job], skipped: int) -> None:
    """What is done, failed and missing, with the result of each group; then the errors."""
    runs = {job: job.run() for job in jobs}
    _print_groups(jobs, "result", lambda members: _result_in_words([runs[job] for job in members]))
    if skipped:
        _print(f"{skipped} of these jobs were done before and not repeated; force=true repeats them.")
    failed: dict[str, list[Job]] = {}
    for job, run in runs.items():
        if run.status == FAILED:
            failed.setdefault(run.reason, []).append(job)
    for reason, members in list(failed.items())[:MOST_ERRORS]:
        who = members[0].title if len(members) == 1 else _which(members, len(jobs)).removesuffix(": ")
        _print(f"Failed: {who}\n  {reason}\n  traceback: {members[0].folder / 'error.txt'}")
    if left := sum(map(len, list(failed.values())[MOST_ERRORS:])):
        _print(f"… and {left} more failed.")
    counts = count_states(runs.values())
    _print(f"{len(jobs)} jobs: " + ", ".join(f"{n} {state}" for state, n in counts.items()) + ".")
    diverged = sum(is_diverged(run) for run in runs.values())
    if diverged:
        _print(f"{diverged} diverged, which the same command does not try again; lower what they say, or force=true.")
    if any(run.status not in (COMPLETE, NOT_APPLICABLE) and not is_diverged(run) for run in runs.values()):
        _print("The same command runs what is failed, unfinished or missing, and nothing else.")


def is_diverged(run: Run) -> bool:
    """Whether a training ended because its loss was no number any more, or far above a guess."""
    return run.result.get("status") == DIVERGED


def _result_in_words(runs: Sequence[Run]) -> str:
    """The headline of the complete runs of one group, mean ± standard deviation over their seeds."""
    heads = [headline(run.result) for run in runs if run.status == COMPLETE]
    known = [head for head in heads if head is not None]
    if not known:
        return ""
    quality = quality_in(next(run.result for run in runs if run.status == COMPLETE))
    return f"{heads_in_words(known, quality)} (n = {len(known)})"


def heads_in_words(heads: Sequence[tuple[str, float]], quality: Quality) -> str:
    """The mean of some headlines: ``tau 0.5312 ± 0.0100``, ``found perplexity 24.93 (±0.011 nats)``.

    Args:
        heads: of `headline`, all of one name.
        quality: of their results.

    Returns:
        Name, mean, and from two on the standard deviation; of a quality that people read as another number that one,
        with the deviation of the quality itself.
    """
    name, values = heads[0][0], [value for _, value in heads]
    mean, several = statistics.mean(values), len(values) > 1
    if quality.shown_name and name in ("found", _spelt(quality)):
        spread = f" (±{statistics.stdev(values):.2g} {quality.points})" if several else ""
        return f"{'found ' if name == 'found' else ''}{quality.title} {quality.mean_text(mean)}{spread}"
    return f"{name} {mean:.4f}" + (f" ± {statistics.stdev(values):.4f}" if several else "")


def quality_in(result: Mapping[str, Any]) -> Quality:
    """What the network of a result is judged by, whether a training's or a search's.

    Args:
        result: of any kind.

    Returns:
        The quality that it names.
    """
    objective = result.get("objective")
    return quality_of_search(objective) if isinstance(objective, Mapping) else quality_of(result)


def _spelt(quality: Quality) -> str:
    return quality.name.replace("_", " ")


def headline(result: Mapping[str, Any]) -> tuple[str, float] | None:
    """Name and value of the one number of a result: its ranking's tau (of the fused score where scores are fused, as at
    a run's end), the quality that a search found, or that of a network on test items (accuracies are fractions); None
    where it has none."""
    metrics, evaluation = result.get("metrics") or {}, result.get("evaluation") or {}
    quality = quality_of(result).name
    score = str(evaluation.get("headline", evaluation.get("score", quality)))
    for name, path in (
        ("fused tau" if score.startswith(FUSION) else "tau", (score, "kendall_tau")),
        ("found", ("found", "truth")),
        (quality.replace("_", " "), ("test", quality)),
        ("noise ceiling", ("noise_ceiling_tau",)),
    ):
        value: Any = metrics
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, int | float):
            return name, float(value)
    return None


def _print_groups(
    jobs: Sequence[Job], last: str, words: Callable[[Sequence[Job]], str], keep_all: bool = False
) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    keys = [key for key in varying([job.overrides for job in jobs]) if key != "seed"]
    groups = grouped(jobs)
    shown = groups
    if len(groups) > MOST_ROWS and not keep_all:
        shown = {g: m for g, m in groups.items() if {job.run().status for job in m} - {COMPLETE, NOT_APPLICABLE}}
    table = Table(box=SIMPLE)
    for key in keys:
        table.add_column(key, overflow="fold")
    states = list(count_states(job.run() for job in jobs))
    for heading in ("jobs", *states):
        table.add_column(heading, justify="right")
    table.add_column(last, overflow="fold")
    for values, members in shown.items():
        counts = count_states(job.run() for job in members)
        cells = [str(counts.get(state, "")) for state in states]
        table.add_row(*values, str(len(members)), *cells, words(members))
    if table.row_count:
        _console().print(table)
    if len(shown) < len(groups):
        _print(f"{len(groups) - len(shown)} settings whose jobs are all done are left out of this table.")


def _console() -> Any:
    from rich.console import Console

    console = Console(highlight=False)
    console.width = max(console.width, 110)  # numbers that are cut off are of no use in a log file
    return console


def _print(text: str) -> None:
    print(text, flush=True)
